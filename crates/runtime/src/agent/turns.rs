//! What became of a turn, for those who wait for it, and the line that lists show of it.

use super::{Until, Waiter};
use crate::{
    actor::Loaded,
    api::{RunError, TurnResult, TurnState},
};
use bedplate_core::{
    event::Event,
    id::{RunId, Seq},
    message::Message,
    port::journal::RunStatus,
};
use bedplate_engine::{
    agent::{Agent, AgentState},
    machine::Machine,
};

/// How many characters of a question the lists show.
const TITLE_CHARS: usize = 80;

/// Answers everybody who waits for a turn that ended, or that a person holds up.
pub(super) fn answer_waiters(run: RunId, loaded: &mut Loaded<Agent>) {
    let mut at = 0;
    while at < loaded.local.waiters.len() {
        let Waiter { turn, until, .. } = loaded.local.waiters[at];
        match turn_result(run, &loaded.state, turn, until) {
            Some(result) => {
                let Waiter { reply, .. } = loaded.local.waiters.swap_remove(at);
                // A waiter that went away needs no answer.
                drop(reply.send(result));
            }
            None if loaded.local.waiters[at].reply.is_closed() => drop(loaded.local.waiters.swap_remove(at)),
            None => at += 1,
        }
    }
}

/// Returns the result of a turn; none while it goes on by itself.
pub(crate) fn turn_result(
    run: RunId,
    state: &AgentState,
    turn: Seq,
    until: Until,
) -> Option<Result<TurnResult, RunError>> {
    let Some(view) = state.turn(turn) else {
        return Some(Err(RunError::NoSuch { what: "turn", seq: turn }));
    };
    let state_of_turn = match view.outcome {
        Some(outcome) => TurnState::Ended(outcome),
        None if until == Until::Rest && Agent::status(state) == RunStatus::Waiting => {
            TurnState::Waiting(state.open_questions().collect())
        }
        None => return None,
    };
    Some(Ok(TurnResult {
        run,
        turn,
        state: state_of_turn,
        answer: view.answer.and_then(|at| state.message_at(at)),
        message: view.message.clone(),
        usage: view.usage,
        cost: view.cost,
        model: view.model.to_string(),
        iterations: view.iterations,
        tool_calls: view.tool_calls,
    }))
}

/// Returns a line that says what the turn which begins here asks.
pub(super) fn title(state: &AgentState, events: &[Event]) -> Option<String> {
    let positions = (1..=Agent::position(state)).rev();
    events.iter().rev().zip(positions).find_map(|(event, seq)| match event {
        Event::TurnStarted(input) => Some(first_line(&input.message)),
        Event::QueuedTurnStarted(_) => state.message_at(seq).map(|question| first_line(&question)),
        _ => None,
    })
}

fn first_line(message: &Message) -> String {
    let text = message.text();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let mut title: String = line.chars().take(TITLE_CHARS).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    title
}
