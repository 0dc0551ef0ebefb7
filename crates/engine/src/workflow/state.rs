//! The folded state of an execution.

use super::{map_run::MapRunNow, results::Results, token};
use bedplate_core::{
    id::{CallId, RunId, Seq},
    items::Items,
    time::Timestamp,
    workflow_event::{BranchId, ExecutionEnded, ExecutionStarted, StateKind, Tolerance, Variables},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// The folded state of an execution. A copy shares all values.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WorkflowState {
    pub(super) position: Seq,
    pub(super) started: Option<Arc<Started>>,
    pub(super) ended: Option<Arc<ExecutionEnded>>,
    #[serde(default)]
    pub(super) ended_at: Option<Timestamp>,
    /// The output of an execution that succeeded; in a list, because it may be `null`.
    pub(super) output: Vec<Arc<Value>>,
    pub(super) branches: BTreeMap<BranchId, Arc<Branch>>,
    pub(super) next_branch: BranchId,
    /// The branches that a decision can move now.
    pub(super) ready: BTreeSet<BranchId>,
    /// When a branch must be looked at.
    pub(super) timers: BTreeSet<(Timestamp, BranchId)>,
    pub(super) calls: BTreeMap<CallId, BranchId>,
    #[serde(default)]
    pub(super) map_runs: Vec<Arc<MapRunNow>>,
    #[serde(default)]
    pub(super) redrives: Redrives,
    /// Of which run's prefix it is a copy, and how long that is.
    #[serde(default)]
    pub(super) forked_from: Option<(RunId, Seq)>,
    /// The last event id of each history: the execution's own, and that of each child of a distributed Map.
    pub(super) counters: BTreeMap<BranchId, u64>,
}

impl WorkflowState {
    /// Returns how the execution ended; none while it runs.
    #[must_use]
    pub fn ended(&self) -> Option<&ExecutionEnded> {
        self.ended.as_deref()
    }

    /// Returns the output of an execution that succeeded.
    #[must_use]
    pub fn output(&self) -> Option<&Arc<Value>> {
        self.output.first()
    }

    /// Returns how many events the execution's history has.
    #[must_use]
    pub fn history_length(&self) -> u64 {
        self.counters.get(&0).copied().unwrap_or(0)
    }

    /// Returns the open task that `token` names.
    #[must_use]
    pub fn task_by_token(&self, token: &str) -> Option<CallId> {
        let (_, call) = token::parse(token)?;
        let (_, task) = self.task(call)?;
        (*task.token == *token).then_some(call)
    }

    pub(super) fn task(&self, call: CallId) -> Option<(BranchId, &Task)> {
        let branch = *self.calls.get(&call)?;
        match &self.branches.get(&branch)?.phase {
            Phase::Task(task) => Some((branch, task)),
            _ => None,
        }
    }
}

/// How the execution began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Started {
    pub execution: ExecutionStarted,
    pub at: Timestamp,
}

/// A line of control.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Branch {
    /// The branch whose state this one works for, and which part of it this is.
    pub parent: Option<(BranchId, u64)>,
    /// The branch at the top of the history that this one's events are counted in.
    pub line: BranchId,
    pub state: Arc<str>,
    pub kind: StateKind,
    pub phase: Phase,
    /// The input of the state.
    pub value: Arc<Value>,
    pub variables: Arc<Variables>,
    /// The event that the next one of this branch follows.
    pub last: u64,
    pub entered_id: u64,
    /// The event that the state's entry followed.
    pub entered_after: u64,
    pub entered_at: Timestamp,
    /// Whether the state has done something that its history shows.
    pub acted: bool,
    /// How often each retrier tried.
    pub retries: Vec<u32>,
    /// The item of the Map iteration that the branch lies in.
    pub item: Option<(u64, Arc<Value>)>,
    /// What of a Parallel or Map that failed is still good, should the execution be redriven.
    #[serde(default)]
    pub kept: Option<Arc<Kept>>,
}

/// What was in a Parallel or Map when it failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub join: Box<Join>,
    /// The branches within, unless they still stand in the state.
    pub branches: Vec<(BranchId, Arc<Branch>)>,
}

/// How often an execution was redriven.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Redrives {
    pub count: u64,
    pub at: Option<Timestamp>,
    pub key: Option<Arc<str>>,
}

impl Branch {
    /// Returns how often the state was tried again.
    pub(super) fn retry_count(&self) -> u64 {
        self.retries.iter().map(|count| u64::from(*count)).sum()
    }
}

/// What a branch is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// It enters this state.
    Next(Arc<str>),
    /// It has entered its state, or tries it again.
    Entered,
    /// It tries its state again later.
    Backoff(Timestamp),
    /// It waits.
    Wait(Timestamp),
    /// A task is under way.
    Task(Task),
    /// The items of a Map are being read.
    Reading(CallId, Box<Join>),
    /// The results of a Map are being written.
    Writing(CallId, Box<Join>),
    /// Branches or iterations are under way.
    Join(Box<Join>),
    /// The state's work is done.
    Result(Arc<Value>),
    /// The state failed.
    Failed(Arc<Failure>),
    /// The branch is done.
    Done,
    /// The branch was under way when what it lies in failed.
    Aborted,
}

