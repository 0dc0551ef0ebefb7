//! The request of a model call, built from the fold.

use super::state::AgentState;
use bedplate_core::{agent::AgentDefinition, id::CallId, port::model::ModelRequest};

pub(super) fn of_call(_state: &AgentState, _call: CallId, _definition: &AgentDefinition) -> Option<ModelRequest> {
    None
}
