//! The events of a journal. They are written for ever: a field may be added with a default, never renamed or removed.
//!
//! An event says what happened and carries everything that its fold needs; ids, absolute deadlines and jitter were
//! minted when it was decided. Encoded as externally tagged JSON: `{"tool_returned": {…}}`.

use crate::{
    id::{CallId, ContentHash, RunId, Seq, UserId},
    message::{Message, StopReason, Usage},
    port::{Caller, Priority},
    time::Timestamp,
    tool::ToolOutput,
    workflow_event::WorkflowEvent,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// An event at its place in a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its position in the run, from 1.
    pub seq: Seq,
    /// When its batch was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The run exists. Always the first event.
    RunStarted(RunStarted),
    /// The run goes on as a copy of another one's prefix; call ids before `at` keep their results.
    Forked(Forked),
    /// A turn was asked for and waits for the one under way.
    TurnQueued(TurnInput),
    /// A turn begins, with a new message…
    TurnStarted(TurnInput),
    /// …or with the one that waits longest.
    QueuedTurnStarted(QueuedTurnStarted),
    /// A model call is intended; its id is this event's position.
    ModelCalled(ModelCalled),
    /// A model call ended well.
    ModelReplied(ModelReplied),
    /// A model call failed for good, or its attempt was lost.
    ModelFailed(ModelFailed),
    /// A tool call is intended; its id is this event's position. It begins here when it has a deadline.
    ToolRequested(ToolRequested),
    /// The facts for the approval of a call are known.
    ToolPrepared(ToolPrepared),
    /// A person is asked about a call.
    QuestionAsked(QuestionAsked),
    /// A person (or the deadline) answered.
    QuestionAnswered(QuestionAnswered),
    /// A tool call begins after a look or a question: from here on its effect may have happened.
    ToolBegun(ToolBegun),
    /// A tool call is closed with what the model will read.
    ToolReturned(ToolReturned),
    /// Somebody wants the turn to end.
    CancelRequested(CancelRequested),
    /// A turn is over.
    TurnEnded(TurnEnded),
    /// Something happened in a workflow.
    Workflow(WorkflowEvent),
}

/// See [`Event::RunStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Which machine interprets the run.
    pub kind: RunKind,
    /// The agent or workflow by name.
    pub name: String,
    /// On whose behalf.
    pub user: UserId,
    /// What the user calls the session.
    pub session: String,
    /// The run that started this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
}

/// Which machine interprets a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// The agent loop: the model decides the next step.
    Agent,
    /// A workflow: a States Language definition decides the next step.
    Workflow,
}

/// See [`Event::Forked`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forked {
    /// The run whose prefix was copied.
    pub from: RunId,
    /// The last position that was copied.
    pub at: Seq,
    /// What the user calls the new session.
    pub session: String,
}

/// A turn as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnInput {
    /// The key of the start: a second start with it joins the turn. It is unique in the run.
    pub key: String,
    /// The hash of the request that came with the key; another request under the same key is refused.
    pub request_hash: ContentHash,
    /// What the person says.
    pub message: Arc<Message>,
    /// The agent definition that the turn is pinned to.
    pub definition: ContentHash,
    /// The system prompt, rendered for this turn, when it differs from that of the turn before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Arc<str>>,
    /// The wall time of the turn in seconds; absent: the definition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// What its calls are counted and billed to, beside the user; absent: nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Arc<Billing>>,
}

/// What the calls of a turn are counted and billed to, and what bounds them, as the request that began it said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billing {
    /// The id of the API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The team that the key belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What the client says that it belongs to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Where the data may be worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<String>,
    /// Whether somebody waits for it.
    #[serde(default, skip_serializing_if = "Priority::is_interactive")]
    pub priority: Priority,
}

impl Billing {
    /// Returns what `caller` says, if that is anything.
    #[must_use]
    pub fn of(caller: &Caller) -> Option<Self> {
        let billing = Self {
            key: caller.key.clone(),
            team: caller.team.clone(),
            tags: caller.tags.clone(),
            jurisdiction: caller.jurisdiction.clone(),
            priority: caller.priority,
        };
        (billing != Self::default()).then_some(billing)
    }

    /// Says it of a call.
    #[must_use]
    pub fn on(&self, caller: Caller) -> Caller {
        let Self { key, team, tags, jurisdiction, priority } = self.clone();
        Caller { key, team, tags, jurisdiction, priority, ..caller }
    }
}

/// See [`Event::QueuedTurnStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueuedTurnStarted {
    /// The position of its `TurnQueued`.
    pub queued: Seq,
}

