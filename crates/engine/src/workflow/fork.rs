//! Forking: a copy of an execution's prefix goes on as an execution of its own.

use super::{
    apply::Fold,
    definition::Definition,
    state::{Branch, Phase, WorkflowState},
    step::machine_of,
};
use bedplate_core::{
    id::{RunId, Seq},
    time::Timestamp,
    workflow_event::{BranchId, ExecutionForked},
};
use std::sync::Arc;

/// Why an execution cannot be forked at a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForkable {
    /// It had not begun, or was over.
    #[error("the execution was not under way there; fork at the entry of a state")]
    NotUnderWay,
    /// Child executions of a distributed Map were under way: they belong to the original.
    #[error("a distributed Map was under way there; fork before it or after it")]
    MapRun,
    /// The other definition lacks a state that a branch stands in, or has it as another kind.
    #[error("the definition has no state `{0}` of that kind where the execution stood")]
    NoState(Arc<str>),
}

impl WorkflowState {
    /// Returns of which run's prefix it is a copy, and how long that is; none when it is no fork.
    #[must_use]
    pub const fn forked_from(&self) -> Option<(RunId, Seq)> {
        self.forked_from
    }

    /// Returns whether a copy may go on from here, under `definition`.
    ///
    /// # Errors
    /// [`NotForkable`].
    pub fn forkable(&self, definition: &Definition) -> Result<(), NotForkable> {
        if self.started.is_none() || self.ended.is_some() {
            return Err(NotForkable::NotUnderWay);
        }
        for branch in self.branches.values() {
            if let Phase::Join(join) | Phase::Reading(_, join) | Phase::Writing(_, join) = &branch.phase
                && join.run.is_some()
            {
                return Err(NotForkable::MapRun);
            }
            let machine = machine_of(self, definition, branch);
            let found = match &branch.phase {
                Phase::Next(next) => machine.is_some_and(|machine| machine.states.contains_key(next)),
                Phase::Done | Phase::Aborted => true,
                _ => machine
                    .and_then(|machine| machine.states.get(&branch.state))
                    .is_some_and(|state| state.kind() == branch.kind),
            };
            if !found {
                return Err(NotForkable::NoState(Arc::clone(&branch.state)));
            }
        }
        Ok(())
    }
}

impl Fold<'_> {
    /// Lets the copy go on as its own: tasks, readers and waits that were under way in the original are begun anew. A
    /// retry that was waited for keeps its time; once that is past, it is made at once.
    pub(super) fn forked(&mut self, at: Timestamp, forked: &ExecutionForked) {
        let Some(started) = &mut self.state.started else { return };
        let started = Arc::make_mut(started);
        started.at = at;
        let own = &mut started.execution;
        own.execution = Arc::clone(&forked.execution);
        own.name = Arc::clone(&forked.name);
        own.deadline = forked.deadline;
        own.map_run = None;
        // A copy has answers of its own, each from its first on.
        own.answers = own.answers.is_some().then(|| Arc::clone(&forked.execution));
        if let Some(definition) = forked.definition {
            own.definition = definition;
        }
        let open: Vec<(u64, BranchId)> = self.state.calls.iter().map(|(call, branch)| (*call, *branch)).collect();
        for (call, branch) in open {
            self.change(branch, |_, branch| branch.phase = Phase::Entered);
            self.state.calls.remove(&call);
        }
        // The time that a wait was to end at is the original's, and may be long past.
        let is_wait = |branch: &Branch| matches!(branch.phase, Phase::Wait(_));
        let waits: Vec<BranchId> =
            self.state.branches.iter().filter(|(_, branch)| is_wait(branch)).map(|(id, _)| *id).collect();
        for branch in waits {
            self.change(branch, |_, branch| branch.phase = Phase::Entered);
        }
        if let Some(input) = &forked.input {
            self.change(input.branch, |_, branch| branch.value = Arc::clone(&input.value));
        }
    }
}
