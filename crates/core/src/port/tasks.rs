//! The Tasks port: what a workflow's Task state does outside.

use super::{BoxFuture, BoxStream, Caller, definitions::WorkflowMocks, documents::DocumentError};
use crate::{
    id::{Tenant, UserId},
    message::Message,
    time::Timestamp,
};
use bytes::Bytes;
use serde_json::Value;
use std::{fmt, sync::Arc};

/// One attempt at a workflow's task.
#[derive(Clone, Debug)]
pub struct TaskCall {
    /// On whose behalf; `run` is the execution.
    pub caller: Caller,
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// The execution whose prepared answers it gets, as an ARN; none: one without any.
    pub answers: Option<Arc<str>>,
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
pub enum TaskReply {
    /// It ended well with this output.
    Done(Value),
    /// The service accepted it and answered this; the result comes under the token.
    Submitted(Value),
    /// The service accepted it and answered this; the result comes with `end` (a job that is waited for, `.sync`).
    Job {
        /// What the service answered at once.
        submitted: Value,
        /// The job's result.
        end: BoxFuture<'static, Result<Value, TaskError>>,
    },
    /// The file of items that a Map asked for, piece by piece, so that a large one is never whole in memory. Only a
    /// Map's reader takes this.
    Items(BoxStream<'static, Result<Bytes, TaskError>>),
}

impl fmt::Debug for TaskReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(value) => f.debug_tuple("Done").field(value).finish(),
            Self::Submitted(value) => f.debug_tuple("Submitted").field(value).finish(),
            Self::Job { submitted, .. } => f.debug_struct("Job").field("submitted", submitted).finish_non_exhaustive(),
            Self::Items(_) => f.write_str("Items"),
        }
    }
}

/// What a task is, as the table of resources says before it is begun.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskPlan {
    /// It is performed through the port. When its process goes away meanwhile, its outcome is unknown.
    Perform,
    /// As [`TaskPlan::Perform`]; but it changes nothing, or the service takes the idempotency key: it is done again
    /// after a crash.
    PerformAgain,
    /// A turn of an agent, as a child run.
    Agent(AgentTask),
    /// An execution of a state machine, as a child run.
    Execution(ExecutionTask),
}

/// A turn of an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentTask {
    /// The agent by name.
    pub agent: String,
    /// What it is told.
    pub message: Message,
    /// The session; none: one of its own.
    pub session: Option<String>,
    /// How the answer becomes the task's output.
    pub reply: AgentReply,
}

/// How an agent's answer becomes the output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentReply {
    /// `{"response": text, "session": …, "usage": …, "stopReason": …}`.
    Response,
    /// The same as the `Payload` of a `lambda:invoke`.
    Payload,
    /// The forms of `bedrock-agentcore`.
    Harness,
}

/// An execution that a task starts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionTask {
    /// The state machine, as the task names it.
    pub machine: String,
    /// The execution's name; none: one that follows from the task.
    pub name: Option<String>,
    /// Its input.
    pub input: Arc<Value>,
    /// What the task waits for.
    pub wait: ExecutionWait,
}

/// What a task that starts an execution waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionWait {
    /// That it has begun.
    Start,
    /// Its end; the output is a text (`.sync`).
    EndAsText,
    /// Its end; the output is a value (`.sync:2`).
    EndAsValue,
}

impl ExecutionTask {
    /// Returns what a task of `states:startExecution` starts; none when `resource` is no such task.
    ///
    /// # Errors
    /// [`TaskError`] when the input names no state machine.
    pub fn from_resource(resource: &str, input: &Value) -> Option<Result<Self, TaskError>> {
        let wait = match resource.strip_prefix("arn:aws:states:::states:startExecution")? {
            // With a token the result comes from elsewhere, so only the start counts.
            "" | ".waitForTaskToken" => ExecutionWait::Start,
            ".sync" => ExecutionWait::EndAsText,
            ".sync:2" => ExecutionWait::EndAsValue,
            _ => return None,
        };
        let text = |name: &str| input.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let Some(machine) = text("StateMachineArn") else {
            return Some(Err(TaskError {
                error: Some("States.Runtime".into()),
                cause: Some("the field 'StateMachineArn' is missing or no text".into()),
            }));
        };
        // The API takes the input as a text; the service integration also takes a value.
        let given = match input.get("Input") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
            Some(value) => value.clone(),
        };
        Some(Ok(Self { machine, name: text("Name"), input: Arc::new(given), wait }))
    }
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

    /// Returns what a task is, without doing any of it: a look at the table. The same call gives the same answer after
    /// a crash.
    ///
    /// # Errors
    /// [`TaskError`] when it cannot be done at all.
    fn plan(&self, call: &TaskCall) -> Result<TaskPlan, TaskError> {
        let _ = call;
        Ok(TaskPlan::Perform)
    }

    /// Returns whether an execution that is to begin has prepared answers of its own.
    fn has_answers(&self, execution: &str) -> bool {
        let _ = execution;
        false
    }

    /// Returns whether an answer is prepared for a task: then it is performed here, also where a worker would do it.
    fn is_prepared(&self, call: &TaskCall) -> bool {
        let _ = call;
        false
    }
}

/// An execution that answers are prepared for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedFor {
    /// Whose tenant.
    pub tenant: Tenant,
    /// Whose it is; the answers go with this person.
    pub user: UserId,
    /// Its ARN.
    pub execution: Arc<str>,
}

/// Answers that were not prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The mocks file has no such case; the text names those that there are.
    #[error("{0}")]
    UnknownCase(String),
    /// They could not be kept.
    #[error("failed to prepare answers: {0}")]
    Store(#[from] DocumentError),
}

/// Prepared answers of tasks, for tests of workflows. What is set answers before anything else does. Those of an
/// execution are there after a restart, too: it must never call in earnest what it began with answers for.
pub trait TaskMocks: Send + Sync {
    /// Sets the answers of all executions of a state machine, by its ARN: for each state a list of
    /// `{"return": value}`, `{"throw": {"error", "cause"}}` or `{"never_answers": true}`, each with `"submitted"` where the
    /// service answers first; the last one answers all further attempts. Empty: nothing is prepared any more.
    ///
    /// # Errors
    /// A text that says what is wrong with `states`.
    fn set(&self, machine: &str, states: &Value) -> Result<(), String>;

    /// Sets the answers of one execution from a case of a workflow's mocks file.
    ///
    /// # Errors
    /// [`PrepareError`].
    fn use_case(
        &self,
        execution: PreparedFor,
        mocks: &WorkflowMocks,
        case: &str,
    ) -> BoxFuture<'static, Result<(), PrepareError>>;

    /// Gives a copy of an execution the same answers, each from its first on; returns whether it did. It does nothing
    /// when the original has none of its own, or the copy has some already.
    ///
    /// # Errors
    /// [`PrepareError::Store`].
    fn copy_case(&self, original: &str, copy: PreparedFor) -> BoxFuture<'static, Result<bool, PrepareError>>;

    /// Drops the answers of one execution.
    fn drop_case(&self, execution: &str) -> BoxFuture<'static, ()>;
}
