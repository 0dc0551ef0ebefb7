//! The workflow machine: a States Language definition decides the next step.
//!
//! `apply` folds, `accept` says what an input means, `decide` says what happens next. A task's call id is the position
//! of its `TaskScheduled`. What an expression gave stands in the event: folding evaluates nothing.

mod accept;
mod apply;
mod children;
mod decide;
pub mod definition;
mod flow;
mod fork;
pub mod history;
mod joins;
mod map_run;
mod plan;
pub mod query;
mod recover;
mod redrive;
mod results;
mod size;
mod state;
mod states;
mod step;
pub mod time;
pub mod token;
pub mod trial;
mod view;

pub use children::{ChildrenPlan, ResultsPlan, children_plan, results_plan};
pub use definition::Definition;
pub use fork::NotForkable;
pub use map_run::{MapRunNow, MapRunStatus};
pub use size::of_event as event_weight;
pub use state::WorkflowState;
pub use view::{OpenTask, StateNow};

use crate::machine::{Context, Decision, Input, Machine};
use bedplate_core::{
    event::Event,
    id::Seq,
    port::journal::RunStatus,
    time::Timestamp,
    workflow_event::{ExecutionOutcome, ExecutionStarted, MapRunChanged},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The form of snapshots; one of another form is not read.
const SNAPSHOT_FORM: u32 = 1;

/// Returns whether a value is larger than a payload may be, or nests deeper.
#[must_use]
pub fn exceeds_payload(value: &Value) -> bool {
    size::exceeds(value, flow::MAX_PAYLOAD)
}

/// The workflow machine.
#[derive(Clone, Copy, Debug)]
pub struct Workflow;

/// What others say to an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowSignal {
    /// It begins.
    Start(ExecutionStarted),
    /// Somebody stops it.
    Stop {
        /// The error's name.
        error: Option<Arc<str>>,
        /// Why.
        cause: Option<Arc<str>>,
    },
    /// A worker took an activity's task.
    TaskTaken {
        /// The task's token.
        token: Arc<str>,
        /// The worker's name.
        worker: Option<Arc<str>>,
    },
    /// A task gives a sign of life.
    TaskBeat {
        /// The task's token.
        token: Arc<str>,
    },
    /// A task ended well.
    TaskSucceeded {
        /// The task's token.
        token: Arc<str>,
        /// What it gave.
        output: Arc<Value>,
    },
    /// It ended badly and goes on where it failed.
    Redrive {
        /// The caller's key.
        key: Option<Arc<str>>,
    },
    /// The limits of a map run are others now.
    ChangeMapRun(MapRunChanged),
    /// A task failed.
    TaskFailed {
        /// The task's token.
        token: Arc<str>,
        /// The error's name.
        error: Option<Arc<str>>,
        /// What went wrong.
        cause: Option<Arc<str>>,
    },
}

impl Machine for Workflow {
    type State = WorkflowState;
    type Signal = WorkflowSignal;

    fn apply(state: &mut WorkflowState, seq: Seq, at: Timestamp, event: &Event) {
        state.position = seq;
        match event {
            Event::Workflow(event) => apply::apply(state, seq, at, event, &mut |_| {}),
            Event::Forked(forked) => state.forked_from = Some((forked.from, forked.at)),
            _ => {}
        }
    }

    fn accept(state: &WorkflowState, input: Input<WorkflowSignal>, context: &Context) -> Decision {
        accept::accept(state, input, context)
    }

    fn decide(state: &WorkflowState, context: &Context) -> Decision {
        decide::decide(state, context)
    }

    fn position(state: &WorkflowState) -> Seq {
        state.position
    }

    fn wake_at(state: &WorkflowState) -> Option<Timestamp> {
        if state.ended.is_some() {
            return None;
        }
        let timer = state.timers.first().map(|(at, _)| *at);
        let deadline = state.started.as_ref().and_then(|started| started.execution.deadline);
        match (timer, deadline) {
            (Some(timer), Some(deadline)) => Some(timer.min(deadline)),
            (one, other) => one.or(other),
        }
    }

    fn status(state: &WorkflowState) -> RunStatus {
        match (&state.started, &state.ended) {
            (None, _) => RunStatus::Idle,
            (Some(_), None) => RunStatus::Running,
            (Some(_), Some(ended)) => match ended.outcome {
                ExecutionOutcome::Succeeded => RunStatus::Succeeded,
                ExecutionOutcome::Failed => RunStatus::Failed,
                ExecutionOutcome::TimedOut => RunStatus::TimedOut,
                ExecutionOutcome::Aborted => RunStatus::Aborted,
            },
        }
    }

    fn snapshot(state: &WorkflowState) -> Vec<u8> {
        // Maps with numbers for keys and shared values: all of it has a form in JSON.
        serde_json::to_vec(&(SNAPSHOT_FORM, state)).unwrap_or_default()
    }

    fn restore(snapshot: &[u8]) -> Option<(WorkflowState, Vec<Seq>)> {
        let (form, state): (u32, WorkflowState) = serde_json::from_slice(snapshot).ok()?;
        (form == SNAPSHOT_FORM).then_some((state, Vec::new()))
    }

    fn restore_entry(_: &mut WorkflowState, _: Seq, _: Timestamp, _: &Event) {}
}
