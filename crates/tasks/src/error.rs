//! Failures of tasks, in the words that Retry and Catch know.

use bedplate_core::port::tasks::TaskError;
use bedplate_net::Failure;
use serde_json::Value;

/// The name of a failure that has no better one.
pub const TASK_FAILED: &str = "States.TaskFailed";

/// Returns a failure called `error` that says `cause`.
pub fn failed(error: impl AsRef<str>, cause: impl AsRef<str>) -> TaskError {
    TaskError { error: Some(error.as_ref().into()), cause: Some(cause.as_ref().into()) }
}

/// Returns the failure of something that `bedplate.toml` does not have yet.
pub fn not_configured(what: impl AsRef<str>, add: impl AsRef<str>) -> TaskError {
    failed(TASK_FAILED, format!("{} is not configured: add {} to bedplate.toml", what.as_ref(), add.as_ref()))
}

/// Returns the failure of a task whose input lacks `field`.
pub fn missing(field: &str) -> TaskError {
    failed("States.Runtime", format!("The field '{field}' is required but was missing or of a wrong type"))
}

/// Returns the text in the field `name` of a task's input.
///
/// # Errors
/// [`missing`].
pub fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, TaskError> {
    input.get(name).and_then(Value::as_str).ok_or_else(|| missing(name))
}

/// Returns the failure of a request of `service` that got no answer.
pub fn unanswered(service: &str, failure: &Failure) -> TaskError {
    let unknown = if failure.was_not_sent() { "" } else { "; whether it had its effect is not known" };
    failed(format!("{service}.SdkClientException"), format!("{failure}{unknown}"))
}
