//! The ports of workflows where nothing is configured: everything fails and says so.

use bedplate_core::{
    id::Tenant,
    port::{
        BoxFuture,
        tasks::{TaskCall, TaskError, TaskReply, Tasks},
        workflows::{PinnedWorkflow, ResolveError, Workflows},
    },
};

/// No tasks and no state machines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unconfigured;

impl Tasks for Unconfigured {
    fn perform(&self, call: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        let cause = format!("nothing is configured for the resource '{}'", call.resource);
        Box::pin(async move { Err(TaskError { error: Some("States.TaskFailed".into()), cause: Some(cause.into()) }) })
    }
}

impl Workflows for Unconfigured {
    fn resolve(
        &self,
        _: &Tenant,
        machine: &str,
        _: [u8; 16],
    ) -> BoxFuture<'static, Result<PinnedWorkflow, ResolveError>> {
        let error = ResolveError::NotFound(machine.to_owned());
        Box::pin(async move { Err(error) })
    }
}
