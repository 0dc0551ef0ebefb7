//! What an input means: the events that record it. What comes late, twice or under a dead token means nothing.

use super::{
    WorkflowSignal, decide,
    definition::Body,
    flow,
    map_run::{MapRunNow, MapRunStatus},
    plan::Plan,
    query::{Env, Problem},
    size,
    state::{Phase, Task, WorkflowState},
    states,
    step::Step,
};
use crate::machine::{Context, Decision, Input, Intent, TaskReport};
use bedplate_core::{
    event::Event,
    id::CallId,
    items::Items,
    workflow_event::{
        BranchId, ChildEnded, ChildrenEnded, ExecutionOutcome, ExecutionRedriven, ItemsRead, TaskBeat, TaskFailed,
        TaskOutput, TaskTaken, WorkflowEvent,
    },
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// The cause of a task that was under way when its process went away.
const OUTCOME_UNKNOWN: &str =
    "outcome unknown: the process that performed the task is gone, and it may have had its effect";

/// Returns what `input` means in this state.
pub(super) fn accept(state: &WorkflowState, input: Input<WorkflowSignal>, context: &Context) -> Decision {
    if state.ended.is_some() {
        return match input {
            Input::Signal(WorkflowSignal::Redrive { key }) if state.redrivable().is_ok() => {
                redrive(state, key, context)
            }
            _ => Decision::default(),
        };
    }
    match input {
        Input::Signal(signal) => accept_signal(state, signal, context),
        Input::Task { call, report } => accept_report(state, call, report, context),
        Input::Children { call, ended } => children(state, call, ended),
        Input::Recovered => recovered(state, context),
        // A workflow calls no models and no agent's tools.
        Input::Model { .. } | Input::Prepared { .. } | Input::Tool { .. } => Decision::default(),
    }
}

fn one(event: WorkflowEvent) -> Decision {
    Decision { events: vec![Event::Workflow(event)], intents: Vec::new() }
}

fn redrive(state: &WorkflowState, key: Option<Arc<str>>, context: &Context) -> Decision {
    let timeout = context.workflow.as_ref().and_then(|definition| definition.timeout_seconds);
    let deadline = timeout.map(|seconds| context.now.after(Duration::from_secs(seconds)));
    let mut plan = Plan::new(state, context);
    plan.emit(WorkflowEvent::Redriven(ExecutionRedriven { key, deadline }));
    let children: Vec<Intent> = running_children(&plan.work).collect();
    children.into_iter().for_each(|intent| plan.intend(intent));
    plan.done()
}

/// Returns the intents of child executions that are under way.
fn running_children(state: &WorkflowState) -> impl Iterator<Item = Intent> {
    state.branches.iter().filter_map(|(id, branch)| match &branch.phase {
        Phase::Join(join) => {
            let children = join.children.as_ref().filter(|children| !children.running.is_empty())?;
            let indexes = children.running.iter().copied().collect();
            Some(Intent::RunChildren { call: children.call, branch: *id, indexes })
        }
        _ => None,
    })
}

fn accept_signal(state: &WorkflowState, signal: WorkflowSignal, context: &Context) -> Decision {
    match signal {
        WorkflowSignal::Start(started) if state.started.is_none() => one(WorkflowEvent::Started(started)),
        WorkflowSignal::Start(_) | WorkflowSignal::Redrive { .. } => Decision::default(),
        WorkflowSignal::ChangeMapRun(changed) => {
            let runs = |run: &Arc<MapRunNow>| *run.arn == *changed.run && run.status == MapRunStatus::Running;
            if state.map_runs.iter().any(runs) {
                one(WorkflowEvent::MapRunChanged(changed))
            } else {
                Decision::default()
            }
        }
        WorkflowSignal::Stop { error, cause } => {
            let mut plan = Plan::new(state, context);
            decide::end(&mut plan, ExecutionOutcome::Aborted, error.as_deref(), cause.as_deref());
            plan.done()
        }
        WorkflowSignal::TaskTaken { token, worker } => {
            by_token(state, context, &token, |call| WorkflowEvent::TaskTaken(TaskTaken { call, worker }))
        }
        WorkflowSignal::TaskBeat { token } => {
            by_token(state, context, &token, |call| WorkflowEvent::TaskBeat(TaskBeat { call }))
        }
        WorkflowSignal::TaskSucceeded { token, output } => by_token(state, context, &token, |call| given(call, output)),
        WorkflowSignal::TaskFailed { token, error, cause } => {
            by_token(state, context, &token, |call| WorkflowEvent::TaskFailed(TaskFailed { call, error, cause }))
        }
    }
}

fn by_token(
    state: &WorkflowState,
    context: &Context,
    token: &str,
    event: impl FnOnce(CallId) -> WorkflowEvent,
) -> Decision {
    match state.task_by_token(token) {
        Some(call) if in_time(state, context, call).is_some() => one(event(call)),
        _ => Decision::default(),
    }
}

/// Returns the event of what a task gave; an output that is too large is a failure and is not kept.
fn given(call: CallId, output: Arc<Value>) -> WorkflowEvent {
    if size::exceeds(&output, flow::MAX_PAYLOAD) {
        let cause = "The task returned a result with a size exceeding the maximum number of bytes service limit.";
        let error = Some("States.DataLimitExceeded".into());
        return WorkflowEvent::TaskFailed(TaskFailed { call, error, cause: Some(cause.into()) });
    }
    WorkflowEvent::TaskSucceeded(TaskOutput { call, output })
}

/// Returns the open task when its time is not over; an answer after that is too late, though no decision said so yet.
fn in_time<'a>(state: &'a WorkflowState, context: &Context, call: CallId) -> Option<&'a Task> {
    let (_, task) = state.task(call)?;
    task.due().is_none_or(|due| context.now < due).then_some(task)
}

