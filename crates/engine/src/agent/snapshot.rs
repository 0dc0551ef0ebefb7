//! The compact form of a state.

use super::state::AgentState;
use bedplate_core::{event::Event, id::Seq, time::Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Restoring;

pub(super) fn snapshot(_state: &AgentState) -> Vec<u8> {
    Vec::new()
}

pub(super) fn restore(_bytes: &[u8]) -> Option<(AgentState, Vec<Seq>)> {
    None
}

pub(super) fn restore_entry(_state: &mut AgentState, _seq: Seq, _at: Timestamp, _event: &Event) {}
