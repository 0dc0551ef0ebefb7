//! What callers give to executions and get from them: requests, views and errors.

use crate::api::{Difference, RunError};
use bedplate_core::workflow_event::ExecutionOutcome;
use bedplate_core::{
    id::{ContentHash, RunId, Seq, Tenant, UserId},
    port::{
        journal::{Head, RunStatus},
        workflows::PinnedWorkflow,
    },
    time::Timestamp,
};
use bedplate_engine::workflow::{
    MapRunNow, NotForkable, OpenTask, StateNow, WorkflowState, definition::InvalidDefinition, history::HistoryEvent,
};
use serde_json::Value;
use std::sync::Arc;

/// An execution that somebody wants.
#[derive(Clone, Debug)]
pub struct StartExecution {
    /// Whose tenant.
    pub tenant: Tenant,
    /// On whose behalf.
    pub user: UserId,
    /// The execution's ARN; the run's id follows from it.
    pub execution: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The state machine.
    pub workflow: PinnedWorkflow,
    /// The input.
    pub input: Arc<Value>,
    /// The trace that it belongs to, as the caller says.
    pub trace_header: Option<Arc<str>>,
}

/// An execution whose start is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedExecution {
    /// Its run.
    pub run: RunId,
    /// Its ARN.
    pub execution: Arc<str>,
    /// When it began.
    pub started_at: Timestamp,
    /// Whether an earlier start made it.
    pub joined: bool,
}

/// An execution that did not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartExecutionError {
    /// There is an execution of this name, and it is over or has another input.
    #[error("failed to start the execution: there is one of this name")]
    AlreadyExists {
        /// Whether it still runs.
        running: bool,
        /// Whether its input is the same.
        same_input: bool,
    },
    /// The definition cannot be used.
    #[error("failed to start the execution: {0}")]
    Definition(InvalidDefinition),
    /// The input passes the limit.
    #[error("failed to start the execution: the input has more than {limit} bytes")]
    InputTooLarge {
        /// How large it may be.
        limit: usize,
    },
    /// The execution was deleted.
    #[error("failed to start the execution: it was deleted")]
    Deleted,
    /// The store failed; whether the execution started is not known. The same name makes a repeat safe.
    #[error("failed to start the execution: {0}")]
    Store(String),
    /// The process is stopping.
    #[error("failed to start the execution: the server is shutting down")]
    ShuttingDown,
}

/// How an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutionStatus {
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// A failure was not caught.
    Failed,
    /// Its time passed.
    TimedOut,
    /// It was stopped.
    Aborted,
}

impl ExecutionStatus {
    /// Returns the word of the Step Functions API, for example `TIMED_OUT`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

impl From<RunStatus> for ExecutionStatus {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Idle | RunStatus::Running | RunStatus::Waiting => Self::Running,
            RunStatus::Succeeded => Self::Succeeded,
            RunStatus::Failed => Self::Failed,
            RunStatus::TimedOut => Self::TimedOut,
            RunStatus::Aborted => Self::Aborted,
        }
    }
}

/// An execution, folded.
#[derive(Clone, Debug)]
pub struct ExecutionView {
    /// Its run.
    pub run: RunId,
    /// Its tenant.
    pub tenant: Tenant,
    /// On whose behalf it runs.
    pub user: UserId,
    /// The run that started it.
    pub parent: Option<RunId>,
    /// How it stands.
    pub status: ExecutionStatus,
    /// Its ARN.
    pub execution: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The state machine's ARN.
    pub machine: Arc<str>,
    /// The state machine's name.
    pub machine_name: Arc<str>,
    /// The version or alias under which it was started, as an ARN.
    pub qualified: Option<Arc<str>>,
    /// The version that this led to, as an ARN.
    pub version: Option<Arc<str>>,
    /// The role.
    pub role: Arc<str>,
    /// Whether it is an express execution.
    pub express: bool,
    /// The definition that it is pinned to.
    pub definition: ContentHash,
    /// The input.
    pub input: Arc<Value>,
    /// The output of one that ended well.
    pub output: Option<Arc<Value>>,
    /// The error's name of one that did not.
    pub error: Option<Arc<str>>,
    /// What went wrong.
    pub cause: Option<Arc<str>>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// How often it was redriven.
    pub redrive_count: u64,
    /// When it was last redriven.
    pub redriven_at: Option<Timestamp>,
    /// Whether it may be redriven, or why not.
    pub redrivable: Result<(), &'static str>,
    /// The map run whose child it is, as an ARN.
    pub map_run: Option<Arc<str>>,
    /// Its map runs, oldest first.
    pub map_runs: Vec<MapRunView>,
    /// The states that branches stand in.
    pub states: Vec<StateNow>,
    /// The tasks under way.
    pub tasks: Vec<OpenTask>,
    /// How many events its history has.
    pub history_length: u64,
    /// The trace that it belongs to.
    pub trace_header: Option<Arc<str>>,
    /// Of which run's prefix it is a copy, and how many events of its journal that is.
    pub forked_from: Option<(RunId, Seq)>,
}

