//! Whether a turn that somebody starts begins, waits, joins another or is refused.

use super::state::AgentState;
use bedplate_core::{
    agent::SessionPolicy,
    id::{ContentHash, Seq},
};

/// What becomes of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It begins now.
    Start,
    /// It waits.
    Queue {
        /// For this turn, and those between.
        behind: Seq,
    },
    /// Its key is known: it is this turn already.
    Join {
        /// The turn.
        turn: Seq,
    },
    /// It makes the turn under way end, and begins then.
    Interrupt {
        /// The turn under way.
        turn: Seq,
    },
    /// It is refused: another turn is under way.
    Busy {
        /// The turn under way.
        turn: Seq,
    },
    /// It is refused: its key came before with another request.
    KeyReused {
        /// The turn of that request.
        turn: Seq,
    },
}

/// Returns what becomes of a start with `key` and `request_hash` under `policy`. A turn that is ending already is not
/// interrupted again: the start waits for it.
#[must_use]
pub fn admit(state: &AgentState, key: &str, request_hash: ContentHash, policy: SessionPolicy) -> Admission {
    if let Some(known) = state.keys.get(key) {
        return if known.request_hash == request_hash {
            Admission::Join { turn: known.turn }
        } else {
            Admission::KeyReused { turn: known.turn }
        };
    }
    let last = state.queue.back().map(|queued| queued.view.id);
    let Some(turn) = &state.turn else {
        return last.map_or(Admission::Start, |behind| Admission::Queue { behind });
    };
    match policy {
        SessionPolicy::Reject => Admission::Busy { turn: turn.view.id },
        SessionPolicy::Interrupt if turn.cancel.is_none() => Admission::Interrupt { turn: turn.view.id },
        SessionPolicy::Interrupt | SessionPolicy::Enqueue => Admission::Queue { behind: last.unwrap_or(turn.view.id) },
    }
}
