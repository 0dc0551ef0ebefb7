//! Built-in, HTTP and SQLite tools behind the Tools port.
//!
//! Invariant: a model's arguments reach a tool only after they fit its schema; what a call may touch hangs on the caller.
//!
//! A tool's `config` is the object that the project loader makes of its file, by section: `sqlite`, `http`, `retry`, and
//! `preview` (`{database, query, empty?}`, from `[approval.preview]`).

mod approval;
pub mod builtin;
pub mod calculate;
mod http;
mod input;
mod kind;
mod output;
pub mod sqlite;
mod template;
mod workflow;

pub use approval::Preview;
pub use http::{HttpLimits, SecretLookup};
pub use sqlite::{DatabaseSpec, Databases};
pub use workflow::WorkflowRunner;

use bedplate_core::{
    event::Preparation,
    port::{
        BoxFuture,
        tools::{ToolCall, ToolError, Tools},
    },
    tool::{ToolDefinition, ToolOutput},
};
use kind::{Kind, config_problem};
use std::sync::Arc;

/// What tools may reach.
pub struct Options {
    /// The project's databases.
    pub databases: Arc<Databases>,
    /// The values of the secrets that the project declares; it answers for no other name.
    pub secrets: SecretLookup,
    /// The bounds of HTTP tools.
    pub http: HttpLimits,
    /// What runs the workflows that tools start; none: they cannot run.
    pub workflows: Option<WorkflowRunner>,
}

/// All kinds of tools behind the Tools port.
#[derive(Clone)]
pub struct ToolBox {
    shared: Arc<Shared>,
}

struct Shared {
    kinds: Vec<(&'static str, Arc<dyn Kind>)>,
    databases: Arc<Databases>,
    input: input::InputCheck,
}

impl ToolBox {
    /// Returns the tools of a project.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let databases = options.databases;
        let kinds: Vec<(&'static str, Arc<dyn Kind>)> = vec![
            (builtin::KIND, Arc::new(builtin::Builtin)),
            (http::KIND, Arc::new(http::Http::new(options.secrets, options.http))),
            (sqlite::KIND, Arc::new(sqlite::Sqlite::new(Arc::clone(&databases)))),
            (workflow::KIND, Arc::new(workflow::Workflow::new(options.workflows))),
        ];
        Self { shared: Arc::new(Shared { kinds, databases, input: input::InputCheck::default() }) }
    }

    /// Returns the words for the kinds of tools, sorted.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'static str> {
        self.shared.kinds.iter().map(|(name, _)| *name).collect()
    }

    /// Returns everything that is wrong with `tool` as far as that shows without calling it: its schema, its kind's
    /// part (SQL is prepared against the database), its rule of approval.
    #[must_use]
    pub fn check(&self, tool: &ToolDefinition) -> Vec<String> {
        let mut problems: Vec<String> = input::compile(&tool.spec.input_schema).err().into_iter().collect();
        match self.shared.kind(&tool.kind) {
            Ok(kind) => problems.extend(kind.check(tool)),
            Err(error) => problems.push(error.message),
        }
        problems.extend(approval::check(tool, &self.shared.databases));
        problems
    }
}

impl Shared {
    fn kind(&self, name: &str) -> Result<Arc<dyn Kind>, ToolError> {
        let found = self.kinds.iter().find(|(kind, _)| *kind == name);
        found
            .map(|(_, kind)| Arc::clone(kind))
            .ok_or_else(|| config_problem(format!("there is no kind of tool {name:?}")))
    }
}

impl Tools for ToolBox {
    fn prepare(&self, call: ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.kind(&call.tool.kind)?;
            shared.input.check(&call.tool.spec, &call.input)?;
            approval::prepare(&call, &shared.databases).await
        })
    }

    fn at_once(&self, call: &ToolCall) -> Option<Result<ToolOutput, ToolError>> {
        if call.tool.kind != builtin::KIND {
            return None;
        }
        let output = self.shared.input.check(&call.tool.spec, &call.input).and_then(|()| builtin::run(call));
        Some(output.map(|output| output::bounded(output, call.tool.max_result_bytes)))
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let kind = shared.kind(&call.tool.kind)?;
            shared.input.check(&call.tool.spec, &call.input)?;
            let most = call.tool.max_result_bytes;
            Ok(output::bounded(kind.call(call).await?, most))
        })
    }
}
