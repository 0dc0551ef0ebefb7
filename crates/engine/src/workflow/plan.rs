//! A decision while it is made: what is decided is folded at once, so that the next step stands on it.

use super::{apply, state::WorkflowState};
use crate::machine::{Context, Decision, Intent};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bedplate_core::{event::Event, id::Seq, time::Timestamp, workflow_event::WorkflowEvent};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A decision while it is made.
#[derive(Debug)]
pub(super) struct Plan {
    pub work: WorkflowState,
    pub now: Timestamp,
    entropy: [u8; 16],
    decision: Decision,
}

impl Plan {
    pub(super) fn new(state: &WorkflowState, context: &Context) -> Self {
        Self { work: state.clone(), now: context.now, entropy: context.entropy, decision: Decision::default() }
    }

    /// Decides an event.
    pub(super) fn emit(&mut self, event: WorkflowEvent) {
        let seq = self.next();
        self.work.position = seq;
        apply::apply(&mut self.work, seq, self.now, &event, &mut |_| {});
        self.decision.events.push(Event::Workflow(event));
    }

    pub(super) fn intend(&mut self, intent: Intent) {
        self.decision.intents.push(intent);
    }

    /// Returns the position that the next event will have.
    pub(super) fn next(&self) -> Seq {
        self.work.position + 1
    }

    /// Returns how many events are decided.
    pub(super) fn len(&self) -> usize {
        self.decision.events.len()
    }

    /// Returns fresh random bytes for the step at the next position.
    pub(super) fn entropy(&self) -> [u8; 16] {
        let digest = Sha256::new().chain_update(self.entropy).chain_update(self.next().to_be_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes
    }

    /// Returns a token that nobody can guess, for the task at the next position.
    pub(super) fn token(&self) -> Arc<str> {
        let digest = Sha256::new().chain_update(b"token").chain_update(self.entropy()).finalize();
        STANDARD.encode(digest).into()
    }

    /// Returns what is decided so far.
    pub(super) fn events(&self) -> &[Event] {
        &self.decision.events
    }

    /// Returns what is to be done.
    pub(super) fn intents(&self) -> &[Intent] {
        &self.decision.intents
    }

    pub(super) fn done(self) -> Decision {
        self.decision
    }
}
