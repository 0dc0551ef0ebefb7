//! What others may see of an execution's state.

use super::state::{Branch, Phase, WorkflowState};
use bedplate_core::{
    id::CallId,
    time::Timestamp,
    workflow_event::{BranchId, ExecutionStarted, StateKind},
};
use serde_json::Value;
use std::sync::Arc;

/// A task under way.
#[derive(Clone, Debug)]
pub struct OpenTask {
    /// The call.
    pub call: CallId,
    /// The branch.
    pub branch: BranchId,
    /// The state by name.
    pub state: Arc<str>,
    /// The resource's ARN.
    pub resource: Arc<str>,
    /// What the task was given.
    pub input: Arc<Value>,
    /// The token under which others may give the result.
    pub token: Arc<str>,
    /// How often the state was tried before in this visit.
    pub attempt: u32,
    /// When it was scheduled.
    pub since: Timestamp,
    /// When it, or its sign of life, is given up.
    pub deadline: Option<Timestamp>,
    /// Whether its service has accepted it.
    pub submitted: bool,
    /// Whether a worker has it.
    pub taken: bool,
    /// Whether it reads the items of a Map.
    pub reads_items: bool,
    /// Whether it writes the results of a Map.
    pub writes_results: bool,
}

/// A state that a branch stands in.
#[derive(Clone, Debug)]
pub struct StateNow {
    /// The branch.
    pub branch: BranchId,
    /// The state by name.
    pub state: Arc<str>,
    /// Its kind.
    pub kind: StateKind,
    /// When it was entered.
    pub since: Timestamp,
    /// When it is tried again; none when it is not waiting for that.
    pub next_try_at: Option<Timestamp>,
    /// What goes on, in a word: `running`, `waiting`, `retrying`, `task`, `reading`, `writing`, `branches`, `failed`, `aborted`.
    pub doing: &'static str,
}

impl WorkflowState {
    /// Returns how the execution began, and when; none before it did.
    #[must_use]
    pub fn started(&self) -> Option<(&ExecutionStarted, Timestamp)> {
        self.started.as_ref().map(|started| (&started.execution, started.at))
    }

    /// Returns when the execution ended; none while it runs.
    #[must_use]
    pub const fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// Returns the open task that a call is.
    #[must_use]
    pub fn open_task(&self, call: CallId) -> Option<OpenTask> {
        let branch_id = *self.calls.get(&call)?;
        let branch = self.branches.get(&branch_id)?;
        let attempt = u32::try_from(branch.retry_count()).unwrap_or(u32::MAX);
        match &branch.phase {
            Phase::Task(task) => Some(OpenTask {
                call,
                branch: branch_id,
                state: Arc::clone(&branch.state),
                resource: Arc::clone(&task.resource),
                input: Arc::clone(task.input.first().unwrap_or(&branch.value)),
                token: Arc::clone(&task.token),
                attempt,
                since: task.since,
                deadline: task.due(),
                submitted: task.submitted,
                taken: task.taken,
                reads_items: false,
                writes_results: false,
            }),
            Phase::Writing(_, join) => {
                let (resource, input) = join.writing.clone()?;
                Some(OpenTask { writes_results: true, ..whole(call, branch_id, branch, resource, input) })
            }
            Phase::Reading(_, join) => {
                let (resource, input) = join.asked.clone()?;
                Some(OpenTask { reads_items: true, ..whole(call, branch_id, branch, resource, input) })
            }
            _ => None,
        }
    }

    /// Returns the tasks under way.
    pub fn open_tasks(&self) -> impl Iterator<Item = OpenTask> {
        self.calls.keys().filter_map(|call| self.open_task(*call))
    }

    /// Returns the states that branches stand in.
    pub fn states_now(&self) -> impl Iterator<Item = StateNow> {
        let under_way = self.branches.iter().filter(|_| self.ended.is_none());
        under_way.filter(|(_, branch)| branch.entered_id > 0).map(|(id, branch)| StateNow {
            branch: *id,
            state: Arc::clone(&branch.state),
            kind: branch.kind,
            since: branch.entered_at,
            next_try_at: match &branch.phase {
                Phase::Backoff(until) => Some(*until),
                _ => None,
            },
            doing: match &branch.phase {
                Phase::Next(_) | Phase::Entered | Phase::Result(_) | Phase::Done => "running",
                Phase::Backoff(_) => "retrying",
                Phase::Wait(_) => "waiting",
                Phase::Task(_) => "task",
                Phase::Reading(..) => "reading",
                Phase::Writing(..) => "writing",
                Phase::Join(_) => "branches",
                Phase::Failed(_) => "failed",
                Phase::Aborted => "aborted",
            },
        })
    }
}

/// Returns a task that is done for a whole Map.
fn whole(call: CallId, id: BranchId, branch: &Branch, resource: Arc<str>, input: Arc<Value>) -> OpenTask {
    OpenTask {
        call,
        branch: id,
        state: Arc::clone(&branch.state),
        resource,
        input,
        token: "".into(),
        attempt: u32::try_from(branch.retry_count()).unwrap_or(u32::MAX),
        since: branch.entered_at,
        deadline: None,
        submitted: false,
        taken: false,
        reads_items: false,
        writes_results: false,
    }
}
