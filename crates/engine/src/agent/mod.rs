//! The agent machine: the model decides the next step.
//!
//! `apply` folds, `accept` says what an input means, `decide` says what happens next. A turn's id is the position of
//! its `TurnStarted` or `TurnQueued`; a call's id is that of its `ModelCalled` or `ToolRequested`.

mod accept;
mod admission;
mod apply;
mod conversation;
mod decide;
pub mod invariants;
mod limits;
mod plan;
mod request;
mod say;
pub use bedplate_core::size;
mod snapshot;
mod state;
mod view;
mod wake;
mod window;

pub use admission::{Admission, admit};
pub use state::{AgentState, TURNS_KEPT};
pub use view::{OpenQuestion, TurnView};

use crate::machine::{Context, Decision, Input, Machine};
use bedplate_core::{
    agent::SessionPolicy,
    event::{Event, TurnInput},
    id::{CallId, Seq, UserId},
    port::journal::RunStatus,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The agent loop.
#[derive(Clone, Copy, Debug)]
pub struct Agent;

/// What others say to a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentSignal {
    /// A new turn; [`admit`] says what becomes of it. When `input.system` is absent, the system prompt in force at
    /// that moment is meant.
    StartTurn {
        /// What is asked.
        input: TurnInput,
        /// What to do while another turn is under way.
        policy: SessionPolicy,
    },
    /// The answer to an open question. The first answer counts; one after the deadline does not.
    Answer {
        /// The call that waits.
        call: CallId,
        /// Yes or no.
        approved: bool,
        /// Who says so.
        by: Option<UserId>,
        /// A word to the model.
        note: Option<String>,
    },
    /// A turn shall end, or a queued one shall not begin.
    Cancel {
        /// Which; none: the one under way.
        turn: Option<Seq>,
        /// Who says so.
        by: Option<UserId>,
    },
}

impl Machine for Agent {
    type State = AgentState;
    type Signal = AgentSignal;

    fn apply(state: &mut AgentState, seq: Seq, at: Timestamp, event: &Event) {
        apply::apply(state, seq, at, event);
    }

    fn accept(state: &AgentState, input: Input<AgentSignal>, context: &Context) -> Decision {
        accept::accept(state, input, context)
    }

    fn decide(state: &AgentState, context: &Context) -> Decision {
        decide::decide(state, context)
    }

    fn position(state: &AgentState) -> Seq {
        state.position
    }

    fn wake_at(state: &AgentState) -> Option<Timestamp> {
        wake::wake_at(state)
    }

    fn status(state: &AgentState) -> RunStatus {
        wake::status(state)
    }

    fn snapshot(state: &AgentState) -> Vec<u8> {
        snapshot::snapshot(state)
    }

    fn restore(snapshot: &[u8]) -> Option<(AgentState, Vec<Seq>)> {
        snapshot::restore(snapshot)
    }

    fn restore_entry(state: &mut AgentState, seq: Seq, at: Timestamp, event: &Event) {
        snapshot::restore_entry(state, seq, at, event);
    }
}
