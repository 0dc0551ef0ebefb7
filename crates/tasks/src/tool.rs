//! `bedplate:tool:<name>`: a tool of the project, with the task's input as its arguments.

use crate::{
    Handler, Task,
    error::{TASK_FAILED, failed},
};
use bedplate_core::{
    event::Preparation,
    message::ToolResultContent,
    port::{
        BoxFuture,
        tasks::{TaskError, TaskPlan, TaskReply},
        tools::{ToolCall, ToolError, ToolErrorKind},
    },
    tool::{ToolDefinition, ToolOutput},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Calls tools.
pub struct Tool;

fn definition(task: &Task) -> Result<ToolDefinition, TaskError> {
    let name = task.resource.action.strip_prefix("tool:").unwrap_or(&task.resource.action);
    (task.shared.tool)(name)
        .ok_or_else(|| failed(TASK_FAILED, format!("there is no tool {name:?}: add tools/{name}.toml to the project")))
}

impl Handler for Tool {
    fn plan(&self, task: &Task) -> Result<TaskPlan, TaskError> {
        let repeatable = definition(task)?.annotations.repeatable();
        Ok(if repeatable { TaskPlan::PerformAgain } else { TaskPlan::Perform })
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            let tool = Arc::new(definition(&task)?);
            let now = task.shared.clock.now();
            let time = Duration::from_millis(tool.timeout_ms);
            let call = ToolCall {
                caller: task.call.caller.clone(),
                input: Value::clone(&task.call.input),
                idempotency_key: task.call.idempotency_key.clone(),
                deadline: task.call.deadline.map_or(now.after(time), |deadline| deadline.min(now.after(time))),
                now,
                tool,
            };
            let tools = &task.shared.tools;
            match tools.prepare(call.clone()).await.map_err(refused)? {
                Preparation::Run => {}
                Preparation::Refuse(output) => return Err(told(&output)),
                Preparation::Ask { question, .. } => {
                    let cause = format!(
                        "the tool asks a person first ({question}): a workflow asks with a .waitForTaskToken state, and \
                         calls a tool without a rule of approval after it"
                    );
                    return Err(failed("Tool.ApprovalRequired", cause));
                }
            }
            let output = tools.call(call).await.map_err(refused)?;
            if output.is_error { Err(told(&output)) } else { Ok(TaskReply::Done(value(output))) }
        })
    }
}

fn refused(error: ToolError) -> TaskError {
    let name = match error.kind {
        ToolErrorKind::InvalidInput => "Tool.InvalidInput",
        ToolErrorKind::Misconfigured => "Tool.Misconfigured",
        ToolErrorKind::Failed => "Tool.Failed",
        ToolErrorKind::OutcomeUnknown => "Tool.OutcomeUnknown",
    };
    failed(name, error.message)
}

fn told(output: &ToolOutput) -> TaskError {
    let texts: Vec<String> = output
        .content
        .iter()
        .filter_map(|part| match part {
            ToolResultContent::Text { text } => Some(text.clone()),
            ToolResultContent::Json { json } => Some(json.to_string()),
            ToolResultContent::Image { .. } => None,
        })
        .collect();
    failed("Tool.Failed", texts.join("\n"))
}

/// Returns what a tool answered: its JSON, its text, or, of several parts, a list of them.
fn value(output: ToolOutput) -> Value {
    let mut parts: Vec<Value> = output
        .content
        .into_iter()
        .map(|part| match part {
            ToolResultContent::Json { json } => json,
            ToolResultContent::Text { text } => Value::String(text),
            ToolResultContent::Image { .. } => json!("[an image]"),
        })
        .collect();
    if parts.len() == 1 { parts.swap_remove(0) } else { Value::Array(parts) }
}
