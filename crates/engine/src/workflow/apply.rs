//! The fold. It counts the ids of AWS's history on the way, and says to a listener which events of that history an
//! event of the journal is.

use super::{
    map_run::{MapRunNow, MapRunStatus},
    size,
    state::{Branch, ChildrenNow, Failure, Join, Kept, Phase, Started, Task, WorkflowState},
};
use bedplate_core::{
    id::{CallId, Seq},
    time::Timestamp,
    workflow_event::{
        BranchId, ChildEnded, ExecutionOutcome, ExecutionStarted, IterationStarted, MapRunChanged, MapStarted,
        ParallelStarted, StateExited, StateFailed, StateKind, TaskScheduled, Tolerance, WorkflowEvent,
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
        WorkflowEvent::ItemsRequested(asked) => fold.change(asked.branch, |fold, branch| {
            if let Phase::Join(join) = &branch.phase {
                let mut join = join.clone();
                join.asked = Some((Arc::clone(&asked.resource), Arc::clone(&asked.input)));
                branch.phase = Phase::Reading(seq, join);
                fold.state.calls.insert(seq, asked.branch);
            }
        }),
        WorkflowEvent::ItemsRead(read) => {
            let Some(branch) = fold.state.calls.remove(&read.call) else { return };
            fold.change(branch, |fold, branch| {
                if let Phase::Reading(_, join) = &mut branch.phase {
                    let mut join = std::mem::take(join);
                    join.parts = read.items.len() as u64;
                    join.items = Some(Arc::clone(&read.items));
                    if let Some(run) = &join.run {
                        fold.state.map_run(run, |run| (run.items, run.total) = (join.parts, join.parts));
                    }
                    branch.phase = Phase::Join(join);
                }
            });
        }
        WorkflowEvent::ResultsRequested(asked) => fold.change(asked.branch, |fold, branch| {
            if let Phase::Join(join) = &mut branch.phase {
                let mut join = std::mem::take(join);
                join.writing = Some((Arc::clone(&asked.resource), Arc::clone(&asked.input)));
                branch.phase = Phase::Writing(seq, join);
                fold.state.calls.insert(seq, asked.branch);
            }
        }),
        WorkflowEvent::ResultsWritten(done) => {
            let Some(branch) = fold.state.calls.remove(&done.call) else { return };
            fold.change(branch, |fold, branch| {
                if let Phase::Writing(_, join) = &mut branch.phase {
                    let mut join = std::mem::take(join);
                    join.written = vec![Arc::clone(&done.output)];
                    if let Some(run) = &join.run {
                        fold.state.map_run(run, |run| run.results_written = run.succeeded + run.failed + run.aborted);
                    }
                    branch.phase = Phase::Join(join);
                }
            });
        }
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

/// About how many bytes the results of child executions take at most, before it is clear that they are too large.
pub(super) const MAX_RESULTS: usize = 2 * 262_144;

fn failure(error: Option<&Arc<str>>, cause: Option<&Arc<str>>) -> Arc<Failure> {
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
    /// Counts the event that says that the execution goes on.
    pub(super) fn mark_redriven(&mut self, last: u64) -> u64 {
        self.mark(0, last, MarkKind::Sole)
    }

    /// Counts an event of AWS's history and returns its id.
    fn mark(&mut self, line: BranchId, previous: u64, kind: MarkKind) -> u64 {
        let counter = self.state.counters.entry(line).or_default();
        *counter += 1;
        let id = *counter;
        (self.listen)(Mark { line, id, previous, kind });
        id
    }

    /// Counts an event that the next one of the branch follows.
    fn follow(&mut self, branch: &mut Branch, kind: MarkKind) -> u64 {
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
    fn begin(
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

    fn map_started(&mut self, seq: Seq, at: Timestamp, started: &MapStarted) {
        self.change(started.branch, |fold, branch| {
            let began = fold.follow(branch, MarkKind::Sole);
            if started.run.is_some() {
                fold.follow(branch, MarkKind::Run);
            }
            let join = Join {
                parts: started.items.as_ref().map_or(0, |items| items.len()) as u64,
                items: started.items.clone(),
                run: started.run.clone(),
                concurrency: started.concurrency,
                tolerated: started.tolerated,
                writes: started.writes,
                flatten: started.flatten,
                children: started.children.then(|| ChildrenNow { call: seq, ..ChildrenNow::default() }),
                began,
                ended: began,
                ..Join::default()
            };
            if let Some(run) = &started.run {
                fold.state.map_runs.push(Arc::new(MapRunNow::begun(run, &branch.state, at, &join)));
            }
            branch.phase = Phase::Join(Box::new(join));
        });
    }

    fn iteration_started(&mut self, at: Timestamp, started: &IterationStarted) {
        let Some(parent) = self.state.branches.get(&started.branch).cloned() else { return };
        let Phase::Join(join) = &parent.phase else { return };
        let index = usize::try_from(started.index).unwrap_or(usize::MAX);
        let Some(item) = join.items.as_ref().and_then(|items| items.get(index)) else { return };
        let input = started.input.clone().unwrap_or_else(|| Arc::clone(&item));
        let distributed = join.run.is_some();
        let after = join.free.last().copied().unwrap_or(join.began);
        let last = if distributed { 0 } else { self.mark(parent.line, after, MarkKind::Sole) };
        let id = self.begin(Some((started.branch, started.index, &parent)), last, &started.start_at, input, at);
        self.change(id, |fold, branch| {
            branch.item = Some((started.index, item));
            if distributed {
                // A child has a history of its own, whose first event is its start, and sees no variables.
                branch.line = id;
                branch.variables = Arc::default();
                fold.state.counters.insert(id, 1);
            }
        });
        self.change(started.branch, |fold, parent| {
            if let Phase::Join(join) = &mut parent.phase {
                if let Some(run) = &join.run {
                    fold.state.map_run(run, |run| run.running += 1);
                }
                join.free.pop();
                join.begun += 1;
                join.running.insert(id);
            }
        });
    }

    fn iteration_ended(&mut self, id: BranchId, failure: Option<Arc<Failure>>) {
        let Some(child) = self.state.branches.get(&id).cloned() else { return };
        let Some((parent, index)) = child.parent else { return };
        let within = self.take_within(id);
        self.remove(id);
        self.change(parent, |fold, parent| {
            let Phase::Join(join) = &mut parent.phase else { return };
            if join.run.is_none() {
                let ended = fold.mark(child.line, child.last, MarkKind::Sole);
                join.free.push(child.last);
                join.ended = ended;
            } else {
                fold.state.counters.remove(&id);
            }
            join.running.remove(&id);
            if let Some(run) = &join.run {
                fold.state.map_run(run, |run| {
                    run.running = run.running.saturating_sub(1);
                    let count = if failure.is_some() { &mut run.failed } else { &mut run.succeeded };
                    *count += 1;
                });
            }
            match failure {
                Some(failure) => {
                    join.failed += 1;
                    if join.run.is_none() {
                        join.broke = child.last;
                        join.lost.push((id, child));
                        join.lost.extend(within);
                    }
                    join.failure.get_or_insert(failure);
                }
                None => {
                    join.results.insert(index, Arc::clone(&child.value));
                }
            }
        });
    }

    fn children_begun(&mut self, id: BranchId, to: u64) {
        self.change(id, |fold, parent| {
            let Phase::Join(join) = &mut parent.phase else { return };
            let Some(children) = &mut join.children else { return };
            let begun = join.begun..to.min(join.parts);
            if let Some(run) = &join.run {
                fold.state.map_run(run, |run| run.running += begun.end.saturating_sub(begun.start));
            }
            join.begun = join.begun.max(begun.end);
            children.running.extend(begun);
        });
    }

    fn children_ended(&mut self, id: BranchId, ended: &[ChildEnded]) {
        self.change(id, |fold, parent| {
            let Phase::Join(join) = &mut parent.phase else { return };
            let Some(children) = &mut join.children else { return };
            for child in ended {
                if !children.running.remove(&child.index) {
                    continue;
                }
                if let Some(arn) = &join.run {
                    fold.state.map_run(arn, |run| {
                        run.running = run.running.saturating_sub(1);
                        match child.outcome {
                            ExecutionOutcome::Succeeded => run.succeeded += 1,
                            ExecutionOutcome::Failed => run.failed += 1,
                            ExecutionOutcome::TimedOut => {
                                run.failed += 1;
                                run.timed_out += 1;
                            }
                            ExecutionOutcome::Aborted => run.aborted += 1,
                        }
                    });
                }
                if child.outcome == ExecutionOutcome::Succeeded && join.writes {
                    // Its journal has the output, until all are written.
                } else if child.outcome == ExecutionOutcome::Succeeded {
                    let output = child.output.clone().unwrap_or_default();
                    children.bytes = children.bytes.saturating_add(size::of(&output, MAX_RESULTS));
                    // More than a result may hold is not kept: the Map will fail.
                    if children.bytes <= MAX_RESULTS {
                        join.results.insert(child.index, output);
                    } else {
                        join.results.clear();
                    }
                } else {
                    join.failed += 1;
                    children.failed.insert(child.index);
                    join.failure.get_or_insert(failure(child.error.as_ref(), child.cause.as_ref()));
                }
            }
        });
    }

    fn parallel_started(&mut self, at: Timestamp, started: &ParallelStarted) {
        self.change(started.branch, |fold, branch| {
            let began = fold.follow(branch, MarkKind::Sole);
            branch.phase = Phase::Join(Box::new(Join {
                parts: started.start_at.len() as u64,
                begun: started.start_at.len() as u64,
                began,
                ended: began,
                ..Join::default()
            }));
        });
        let Some(parent) = self.state.branches.get(&started.branch).cloned() else { return };
        let input = started.input.as_ref().unwrap_or(&parent.value);
        let children: Vec<BranchId> = (0..)
            .zip(&started.start_at)
            .map(|(index, start_at)| {
                self.begin(Some((started.branch, index, &parent)), parent.last, start_at, Arc::clone(input), at)
            })
            .collect();
        self.change(started.branch, |_, parent| {
            if let Phase::Join(join) = &mut parent.phase {
                join.running.extend(children);
            }
        });
    }

    fn joined(&mut self, at: Timestamp, id: BranchId) {
        self.change(id, |fold, branch| {
            let Phase::Join(join) = &branch.phase else { return };
            let results = join.written.first().cloned().unwrap_or_else(|| Arc::new(join.results.list(join.flatten)));
            if let Some(arn) = &join.run {
                fold.state.map_run(arn, |run| run.end(MapRunStatus::Succeeded, at));
                // AWS lets the exit follow the start of the map run, not its end (it did otherwise until 2024).
                let run = fold.mark(branch.line, branch.last, MarkKind::Run);
                fold.mark(branch.line, run, MarkKind::Sole);
            } else {
                branch.last = join.ended;
                fold.mark(branch.line, branch.last, MarkKind::Sole);
            }
            branch.phase = Phase::Result(results);
        });
    }

    /// Removes everything under way in a branch's state, and returns it.
    fn take_within(&mut self, id: BranchId) -> Vec<(BranchId, Arc<Branch>)> {
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

    fn remove(&mut self, id: BranchId) -> Option<Arc<Branch>> {
        let branch = self.state.branches.remove(&id)?;
        self.forget(id, &branch);
        if let Phase::Reading(call, _) | Phase::Writing(call, _) = &branch.phase {
            self.state.calls.remove(call);
        }
        Some(branch)
    }

    fn map_run_changed(&mut self, changed: &MapRunChanged) {
        let limits = |concurrency: &mut u64, tolerated: &mut Tolerance| {
            *concurrency = changed.concurrency.unwrap_or(*concurrency);
            tolerated.count = changed.tolerated_count.or(tolerated.count);
            tolerated.percentage = changed.tolerated_percentage.or(tolerated.percentage);
        };
        self.state.map_run(&changed.run, |run| limits(&mut run.concurrency, &mut run.tolerated));
        let ours = |branch: &Branch| match &branch.phase {
            Phase::Join(join) | Phase::Reading(_, join) | Phase::Writing(_, join) => {
                join.run.as_ref() == Some(&changed.run)
            }
            _ => false,
        };
        let branch = self.state.branches.iter().find(|(_, branch)| ours(branch)).map(|(id, _)| *id);
        if let Some(branch) = branch {
            self.change(branch, |_, branch| {
                if let Phase::Join(join) | Phase::Reading(_, join) | Phase::Writing(_, join) = &mut branch.phase {
                    limits(&mut join.concurrency, &mut join.tolerated);
                }
            });
        }
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
