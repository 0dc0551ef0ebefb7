//! The folded state of an agent's run, and what others may ask of it.

use super::{
    conversation::Conversation,
    request,
    view::{OpenQuestion, TurnView},
};
use crate::agent::snapshot::Restoring;
use bedplate_core::{
    agent::AgentDefinition,
    event::{Billing, CancelReason, Preparation, QuestionAsked, QuestionKind, TurnInput},
    id::{CallId, ContentHash, Seq},
    message::{Message, StopReason, ToolUse},
    port::model::ModelRequest,
    time::Timestamp,
    tool::ToolOutput,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How many ended turns a state remembers with their figures; of older ones only the keys.
pub const TURNS_KEPT: usize = 256;

/// How many model calls a state remembers for [`AgentState::request_of`].
pub(super) const CALLS_KEPT: usize = 256;

/// The folded state of an agent's run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentState {
    pub(super) position: Seq,
    pub(super) conversation: Conversation,
    pub(super) system: Option<System>,
    /// What the latest turn that began is pinned to.
    pub(super) pinned: Option<ContentHash>,
    pub(super) turn: Option<Turn>,
    pub(super) queue: VecDeque<Queued>,
    /// The queued turn that interrupts the one under way: it begins before the others.
    pub(super) interrupter: Option<Seq>,
    pub(super) finished: VecDeque<TurnView>,
    pub(super) keys: HashMap<Arc<str>, KnownKey>,
    pub(super) calls: VecDeque<CallRecord>,
    pub(super) restoring: Option<Box<Restoring>>,
}

/// A rendered system prompt and where it was said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct System {
    pub at: Seq,
    pub text: Arc<str>,
}

/// The turn that a key started.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KnownKey {
    pub turn: Seq,
    pub request_hash: ContentHash,
}

/// A turn that waits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queued {
    pub view: TurnView,
    pub input: TurnInput,
}

/// The turn under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub view: TurnView,
    pub definition: ContentHash,
    pub timeout_seconds: Option<u64>,
    pub billing: Option<Arc<Billing>>,
    /// The position of its question in the conversation.
    pub question: Seq,
    pub cancel: Option<CancelReason>,
    /// Milliseconds that it waited for people.
    pub waited_ms: u64,
    /// Since when it waits for a person.
    pub waiting_since: Option<Timestamp>,
    pub next: Next,
    pub tries: Tries,
    /// The reply that is or was handled last.
    pub reply: Option<Reply>,
    /// The calls of that reply that were requested and are not all closed.
    pub calls: Vec<Call>,
}

/// What a turn does next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// The model is called.
    AskModel,
    /// The model's reply is awaited.
    AwaitModel(OpenModel),
    /// The model failed: it is called again, or the turn ends.
    HandleFailure(Failure),
    /// The model replied: its calls are requested, or the turn ends.
    HandleReply,
    /// Tool calls are awaited.
    AwaitCalls,
}

/// An open model call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenModel {
    pub call: CallId,
    pub max_tokens: u32,
    pub deadline: Timestamp,
}

/// A failed model call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub message: String,
    pub retryable: bool,
    pub retry_after_ms: Option<u64>,
    /// A crash lost its outcome.
    pub lost: bool,
    pub at: Timestamp,
}

/// What was tried at the present point of the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tries {
    /// Model calls that were begun.
    pub attempts: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those whose outcome a crash lost.
    pub lost: u32,
}

/// A reply of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    pub seq: Seq,
    pub message: Arc<Message>,
    pub stop_reason: StopReason,
    /// Output tokens that its call allowed.
    pub max_tokens: u32,
    /// How many tools it calls.
    pub uses: usize,
}

/// A tool call that was requested.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub id: CallId,
    pub index: u32,
    pub name: String,
    /// How often it began.
    pub attempts: u32,
    /// What a person said to the model when they approved it.
    pub note: Option<String>,
    pub phase: Phase,
}

/// How far a tool call is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// The facts for its approval are being had.
    Looking,
    /// The facts are known, in the event at `at`.
    Prepared { at: Seq, preparation: Preparation },
    /// A person is asked, by the event at `at`.
    Asking { at: Seq, question: Box<QuestionAsked> },
    /// A person or the deadline answered.
    Answered { kind: QuestionKind, approved: bool, expired: bool },
    /// It is performed: its effect may have happened.
    Performing { deadline: Timestamp },
    /// It is closed by the event at `at`.
    Closed { at: Seq, output: Arc<ToolOutput> },
}

/// What a model call showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CallRecord {
    pub call: CallId,
    pub from: Seq,
    pub question: Seq,
    pub system: Option<Seq>,
    pub max_tokens: u32,
}