impl ExecutionView {
    /// Returns the view that a state gives; none before the execution began.
    pub(crate) fn of(
        tenant: &Tenant,
        run: RunId,
        user: &UserId,
        parent: Option<RunId>,
        state: &WorkflowState,
    ) -> Option<Self> {
        let (execution, started_at) = state.started()?;
        let ended = state.ended();
        Some(Self {
            run,
            tenant: tenant.clone(),
            user: user.clone(),
            parent,
            status: ended.map_or(ExecutionStatus::Running, |ended| match ended.outcome {
                ExecutionOutcome::Succeeded => ExecutionStatus::Succeeded,
                ExecutionOutcome::Failed => ExecutionStatus::Failed,
                ExecutionOutcome::TimedOut => ExecutionStatus::TimedOut,
                ExecutionOutcome::Aborted => ExecutionStatus::Aborted,
            }),
            execution: Arc::clone(&execution.execution),
            name: Arc::clone(&execution.name),
            machine: Arc::clone(&execution.machine),
            machine_name: Arc::clone(&execution.machine_name),
            qualified: execution.qualified.clone(),
            version: execution.version.clone(),
            role: Arc::clone(&execution.role),
            express: execution.express,
            definition: execution.definition,
            input: Arc::clone(&execution.input),
            output: state.output().cloned(),
            error: ended.and_then(|ended| ended.error.clone()),
            cause: ended.and_then(|ended| ended.cause.clone()),
            started_at,
            stopped_at: state.ended_at(),
            redrive_count: state.redrives().0,
            redriven_at: state.redrives().1,
            redrivable: state.redrivable(),
            map_run: execution.map_run.clone(),
            map_runs: state
                .map_runs()
                .map(|now| MapRunView { execution: Arc::clone(&execution.execution), run, now })
                .collect(),
            states: state.states_now().collect(),
            tasks: state.open_tasks().filter(|task| !task.reads_items).collect(),
            history_length: state.history_length(),
            trace_header: execution.trace.clone(),
            forked_from: state.forked_from(),
        })
    }
}

/// A map run of an execution.
#[derive(Clone, Debug)]
pub struct MapRunView {
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// The execution's run.
    pub run: RunId,
    /// How it stands.
    pub now: MapRunNow,
}

/// An execution in a list, from its head row alone.
#[derive(Clone, Debug)]
pub struct ExecutionSummary {
    /// Its run.
    pub run: RunId,
    /// Its ARN.
    pub execution: String,
    /// Its name.
    pub name: String,
    /// The state machine's name, or the ARN of the map run whose child it is.
    pub of: String,
    /// On whose behalf it runs.
    pub user: UserId,
    /// How it stands.
    pub status: ExecutionStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// The run that started it.
    pub parent: Option<RunId>,
}

impl ExecutionSummary {
    pub(crate) fn of(head: Head) -> Self {
        let status = ExecutionStatus::from(head.status);
        Self {
            run: head.run.id,
            execution: head.session,
            name: head.title,
            of: head.name,
            user: head.user,
            status,
            started_at: head.created_at,
            stopped_at: (status != ExecutionStatus::Running).then_some(head.touched_at),
            parent: head.parent,
        }
    }
}

/// A page of executions, latest touched first.
#[derive(Clone, Debug)]
pub struct ExecutionPage {
    /// The executions.
    pub executions: Vec<ExecutionSummary>,
    /// Where the next page begins; none: this is the last.
    pub cursor: Option<String>,
}

/// Which events of a history are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only those after the event of this id, in the page's order; none: from the beginning, or the end.
    pub after: Option<u64>,
    /// Whether the latest comes first.
    pub reverse: bool,
    /// How many at most; at least 1.
    pub limit: usize,
}

/// A page of a history.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The events.
    pub events: Vec<HistoryEvent>,
    /// Whether there are more.
    pub more: bool,
}

/// A task that a worker took.
#[derive(Clone, Debug)]
pub struct ActivityTask {
    /// The token under which the worker answers.
    pub token: Arc<str>,
    /// What the task is given.
    pub input: Arc<Value>,
}

/// A word under a token that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of ours.
    #[error("failed to answer for the task: the token is not valid")]
    Invalid,
    /// The task is over, or its time is.
    #[error("failed to answer for the task: it is over, or its time is")]
    TimedOut,
    /// As for every word to a run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// An execution that was not redriven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedriveError {
    /// Why it cannot be.
    #[error("failed to redrive: {0}")]
    NotRedrivable(&'static str),
    /// As for every word to a run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A copy of an execution's prefix that somebody wants.
#[derive(Clone, Debug)]
pub struct ForkExecution {
    /// Whose tenant.
    pub tenant: Tenant,
    /// The execution whose prefix is copied.
    pub run: RunId,
    /// Up to which position of its journal; that of a state's entry: up to just before it.
    pub at: Seq,
    /// The copy's name.
    pub name: Arc<str>,
    /// The copy's ARN; its run's id follows from it.
    pub execution: Arc<str>,
    /// The definition that it goes on under; none: the original's.
    pub definition: Option<PinnedWorkflow>,
    /// Another input of the state that is entered at `at`.
    pub input: Option<Arc<Value>>,
    /// Whether an execution of that name that is the same copy is joined.
    pub joins: bool,
}

/// A copy that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkedExecution {
    /// Its run.
    pub run: RunId,
    /// The last position that was copied.
    pub at: Seq,
    /// Whether it was there already.
    pub joined: bool,
}

/// An execution that was not forked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ForkExecutionError {
    /// There is an execution of that name.
    #[error("failed to fork: there is an execution of that name")]
    Exists,
    /// It cannot go on from there.
    #[error("failed to fork: {0}")]
    NotForkable(#[from] NotForkable),
    /// The definition cannot be used.
    #[error("failed to fork: {0}")]
    Definition(InvalidDefinition),
    /// An input was given, and no state is entered there.
    #[error("failed to fork: no state is entered at that position, so none can get another input")]
    NoEntry,
    /// The input passes the limit.
    #[error("failed to fork: the input is larger than a payload may be")]
    InputTooLarge,
    /// As for every look at a run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// An execution run again against its own records.
#[derive(Clone, Debug)]
pub struct ExecutionReplay {
    /// The entries that were replayed.
    pub entries: u64,
    /// Where the machine of today decides differently; empty: nowhere.
    pub differences: Vec<Difference>,
}