fn accept_report(state: &WorkflowState, call: CallId, report: TaskReport, context: &Context) -> Decision {
    if let Some(branch) = reading(state, call) {
        return items(state, context, branch, call, report);
    }
    if let Some(branch) = writing(state, call) {
        return written(state, context, branch, call, report);
    }
    let Some(task) = in_time(state, context, call) else { return Decision::default() };
    let waits_for_token = task.resource.ends_with(".waitForTaskToken");
    match report {
        TaskReport::Submitted(_) if task.submitted => Decision::default(),
        TaskReport::Submitted(output) => one(WorkflowEvent::TaskSubmitted(TaskOutput { call, output })),
        // What the call itself gives first is only the receipt.
        TaskReport::Succeeded(output) if waits_for_token && !task.submitted => {
            one(WorkflowEvent::TaskSubmitted(TaskOutput { call, output }))
        }
        TaskReport::Succeeded(output) => one(given(call, output)),
        TaskReport::Failed { error, cause } => one(WorkflowEvent::TaskFailed(TaskFailed { call, error, cause })),
    }
}

impl WorkflowState {
    /// Returns whether a branch waits for the file of a Map's items or results: what comes of it then is not decided by
    /// the state alone.
    #[must_use]
    pub fn waits_for_file(&self, branch: BranchId) -> bool {
        let phase = self.branches.get(&branch).map(|branch| &branch.phase);
        matches!(phase, Some(Phase::Reading(..) | Phase::Writing(..)))
    }
}

fn reading(state: &WorkflowState, call: CallId) -> Option<BranchId> {
    let branch = *state.calls.get(&call)?;
    matches!(state.branches.get(&branch)?.phase, Phase::Reading(open, _) if open == call).then_some(branch)
}

fn writing(state: &WorkflowState, call: CallId) -> Option<BranchId> {
    let branch = *state.calls.get(&call)?;
    matches!(state.branches.get(&branch)?.phase, Phase::Writing(open, _) if open == call).then_some(branch)
}

/// Returns what the report of a writer of results means.
fn written(state: &WorkflowState, context: &Context, branch: BranchId, call: CallId, report: TaskReport) -> Decision {
    let Some(definition) = &context.workflow else { return Decision::default() };
    let mut plan = Plan::new(state, context);
    if let Some(step) = Step::new(&plan, definition, branch) {
        step.run(&mut plan, |_, _, plan| match report {
            TaskReport::Succeeded(output) | TaskReport::Submitted(output) => {
                plan.emit(WorkflowEvent::ResultsWritten(TaskOutput { call, output }));
                Ok(())
            }
            TaskReport::Failed { cause, .. } => {
                let cause = cause.unwrap_or_else(|| "the results could not be written".into());
                Err(Problem::plain("States.ResultWriterFailed", cause))
            }
        });
    }
    plan.done()
}

