//! What the AWS face and the native one share of workflows: names of executions.

use crate::App;
use bedplate_catalog::Scope;
use bedplate_core::{id::RunId, port::workflows::PinnedWorkflow};

/// Returns a fresh name in the form of a UUID.
pub(crate) fn fresh(app: &App) -> String {
    let digits = RunId(app.0.options.entropy.bytes()).to_string();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Returns the ARN of an execution; two executions of an Express state machine may have one name.
pub(crate) fn execution_arn(app: &App, scope: &Scope, workflow: &PinnedWorkflow, name: &str) -> String {
    if workflow.express {
        scope.express(&workflow.name, name, &fresh(app))
    } else {
        scope.execution(&workflow.name, name)
    }
}
