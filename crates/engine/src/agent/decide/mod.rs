//! What happens next.

use super::state::AgentState;
use crate::machine::{Context, Decision};

pub(super) fn decide(_state: &AgentState, _context: &Context) -> Decision {
    Decision::default()
}
