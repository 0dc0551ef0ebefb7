//! The fold of what a Map or a Parallel has under way: its items and parts, and where they meet again.

use super::{
    apply::{Fold, MarkKind, failure},
    map_run::{MapRunNow, MapRunStatus},
    size,
    state::{Branch, ChildrenNow, Failure, Join, Phase},
};
use bedplate_core::{
    id::Seq,
    time::Timestamp,
    workflow_event::{
        BranchId, ChildEnded, ExecutionOutcome, ItemsRead, ItemsRequested, IterationStarted, MapRunChanged, MapStarted,
        ParallelStarted, ResultsRequested, TaskOutput, Tolerance,
    },
};
use std::sync::Arc;

/// About how many bytes the results of child executions take at most, before it is clear that they are too large.
pub(super) const MAX_RESULTS: usize = 2 * 262_144;

impl Fold<'_> {
    pub(super) fn map_started(&mut self, seq: Seq, at: Timestamp, started: &MapStarted) {
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

    /// The items are asked for; none is begun until they are known.
    pub(super) fn items_requested(&mut self, seq: Seq, asked: &ItemsRequested) {
        self.change(asked.branch, |fold, branch| {
            if let Phase::Join(join) = &mut branch.phase {
                let mut join = std::mem::take(join);
                join.asked = Some((Arc::clone(&asked.resource), Arc::clone(&asked.input)));
                branch.phase = Phase::Reading(seq, join);
                fold.state.calls.insert(seq, asked.branch);
            }
        });
    }

    pub(super) fn items_read(&mut self, read: &ItemsRead) {
        let Some(branch) = self.state.calls.remove(&read.call) else { return };
        self.change(branch, |fold, branch| {
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

    pub(super) fn results_requested(&mut self, seq: Seq, asked: &ResultsRequested) {
        self.change(asked.branch, |fold, branch| {
            if let Phase::Join(join) = &mut branch.phase {
                let mut join = std::mem::take(join);
                join.writing = Some((Arc::clone(&asked.resource), Arc::clone(&asked.input)));
                branch.phase = Phase::Writing(seq, join);
                fold.state.calls.insert(seq, asked.branch);
            }
        });
    }

    pub(super) fn results_written(&mut self, done: &TaskOutput) {
        let Some(branch) = self.state.calls.remove(&done.call) else { return };
        self.change(branch, |fold, branch| {
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

    pub(super) fn iteration_started(&mut self, at: Timestamp, started: &IterationStarted) {
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

    pub(super) fn iteration_ended(&mut self, id: BranchId, failure: Option<Arc<Failure>>) {
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

    pub(super) fn children_begun(&mut self, id: BranchId, to: u64) {
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

    pub(super) fn children_ended(&mut self, id: BranchId, ended: &[ChildEnded]) {
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

    pub(super) fn parallel_started(&mut self, at: Timestamp, started: &ParallelStarted) {
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

    pub(super) fn joined(&mut self, at: Timestamp, id: BranchId) {
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

    pub(super) fn map_run_changed(&mut self, changed: &MapRunChanged) {
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
