//! What is done about a failure: it is tried again, caught, or ends what the state lies in.

use super::{
    decide,
    definition::{Catcher, Definition, Jitter, Language, Retrier, retry_matches},
    flow,
    plan::Plan,
    query::{Entropy, Env, Problem},
    state::{Failure, Phase},
    step::Step,
};
use crate::machine::Intent;
use bedplate_core::{
    time::Timestamp,
    workflow_event::{
        BranchId, Broken, ExecutionOutcome, IterationFailed, StateAborted, StateFailed, StateKind, StateRetried,
        WorkflowEvent,
    },
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The longest wait before another attempt, in seconds: a year.
const MAX_SECONDS: f64 = 31_536_000.0;

/// Goes on after a failure of the branch's state.
pub(super) fn recover(plan: &mut Plan, definition: &Definition, id: BranchId, failure: &Failure) {
    let Some(step) = Step::new(plan, definition, id) else { return };
    let error = failure.error.as_deref();
    let recovery = step.state.recovery();
    if !failure.announced {
        if let Some((at, retrier)) = recovery.and_then(|recovery| find(&recovery.retriers, error))
            && tried(&step, at) < retrier.max_attempts
        {
            let until = next_attempt(&step, plan, at, retrier);
            let retrier = u32::try_from(at).unwrap_or(u32::MAX);
            plan.emit(WorkflowEvent::Retried(StateRetried { branch: id, retrier, until }));
            return;
        }
        let joins = matches!(step.state.kind(), StateKind::Parallel | StateKind::Map);
        if joins && error != Some("States.Runtime") {
            plan.emit(WorkflowEvent::Broken(Broken { branch: id }));
            return;
        }
    }
    let catcher =
        recovery.and_then(|recovery| recovery.catchers.iter().find(|catcher| retry_matches(&catcher.errors, error)));
    match catcher {
        Some(catcher) => step.run(plan, |step, env, plan| {
            if let Err(problem) = caught(step, env, plan, failure, catcher) {
                // A catcher that fails itself is not caught again.
                let (error, cause) = step.words(problem);
                give_up(plan, step, &Failure { error: Some(error), cause: Some(cause), announced: true });
            }
            Ok(())
        }),
        None => give_up(plan, &step, failure),
    }
}

fn find<'a>(retriers: &'a [Retrier], error: Option<&str>) -> Option<(usize, &'a Retrier)> {
    retriers.iter().enumerate().find(|(_, retrier)| retry_matches(&retrier.errors, error))
}

fn tried(step: &Step<'_>, retrier: usize) -> u64 {
    step.branch.retries.get(retrier).copied().map_or(0, u64::from)
}

fn next_attempt(step: &Step<'_>, plan: &Plan, at: usize, retrier: &Retrier) -> Timestamp {
    let tried = i32::try_from(tried(step, at)).unwrap_or(i32::MAX);
    let mut seconds = retrier.interval_seconds * retrier.backoff_rate.powi(tried);
    if let Some(most) = retrier.max_delay_seconds {
        seconds = seconds.min(most);
    }
    if retrier.jitter == Jitter::Full {
        seconds *= Entropy::new(plan.entropy()).unit();
    }
    // A year is longer than any execution lasts; what is no number at all waits that long, too.
    let seconds = if seconds.is_nan() { MAX_SECONDS } else { seconds.clamp(0.0, MAX_SECONDS) };
    plan.now.after(Duration::from_secs_f64(seconds))
}

fn caught(
    step: &Step<'_>,
    env: &Env<'_>,
    plan: &mut Plan,
    failure: &Failure,
    catcher: &Catcher,
) -> Result<(), Problem> {
    let error: Arc<Value> = Arc::new(match (&failure.error, &failure.cause, step.state.language) {
        (Some(error), None, _) => json!({"Error": error, "Cause": ""}),
        (error, cause, _) => json!({"Error": error, "Cause": cause}),
    });
    let (output, assigned) = match step.state.language {
        Language::JsonPath => {
            let assigned = flow::assign(&env.on(&error), Language::JsonPath, catcher.assign.as_ref())?;
            (flow::place(env.input, error, catcher.path.as_ref())?, assigned)
        }
        Language::Jsonata => {
            let env = env.with_error(&error);
            let assigned = flow::assign(&env, Language::Jsonata, catcher.assign.as_ref())?;
            let output = match &catcher.output {
                Some(template) => template.fill(&env, "Catch/Output")?,
                None => Arc::clone(&error),
            };
            (output, assigned)
        }
    };
    flow::leave(step, plan, output, assigned, Some(Arc::clone(&catcher.next)))
}

/// Lets the failure end what the state lies in.
fn give_up(plan: &mut Plan, step: &Step<'_>, failure: &Failure) {
    let Some((parent, _)) = step.branch.parent else {
        decide::end(plan, ExecutionOutcome::Failed, failure.error.as_deref(), failure.cause.as_deref());
        return;
    };
    let is_map = plan.work.branches.get(&parent).is_some_and(|parent| parent.kind == StateKind::Map);
    if is_map {
        let (error, cause) = (failure.error.clone(), failure.cause.clone());
        plan.emit(WorkflowEvent::IterationFailed(IterationFailed { branch: step.id, error, cause }));
    } else {
        abort_within(plan, parent);
        plan.emit(WorkflowEvent::Failed(StateFailed {
            branch: parent,
            error: failure.error.clone(),
            cause: failure.cause.clone(),
            evaluation: None,
            by: Some(step.id),
        }));
    }
}

/// Notes that everything under way in a branch's state is over, and stops its calls.
pub(super) fn abort_within(plan: &mut Plan, id: BranchId) {
    let children: Vec<BranchId> = match plan.work.branches.get(&id).map(|branch| &branch.phase) {
        Some(Phase::Join(join) | Phase::Reading(_, join) | Phase::Writing(_, join)) => {
            join.running.iter().copied().collect()
        }
        _ => return,
    };
    if let Some(Phase::Join(join)) = plan.work.branches.get(&id).map(|branch| &branch.phase)
        && let Some(map) = &join.children
    {
        let call = map.call;
        plan.intend(Intent::Abandon { call });
    }
    for child in children {
        abort_within(plan, child);
        let Some(branch) = plan.work.branches.get(&child) else { continue };
        match &branch.phase {
            Phase::Task(task) => plan.intend(Intent::Abandon { call: task.call }),
            Phase::Reading(call, _) | Phase::Writing(call, _) => plan.intend(Intent::Abandon { call: *call }),
            _ => {}
        }
        let Some(branch) = plan.work.branches.get(&child) else { continue };
        let under_way = !matches!(branch.phase, Phase::Next(_) | Phase::Done | Phase::Aborted);
        let shown = matches!(branch.kind, StateKind::Task | StateKind::Wait | StateKind::Parallel | StateKind::Map);
        if under_way && shown {
            plan.emit(WorkflowEvent::Aborted(StateAborted { branch: child }));
        }
    }
}
