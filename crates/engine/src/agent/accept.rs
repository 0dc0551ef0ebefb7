//! What an input means.

use super::AgentSignal;
use super::state::AgentState;
use crate::machine::{Context, Decision, Input};

pub(super) fn accept(_state: &AgentState, _input: Input<AgentSignal>, _context: &Context) -> Decision {
    Decision::default()
}
