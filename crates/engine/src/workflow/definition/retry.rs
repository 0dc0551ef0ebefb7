//! Retriers and catchers.

use crate::workflow::{definition::ResultPath, query::Template};
use std::sync::Arc;

/// When a failed state is tried again.
#[derive(Debug)]
pub struct Retrier {
    /// The errors that it is for.
    pub errors: Vec<Arc<str>>,
    /// How long it waits before the first attempt, in seconds.
    pub interval_seconds: f64,
    /// How many attempts it makes.
    pub max_attempts: u64,
    /// By what the interval grows.
    pub backoff_rate: f64,
    /// How long it waits at most, in seconds.
    pub max_delay_seconds: Option<f64>,
    /// Whether the wait is spread.
    pub jitter: Jitter,
}

/// Whether waits are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// They are not.
    None,
    /// They lie anywhere between nothing and the interval.
    Full,
}

/// Where a failed state goes on.
#[derive(Debug)]
pub struct Catcher {
    /// The errors that it is for.
    pub errors: Vec<Arc<str>>,
    /// The next state.
    pub next: Arc<str>,
    /// Where the error goes in the state's input (JSONPath); absent: it replaces the input.
    pub path: Option<ResultPath>,
    /// The output (JSONata).
    pub output: Option<Template>,
    /// The variables that it assigns.
    pub assign: Option<Vec<(Arc<str>, Template)>>,
}

/// Returns whether one of `errors` stands for `error`.
///
/// `States.ALL` does not stand for the failures of the machine itself, and `States.TaskFailed` for no time-out.
#[must_use]
pub fn matches(errors: &[Arc<str>], error: Option<&str>) -> bool {
    const UNCATCHABLE: [&str; 2] = ["States.Runtime", "States.DataLimitExceeded"];
    let error = error.unwrap_or_default();
    errors.iter().any(|wanted| match &**wanted {
        "States.ALL" => !UNCATCHABLE.contains(&error),
        "States.TaskFailed" => {
            !UNCATCHABLE.contains(&error) && !matches!(error, "States.Timeout" | "States.HeartbeatTimeout")
        }
        "States.Timeout" => matches!(error, "States.Timeout" | "States.HeartbeatTimeout"),
        "States.Runtime" => false,
        wanted => wanted == error,
    })
}