fn items(state: &WorkflowState, context: &Context, branch: BranchId, call: CallId, report: TaskReport) -> Decision {
    let Some(definition) = &context.workflow else { return Decision::default() };
    let mut plan = Plan::new(state, context);
    if let Some(step) = Step::new(&plan, definition, branch) {
        step.run(&mut plan, |step, env, plan| {
            let items = match report {
                TaskReport::Succeeded(answer) | TaskReport::Submitted(answer) => read(step, env, &answer)?,
                TaskReport::Failed { cause, .. } => {
                    let cause = cause.unwrap_or_else(|| "the items could not be read".into());
                    return Err(Problem::plain("States.ItemReaderFailed", cause));
                }
            };
            plan.emit(WorkflowEvent::ItemsRead(ItemsRead { call, items: Arc::new(items) }));
            Ok(())
        });
    }
    plan.done()
}

fn read(step: &Step<'_>, env: &Env<'_>, answer: &Value) -> Result<Items, Problem> {
    match &step.state.body {
        Body::Map(map) => match &map.reader {
            Some(reader) => states::read_items(map, reader, env, answer),
            None => Ok(Items::default()),
        },
        _ => Ok(Items::default()),
    }
}

/// Returns what the end of child executions means.
fn children(state: &WorkflowState, call: CallId, ended: Vec<ChildEnded>) -> Decision {
    let found = state.branches.iter().find_map(|(id, branch)| match &branch.phase {
        Phase::Join(join) => join.children.as_ref().filter(|children| children.call == call).map(|now| (*id, now)),
        _ => None,
    });
    let Some((branch, now)) = found else { return Decision::default() };
    let ended: Vec<ChildEnded> = ended.into_iter().filter(|child| now.running.contains(&child.index)).collect();
    if ended.is_empty() {
        Decision::default()
    } else {
        one(WorkflowEvent::ChildrenEnded(ChildrenEnded { branch, ended }))
    }
}

/// Closes the tasks whose outcome is lost, and reads items again: that changes nothing anywhere.
fn recovered(state: &WorkflowState, context: &Context) -> Decision {
    let mut decision = Decision::default();
    decision.intents.extend(running_children(state));
    for (call, branch) in &state.calls {
        let Some(branch) = state.branches.get(branch) else { continue };
        match &branch.phase {
            // The queue of workers is not durable, so a task that nobody has is offered again.
            Phase::Task(task) if task.resource.contains(":activity:") && !task.taken => {
                decision.intents.extend(resume(state, *call));
            }
            Phase::Task(task) if task.resource.contains(":activity:") => {}
            Phase::Task(task) if task.submitted && task.resource.ends_with(".waitForTaskToken") => {}
            Phase::Task(_) if context.again.contains(call) => decision.intents.extend(resume(state, *call)),
            Phase::Task(_) => decision.events.push(Event::Workflow(WorkflowEvent::TaskFailed(TaskFailed {
                call: *call,
                error: Some("States.TaskFailed".into()),
                cause: Some(OUTCOME_UNKNOWN.into()),
            }))),
            Phase::Reading(..) | Phase::Writing(..) => decision.intents.extend(again(state, context, *call)),
            _ => {}
        }
    }
    decision
}

/// Returns the intent of an open task, as it was first intended.
fn resume(state: &WorkflowState, call: CallId) -> Option<Intent> {
    let (branch, task) = state.task(call)?;
    let input = task.input.first().unwrap_or(&state.branches.get(&branch)?.value);
    Some(Intent::RunTask {
        call,
        resource: Arc::clone(&task.resource),
        input: Arc::clone(input),
        token: Arc::clone(&task.token),
        role: task.role.clone(),
        deadline: task.deadline,
    })
}

fn again(state: &WorkflowState, context: &Context, call: CallId) -> Option<Intent> {
    let branch = state.branches.get(state.calls.get(&call)?)?;
    let (resource, input) = match &branch.phase {
        Phase::Reading(_, join) => join.asked.clone()?,
        Phase::Writing(_, join) => join.writing.clone()?,
        _ => return None,
    };
    let token = Plan::new(state, context).token();
    Some(Intent::RunTask { call, resource, input, token, role: None, deadline: None })
}
