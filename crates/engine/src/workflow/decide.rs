//! What happens next. Consecutive states that touch nothing outside are decided in one go.

use super::{
    definition::Definition,
    plan::Plan,
    recover,
    state::{Phase, WorkflowState},
    states,
    step::{Step, machine_of},
};
use crate::machine::{Context, Decision, Intent};
use bedplate_core::workflow_event::{
    BranchId, ExecutionEnded, ExecutionOutcome, IterationEnded, StateEntered, TaskTimedOut, WorkflowEvent,
};

/// About how many events one decision makes at most; the rest follows in the next.
const MAX_EVENTS: usize = 256;

/// About how many bytes of payload one decision makes at most.
const MAX_BYTES: usize = 48 * 1024;

/// How many events the history of an execution has at most.
const MAX_HISTORY: u64 = 25_000;

/// Returns what happens next.
pub(super) fn decide(state: &WorkflowState, context: &Context) -> Decision {
    let Some(definition) = &context.workflow else { return Decision::default() };
    let due = state.timers.first().is_some_and(|(at, _)| *at <= context.now);
    let late = deadline_passed(state, context);
    if state.ended.is_some() || state.started.is_none() || (state.ready.is_empty() && !due && !late) {
        return Decision::default();
    }
    let mut plan = Plan::new(state, context);
    if late {
        end(&mut plan, ExecutionOutcome::TimedOut, None, None);
        return plan.done();
    }
    while plan.len() < MAX_EVENTS && plan.bytes() < MAX_BYTES && plan.work.ended.is_none() {
        let before = plan.len();
        let timer = plan.work.timers.first().copied().filter(|(at, _)| *at <= plan.now);
        if let Some((_, branch)) = timer {
            fire(&mut plan, definition, branch);
        } else if let Some(branch) = plan.work.ready.first().copied() {
            advance(&mut plan, definition, branch);
        }
        if plan.len() == before {
            break;
        }
        if plan.work.ended.is_none() && plan.work.history_length() >= MAX_HISTORY - 1 {
            let cause = format!("The execution reached the maximum number of history events ({MAX_HISTORY}).");
            end(&mut plan, ExecutionOutcome::Failed, Some("States.Runtime"), Some(&cause));
        }
    }
    plan.done()
}

fn deadline_passed(state: &WorkflowState, context: &Context) -> bool {
    state
        .started
        .as_ref()
        .and_then(|started| started.execution.deadline)
        .is_some_and(|deadline| deadline <= context.now)
}

/// Ends the execution and stops what is under way.
pub(super) fn end(plan: &mut Plan, outcome: ExecutionOutcome, error: Option<&str>, cause: Option<&str>) {
    let maps = plan.work.branches.values().filter_map(|branch| match &branch.phase {
        Phase::Join(join) => join.children.as_ref().map(|children| children.call),
        _ => None,
    });
    let calls: Vec<_> = plan.work.calls.keys().copied().chain(maps).collect();
    for call in calls {
        plan.intend(Intent::Abandon { call });
    }
    plan.emit(WorkflowEvent::Ended(ExecutionEnded {
        outcome,
        error: error.map(Into::into),
        cause: cause.map(Into::into),
    }));
}

/// Does what a branch's time has come for.
fn fire(plan: &mut Plan, definition: &Definition, id: BranchId) {
    let Some(branch) = plan.work.branches.get(&id) else { return };
    match &branch.phase {
        Phase::Task(task) => {
            let call = task.call;
            let heartbeat = task.deadline.is_none_or(|deadline| deadline > plan.now);
            plan.intend(Intent::Abandon { call });
            plan.emit(WorkflowEvent::TaskTimedOut(TaskTimedOut { call, heartbeat }));
        }
        Phase::Wait(_) => {
            if let Some(step) = Step::new(plan, definition, id) {
                step.run(plan, states::wait::end);
            }
        }
        Phase::Backoff(_) => {
            if let Some(step) = Step::new(plan, definition, id) {
                step.run(plan, states::begin);
            }
        }
        _ => {}
    }
}

/// Moves a branch that is ready.
fn advance(plan: &mut Plan, definition: &Definition, id: BranchId) {
    let Some(branch) = plan.work.branches.get(&id) else { return };
    match &branch.phase {
        Phase::Next(name) => {
            let name = name.clone();
            let kind = machine_of(&plan.work, definition, branch).and_then(|machine| machine.states.get(&name));
            match kind {
                Some(state) => {
                    let kind = state.kind();
                    plan.emit(WorkflowEvent::Entered(StateEntered { branch: id, state: name, kind }));
                }
                // A definition that was checked leads nowhere else.
                None => end(plan, ExecutionOutcome::Failed, Some("States.Runtime"), Some("a state is missing")),
            }
        }
        Phase::Entered => step(plan, definition, id, states::begin),
        Phase::Result(result) => {
            let result = result.clone();
            step(plan, definition, id, |step, env, plan| states::finish(step, env, plan, &result));
        }
        Phase::Join(_) => step(plan, definition, id, states::go_on),
        Phase::Failed(failure) => {
            let failure = failure.clone();
            recover::recover(plan, definition, id, &failure);
        }
        Phase::Done if branch.parent.is_none() => end(plan, ExecutionOutcome::Succeeded, None, None),
        Phase::Done => plan.emit(WorkflowEvent::IterationSucceeded(IterationEnded { branch: id })),
        Phase::Backoff(_)
        | Phase::Wait(_)
        | Phase::Task(_)
        | Phase::Reading(..)
        | Phase::Writing(..)
        | Phase::Aborted => {}
    }
}

fn step(
    plan: &mut Plan,
    definition: &Definition,
    id: BranchId,
    work: impl FnOnce(&Step<'_>, &super::query::Env<'_>, &mut Plan) -> Result<(), super::query::Problem>,
) {
    if let Some(step) = Step::new(plan, definition, id) {
        step.run(plan, work);
    }
}
