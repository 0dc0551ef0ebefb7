//! The Tasks port: what a workflow's Task state does outside.

use super::{BoxFuture, Caller};
use crate::time::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// One attempt at a workflow's task.
#[derive(Clone, Debug)]
pub struct TaskCall {
    /// On whose behalf; `run` is the execution.
    pub caller: Caller,
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// The workflow by name.
    pub workflow: Arc<str>,
    /// The state by name.
    pub state: Arc<str>,
    /// The resource's ARN, as the definition says it, suffixes (`.sync:2`, `.waitForTaskToken`) included.
    pub resource: Arc<str>,
    /// What the task is given.
    pub input: Arc<Value>,
    /// The token under which others may give the result.
    pub token: Arc<str>,
    /// How often the state was tried before in this visit, from 0: which answer of a mocks file is meant.
    pub attempt: u32,
    /// The same for every attempt at this call, across crashes.
    pub idempotency_key: String,
    /// When the caller stops waiting; none: never.
    pub deadline: Option<Timestamp>,
}

/// What a task gave.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskReply {
    /// It ended well with this output.
    Done(Value),
    /// The service accepted it and answered this; the result comes under the token.
    Submitted(Value),
}

/// A task that failed, as the States Language sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .error.as_deref().unwrap_or("unknown"), .cause.as_deref().unwrap_or(""))]
pub struct TaskError {
    /// The error's name, for Retry and Catch (`States.TaskFailed`, `Lambda.Unknown`, …).
    pub error: Option<Arc<str>>,
    /// What went wrong, for people; no secret, no internal address.
    pub cause: Option<Arc<str>>,
}

/// Performs the tasks of workflows. A resource that is not configured fails with `States.TaskFailed` and a cause that
/// says what to configure; nothing is done in silence. Dropping the future cancels the task where its kind allows that.
pub trait Tasks: Send + Sync {
    /// Performs one attempt.
    ///
    /// # Errors
    /// [`TaskError`].
    fn perform(&self, call: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>>;
}
