//! What a machine is: a fold, and a decision. The runtime knows machines only through this.
//!
//! Invariant: nothing in this crate is asynchronous, does I/O, reads a clock or draws randomness.

use crate::{definition::Definition, workflow};
use bedplate_core::{
    agent::Price,
    event::{Event, Preparation},
    id::{CallId, RunId, Seq},
    message::Message,
    port::{
        journal::RunStatus,
        model::{ModelError, ModelReply, ModelRequest},
        tools::ToolError,
    },
    time::Timestamp,
    tool::{ToolDefinition, ToolOutput},
    workflow_event::{BranchId, ChildEnded},
};
use serde_json::Value;
use std::sync::Arc;

/// Everything a decision may depend on besides the state.
#[derive(Clone, Debug)]
pub struct Context {
    /// The present time.
    pub now: Timestamp,
    /// Fresh unpredictable bytes, for jitter.
    pub entropy: [u8; 16],
    /// The definition that the current (or next queued) turn is pinned to. The driver looks it up again before each
    /// `decide`, because a decision may end a turn and begin one that is pinned to another.
    pub definition: Option<Arc<Definition>>,
    /// What the definition's route costs now; prices are not pinned.
    pub price: Option<Price>,
    /// What of the open model call's reply has come so far, as far as the driver knows; only read when that call is
    /// cut (a cancel, an interrupt, a limit), so that its text is kept.
    pub partial: Option<Message>,
    /// The workflow definition that the execution is pinned to.
    pub workflow: Option<Arc<workflow::Definition>>,
    /// The run that is decided on.
    pub run: RunId,
    /// The open calls that may be begun again after a crash, as the driver knows: their effect is a run of ours, or
    /// they change nothing. Only read with [`Input::Recovered`].
    pub again: Vec<CallId>,
    /// Whether the driver can run child executions; without it a distributed Map does its iterations within.
    pub children: bool,
}

impl Context {
    /// Returns the context of a decision that depends on nothing but the time and randomness.
    #[must_use]
    pub const fn at(now: Timestamp, entropy: [u8; 16]) -> Self {
        let (definition, price, partial, workflow) = (None, None, None, None);
        Self {
            now,
            entropy,
            definition,
            price,
            partial,
            workflow,
            run: RunId([0; 16]),
            again: Vec::new(),
            children: false,
        }
    }
}

