//! Tools that read or change a SQLite database of the project.
//!
//! A read-only tool is one query on a connection that cannot write. A writing tool is a list of statements in one
//! transaction that also records the call's idempotency key and result, so a repeated call has one effect.

mod bind;
mod connection;
mod databases;
mod read;
mod rows;
mod seed;
#[cfg(test)]
mod tests;
mod write;

pub use bind::Parameters;
pub use databases::{DatabaseSpec, Databases, OpenError};
pub use read::preview_row;

use crate::kind::{Kind, config_problem, section, time_left};
use bedplate_core::{
    port::{
        BoxFuture,
        tools::{ToolCall, ToolError},
    },
    tool::{ToolDefinition, ToolOutput},
};
use serde::Deserialize;
use std::sync::Arc;

/// The word for this kind in a tool's definition.
pub const KIND: &str = "sqlite";

/// The `sqlite` part of a tool's configuration. Either `query` or `statements` is present.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database.
    pub database: String,
    /// What a read-only tool asks.
    #[serde(default)]
    pub query: Option<String>,
    /// The most rows of a result.
    #[serde(default = "default_max_rows")]
    pub max_rows: usize,
    /// What the model is told when there is no row.
    #[serde(default)]
    pub empty: Option<String>,
    /// What a writing tool does, in one transaction.
    #[serde(default)]
    pub statements: Vec<Statement>,
    /// What a writing tool asks at the end of its transaction.
    #[serde(default)]
    pub result: Option<String>,
}

/// One statement of a writing tool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The SQL.
    pub sql: String,
    /// How many rows it must change; another count undoes the transaction.
    #[serde(default)]
    pub changes: Option<u64>,
    /// What the model is told when the count is another one.
    #[serde(default)]
    pub otherwise: Option<String>,
}

fn default_max_rows() -> usize {
    50
}

/// Runs SQLite tools.
pub struct Sqlite {
    databases: Arc<Databases>,
}

impl Sqlite {
    /// Returns the runner of tools over `databases`.
    pub fn new(databases: Arc<Databases>) -> Self {
        Self { databases }
    }
}

impl Kind for Sqlite {
    fn check(&self, tool: &ToolDefinition) -> Vec<String> {
        let config: Config = match section(tool, KIND) {
            Ok(config) => config,
            Err(problem) => return vec![problem],
        };
        let mut problems: Vec<String> = form(tool, &config).err().into_iter().collect();
        let queries = config.query.iter().map(|sql| ("query", sql, true));
        let statements = config.statements.iter().map(|statement| ("statements", &statement.sql, false));
        let result = config.result.iter().map(|sql| ("result", sql, true));
        for (place, sql, reads) in queries.chain(statements).chain(result) {
            let found = match reads {
                true => self.databases.check_query(&config.database, sql, tool),
                false => self.databases.check_statement(&config.database, sql, tool),
            };
            problems.extend(found.err().map(|problem| format!("sqlite.{place}: {problem}")));
        }
        problems
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        let databases = Arc::clone(&self.databases);
        Box::pin(async move {
            let config: Config = section(&call.tool, KIND).map_err(config_problem)?;
            form(&call.tool, &config).map_err(config_problem)?;
            let parameters = Parameters::of(&call);
            let limit = time_left(&call);
            let bytes = call.tool.max_result_bytes;
            match call.tool.annotations.read_only {
                true => read::run(&databases, config, parameters, limit, bytes).await,
                false => write::run(&databases, config, parameters, call.now, limit, bytes).await,
            }
        })
    }
}

/// Whether the parts of the configuration fit the tool's promise.
fn form(tool: &ToolDefinition, config: &Config) -> Result<(), String> {
    match (tool.annotations.read_only, &config.query, config.statements.is_empty()) {
        (true, Some(_), true) if config.result.is_none() => Ok(()),
        (true, ..) => Err("a read-only tool has a query, and neither statements nor a result".to_owned()),
        (false, None, false) => Ok(()),
        (false, ..) => Err("a tool that writes has statements and no query".to_owned()),
    }
}
