//! `bedplate:approval.waitForTaskToken`: a person decides. What the person is asked is the task's input: `question`, and
//! whatever else helps to decide.

use crate::{
    Handler, Task,
    error::{TASK_FAILED, failed},
    resource::Pattern,
};
use bedplate_core::port::{
    BoxFuture,
    tasks::{TaskError, TaskPlan, TaskReply},
};
use serde_json::json;

/// Asks a person. The question stands in the inbox as long as the task is open; nobody need be told of it.
pub struct Approval;

impl Handler for Approval {
    fn plan(&self, _: &Task) -> Result<TaskPlan, TaskError> {
        Ok(TaskPlan::PerformAgain)
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            if task.resource.pattern == Pattern::Token {
                return Ok(TaskReply::Done(json!({})));
            }
            Err(failed(
                TASK_FAILED,
                "an approval is waited for: write arn:aws:states:::bedplate:approval.waitForTaskToken",
            ))
        })
    }
}
