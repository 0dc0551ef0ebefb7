//! The Tools port: looking before a call, and the call.

use super::{BoxFuture, Caller};
use crate::{
    event::Preparation,
    time::Timestamp,
    tool::{ToolDefinition, ToolOutput},
};
use serde_json::Value;
use std::sync::Arc;

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// On whose behalf: what a tool may reach hangs on this, never on the arguments.
    pub caller: Caller,
    /// The tool as the run is pinned to it.
    pub tool: Arc<ToolDefinition>,
    /// The arguments, from the model: untrusted.
    pub input: Value,
    /// The same for every attempt at this call, across crashes.
    pub idempotency_key: String,
    /// When the caller stops waiting.
    pub deadline: Timestamp,
    /// The present time, for tools that tell or store it.
    pub now: Timestamp,
}

/// Runs tools. Arguments are checked against the tool's schema before anything happens, both in `prepare` and in
/// `call`. Dropping the future cancels the call for real where its kind allows that.
pub trait Tools: Send + Sync {
    /// Returns whether the call may run, must be asked about, or cannot run. It changes nothing anywhere.
    ///
    /// # Errors
    /// [`ToolError`] when the facts could not be had.
    fn prepare(&self, call: ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>>;

    /// Returns the outcome of a call that touches nothing outside, not even to read: it hangs on the arguments and `now`
    /// alone. Such a call may run before its intent is durable, and its result shares the intent's commit, for it has
    /// nothing that a crash could double or lose. None: the call must be performed with [`Tools::call`].
    fn at_once(&self, call: &ToolCall) -> Option<Result<ToolOutput, ToolError>> {
        let _ = call;
        None
    }

    /// Runs the call and returns its output.
    ///
    /// # Errors
    /// [`ToolError`], which says whether an effect may have happened. A failure that the tool itself reports is an
    /// output with `is_error`, not an error.
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>>;
}

/// A tool call that gave no output.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    /// What kind of failure.
    pub kind: ToolErrorKind,
    /// What the model may read; no secret, no internal address.
    pub message: String,
}

/// Kinds of failure of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolErrorKind {
    /// The arguments do not fit the schema; nothing ran. The message holds the schema.
    InvalidInput,
    /// It cannot run here (unknown kind, missing database or secret); nothing ran.
    Misconfigured,
    /// It failed and had no effect.
    Failed,
    /// It began, and whether it had its effect is not known (a time-out, a lost connection).
    OutcomeUnknown,
}
