//! Functions: `lambda:invoke` and the ARN of a function itself. A function is an HTTP endpoint, a program, an agent of
//! the project (which the runtime drives), or one of a Lambda endpoint.

mod command;
mod http;

use crate::{
    Handler, Task, agent,
    aws::{self, lambda},
    error::{failed, not_configured},
};
use bedplate_core::port::{
    BoxFuture,
    tasks::{AgentReply, TaskError, TaskPlan, TaskReply},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The largest result of a function, in bytes; AWS has the same.
const MAX_RESULT_BYTES: usize = 6 * 1024 * 1024;

/// `lambda:invoke`: the function is named in the input.
pub struct Invoke;

/// The ARN of a function: the input is what it is given.
pub struct Bare;

impl Handler for Invoke {
    fn plan(&self, task: &Task) -> Result<TaskPlan, TaskError> {
        let (name, payload) = agent::invocation(&task.call.input)?;
        plan(task, name, &payload, AgentReply::Payload)
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            let (name, payload) = agent::invocation(&task.call.input)?;
            let name = name.to_owned();
            if task.call.input.get("InvocationType").and_then(Value::as_str) == Some("Event") {
                // Nobody would hear of a failure, and a crash would lose the call.
                return Err(failed(
                    "Lambda.InvalidParameterValueException",
                    "the invocation type Event is not supported",
                ));
            }
            let done = call(&task, &name, &payload).await?;
            let mut reply = Map::new();
            reply.insert("ExecutedVersion".into(), done.version.into());
            reply.insert("Payload".into(), done.payload);
            aws::add_metadata(&mut reply, 200, &done.request_id, "application/json");
            reply.insert("StatusCode".into(), 200.into());
            Ok(TaskReply::Done(Value::Object(reply)))
        })
    }
}

impl Handler for Bare {
    fn plan(&self, task: &Task) -> Result<TaskPlan, TaskError> {
        plan(task, &task.resource.action, &task.call.input, AgentReply::Response)
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            let done = call(&task, &task.resource.action, &task.call.input).await?;
            Ok(TaskReply::Done(done.payload))
        })
    }
}

fn plan(task: &Task, name: &str, payload: &Value, reply: AgentReply) -> Result<TaskPlan, TaskError> {
    let definitions = &*task.shared.definitions;
    if let Some(turn) = agent::function(&task.config, definitions, name, payload, reply)? {
        return Ok(TaskPlan::Agent(turn));
    }
    let repeatable = task.config.functions.get(name).is_some_and(|function| function.idempotent);
    Ok(if repeatable { TaskPlan::PerformAgain } else { TaskPlan::Perform })
}

/// What a function gave.
pub struct Done {
    pub payload: Value,
    pub version: String,
    pub request_id: String,
}

impl Done {
    fn plain(payload: Value, task: &Task) -> Self {
        Self { payload, version: "$LATEST".into(), request_id: task.call.idempotency_key.clone() }
    }
}

async fn call(task: &Task, name: &str, payload: &Value) -> Result<Done, TaskError> {
    let Some(function) = task.config.functions.get(name) else {
        if aws::endpoint(&task.config.aws, "lambda").is_some() {
            return lambda::invoke(task, name, payload).await;
        }
        return Err(not_configured(
            format!("the function {name:?}"),
            format!("[functions.{name}] with url, command or agent (or lambda = \"…\" in [aws_endpoints])"),
        ));
    };
    let time = Duration::try_from_secs_f64(function.timeout_seconds).unwrap_or(Duration::from_secs(60));
    let body = Bytes::from(payload.to_string());
    let result = match &function.url {
        Some(url) => tokio::time::timeout(time, http::call(task, function, url, body)).await,
        None => tokio::time::timeout(time, command::call(task, function, body)).await,
    };
    match result {
        Ok(result) => result.map(|payload| Done::plain(payload, task)),
        Err(_) => {
            let seconds = time.as_secs_f64();
            Err(error("Sandbox.Timedout", &format!("Error: Task timed out after {seconds:.2} seconds")))
        }
    }
}

/// Returns the failure that a function itself reports: its error's type is the name, the object is the cause.
pub fn reported(payload: &Value) -> TaskError {
    match payload.get("errorType").and_then(Value::as_str) {
        Some(kind) => failed(kind, payload.to_string()),
        None => failed(
            "Lambda.Unknown",
            format!(
                "The cause could not be determined because Lambda did not return an error type. Returned payload: {payload}"
            ),
        ),
    }
}

/// Returns the failure of a function that ended without an answer, in the form in which Lambda tells it.
fn error(kind: &str, message: &str) -> TaskError {
    failed(kind, json!({ "errorType": kind, "errorMessage": message }).to_string())
}

/// Returns the value that a function answered.
fn parsed(bytes: &[u8], whole: bool) -> Result<Value, TaskError> {
    if !whole {
        let message =
            format!("Response payload size exceeded maximum allowed payload size ({MAX_RESULT_BYTES} bytes).");
        return Err(error("Function.ResponseSizeTooLarge", &message));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes)
        .map_err(|problem| error("Runtime.MarshalError", &format!("the function's result is no JSON: {problem}")))
}
