//! The fold. It counts the ids of AWS's history on the way, and says to a listener which events of that history an
//! event of the journal is.

use super::{
    map_run::MapRunStatus,
    state::{Branch, Failure, Kept, Phase, Started, Task, WorkflowState},
};
use bedplate_core::{
    id::{CallId, Seq},
    time::Timestamp,
    workflow_event::{
        BranchId, ExecutionOutcome, ExecutionStarted, StateExited, StateFailed, StateKind, TaskScheduled, WorkflowEvent,
    },
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// An event of AWS's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which history: that of the execution is 0.
    pub line: BranchId,
    pub id: u64,
    pub previous: u64,
    pub kind: MarkKind,
}

/// The kind of an event of AWS's history, as far as the journal's own event does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkKind {
    /// The only one.
    Sole,
    /// A task was scheduled.
    Scheduled,
    /// A task began.
    Began,
    /// A map run began, ended well, or failed.
    Run,
}

/// Folds an event; `listen` hears what it is in AWS's history.
pub(super) fn apply(
    state: &mut WorkflowState,
    seq: Seq,
    at: Timestamp,
    event: &WorkflowEvent,
    listen: &mut dyn FnMut(Mark),
) {
    let mut fold = Fold { state, listen };
    match event {
        WorkflowEvent::Started(started) => fold.started(at, started),
        WorkflowEvent::Entered(entered) => fold.change(entered.branch, |fold, branch| {
            branch.entered_after = branch.last;
            branch.entered_id = fold.follow(branch, MarkKind::Sole);
            branch.entered_at = at;
            branch.state = Arc::clone(&entered.state);
            branch.kind = entered.kind;
            branch.acted = false;
            branch.retries.clear();
            branch.kept = None;
            branch.phase = Phase::Entered;
        }),
        WorkflowEvent::Exited(exited) => fold.exited(exited),
        WorkflowEvent::Failed(failed) => fold.failed(at, failed),
        WorkflowEvent::Retried(retried) => fold.change(retried.branch, |_, branch| {
            let retrier = retried.retrier as usize;
            if branch.retries.len() <= retrier {
                branch.retries.resize(retrier + 1, 0);
            }
            branch.retries[retrier] += 1;
            branch.kept = None;
            branch.phase = Phase::Backoff(retried.until);
        }),
        WorkflowEvent::WaitStarted(wait) => {
            fold.change(wait.branch, |_, branch| branch.phase = Phase::Wait(wait.until));
        }
        WorkflowEvent::TaskScheduled(scheduled) => fold.scheduled(seq, at, scheduled),
        WorkflowEvent::TaskTaken(taken) => fold.task(taken.call, |fold, branch, task| {
            fold.follow(branch, MarkKind::Sole);
            Phase::Task(Task { taken: true, ..beat(task, at) })
        }),
        WorkflowEvent::TaskSubmitted(submitted) => fold.task(submitted.call, |fold, branch, task| {
            fold.follow(branch, MarkKind::Sole);
            Phase::Task(Task { submitted: true, ..task })
        }),
        WorkflowEvent::TaskBeat(beaten) => fold.task(beaten.call, |_, _, task| Phase::Task(beat(task, at))),
        WorkflowEvent::TaskSucceeded(done) => fold.task(done.call, |fold, branch, _| {
            fold.follow(branch, MarkKind::Sole);
            Phase::Result(Arc::clone(&done.output))
        }),
        WorkflowEvent::TaskFailed(failed) => fold.task(failed.call, |fold, branch, _| {
            fold.follow(branch, MarkKind::Sole);
            Phase::Failed(failure(failed.error.as_ref(), failed.cause.as_ref()))
        }),
        WorkflowEvent::TaskTimedOut(late) => fold.task(late.call, |fold, branch, _| {
            fold.follow(branch, MarkKind::Sole);
            Phase::Failed(failure(Some(&"States.Timeout".into()), None))
        }),
        WorkflowEvent::MapStarted(started) => fold.map_started(seq, at, started),
        WorkflowEvent::ItemsRequested(asked) => fold.items_requested(seq, asked),
        WorkflowEvent::ItemsRead(read) => fold.items_read(read),
        WorkflowEvent::ResultsRequested(asked) => fold.results_requested(seq, asked),
        WorkflowEvent::ResultsWritten(done) => fold.results_written(done),
        WorkflowEvent::IterationStarted(started) => fold.iteration_started(at, started),
        WorkflowEvent::IterationSucceeded(ended) => fold.iteration_ended(ended.branch, None),
        WorkflowEvent::IterationFailed(failed) => {
            fold.iteration_ended(failed.branch, Some(failure(failed.error.as_ref(), failed.cause.as_ref())));
        }
        WorkflowEvent::ChildrenBegun(begun) => fold.children_begun(begun.branch, begun.to),
        WorkflowEvent::ChildrenEnded(ended) => fold.children_ended(ended.branch, &ended.ended),
        WorkflowEvent::ParallelStarted(started) => fold.parallel_started(at, started),
        WorkflowEvent::Joined(joined) => fold.joined(at, joined.branch),
        WorkflowEvent::Broken(broken) => fold.change(broken.branch, |fold, branch| {
            if let Phase::Failed(failure) = &branch.phase {
                let failure = Failure { announced: true, ..Failure::clone(failure) };
                branch.phase = Phase::Failed(Arc::new(failure));
            }
            fold.follow(branch, MarkKind::Sole);
        }),
        WorkflowEvent::Aborted(aborted) => fold.change(aborted.branch, |fold, branch| {
            fold.mark(branch.line, branch.last, MarkKind::Sole);
            branch.kept = match std::mem::replace(&mut branch.phase, Phase::Aborted) {
                Phase::Join(join) => Some(Arc::new(Kept { join, branches: Vec::new() })),
                _ => None,
            };
        }),
        WorkflowEvent::Ended(ended) => {
            let last = fold.state.branches.get(&0).map_or(0, |branch| branch.last);
            fold.mark(0, last, MarkKind::Sole);
            if ended.outcome == ExecutionOutcome::Succeeded {
                fold.state.output =
                    fold.state.branches.get(&0).map(|branch| Arc::clone(&branch.value)).into_iter().collect();
            }
            fold.state.ended = Some(Arc::new(ended.clone()));
            fold.state.ended_at = Some(at);
            if ended.outcome == ExecutionOutcome::Succeeded {
                fold.state.branches.clear();
            }
            fold.state.ready.clear();
            fold.state.timers.clear();
            fold.state.calls.clear();
            for run in &mut fold.state.map_runs {
                if run.status == MapRunStatus::Running {
                    Arc::make_mut(run).end(MapRunStatus::Aborted, at);
                }
            }
        }
        WorkflowEvent::Redriven(redriven) => fold.redriven(at, redriven),
        WorkflowEvent::MapRunChanged(changed) => fold.map_run_changed(changed),
        WorkflowEvent::Forked(forked) => fold.forked(at, forked),
    }
}

