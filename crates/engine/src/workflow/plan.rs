//! A decision while it is made: what is decided is folded at once, so that the next step stands on it.

use super::{apply, size, state::WorkflowState, token};
use crate::machine::{Context, Decision, Intent};
use bedplate_core::{
    event::Event,
    id::{RunId, Seq},
    time::Timestamp,
    workflow_event::WorkflowEvent,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A decision while it is made.
#[derive(Debug)]
pub(super) struct Plan {
    pub work: WorkflowState,
    pub now: Timestamp,
    entropy: [u8; 16],
    pub run: RunId,
    /// Whether the driver can run child executions.
    pub children: bool,
    bytes: usize,
    decision: Decision,
}

impl Plan {
    pub(super) fn new(state: &WorkflowState, context: &Context) -> Self {
        let (work, decision) = (state.clone(), Decision::default());
        Self {
            work,
            now: context.now,
            entropy: context.entropy,
            run: context.run,
            children: context.children,
            bytes: 0,
            decision,
        }
    }

    /// Decides an event.
    pub(super) fn emit(&mut self, event: WorkflowEvent) {
        let seq = self.next();
        self.bytes += size::of_event(&event);
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

    /// Returns about how many bytes what is decided takes in a batch.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
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
        token::mint(self.run, self.next(), &digest.into())
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
