//! Trials of single states, for the AWS face and the native one.

use crate::{App, access::Identity};
use bedplate_core::port::{
    Caller,
    tasks::{TaskCall, TaskReply},
};
use bedplate_engine::workflow::trial::{self, Answer, Begun, Inspection, Mock, Status, TrialError, Wanted};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Why a state was not tested.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It cannot be tested so.
    Trial(TrialError),
    /// Its task would be performed, and nobody says with whose rights.
    NoRole,
}

/// Tests a state; a Task without a mock is performed for real.
pub(crate) async fn run(app: &App, identity: &Identity, wanted: Wanted<'_>, has_role: bool) -> Result<Answer, Refused> {
    let names = wanted.names.clone();
    let attempt = wanted.configuration.retries.unwrap_or(0);
    let pending = match trial::begin(wanted).map_err(Refused::Trial)? {
        Begun::Done(answer) => return Ok(*answer),
        Begun::Call(pending) if has_role => pending,
        Begun::Call(_) => return Err(Refused::NoRole),
    };
    let call = TaskCall {
        caller: Caller { tenant: identity.tenant.clone(), user: identity.actor(), ..Caller::default() },
        execution: names.execution,
        workflow: names.machine_name,
        answers: None,
        state: trial::STATE_NAME.into(),
        resource: Arc::clone(&pending.resource),
        input: Arc::clone(&pending.input),
        idempotency_key: pending.token.to_string(),
        token: Arc::clone(&pending.token),
        attempt,
        deadline: pending.deadline,
    };
    let Some(tasks) = app.tasks() else {
        let cause = "no tasks are configured on this server";
        return Ok(pending.finish(Mock::Error { error: Some("States.TaskFailed".into()), cause: Some(cause.into()) }));
    };
    let given = match tasks.perform(call).await {
        Ok(TaskReply::Done(output) | TaskReply::Submitted(output) | TaskReply::Job { submitted: output, .. }) => {
            Mock::Result(Arc::new(output))
        }
        Ok(TaskReply::Items(_)) => {
            let cause = "the task gave a file of items, which only the reader of a Map takes";
            Mock::Error { error: Some("States.TaskFailed".into()), cause: Some(cause.into()) }
        }
        Err(error) => Mock::Error { error: error.error, cause: error.cause },
    };
    Ok(pending.finish(given))
}

/// Returns how a trial ended, as the service writes it.
pub(crate) const fn status(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "SUCCEEDED",
        Status::Failed => "FAILED",
        Status::Retriable => "RETRIABLE",
        Status::CaughtError => "CAUGHT_ERROR",
    }
}

/// Says the numbers of a Map, and what is done about a failure.
pub(crate) fn numbers(seen: &Inspection, said: &mut Map<String, Value>) {
    if let Some(most) = seen.max_concurrency {
        said.insert("maxConcurrency".into(), most.into());
    }
    if let Some(count) = seen.tolerated_count {
        said.insert("toleratedFailureCount".into(), count.into());
    }
    if let Some(part) = seen.tolerated_percentage {
        said.insert("toleratedFailurePercentage".into(), json!(part));
    }
    if let Some(errors) = seen.errors {
        let fields = [
            ("catchIndex", errors.catcher.map(|at| at as u64)),
            ("retryIndex", errors.retrier.map(|at| at as u64)),
            ("retryBackoffIntervalSeconds", errors.backoff_seconds),
        ];
        let there = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
        said.insert("errorDetails".into(), Value::Object(there.collect()));
    }
}
