//! Tools that start a workflow: the execution is a child of the run whose agent calls it.

use bedplate_catalog::Catalog;
use bedplate_core::{
    message::ToolResultContent,
    port::{
        clock::Entropy,
        tools::{ToolCall, ToolError, ToolErrorKind},
        workflows::Workflows,
    },
    tool::ToolOutput,
};
use bedplate_runtime::{ExecutionStatus, Runtime, StartExecution};
use bedplate_tools::WorkflowRunner;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// What runs the workflows of tools. The runtime that does it is made after the tools that it drives, and set then.
#[derive(Clone)]
pub struct Starter {
    runtime: Arc<OnceLock<Runtime>>,
    catalog: Catalog,
    entropy: Arc<dyn Entropy>,
}

impl Starter {
    /// Returns a starter that starts nothing yet.
    pub fn new(catalog: Catalog, entropy: Arc<dyn Entropy>) -> Self {
        Self { runtime: Arc::default(), catalog, entropy }
    }

    /// Sets what drives executions; a second one is ignored.
    pub fn set(&self, runtime: &Runtime) {
        let _ = self.runtime.set(runtime.clone());
    }

    /// Returns the function that tools call.
    pub fn runner(&self) -> WorkflowRunner {
        let starter = self.clone();
        Arc::new(move |name, call| {
            let starter = starter.clone();
            Box::pin(async move { starter.run(&name, call).await })
        })
    }

    async fn run(&self, name: &str, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let failed = |kind, message: String| ToolError { kind, message };
        let runtime = self.runtime.get();
        let runtime =
            runtime.ok_or_else(|| failed(ToolErrorKind::Failed, "the server is still starting".to_owned()))?;
        let tenant = call.caller.tenant.clone();
        let workflow = self
            .catalog
            .resolve(&tenant, name, self.entropy.bytes())
            .await
            .map_err(|error| failed(ToolErrorKind::Misconfigured, error.to_string()))?;
        let kind = if workflow.express { ":express:" } else { ":execution:" };
        let execution: Arc<str> =
            format!("{}:{}", workflow.arn.replacen(":stateMachine:", kind, 1), call.idempotency_key).into();
        let request = StartExecution {
            tenant: tenant.clone(),
            user: call.caller.user.clone(),
            execution,
            name: call.idempotency_key.as_str().into(),
            workflow,
            input: Arc::new(call.input.clone()),
            trace_header: None,
        };
        let started = runtime
            .start_execution_under(request, call.caller.run)
            .await
            .map_err(|error| failed(ToolErrorKind::Failed, error.to_string()))?;
        let ended =
            tokio::time::timeout(call.deadline.since(call.now), runtime.wait_execution(&tenant, started.run)).await;
        let view = match ended {
            Ok(view) => view.map_err(|error| failed(ToolErrorKind::OutcomeUnknown, error.to_string()))?,
            Err(_) => {
                let text =
                    format!("The workflow {name} still runs as execution {}; it goes on by itself.", started.run);
                return Ok(ToolOutput::text(text));
            }
        };
        Ok(match view.status {
            ExecutionStatus::Succeeded => {
                let json = view.output.map_or(Value::Null, |output| Value::clone(&output));
                ToolOutput { content: vec![ToolResultContent::Json { json }], is_error: false }
            }
            _ => ToolOutput::error(format!(
                "The workflow {name} did not succeed: {}: {}",
                view.error.as_deref().unwrap_or("no error is named"),
                view.cause.as_deref().unwrap_or("no cause is told")
            )),
        })
    }
}
