//! Answers under a task's token: SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat; and GetActivityTask, which gives
//! tokens out.

use super::{Call, Fault, Params, activities, executions};
use bedplate_runtime::TokenError;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// How long a worker waits for a task.
const POLL: Duration = Duration::from_secs(60);

pub(super) async fn success(call: &Call, params: &Params) -> Result<Value, Fault> {
    let token = params.required("taskToken", 1..=2048)?;
    let output = params.required("output", 0..=usize::MAX)?;
    let output: Value = serde_json::from_str(output)
        .map_err(|error| Fault::new("InvalidOutput", format_args!("Invalid Output: '{error}'")))?;
    let said = call.app.runtime().task_succeeded(call.tenant(), token, Arc::new(output)).await;
    said.map_err(fault).map(|()| json!({}))
}

pub(super) async fn failure(call: &Call, params: &Params) -> Result<Value, Fault> {
    let token = params.required("taskToken", 1..=2048)?;
    let error = params.text("error", 0..=256)?.map(Into::into);
    let cause = params.text("cause", 0..=32_768)?.map(Into::into);
    let said = call.app.runtime().task_failed(call.tenant(), token, error, cause).await;
    said.map_err(fault).map(|()| json!({}))
}

pub(super) async fn heartbeat(call: &Call, params: &Params) -> Result<Value, Fault> {
    let token = params.required("taskToken", 1..=2048)?;
    call.app.runtime().task_heartbeat(call.tenant(), token).await.map_err(fault).map(|()| json!({}))
}

pub(super) async fn poll(call: &Call, params: &Params) -> Result<Value, Fault> {
    let (scope, name) = activities::named(params)?;
    let said = params.arn("activityArn")?;
    let worker = params.text("workerName", 1..=80)?.map(Into::into);
    let found = call.catalog().activity(call.tenant(), &scope, &name).await;
    found.map_err(|error| activities::fault(error, said))?;
    let task = call.app.runtime().take_activity(call.tenant(), said, worker, POLL);
    let task = tokio::select! {
        task = task => task.map_err(|error| executions::run_fault(&error, said))?,
        () = call.app.closed() => None,
    };
    Ok(match task {
        Some(task) => json!({ "taskToken": &*task.token, "input": task.input.to_string() }),
        None => json!({}),
    })
}

fn fault(error: TokenError) -> Fault {
    match error {
        TokenError::Invalid => Fault::new("InvalidToken", "Invalid Token: 'Invalid token'"),
        TokenError::TimedOut => Fault::new("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'"),
        TokenError::Run(error) => executions::run_fault(&error, "the token's execution"),
    }
}
