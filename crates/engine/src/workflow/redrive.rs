//! Redriving: an execution that ended badly goes on where it failed. What was done in it stays done.

use super::{
    apply::{Fold, MarkKind},
    state::{Branch, Join, Kept, Phase, WorkflowState},
};
use bedplate_core::{
    time::Timestamp,
    workflow_event::{BranchId, ExecutionOutcome, ExecutionRedriven},
};
use std::sync::Arc;

/// How often an execution may be redriven.
const MAX_REDRIVES: u64 = 1_000;

/// How many events the history of an execution has at most that may be redriven.
const MAX_HISTORY: u64 = 24_999;

impl WorkflowState {
    /// Returns how often the execution was redriven, and when last.
    #[must_use]
    pub const fn redrives(&self) -> (u64, Option<Timestamp>) {
        (self.redrives.count, self.redrives.at)
    }

    /// Returns whether the last redrive was under this key.
    #[must_use]
    pub fn redriven_under(&self, key: Option<&str>) -> bool {
        key.is_some() && self.redrives.key.as_deref() == key
    }

    /// Returns whether the execution may be redriven, or why not.
    ///
    /// # Errors
    /// The reason, as the Step Functions API says it.
    pub fn redrivable(&self) -> Result<(), &'static str> {
        let Some(started) = &self.started else { return Err("Execution is RUNNING and cannot be redriven") };
        if started.execution.express {
            return Err("Execution is of type EXPRESS and cannot be redriven");
        }
        match self.ended.as_ref().map(|ended| ended.outcome) {
            None => Err("Execution is RUNNING and cannot be redriven"),
            Some(ExecutionOutcome::Succeeded) => Err("Execution is SUCCEEDED and cannot be redriven"),
            Some(_) if self.redrives.count >= MAX_REDRIVES => Err("Execution redrive limit exceeded"),
            Some(_) if self.history_length() >= MAX_HISTORY => Err("Execution history event limit exceeded"),
            Some(_) => Ok(()),
        }
    }
}

impl Fold<'_> {
    /// Lets an execution go on.
    pub(super) fn redriven(&mut self, at: Timestamp, redriven: &ExecutionRedriven) {
        if self.state.ended.is_none() {
            return;
        }
        let last = self.state.history_length();
        let id = self.mark(0, last, MarkKind::Sole);
        self.state.ended = None;
        self.state.ended_at = None;
        self.state.redrives.count += 1;
        self.state.redrives.at = Some(at);
        self.state.redrives.key.clone_from(&redriven.key);
        if let Some(started) = &mut self.state.started {
            Arc::make_mut(started).execution.deadline = redriven.deadline;
        }
        self.revive(0, id);
    }

    /// Lets a branch go on from the state that it failed in.
    fn revive(&mut self, id: BranchId, after: u64) {
        let mut within: Vec<BranchId> = Vec::new();
        self.change(id, |fold, branch| {
            branch.last = after;
            let kept = branch.kept.take();
            branch.phase = match std::mem::replace(&mut branch.phase, Phase::Entered) {
                Phase::Failed(_) | Phase::Aborted => match kept {
                    Some(kept) => fold.restore(id, &kept, &mut within),
                    None => {
                        branch.retries.clear();
                        Phase::Entered
                    }
                },
                Phase::Join(mut join) | Phase::Writing(_, mut join) => {
                    fold.again(&mut join);
                    within.extend(join.running.iter().copied());
                    Phase::Join(join)
                }
                Phase::Task(_) | Phase::Backoff(_) | Phase::Reading(..) => {
                    branch.retries.clear();
                    Phase::Entered
                }
                other @ (Phase::Next(_) | Phase::Entered | Phase::Wait(_) | Phase::Result(_) | Phase::Done) => other,
            };
        });
        for child in within {
            self.revive(child, after);
        }
    }

    /// Lets the map run go on, when there is one: its children that failed, or were under way, go on, too.
    fn again(&mut self, join: &mut Join) {
        join.written.clear();
        join.writing = None;
        let Some(children) = &mut join.children else {
            if let Some(run) = &join.run {
                self.state.map_run(run, |run| run.redriven(0));
            }
            return;
        };
        // None has failed any more, also where the Map was stopped, or was writing what came of it.
        join.failed = 0;
        join.failure = None;
        join.broke = 0;
        children.running.extend(std::mem::take(&mut children.failed));
        let running = children.running.len() as u64;
        if let Some(run) = &join.run {
            self.state.map_run(run, |run| run.redriven(running));
        }
    }

    fn restore(&mut self, id: BranchId, kept: &Kept, within: &mut Vec<BranchId>) -> Phase {
        let mut join = Join::clone(&kept.join);
        let lost: Vec<(BranchId, Arc<Branch>)> = std::mem::take(&mut join.lost);
        let direct = lost.iter().filter(|(_, branch)| branch.parent.is_some_and(|(parent, _)| parent == id));
        join.running.extend(direct.map(|(id, _)| *id));
        for (id, branch) in kept.branches.iter().chain(&lost) {
            self.keep(*id, Branch::clone(branch));
        }
        join.failed = 0;
        join.failure = None;
        join.broke = 0;
        self.again(&mut join);
        within.extend(join.running.iter().copied());
        Phase::Join(Box::new(join))
    }
}
