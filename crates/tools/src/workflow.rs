//! Tools that start a workflow of the project and give the model its output. What runs it is given by whoever makes the
//! tools: this room knows neither machine nor journal.

use crate::kind::{Kind, config_problem, section};
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
pub const KIND: &str = "workflow";

/// Runs the workflow of that name with the call's input and returns its output; the same idempotency key joins the
/// execution that it began.
pub type WorkflowRunner =
    Arc<dyn Fn(String, ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> + Send + Sync>;

/// The `workflow` part of a tool's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The workflow by name.
    name: String,
}

/// Runs workflow tools.
pub struct Workflow {
    runner: Option<WorkflowRunner>,
}

impl Workflow {
    /// Returns the kind that runs workflows with `runner`.
    pub fn new(runner: Option<WorkflowRunner>) -> Self {
        Self { runner }
    }
}

impl Kind for Workflow {
    fn check(&self, tool: &ToolDefinition) -> Vec<String> {
        section::<Config>(tool, KIND).err().into_iter().collect()
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        let config = section::<Config>(&call.tool, KIND).map_err(config_problem);
        let runner = self.runner.clone();
        Box::pin(async move {
            let runner = runner.ok_or_else(|| config_problem("nothing runs workflows here"))?;
            runner(config?.name, call).await
        })
    }
}
