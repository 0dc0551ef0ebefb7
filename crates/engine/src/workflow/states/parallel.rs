//! Parallel: several branches at once.

use crate::workflow::{
    definition::Parallel,
    flow,
    plan::Plan,
    query::{Env, Problem},
    step::Step,
};
use bedplate_core::workflow_event::{Joined, ParallelStarted, WorkflowEvent};
use std::sync::Arc;

pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, parallel: &Parallel) -> Result<(), Problem> {
    let arguments = flow::arguments(step, env, parallel.arguments.as_ref())?;
    flow::check_size(step, &arguments)?;
    let input = (!Arc::ptr_eq(&arguments, &step.branch.value)).then_some(arguments);
    let start_at = parallel.branches.iter().map(|branch| Arc::clone(&branch.start_at)).collect();
    plan.emit(WorkflowEvent::ParallelStarted(ParallelStarted { branch: step.id, input, start_at }));
    Ok(())
}

/// Notes that all branches are done.
pub(super) fn join(step: &Step<'_>, plan: &mut Plan) {
    plan.emit(WorkflowEvent::Joined(Joined { branch: step.id }));
}
