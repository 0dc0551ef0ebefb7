//! The events of a workflow's journal, carried by [`crate::event::Event::Workflow`].
//!
//! A *branch* is one line of control: 0 is the execution itself; each branch of a Parallel and each iteration of a Map
//! is another, numbered in the order of their beginning. A branch carries one value, the input of its next state, so
//! neither an input nor an output that did not change is written again. Like every event these are kept for ever.

mod joins;

pub use joins::{
    Broken, ChildEnded, ChildrenBegun, ChildrenEnded, ItemsRead, ItemsRequested, IterationEnded, IterationFailed,
    IterationStarted, Joined, MapRunChanged, MapStarted, ParallelStarted, ResultsRequested, Tolerance,
};

use crate::{
    id::{CallId, ContentHash},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A line of control in an execution; 0 is the execution itself.
pub type BranchId = u64;

/// Variables by name.
pub type Variables = BTreeMap<Arc<str>, Arc<Value>>;

/// Something that happened in an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowEvent {
    /// The execution begins.
    Started(ExecutionStarted),
    /// A branch entered a state; its input is the branch's value.
    Entered(StateEntered),
    /// A branch left its state.
    Exited(StateExited),
    /// A state failed by itself: an expression, a path, a Fail state. What is done about it follows.
    Failed(StateFailed),
    /// A failed state is tried again later.
    Retried(StateRetried),
    /// A Wait state waits.
    WaitStarted(WaitStarted),
    /// A task is intended; its call id is this event's position. Its effect may have happened from here on.
    TaskScheduled(TaskScheduled),
    /// An activity's worker took a task.
    TaskTaken(TaskTaken),
    /// The service accepted a task whose result comes later.
    TaskSubmitted(TaskOutput),
    /// A task gave a sign of life.
    TaskBeat(TaskBeat),
    /// A task ended well.
    TaskSucceeded(TaskOutput),
    /// A task failed.
    TaskFailed(TaskFailed),
    /// A task, or its sign of life, did not come in time.
    TaskTimedOut(TaskTimedOut),
    /// A Map state begins.
    MapStarted(MapStarted),
    /// The items of a Map are read from outside; the call id is this event's position.
    ItemsRequested(ItemsRequested),
    /// The items of a Map are known.
    ItemsRead(ItemsRead),
    /// A Map begins with an item.
    IterationStarted(IterationStarted),
    /// An iteration ended well; its output is its branch's value.
    IterationSucceeded(IterationEnded),
    /// An iteration failed.
    IterationFailed(IterationFailed),
    /// A Parallel state begins; its branches get the next numbers.
    ParallelStarted(ParallelStarted),
    /// Child executions of a distributed Map begin: those up to an item.
    ChildrenBegun(ChildrenBegun),
    /// Child executions of a distributed Map ended.
    ChildrenEnded(ChildrenEnded),
    /// The results of a distributed Map are written elsewhere; the call id is this event's position.
    ResultsRequested(ResultsRequested),
    /// They are written.
    ResultsWritten(TaskOutput),
    /// All branches of a Parallel or all iterations of a Map are done.
    Joined(Joined),
    /// The failure of a Parallel or Map stands: it is not tried again.
    Broken(Broken),
    /// A state that was under way is over without a result.
    Aborted(StateAborted),
    /// The execution is over.
    Ended(ExecutionEnded),
    /// An execution that ended badly goes on where it failed.
    Redriven(ExecutionRedriven),
    /// The limits of a map run that is under way are others now.
    MapRunChanged(MapRunChanged),
    /// An execution that is a copy of another one's prefix goes on as its own.
    Forked(ExecutionForked),
}

/// See [`WorkflowEvent::Started`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionStarted {
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// The execution's name.
    pub name: Arc<str>,
    /// The state machine's ARN.
    pub machine: Arc<str>,
    /// The state machine's name.
    pub machine_name: Arc<str>,
    /// The role as the state machine names it.
    pub role: Arc<str>,
    /// The definition that the execution is pinned to.
    pub definition: ContentHash,
    /// The input.
    pub input: Arc<Value>,
    /// The first state.
    pub start_at: Arc<str>,
    /// When the execution is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether it is an express execution.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub express: bool,
    /// The version or alias under which it was started, as an ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualified: Option<Arc<str>>,
    /// The version that this led to, as an ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
    /// The map run whose child it is, as an ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_run: Option<Arc<str>>,
    /// The trace that it belongs to, as the caller says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Arc<str>>,
    /// The execution whose prepared answers its tasks get, as an ARN: itself, or the one whose Map it is a child of. None:
    /// it began without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Arc<str>>,
}