pub(super) fn failure(error: Option<&Arc<str>>, cause: Option<&Arc<str>>) -> Arc<Failure> {
    Arc::new(Failure { error: error.cloned(), cause: cause.cloned(), announced: false })
}

fn beat(task: Task, at: Timestamp) -> Task {
    Task { beat_by: task.heartbeat.map(|silence| at.after(silence)), ..task }
}

pub(super) struct Fold<'a> {
    pub(super) state: &'a mut WorkflowState,
    listen: &'a mut dyn FnMut(Mark),
}

impl Fold<'_> {
    /// Counts an event of AWS's history and returns its id.
    pub(super) fn mark(&mut self, line: BranchId, previous: u64, kind: MarkKind) -> u64 {
        let counter = self.state.counters.entry(line).or_default();
        *counter += 1;
        let id = *counter;
        (self.listen)(Mark { line, id, previous, kind });
        id
    }

    /// Counts an event that the next one of the branch follows.
    pub(super) fn follow(&mut self, branch: &mut Branch, kind: MarkKind) -> u64 {
        branch.last = self.mark(branch.line, branch.last, kind);
        branch.acted = true;
        branch.last
    }

    /// Changes a branch and keeps what is ready and when in step.
    pub(super) fn change(&mut self, id: BranchId, change: impl FnOnce(&mut Self, &mut Branch)) {
        let Some(shared) = self.state.branches.remove(&id) else { return };
        let mut branch = Arc::unwrap_or_clone(shared);
        self.forget(id, &branch);
        change(self, &mut branch);
        self.keep(id, branch);
    }

    fn forget(&mut self, id: BranchId, branch: &Branch) {
        self.state.ready.remove(&id);
        if let Some(due) = due(branch) {
            self.state.timers.remove(&(due, id));
        }
        if let Phase::Task(task) = &branch.phase {
            self.state.calls.remove(&task.call);
        }
    }

    pub(super) fn keep(&mut self, id: BranchId, branch: Branch) {
        if is_ready(&branch) {
            self.state.ready.insert(id);
        }
        if let Some(due) = due(&branch) {
            self.state.timers.insert((due, id));
        }
        if let Phase::Task(task) = &branch.phase {
            self.state.calls.insert(task.call, id);
        }
        self.state.branches.insert(id, Arc::new(branch));
    }

    fn task(&mut self, call: CallId, next: impl FnOnce(&mut Self, &mut Branch, Task) -> Phase) {
        let Some(branch) = self.state.calls.get(&call).copied() else { return };
        self.change(branch, |fold, branch| {
            if let Phase::Task(task) = &branch.phase {
                let task = task.clone();
                branch.phase = next(fold, branch, task);
            }
        });
    }

    fn started(&mut self, at: Timestamp, started: &ExecutionStarted) {
        self.mark(0, 0, MarkKind::Sole);
        self.state.started = Some(Arc::new(Started { execution: started.clone(), at }));
        self.begin(None, 0, &started.start_at, Arc::clone(&started.input), at);
    }

    /// Makes the next branch.
    pub(super) fn begin(
        &mut self,
        parent: Option<(BranchId, u64, &Branch)>,
        last: u64,
        start_at: &Arc<str>,
        value: Arc<Value>,
        at: Timestamp,
    ) -> BranchId {
        let id = self.state.next_branch;
        self.state.next_branch += 1;
        let branch = Branch {
            parent: parent.map(|(id, index, _)| (id, index)),
            line: parent.map_or(0, |(_, _, parent)| parent.line),
            state: Arc::clone(start_at),
            kind: StateKind::Pass,
            phase: Phase::Next(Arc::clone(start_at)),
            value,
            variables: parent.map_or_else(Arc::default, |(_, _, parent)| Arc::clone(&parent.variables)),
            last,
            entered_id: 0,
            entered_after: 0,
            entered_at: at,
            acted: false,
            retries: Vec::new(),
            item: parent.and_then(|(_, _, parent)| parent.item.clone()),
            kept: None,
        };
        self.keep(id, branch);
        id
    }

    fn exited(&mut self, exited: &StateExited) {
        let mut parent = None;
        self.change(exited.branch, |fold, branch| {
            fold.follow(branch, MarkKind::Sole);
            if let Some(output) = &exited.output {
                branch.value = Arc::clone(output);
            }
            if let Some(assigned) = &exited.assigned {
                let variables = Arc::make_mut(&mut branch.variables);
                variables.extend(assigned.iter().map(|(name, value)| (Arc::clone(name), Arc::clone(value))));
            }
            branch.kept = None;
            branch.phase = exited.next.as_ref().map_or(Phase::Done, |next| Phase::Next(Arc::clone(next)));
            if exited.next.is_none() {
                parent = branch.parent.map(|(parent, index)| (parent, index, Arc::clone(&branch.value), branch.last));
            }
        });
        let Some((parent, index, value, last)) = parent else { return };
        let is_parallel = self.state.branches.get(&parent).is_some_and(|parent| parent.kind == StateKind::Parallel);
        if is_parallel {
            self.remove(exited.branch);
            self.change(parent, |_, parent| {
                parent.last = last;
                if let Phase::Join(join) = &mut parent.phase {
                    join.running.remove(&exited.branch);
                    join.ended = last;
                    join.results.insert(index, value);
                }
            });
        }
    }

    fn failed(&mut self, at: Timestamp, failed: &StateFailed) {
        let by = failed.by.and_then(|by| self.state.branches.get(&by)).map(|by| by.last);
        let within = self.take_within(failed.branch);
        self.change(failed.branch, |fold, branch| {
            if let Phase::Writing(call, _) = &branch.phase {
                fold.state.calls.remove(call);
            }
            if let Phase::Join(join) | Phase::Writing(_, join) = &branch.phase {
                if let Some(run) = &join.run {
                    fold.state.map_run(run, |run| run.end(MapRunStatus::Failed, at));
                }
                branch.kept = Some(Arc::new(Kept { join: join.clone(), branches: within }));
            }
            if let Phase::Join(join) = &branch.phase
                && join.broke > 0
            {
                branch.last = join.broke;
            }
            if let Some(last) = by {
                branch.last = last;
            }
            if failed.evaluation.is_some() {
                let previous = if branch.acted { branch.last } else { branch.entered_after };
                branch.last = fold.mark(branch.line, previous, MarkKind::Sole);
            }
            branch.phase = Phase::Failed(failure(failed.error.as_ref(), failed.cause.as_ref()));
        });
    }

    fn scheduled(&mut self, seq: Seq, at: Timestamp, scheduled: &TaskScheduled) {
        let is_activity = scheduled.resource.contains(":activity:");
        self.change(scheduled.branch, |fold, branch| {
            fold.follow(branch, MarkKind::Scheduled);
            if !is_activity {
                fold.follow(branch, MarkKind::Began);
            }
            let heartbeat = scheduled.heartbeat_seconds.map(Duration::from_secs);
            let task = Task {
                call: seq,
                token: Arc::clone(&scheduled.token),
                resource: Arc::clone(&scheduled.resource),
                input: scheduled.input.iter().cloned().collect(),
                role: scheduled.role.clone(),
                since: at,
                taken: false,
                deadline: scheduled.timeout_seconds.map(|seconds| at.after(Duration::from_secs(seconds))),
                heartbeat,
                beat_by: heartbeat.map(|silence| at.after(silence)),
                submitted: false,
            };
            branch.phase = Phase::Task(task);
        });
    }

    /// Removes everything under way in a branch's state, and returns it.
    pub(super) fn take_within(&mut self, id: BranchId) -> Vec<(BranchId, Arc<Branch>)> {
        let mut taken = Vec::new();
        self.take_into(id, &mut taken);
        taken
    }

    fn take_into(&mut self, id: BranchId, taken: &mut Vec<(BranchId, Arc<Branch>)>) {
        let Some(branch) = self.state.branches.get(&id) else { return };
        let children: Vec<BranchId> = match (&branch.phase, &branch.kept) {
            (Phase::Join(join) | Phase::Reading(_, join) | Phase::Writing(_, join), _) => {
                join.running.iter().copied().collect()
            }
            (Phase::Aborted, Some(kept)) => kept.join.running.iter().copied().collect(),
            _ => Vec::new(),
        };
        for child in children {
            self.take_into(child, taken);
            taken.extend(self.remove(child).map(|branch| (child, branch)));
        }
    }

    pub(super) fn remove(&mut self, id: BranchId) -> Option<Arc<Branch>> {
        let branch = self.state.branches.remove(&id)?;
        self.forget(id, &branch);
        if let Phase::Reading(call, _) | Phase::Writing(call, _) = &branch.phase {
            self.state.calls.remove(call);
        }
        Some(branch)
    }
}

/// Returns whether a decision can move the branch now.
fn is_ready(branch: &Branch) -> bool {
    match &branch.phase {
        Phase::Next(_) | Phase::Entered | Phase::Result(_) | Phase::Failed(_) | Phase::Done => true,
        Phase::Join(join) => {
            join.items.is_none() && join.run.is_some() || join.may_begin() || join.is_done() || join.is_broken()
        }
        Phase::Backoff(_)
        | Phase::Wait(_)
        | Phase::Task(_)
        | Phase::Reading(..)
        | Phase::Writing(..)
        | Phase::Aborted => false,
    }
}

/// Returns when the branch must be looked at.
fn due(branch: &Branch) -> Option<Timestamp> {
    match &branch.phase {
        Phase::Backoff(until) | Phase::Wait(until) => Some(*until),
        Phase::Task(task) => task.due(),
        _ => None,
    }
}
