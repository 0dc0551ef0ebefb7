//! What the routes of workflows share: names of executions, and what an execution is pinned to.

use crate::{ApiError, App};
use bedplate_catalog::{Arn, Scope};
use bedplate_core::{
    id::{RunId, Tenant},
    port::workflows::{PinnedWorkflow, ResolveError},
};

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

/// Returns what an execution of the workflow, version or alias that `arn` names is pinned to; `missing` says that there
/// is none.
pub(crate) async fn pinned(
    app: &App,
    tenant: &Tenant,
    arn: &str,
    missing: &'static str,
) -> Result<PinnedWorkflow, ApiError> {
    let arn = Arn::parse(arn).map_err(|_| ApiError::bad_request("invalid_name", "that is no name of a workflow"))?;
    let pinned = app.catalog().pin(tenant, &arn, app.0.options.entropy.bytes()).await;
    pinned.map_err(|error| not_pinned(&error, missing))
}

fn not_pinned(error: &ResolveError, missing: &'static str) -> ApiError {
    match error {
        ResolveError::NotFound(_) => ApiError::not_found("workflow_not_found", missing),
        ResolveError::Store(_) => ApiError::store(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_failed_is_not_told_as_a_workflow_that_is_gone() {
        let failed = not_pinned(&ResolveError::Store("the disk is full".to_owned()), "gone");
        assert_eq!((failed.status.as_u16(), failed.code), (503, "store_unavailable"));
        let gone = not_pinned(&ResolveError::NotFound("arn".to_owned()), "gone");
        assert_eq!((gone.status.as_u16(), gone.code), (404, "workflow_not_found"));
    }
}