/// The kind of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// Work outside.
    Task,
    /// A fork in the road.
    Choice,
    /// Several branches at once.
    Parallel,
    /// The same for each item.
    Map,
    /// Time passes.
    Wait,
    /// Data is reshaped.
    Pass,
    /// The branch ends well.
    Succeed,
    /// The branch ends badly.
    Fail,
}

/// See [`WorkflowEvent::Entered`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateEntered {
    /// The branch.
    pub branch: BranchId,
    /// The state's name.
    pub state: Arc<str>,
    /// The state's kind.
    pub kind: StateKind,
}

/// See [`WorkflowEvent::Exited`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateExited {
    /// The branch.
    pub branch: BranchId,
    /// The output, when it differs from the branch's value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output: Option<Arc<Value>>,
    /// The variables that were assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Arc<Variables>>,
    /// The next state; absent: the branch is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Arc<str>>,
}

/// See [`WorkflowEvent::Failed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateFailed {
    /// The branch.
    pub branch: BranchId,
    /// The error's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
    /// The field whose evaluation failed, when the history says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
    /// The branch within the state whose failure it was; what was under way in the state is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<BranchId>,
}

/// Where an evaluation failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The field, as a path within the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Arc<str>>,
}

/// See [`WorkflowEvent::Retried`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateRetried {
    /// The branch.
    pub branch: BranchId,
    /// Which of the state's retriers decided, from 0.
    pub retrier: u32,
    /// When the state is tried again.
    pub until: Timestamp,
}

/// See [`WorkflowEvent::WaitStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitStarted {
    /// The branch.
    pub branch: BranchId,
    /// When the wait ends.
    pub until: Timestamp,
}

/// See [`WorkflowEvent::TaskScheduled`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskScheduled {
    /// The branch.
    pub branch: BranchId,
    /// The resource's ARN.
    pub resource: Arc<str>,
    /// What the task is given, when it differs from the branch's value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub input: Option<Arc<Value>>,
    /// The token under which the result may be given.
    pub token: Arc<str>,
    /// How long the task may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How long the task may be silent, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_seconds: Option<u64>,
    /// The role of the task, when the state names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Arc<str>>,
}

/// See [`WorkflowEvent::TaskTaken`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskTaken {
    /// The call.
    pub call: CallId,
    /// The worker's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Arc<str>>,
}

/// What a task gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// The call.
    pub call: CallId,
    /// What it gave.
    pub output: Arc<Value>,
}

/// See [`WorkflowEvent::TaskBeat`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskBeat {
    /// The call.
    pub call: CallId,
}

/// See [`WorkflowEvent::TaskFailed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFailed {
    /// The call.
    pub call: CallId,
    /// The error's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
}

/// See [`WorkflowEvent::TaskTimedOut`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskTimedOut {
    /// The call.
    pub call: CallId,
    /// It was the sign of life that did not come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heartbeat: bool,
}

/// See [`WorkflowEvent::Aborted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateAborted {
    /// The branch whose state is over.
    pub branch: BranchId,
}

/// See [`WorkflowEvent::Ended`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionEnded {
    /// How it ended.
    pub outcome: ExecutionOutcome,
    /// The error's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
}

/// See [`WorkflowEvent::Redriven`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRedriven {
    /// The caller's key: a second redrive with it joins this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// When the execution is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// See [`WorkflowEvent::Forked`]. Tasks that were under way are scheduled anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionForked {
    /// The execution's own ARN.
    pub execution: Arc<str>,
    /// Its own name.
    pub name: Arc<str>,
    /// When it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The definition that it is pinned to from here on; absent: that of the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<ContentHash>,
    /// Another input of the state that a branch enters next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<OtherInput>,
}

/// See [`ExecutionForked::input`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherInput {
    /// The branch.
    pub branch: BranchId,
    /// The input.
    pub value: Arc<Value>,
}

/// How an execution ended. The output of one that succeeded is its branch's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionOutcome {
    /// The last state is done.
    Succeeded,
    /// A failure was not caught.
    Failed,
    /// The state machine's `TimeoutSeconds` passed.
    TimedOut,
    /// Somebody stopped it.
    Aborted,
}

/// Reads a value that is there: `null` is a value, too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<Value>>, D::Error> {
    Arc::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_null_is_not_one_that_did_not_change() {
        for output in [None, Some(Arc::new(Value::Null)), Some(Arc::new(Value::Bool(true)))] {
            let exited = WorkflowEvent::Exited(StateExited { branch: 0, output, assigned: None, next: None });
            let text = serde_json::to_string(&exited).unwrap_or_default();
            assert_eq!(serde_json::from_str::<WorkflowEvent>(&text).ok(), Some(exited));
        }
    }
}
