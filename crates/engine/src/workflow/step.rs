//! A branch in a state, while a decision looks at it.

use super::{
    definition::{Body, Definition, Machine, State},
    plan::Plan,
    query::{Entropy, Env, Facts, Lazy, Problem},
    state::{Branch, Started, WorkflowState},
};
use bedplate_core::{
    time::Timestamp,
    workflow_event::{BranchId, Evaluation, StateFailed, WorkflowEvent},
};
use std::sync::Arc;

/// A branch in a state.
pub(super) struct Step<'d> {
    pub id: BranchId,
    pub branch: Arc<Branch>,
    pub state: &'d State,
    pub started: Arc<Started>,
    pub now: Timestamp,
}

impl<'d> Step<'d> {
    /// Returns the step of a branch that has entered a state; none when the definition has no such state.
    pub(super) fn new(plan: &Plan, definition: &'d Definition, id: BranchId) -> Option<Self> {
        let branch = Arc::clone(plan.work.branches.get(&id)?);
        let state = machine_of(&plan.work, definition, &branch)?.states.get(&branch.state)?;
        let started = Arc::clone(plan.work.started.as_ref()?);
        Some(Self { id, branch, state, started, now: plan.now })
    }

    /// Returns what the context object is made of.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            execution: &self.started.execution,
            started: self.started.at,
            state: &self.branch.state,
            entered: self.branch.entered_at,
            retries: self.state.recovery().map(|_| self.branch.retry_count()),
            item: self.branch.item.clone(),
            now: self.now,
        }
    }

    /// Does `work` with what the state's expressions see, and notes its failure.
    pub(super) fn run(&self, plan: &mut Plan, work: impl FnOnce(&Self, &Env<'_>, &mut Plan) -> Result<(), Problem>) {
        let entropy = Entropy::new(plan.entropy());
        let mut context = Lazy::new(self.facts(), &entropy);
        if let Body::Task(task) = &self.state.body
            && task.resource.waits_for_token()
        {
            context = context.with_token(plan.token());
        }
        let env = Env {
            input: &self.branch.value,
            variables: &self.branch.variables,
            context: &context,
            result: None,
            error_output: None,
        };
        if let Err(problem) = work(self, &env, plan) {
            self.fail(plan, problem);
        }
    }

    /// Notes that the state failed by itself.
    pub(super) fn fail(&self, plan: &mut Plan, problem: Problem) {
        let evaluation = problem.evaluation.clone().map(|location| Evaluation { location });
        let (error, cause) = self.words(problem);
        plan.emit(WorkflowEvent::Failed(StateFailed {
            branch: self.id,
            error: Some(error),
            cause: Some(cause),
            evaluation,
            by: None,
        }));
    }

    /// Returns a problem's name and cause, with the state before it where that is usual.
    pub(super) fn words(&self, problem: Problem) -> (Arc<str>, Arc<str>) {
        let Problem { error, message, framed, .. } = problem;
        let cause = if framed {
            let (state, id) = (&self.branch.state, self.branch.entered_id);
            format!("An error occurred while executing the state '{state}' (entered at the event id #{id}). {message}")
        } else {
            message
        };
        (error.into(), cause.into())
    }
}

/// Returns the states among which a branch moves.
pub(super) fn machine_of<'d>(work: &WorkflowState, definition: &'d Definition, branch: &Branch) -> Option<&'d Machine> {
    let Some((parent, index)) = branch.parent else { return Some(&definition.machine) };
    let parent = work.branches.get(&parent)?;
    match &machine_of(work, definition, parent)?.states.get(&parent.state)?.body {
        Body::Parallel(parallel) => parallel.branches.get(usize::try_from(index).ok()?),
        Body::Map(map) => Some(&map.processor),
        _ => None,
    }
}
