//! What happens next: one file for each thing that a turn can be at.

mod calls;
mod end;
pub(super) mod model;
mod reply;

use super::{
    limits::{self, Ending},
    plan::Plan,
    state::{AgentState, Next, Turn},
    wake::GRACE,
};
use crate::machine::{Context, Decision};
use bedplate_core::event::{CancelReason, Event, QueuedTurnStarted, TurnOutcome};

/// Returns what happens next; nothing when the run waits.
pub(super) fn decide(state: &AgentState, context: &Context) -> Decision {
    let Some(turn) = &state.turn else {
        let next = state.next_queued();
        let begins = next.map(|queued| Event::QueuedTurnStarted(QueuedTurnStarted { queued: queued.view.id }));
        return Decision { events: begins.into_iter().collect(), intents: Vec::new() };
    };
    let mut plan = Plan::new(state, turn, context);
    match plan.definition {
        None => end::end(&mut plan, &definition_missing(turn)),
        Some(_) if turn.cancel.is_some() => cancelled(&mut plan),
        Some(definition) => match limits::time_up(turn, definition, context) {
            Some(ending) if !is_final(turn) => end::end(&mut plan, &ending),
            _ => go_on(&mut plan),
        },
    }
    plan.done()
}

fn go_on(plan: &mut Plan<'_>) {
    match &plan.turn.next {
        Next::AskModel => model::ask(plan),
        Next::AwaitModel(open) if plan.context.now >= open.deadline.after(GRACE) => model::overdue(plan, open.call),
        Next::AwaitModel(_) => {}
        Next::HandleFailure(failure) => model::again(plan, failure),
        Next::HandleReply => reply::handle(plan),
        Next::AwaitCalls => calls::advance(plan),
    }
}

/// Ends a turn that somebody cancelled. Only an interrupt waits for a begun call that may not be repeated.
fn cancelled(plan: &mut Plan<'_>) {
    let interrupted = plan.turn.cancel == Some(CancelReason::Interrupted);
    if interrupted && end::close_all_but_begun(plan) {
        return;
    }
    let ending = if interrupted {
        Ending::new(TurnOutcome::Interrupted, "A new message interrupted the turn.")
    } else {
        Ending::new(TurnOutcome::Cancelled, "The turn was cancelled.")
    };
    end::end(plan, &ending);
}

/// Returns whether the turn has its last reply: it ends well even when its time is up.
fn is_final(turn: &Turn) -> bool {
    turn.next == Next::HandleReply && turn.reply.as_ref().is_some_and(reply::ends_turn)
}

fn definition_missing(turn: &Turn) -> Ending {
    let message = format!("The agent definition {} that the turn is pinned to is not available.", turn.definition);
    Ending::new(TurnOutcome::ModelFailed, message)
}