/// A task under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub call: CallId,
    pub token: Arc<str>,
    pub resource: Arc<str>,
    /// What it was given, when that differs from the branch's value; in a list, because it may be `null`.
    #[serde(default)]
    pub input: Vec<Arc<Value>>,
    #[serde(default)]
    pub role: Option<Arc<str>>,
    #[serde(default)]
    pub since: Timestamp,
    /// A worker has it.
    #[serde(default)]
    pub taken: bool,
    pub deadline: Option<Timestamp>,
    pub heartbeat: Option<Duration>,
    /// When it must have given a sign of life.
    pub beat_by: Option<Timestamp>,
    pub submitted: bool,
}

impl Task {
    /// Returns when the task is looked at.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match (self.deadline, self.beat_by) {
            (Some(deadline), Some(beat)) => Some(deadline.min(beat)),
            (one, other) => one.or(other),
        }
    }
}

/// Branches or iterations under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Join {
    /// Where the results are written to, once that was asked for.
    #[serde(default)]
    pub writing: Option<(Arc<str>, Arc<Value>)>,
    /// Whether results are written elsewhere, and not kept here.
    #[serde(default)]
    pub writes: bool,
    /// Whether results that are arrays are put together into one.
    #[serde(default)]
    pub flatten: bool,
    /// What the Map gives when they are written; in a list, because it may be `null`.
    #[serde(default)]
    pub written: Vec<Arc<Value>>,
    /// What was asked for the items.
    pub asked: Option<(Arc<str>, Arc<Value>)>,
    /// The items; none: a Parallel, or items that are still to be read.
    pub items: Option<Arc<Items>>,
    /// The map run; none: not distributed.
    pub run: Option<Arc<str>>,
    pub concurrency: u64,
    pub tolerated: Tolerance,
    pub begun: u64,
    pub running: BTreeSet<BranchId>,
    /// How many branches or items there are.
    pub parts: u64,
    pub results: Results,
    pub failed: u64,
    /// The iterations that failed, as they were, should the execution be redriven.
    #[serde(default)]
    pub lost: Vec<(BranchId, Arc<Branch>)>,
    /// The child executions, where each iteration is one.
    #[serde(default)]
    pub children: Option<ChildrenNow>,
    /// The first failure that was not tolerated yet.
    pub failure: Option<Arc<Failure>>,
    /// The events that the next iterations follow.
    pub free: Vec<u64>,
    /// The event that began it.
    pub began: u64,
    /// The event that the end follows.
    pub ended: u64,
    /// The event that a failure follows.
    pub broke: u64,
}

impl Join {
    /// Returns whether another iteration may begin.
    pub(super) fn may_begin(&self) -> bool {
        if self.children.is_some() {
            return self.begun < self.parts && self.room() > 0;
        }
        self.items.is_some()
            && self.begun < self.parts
            && (self.concurrency == 0 || (self.running.len() as u64) < self.concurrency)
    }

    /// Returns how many more child executions may begin.
    pub(super) fn room(&self) -> u64 {
        match (&self.children, &self.items) {
            (Some(children), Some(items)) => children.room(self.concurrency, items),
            _ => 0,
        }
    }

    /// Returns whether all is done.
    pub(super) fn is_done(&self) -> bool {
        let children = self.children.as_ref().is_none_or(|children| children.running.is_empty());
        self.begun == self.parts && self.running.is_empty() && children
    }

    /// Returns whether more iterations failed than may.
    pub(super) fn is_broken(&self) -> bool {
        if self.failed == 0 {
            return false;
        }
        if self.run.is_none() {
            return true;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of items are small")]
        let part = 100.0 * self.failed as f64 / self.parts.max(1) as f64;
        match (self.tolerated.count, self.tolerated.percentage) {
            (None, None) => true,
            (count, percentage) => {
                count.is_some_and(|count| self.failed > count) || percentage.is_some_and(|most| part > most)
            }
        }
    }
}

/// The child executions of a distributed Map under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ChildrenNow {
    pub call: CallId,
    /// Those under way, by their items.
    pub running: BTreeSet<u64>,
    /// Those that failed, by their items.
    pub failed: BTreeSet<u64>,
    /// About how many bytes the results take.
    pub bytes: usize,
}

/// How many child executions are under way at once at most, whatever the Map allows: of small items, and of any.
const MAX_CHILDREN: (u64, u64) = (2_000, 1_000);

/// Up to how many bytes an item is small: those under way are held in memory.
const SMALL_ITEM: usize = 4 * 1024;

impl ChildrenNow {
    /// Returns how many more may begin.
    fn room(&self, concurrency: u64, items: &Items) -> u64 {
        let most = if items.mean_bytes() <= SMALL_ITEM { MAX_CHILDREN.0 } else { MAX_CHILDREN.1 };
        let most = if concurrency == 0 { most } else { concurrency.min(most) };
        most.saturating_sub(self.running.len() as u64)
    }
}

/// Why a state failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub error: Option<Arc<str>>,
    pub cause: Option<Arc<str>>,
    /// The history says already that the Parallel or Map failed.
    pub announced: bool,
}
