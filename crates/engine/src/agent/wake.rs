//! When a run must be looked at again without an input, and its state as lists show it.

use super::state::{AgentState, Next, Phase, Turn};
use bedplate_core::{port::journal::RunStatus, time::Timestamp};
use std::time::Duration;

/// How long after its deadline a call is given up by the machine. Ports keep deadlines themselves; this only catches a
/// result that never comes, and must not race one that is on its way.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Returns when `decide` must be asked again; at once, when something is left to decide.
pub(super) fn wake_at(state: &AgentState) -> Option<Timestamp> {
    match &state.turn {
        Some(turn) => turn_wakes(turn),
        None => state.next_queued().map(|queued| queued.view.started_at),
    }
}

fn turn_wakes(turn: &Turn) -> Option<Timestamp> {
    match &turn.next {
        Next::AwaitModel(open) => Some(open.deadline.after(GRACE)),
        Next::AwaitCalls => turn.calls.iter().filter_map(|call| call_wakes(turn, &call.phase)).min(),
        Next::AskModel | Next::HandleFailure(_) | Next::HandleReply => Some(turn.view.started_at),
    }
}

/// A look has no timer here: its driver ends it at its deadline, and after a crash it is made again.
fn call_wakes(turn: &Turn, phase: &Phase) -> Option<Timestamp> {
    match phase {
        Phase::Asking { question, .. } => Some(question.deadline),
        Phase::Performing { deadline } => Some(deadline.after(GRACE)),
        Phase::Prepared { .. } | Phase::Answered { .. } => Some(turn.view.started_at),
        Phase::Looking | Phase::Closed { .. } => None,
    }
}

/// Returns the state as lists show it: waiting only when nothing but people can move the run.
pub(super) fn status(state: &AgentState) -> RunStatus {
    let Some(turn) = &state.turn else {
        return if state.queue.is_empty() { RunStatus::Idle } else { RunStatus::Running };
    };
    let only_people = turn.next == Next::AwaitCalls
        && turn.calls.iter().all(|call| call.closed() || call.asking())
        && turn.calls.iter().any(super::state::Call::asking);
    if only_people { RunStatus::Waiting } else { RunStatus::Running }
}
