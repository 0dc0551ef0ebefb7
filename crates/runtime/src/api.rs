//! What callers give to the runtime and get from it: requests, results and errors.

use bedplate_core::{
    agent::SessionPolicy,
    event::{Billing, Entry, TurnOutcome},
    id::{CallId, RunId, Seq, Tenant, UserId},
    message::{Message, Usage},
    port::{
        definitions::PinnedAgent,
        journal::{AppendError, Head, ReadError},
        model::ModelEvent,
    },
};
use bedplate_engine::agent::{OpenQuestion, TurnView};
use std::sync::Arc;

/// A turn that somebody wants.
#[derive(Clone, Debug)]
pub struct StartTurn {
    /// Whose tenant.
    pub tenant: Tenant,
    /// On whose behalf.
    pub user: UserId,
    /// The agent by name.
    pub agent: String,
    /// The session; none: a fresh one, whose name follows from the idempotency key where there is one.
    pub session: Option<String>,
    /// What the person says.
    pub message: Message,
    /// A repeat with the same key joins the turn.
    pub idempotency_key: Option<String>,
    /// What happens while another turn is under way; none: as the agent says.
    pub policy: Option<SessionPolicy>,
    /// The wall time of the turn; none: as the agent says.
    pub timeout_seconds: Option<u64>,
    /// The agent as this turn alone has it, with another prompt or other limits; none: as the project declares it.
    pub adapted: Option<PinnedAgent>,
    /// What its calls are billed to, beside the user; none: nothing is known. It is no part of what a key stands for.
    pub billing: Option<Billing>,
}

/// A turn whose start is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The session's run.
    pub run: RunId,
    /// What the user calls the session.
    pub session: String,
    /// The turn.
    pub turn: Seq,
    /// Whether an earlier start with the same key made it.
    pub joined: bool,
    /// The turn that it waits for.
    pub queued_behind: Option<Seq>,
}

/// How a turn stands when nothing more happens by itself.
#[derive(Clone, Debug)]
pub enum TurnState {
    /// It is over.
    Ended(TurnOutcome),
    /// A person must answer first.
    Waiting(Vec<OpenQuestion>),
}

/// The result of a turn.
#[derive(Clone, Debug)]
pub struct TurnResult {
    /// The run.
    pub run: RunId,
    /// The turn.
    pub turn: Seq,
    /// How it stands.
    pub state: TurnState,
    /// The last reply of the turn; its text is the answer.
    pub answer: Option<Arc<Message>>,
    /// What went wrong, for people.
    pub message: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// Money in millionths of a US dollar.
    pub cost: u64,
    /// The model that answered last, as its provider names it; empty when none did.
    pub model: String,
    /// Model calls.
    pub iterations: u32,
    /// Tool calls.
    pub tool_calls: u32,
}

/// What a subscriber of a run sees.
#[derive(Clone, Debug)]
pub enum Live {
    /// An event of the journal, in order and exactly once.
    Entry(Entry),
    /// What a model said so far in a call that is under way.
    Partial {
        /// The call.
        call: CallId,
        /// The message as far as it came.
        message: Message,
    },
    /// More of what a model says.
    Delta {
        /// The call.
        call: CallId,
        /// The piece.
        event: ModelEvent,
    },
    /// What came of this call is void: another attempt begins.
    Restart {
        /// The call.
        call: CallId,
    },
    /// Everything that was journaled when the subscriber came has been given.
    CaughtUp,
    /// The subscriber was too slow; the stream ends. Subscribe again after this position.
    Lagged {
        /// The last position that was given.
        after: Seq,
    },
}

/// An answer that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The position of the answer.
    pub at: Seq,
}

/// The folded view of a run.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Its head row.
    pub head: Head,
    /// The position that the view stands at.
    pub at: Seq,
    /// The conversation.
    pub messages: Vec<(Seq, Arc<Message>)>,
    /// The turns that the fold keeps, oldest first.
    pub turns: Vec<TurnView>,
    /// Questions that wait for a person.
    pub questions: Vec<OpenQuestion>,
    /// The turn under way.
    pub current_turn: Option<Seq>,
    /// Tokens of all turns.
    pub usage: Usage,
    /// Money of all turns in millionths of a US dollar.
    pub cost: u64,
}

/// A run run again against its own records.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The entries that were replayed.
    pub entries: u64,
    /// The state that they fold to.
    pub view: RunView,
    /// Where the machine of today decides differently; empty: nowhere.
    pub differences: Vec<Difference>,
}

/// A batch that the machine would decide differently today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first position that differs.
    pub seq: Seq,
    /// What stands there.
    pub recorded: String,
    /// What would be decided.
    pub decided: String,
}

/// A turn that did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The project has no such agent.
    #[error("failed to start the turn: there is no agent called `{0}`")]
    UnknownAgent(String),
    /// The session's policy refuses a second turn.
    #[error("failed to start the turn: turn {turn} is under way")]
    Busy {
        /// The one under way.
        turn: Seq,
    },
    /// The idempotency key came with another request before.
    #[error("failed to start the turn: the idempotency key was used for another request")]
    KeyReused {
        /// The turn that it belongs to.
        turn: Seq,
    },
    /// The message passes a limit.
    #[error("failed to start the turn: the message has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The session was deleted.
    #[error("failed to start the turn: the session was deleted")]
    Deleted,
    /// The store failed; whether the turn started is not known. The same key makes a repeat safe.
    #[error("failed to start the turn: {0}")]
    Store(String),
    /// The process is stopping.
    #[error("failed to start the turn: the server is shutting down")]
    ShuttingDown,
}

/// A look at a run, or a word to it, that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// There is no such run for this tenant.
    #[error("failed to reach the run: there is no such run")]
    NotFound,
    /// The run has no such turn, call or position.
    #[error("failed to reach the run: it has no {what} {seq}")]
    NoSuch {
        /// What was looked for.
        what: &'static str,
        /// Where.
        seq: Seq,
    },
    /// The definition that the run is pinned to is missing or cannot be read.
    #[error("failed to reach the run: its definition {0} cannot be read")]
    Definition(String),
    /// The store failed. Retryable.
    #[error("failed to reach the run: {0}")]
    Store(String),
    /// The cursor of a list is none of ours.
    #[error("failed to list runs: the cursor is not valid")]
    BadCursor,
    /// The process is stopping.
    #[error("failed to reach the run: the server is shutting down")]
    ShuttingDown,
}

/// An answer that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The call does not wait for an answer: it was answered, its deadline passed, or it never asked.
    #[error("failed to answer: call {0} waits for no answer")]
    NotOpen(CallId),
    /// As for every word to a run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A run that was not forked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The user has a session of that name.
    #[error("failed to fork: the session `{0}` exists")]
    Exists(String),
    /// As for every look at a run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<ReadError> for RunError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::BadCursor => Self::BadCursor,
            other => Self::Store(other.to_string()),
        }
    }
}

impl From<AppendError> for RunError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::NotFound => Self::NotFound,
            other => Self::Store(other.to_string()),
        }
    }
}
