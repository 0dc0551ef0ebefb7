//! A project folder: load, check, hash, watch.
//!
//! Invariant: nothing here makes a request or executes SQL; a project is judged by its text alone.
//!
//! The configuration that [`Project::load`] makes of a tool's file is an object with the parts `sqlite`, `http` and
//! `retry` as the file has them, and `preview` for `[approval.preview]`, with its `database`.

mod agent_file;
mod canonical;
mod config;
mod config_file;
mod fields;
mod front_matter;
mod handle;
mod init;
mod json_place;
mod load;
mod mocks_file;
mod model_table;
mod node;
mod parse;
mod problem;
mod prompt_file;
mod route_file;
mod sql;
mod task_config;
mod template;
mod tool_file;
mod usage;
mod usage_file;
mod watch;
mod workflow_file;

pub use config::{
    AwsEnv, BulkConfig, Config, DatabaseConfig, ModelConfig, Provider, RouteTarget, ServerConfig, WorkflowConfig,
};
pub use handle::{ProjectHandle, Reload};
pub use init::InitError;
pub use load::Project;
pub use problem::{Problem, Severity};
pub use prompt_file::Prompt;
pub use usage::{
    BudgetConfig, CacheConfig, LedgerConfig, LedgerUrl, LogConfig, PlanConfig, PriceConfig, TokensConfig, UsageConfig,
};
pub use watch::{WatchError, Watcher, watch};
pub use workflow_file::{DefinitionProblem, check_definition};