/// See [`Event::ModelCalled`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCalled {
    /// The route that the call takes.
    pub route: String,
    /// The position of the oldest message that the model is shown; the turn's own question is always shown.
    pub from: Seq,
    /// Which attempt this is at the same point of the conversation, from 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attempt: u32,
    /// Output tokens allowed.
    pub max_tokens: u32,
    /// Money reserved, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: u64,
    /// When the call is given up.
    pub deadline: Timestamp,
    /// Not before this time (a retry after a failure).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// See [`Event::ModelReplied`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReplied {
    /// The call that this ends.
    pub call: CallId,
    /// What the model said.
    pub message: Arc<Message>,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// Tokens.
    pub usage: Usage,
    /// Money, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: u64,
    /// The model that answered, as its provider names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub took_ms: u64,
    /// The text is not whole: a new turn or a cancel cut it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// See [`Event::ModelFailed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFailed {
    /// The call that this ends.
    pub call: CallId,
    /// A stable code, for example `model_overloaded` or `attempt_lost`.
    pub code: String,
    /// What went wrong, for people; no secret and no internal address.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// When the provider asked to be called again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Tokens known to have been spent.
    #[serde(default)]
    pub usage: Usage,
    /// Money known or assumed to have been spent, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: u64,
}

/// See [`Event::ToolRequested`]. The arguments stand in the model's message and are not repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolRequested {
    /// The position of the model's reply that asks for it.
    pub reply: Seq,
    /// Which of the reply's tool uses it is, from 0.
    pub index: u32,
    /// The tool's name.
    pub name: String,
    /// When the call is given up. Present: the call begins with this event, as with [`Event::ToolBegun`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// See [`Event::ToolPrepared`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolPrepared {
    /// The call.
    pub call: CallId,
    /// What was found.
    pub preparation: Preparation,
}

/// What the look before a call found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preparation {
    /// It may run without asking.
    Run,
    /// A person decides.
    Ask {
        /// The question, for people.
        question: String,
        /// The facts, from the tool's own read-only query.
        #[serde(default)]
        preview: Value,
    },
    /// It cannot run: the model reads this instead.
    Refuse(ToolOutput),
}

/// See [`Event::QuestionAsked`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionAsked {
    /// The call that waits.
    pub call: CallId,
    /// What is asked.
    pub kind: QuestionKind,
    /// The question, for people.
    pub question: String,
    /// The facts that decide it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub preview: Value,
    /// When the answer is taken to be no.
    pub deadline: Timestamp,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// May this call run?
    Approval,
    /// This call began and its outcome is lost; may it be made again?
    OutcomeUnknown,
}

/// See [`Event::QuestionAnswered`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionAnswered {
    /// The call that waited.
    pub call: CallId,
    /// Yes or no.
    pub approved: bool,
    /// Who said so; absent: the deadline did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// A word to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// See [`Event::ToolBegun`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolBegun {
    /// The call.
    pub call: CallId,
    /// When the call is given up.
    pub deadline: Timestamp,
}

/// See [`Event::ToolReturned`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolReturned {
    /// The call that this closes.
    pub call: CallId,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// What the model reads.
    pub output: Arc<ToolOutput>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub took_ms: u64,
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolOutcome {
    /// It ran; its output may still be an error of its own.
    Done,
    /// Its arguments were no JSON or did not fit its schema; nothing ran.
    InvalidInput,
    /// No such tool for this agent; nothing ran.
    UnknownTool,
    /// It failed and is known to have had no effect, or may be repeated and kept failing.
    Failed,
    /// A person or the deadline said no; nothing ran.
    Refused,
    /// The turn ended before it began; nothing ran.
    Cancelled,
    /// It began, and whether it had its effect is not known.
    OutcomeUnknown,
    /// A limit of the turn forbade it; nothing ran.
    LimitReached,
}

/// See [`Event::CancelRequested`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CancelRequested {
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why the turn ends.
    pub reason: CancelReason,
    /// The queued turn that is withdrawn; absent: the one under way ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Seq>,
}

/// Why somebody ended a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// A person or client asked for it.
    Requested,
    /// A new turn interrupts it.
    Interrupted,
}

/// See [`Event::TurnEnded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnEnded {
    /// How it ended.
    pub outcome: TurnOutcome,
    /// What went wrong, for people, when it did not complete; never the answer itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    /// The model finished.
    Completed,
    /// The reply was cut at `max_tokens`.
    MaxTokens,
    /// A filter or guardrail of the provider replaced the reply, or the model refused.
    Refused,
    /// The conversation no longer fits the model.
    ContextExceeded,
    /// `max_iterations` model calls were made.
    MaxIterations,
    /// `max_tool_calls` tool calls were made.
    MaxToolCalls,
    /// `max_turn_tokens` tokens were spent.
    MaxTurnTokens,
    /// `max_cost_micros` of money would have been passed.
    MaxCost,
    /// `timeout_seconds` passed.
    Timeout,
    /// Somebody cancelled it.
    Cancelled,
    /// A new turn interrupted it.
    Interrupted,
    /// The model could not be reached or kept failing.
    ModelFailed,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