impl AgentState {
    /// Returns whether nothing is missing: a state that was restored from a snapshot is whole once it was given every
    /// event that the snapshot names. One that is not must not be used; fold the run from its start instead.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.restoring.is_none()
    }

    /// Returns the turn under way; its id is the position of its `TurnStarted` or `TurnQueued`.
    #[must_use]
    pub fn current_turn(&self) -> Option<Seq> {
        self.turn.as_ref().map(|turn| turn.view.id)
    }

    /// Returns the turns that wait, in the order in which they will begin.
    pub fn queued_turns(&self) -> impl Iterator<Item = Seq> {
        let first = self.interrupter;
        let others = self.queue.iter().map(|queued| queued.view.id).filter(move |id| Some(*id) != first);
        first.into_iter().chain(others)
    }

    /// Returns the turn that was started with `key`; keys are known as long as the run lives.
    #[must_use]
    pub fn turn_of_key(&self, key: &str) -> Option<Seq> {
        self.keys.get(key).map(|known| known.turn)
    }

    /// Returns a turn: the one under way, one that waits, or one of the last [`TURNS_KEPT`] that ended.
    #[must_use]
    pub fn turn(&self, turn: Seq) -> Option<&TurnView> {
        let current = self.turn.as_ref().map(|turn| &turn.view).filter(|view| view.id == turn);
        current
            .or_else(|| self.finished.iter().rev().find(|view| view.id == turn))
            .or_else(|| self.queue.iter().map(|queued| &queued.view).find(|view| view.id == turn))
    }

    /// Returns the turns that are remembered: those that ended, oldest first, the one under way, those that wait.
    pub fn turns(&self) -> impl Iterator<Item = &TurnView> {
        let queue = self.queue.iter().map(|queued| &queued.view);
        self.finished.iter().chain(self.turn.as_ref().map(|turn| &turn.view)).chain(queue)
    }

    /// Returns the definition that the turn under way, or else the next queued one, or else the last one is pinned to.
    #[must_use]
    pub fn definition(&self) -> Option<ContentHash> {
        match (&self.turn, self.next_queued()) {
            (Some(turn), _) => Some(turn.definition),
            (None, Some(queued)) => Some(queued.input.definition),
            (None, None) => self.pinned,
        }
    }

    /// Returns what the calls of the turn under way are billed to, beside the user; none: nothing is known.
    #[must_use]
    pub fn billing(&self) -> Option<&Arc<Billing>> {
        self.turn.as_ref().and_then(|turn| turn.billing.as_ref())
    }

    /// Returns the rendered system prompt in force.
    #[must_use]
    pub fn system(&self) -> Option<Arc<str>> {
        self.system.as_ref().map(|system| Arc::clone(&system.text))
    }

    /// Iterates over the whole conversation as kept: questions, replies, and the results of each reply's calls as one
    /// message in call order. Positions ascend: a queued turn's question has that of its `QueuedTurnStarted`, results
    /// have that of the last `ToolReturned`.
    pub fn messages(&self) -> impl Iterator<Item = (Seq, Arc<Message>)> {
        let conversation = &self.conversation;
        (0..conversation.len()).flat_map(move |group| {
            (conversation.first_part(group)..conversation.first_part(group + 1))
                .map(move |part| (conversation.parts()[part].seq, conversation.message(group, part, part + 1)))
        })
    }

    /// Returns the message at a position that [`AgentState::messages`] gives.
    #[must_use]
    pub fn message_at(&self, seq: Seq) -> Option<Arc<Message>> {
        let place = self.conversation.find(seq)?;
        Some(self.conversation.message(place.group, place.part, place.part + 1))
    }

    /// Iterates over the questions that wait for a person, in call order.
    pub fn open_questions(&self) -> impl Iterator<Item = OpenQuestion> {
        self.turn.iter().flat_map(|turn| {
            turn.calls.iter().filter_map(|call| match &call.phase {
                Phase::Asking { question, .. } => Some(OpenQuestion {
                    call: call.id,
                    kind: question.kind,
                    question: question.question.clone(),
                    preview: question.preview.clone(),
                    deadline: question.deadline,
                    tool: call.name.clone(),
                    input: turn.tool_use(call.index).map(|tool_use| tool_use.input.clone()).unwrap_or_default(),
                }),
                _ => None,
            })
        })
    }

    /// Returns what the model was shown by `call`, under the definition that its turn was pinned to; none when the
    /// state no longer knows it (an old call, or the system prompt changed since): then fold the run up to `call` only.
    #[must_use]
    pub fn request_of(&self, call: CallId, definition: &AgentDefinition) -> Option<ModelRequest> {
        request::of_call(self, call, definition)
    }

    /// Returns the open model call.
    #[must_use]
    pub fn open_model_call(&self) -> Option<CallId> {
        match self.turn.as_ref()?.next {
            Next::AwaitModel(ref open) => Some(open.call),
            _ => None,
        }
    }

    /// Iterates over the tool calls that are requested and not closed.
    pub fn open_tool_calls(&self) -> impl Iterator<Item = CallId> {
        let calls = self.turn.iter().flat_map(|turn| turn.calls.iter());
        calls.filter(|call| !call.closed()).map(|call| call.id)
    }

    /// Returns the queued turn that begins next.
    pub(super) fn next_queued(&self) -> Option<&Queued> {
        self.interrupter
            .and_then(|first| self.queue.iter().find(|queued| queued.view.id == first))
            .or_else(|| self.queue.front())
    }
}

impl Turn {
    /// Returns the tool use that call `index` of the present reply performs.
    pub fn tool_use(&self, index: u32) -> Option<&ToolUse> {
        self.reply.as_ref()?.message.tool_uses().nth(usize::try_from(index).ok()?)
    }

    /// Returns the call with this id.
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.iter().find(|call| call.id == id)
    }

    /// Returns for how many milliseconds it has worked at `now`; waiting for a person does not count.
    pub fn worked_ms(&self, now: Timestamp) -> u64 {
        let until = self.waiting_since.unwrap_or(now);
        let since = until.since(self.view.started_at).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_sub(self.waited_ms)
    }
}

impl Call {
    /// Returns whether it is closed.
    pub fn closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// Returns whether a person is being asked about it.
    pub fn asking(&self) -> bool {
        matches!(self.phase, Phase::Asking { .. })
    }
}
