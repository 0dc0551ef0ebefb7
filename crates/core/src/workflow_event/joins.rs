//! The events of what a Map or a Parallel has under way: its items and parts, and where they meet again.

use super::{BranchId, ExecutionOutcome, present};
use crate::{id::CallId, items::Items};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// See [`super::WorkflowEvent::MapStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapStarted {
    /// The branch.
    pub branch: BranchId,
    /// The items; absent while they are still to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Arc<Items>>,
    /// The ARN of the map run, for a distributed Map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Arc<str>>,
    /// How many iterations may be under way at once; 0: no limit.
    #[serde(default)]
    pub concurrency: u64,
    /// How many iterations may fail.
    #[serde(default)]
    pub tolerated: Tolerance,
    /// Whether each iteration is a run of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub children: bool,
    /// Whether the results are written elsewhere, and none is kept here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writes: bool,
    /// Whether results that are arrays are put together into one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flatten: bool,
}

/// How many failures of iterations a Map takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Up to this many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Up to this part, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<f64>,
}

/// See [`super::WorkflowEvent::ItemsRequested`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsRequested {
    /// The branch.
    pub branch: BranchId,
    /// The resource's ARN.
    pub resource: Arc<str>,
    /// What the resource is given.
    pub input: Arc<Value>,
}

/// See [`super::WorkflowEvent::ItemsRead`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsRead {
    /// The call that asked.
    pub call: CallId,
    /// The items.
    pub items: Arc<Items>,
}

/// See [`super::WorkflowEvent::IterationStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IterationStarted {
    /// The branch that stands in the Map; the iteration is a new one.
    pub branch: BranchId,
    /// Which item, from 0.
    pub index: u64,
    /// What the iteration is given, when it differs from the item.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub input: Option<Arc<Value>>,
    /// The first state.
    pub start_at: Arc<str>,
}

/// See [`super::WorkflowEvent::IterationSucceeded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IterationEnded {
    /// The iteration's branch.
    pub branch: BranchId,
}

/// See [`super::WorkflowEvent::IterationFailed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IterationFailed {
    /// The iteration's branch.
    pub branch: BranchId,
    /// The error's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
}

/// See [`super::WorkflowEvent::ChildrenBegun`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildrenBegun {
    /// The branch that stands in the Map.
    pub branch: BranchId,
    /// The first item whose child has not begun after this.
    pub to: u64,
}

/// See [`super::WorkflowEvent::ChildrenEnded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildrenEnded {
    /// The branch that stands in the Map.
    pub branch: BranchId,
    /// What became of which child.
    pub ended: Vec<ChildEnded>,
}

/// What became of a child execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildEnded {
    /// Which item, from 0.
    pub index: u64,
    /// How it ended.
    pub outcome: ExecutionOutcome,
    /// What one that ended well gave.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output: Option<Arc<Value>>,
    /// The error's name of one that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
}

/// See [`super::WorkflowEvent::ResultsRequested`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultsRequested {
    /// The branch that stands in the Map.
    pub branch: BranchId,
    /// What writes a file: the resource's ARN.
    pub resource: Arc<str>,
    /// Where to: `Bucket` and `Prefix`.
    pub input: Arc<Value>,
}

/// See [`super::WorkflowEvent::ParallelStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParallelStarted {
    /// The branch that stands in the Parallel.
    pub branch: BranchId,
    /// What each branch is given, when it differs from the branch's value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub input: Option<Arc<Value>>,
    /// The first state of each branch.
    pub start_at: Vec<Arc<str>>,
}

/// See [`super::WorkflowEvent::Joined`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// The branch that stands in the Parallel or Map.
    pub branch: BranchId,
}

/// See [`super::WorkflowEvent::Broken`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// The branch that stands in the Parallel or Map.
    pub branch: BranchId,
}

/// See [`super::WorkflowEvent::MapRunChanged`]. What is absent stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapRunChanged {
    /// The map run's ARN.
    pub run: Arc<str>,
    /// How many iterations may be under way at once; 0: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
    /// How many iterations may fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerated_count: Option<u64>,
    /// What part of them may fail, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerated_percentage: Option<f64>,
}