/// Something that came from outside.
#[derive(Clone, Debug)]
pub enum Input<S> {
    /// A person, client or timer said something; `S` is the machine's own signal type.
    Signal(S),
    /// A model call ended.
    Model {
        /// The call.
        call: CallId,
        /// Its reply, or why there is none.
        result: Result<ModelReply, ModelError>,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// The look before a tool call is done.
    Prepared {
        /// The call.
        call: CallId,
        /// What it found.
        result: Result<Preparation, ToolError>,
    },
    /// A tool call ended.
    Tool {
        /// The call.
        call: CallId,
        /// Its output, or why there is none.
        result: Result<ToolOutput, ToolError>,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// Something is known about a workflow's task.
    Task {
        /// The call.
        call: CallId,
        /// What is known.
        report: TaskReport,
    },
    /// Child executions of a distributed Map ended.
    Children {
        /// The Map, as [`Intent::RunChildren`] named it.
        call: CallId,
        /// What became of which child.
        ended: Vec<ChildEnded>,
    },
    /// The process that performed the open intents is gone: each was perhaps performed, and its result is lost.
    Recovered,
}

/// What is known about a workflow's task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskReport {
    /// The service accepted it; the result comes later.
    Submitted(Arc<Value>),
    /// It ended well.
    Succeeded(Arc<Value>),
    /// It failed.
    Failed {
        /// The error's name; callers may leave it out.
        error: Option<Arc<str>>,
        /// What went wrong.
        cause: Option<Arc<str>>,
    },
}

/// Something that must be done through a port. Performing it again after a crash is decided by the machine, never by
/// the driver.
#[derive(Clone, Debug)]
pub enum Intent {
    /// Call a model, not before `not_before`.
    CallModel {
        /// The call.
        call: CallId,
        /// What is asked; messages are shared, not copied.
        request: ModelRequest,
        /// When the call is given up.
        deadline: Timestamp,
        /// The earliest time to call (a retry).
        not_before: Option<Timestamp>,
    },
    /// Look before a tool call.
    PrepareTool {
        /// The call.
        call: CallId,
        /// The tool as pinned.
        tool: Arc<ToolDefinition>,
        /// The arguments.
        input: Value,
        /// When the look is given up.
        deadline: Timestamp,
    },
    /// Call a tool.
    CallTool {
        /// The call.
        call: CallId,
        /// The tool as pinned.
        tool: Arc<ToolDefinition>,
        /// The arguments.
        input: Value,
        /// When the call is given up.
        deadline: Timestamp,
    },
    /// Run a workflow's task and report on it with [`Input::Task`]. The machine itself watches its time.
    RunTask {
        /// The call.
        call: CallId,
        /// The resource's ARN.
        resource: Arc<str>,
        /// What the task is given.
        input: Arc<Value>,
        /// The token under which others may give the result.
        token: Arc<str>,
        /// The role of the task, when the state names one.
        role: Option<Arc<str>>,
        /// When the task is given up; none: never.
        deadline: Option<Timestamp>,
    },
    /// Run child executions of a distributed Map and report on them with [`Input::Children`]. One that has begun
    /// before is not begun again.
    RunChildren {
        /// The Map.
        call: CallId,
        /// The branch that stands in it.
        branch: BranchId,
        /// Which items.
        indexes: Vec<u64>,
    },
    /// Stop performing a call whose result no longer matters (its turn ended, or the attempt is overdue). Nothing is
    /// reported back; a result that comes all the same is stale and is dropped by `accept`. When the same decision
    /// begins another attempt at the call, that intent follows this one.
    Abandon {
        /// The call.
        call: CallId,
    },
}

impl Intent {
    /// Returns the call that it is about.
    #[must_use]
    pub const fn call(&self) -> CallId {
        match self {
            Self::CallModel { call, .. }
            | Self::PrepareTool { call, .. }
            | Self::CallTool { call, .. }
            | Self::RunTask { call, .. }
            | Self::RunChildren { call, .. }
            | Self::Abandon { call } => *call,
        }
    }
}

/// What was decided: events to append, and what to do once they are durable.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// The events, in order.
    pub events: Vec<Event>,
    /// The intents, in order.
    pub intents: Vec<Intent>,
}

/// An interpreter of one kind of run.
///
/// The driver's step, whole: for each input, `accept` and apply the events; then `decide` and apply the events, until
/// there is none; append all events in one batch; then perform all intents, those of `accept` and of `decide`, in order.
/// Several inputs may go into one batch; `decide` runs to its end after each of them.
pub trait Machine {
    /// The folded state of a run.
    type State: Default + Send + 'static;
    /// What others may say to a run.
    type Signal: serde::Serialize + serde::de::DeserializeOwned + Send + 'static;

    /// Folds the event at `seq`, decided at `at`, into the state. It evaluates nothing and cannot fail: an event that
    /// makes no sense in the state changes nothing but the position.
    fn apply(state: &mut Self::State, seq: Seq, at: Timestamp, event: &Event);

    /// Returns what `input` means in this state; nothing when it is stale (a result of a call that is closed, an answer
    /// to a question that is not open). Positions of the events are `position + 1`, `+ 2`, …. Intents without events
    /// are possible: after [`Input::Recovered`], what had begun and may be done again is done again.
    fn accept(state: &Self::State, input: Input<Self::Signal>, context: &Context) -> Decision;

    /// Returns what happens next; nothing when the run waits. It never returns an intent without an event.
    fn decide(state: &Self::State, context: &Context) -> Decision;

    /// Returns the position of the last event folded.
    fn position(state: &Self::State) -> Seq;

    /// Returns when `decide` must be asked again without an input (a deadline, a retry); none when never.
    fn wake_at(state: &Self::State) -> Option<Timestamp>;

    /// Returns the state as lists show it.
    fn status(state: &Self::State) -> RunStatus;

    /// Returns the compact form of the state for a snapshot. It refers to messages by position and never repeats them.
    fn snapshot(state: &Self::State) -> Vec<u8>;

    /// Returns the state that `snapshot` gave at `seq`, and the positions of the events that must be folded again with
    /// [`Machine::restore_entry`] before it is whole; none when the bytes are of an older form, and everything is
    /// folded from the start.
    fn restore(snapshot: &[u8]) -> Option<(Self::State, Vec<Seq>)>;

    /// Gives a restored state the content of the event at `seq`, which it refers to.
    fn restore_entry(state: &mut Self::State, seq: Seq, at: Timestamp, event: &Event);
}
