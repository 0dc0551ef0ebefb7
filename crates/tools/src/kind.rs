//! What a kind of tool is, and what kinds share.

use bedplate_core::{
    port::{
        BoxFuture,
        tools::{ToolCall, ToolError, ToolErrorKind},
    },
    tool::ToolDefinition,
    tool::ToolOutput,
};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// One way of running tools. The arguments that reach it fit the tool's schema.
pub trait Kind: Send + Sync {
    /// Returns what is wrong with the tool's own part of its definition; nothing when it can run.
    fn check(&self, tool: &ToolDefinition) -> Vec<String>;

    /// Runs a call. Dropping the future stops the work.
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>>;
}

/// Returns the part of the tool's configuration called `name`.
///
/// # Errors
/// When it is absent or has another form.
pub fn section<T: DeserializeOwned>(tool: &ToolDefinition, name: &str) -> Result<T, String> {
    let value = tool.config.get(name).ok_or_else(|| format!("the tool has no [{name}] part"))?;
    T::deserialize(value).map_err(|error| format!("the [{name}] part is not valid: {error}"))
}

/// Returns how long the call may take: the tool's own limit, and never beyond the caller's deadline.
pub fn time_left(call: &ToolCall) -> Duration {
    Duration::from_millis(call.tool.timeout_ms).min(call.deadline.since(call.now))
}

/// Returns the error of a tool that cannot run here.
pub fn config_problem(message: impl Into<String>) -> ToolError {
    ToolError { kind: ToolErrorKind::Misconfigured, message: message.into() }
}

/// Returns the error of a call that had no effect.
pub fn failed(message: impl Into<String>) -> ToolError {
    ToolError { kind: ToolErrorKind::Failed, message: message.into() }
}

/// Returns the error of a call of which it is not known whether it had its effect.
pub fn outcome_unknown(message: impl Into<String>) -> ToolError {
    ToolError { kind: ToolErrorKind::OutcomeUnknown, message: message.into() }
}
