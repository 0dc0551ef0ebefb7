//! What others see of a run's state: turns and open questions.

use bedplate_core::{
    event::{QuestionKind, TurnOutcome},
    id::{CallId, Seq},
    message::Usage,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A turn as others see it: queued, under way or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnView {
    /// The position of its `TurnStarted` or `TurnQueued`.
    pub id: Seq,
    /// How it ended; none while it waits or is under way.
    pub outcome: Option<TurnOutcome>,
    /// What went wrong, for people, when it did not complete.
    pub message: Option<String>,
    /// The position of its last reply; the answer is all text of that message ([`super::AgentState::message_at`]).
    pub answer: Option<Seq>,
    /// The model that gave the last reply, as its provider names it; empty when none did.
    pub model: Arc<str>,
    /// Tokens of all its model calls, also of those that failed.
    pub usage: Usage,
    /// Money in millionths of a US dollar, settled.
    pub cost: u64,
    /// Model calls, without repeated attempts at the same point.
    pub iterations: u32,
    /// Tool calls, whatever became of them.
    pub tool_calls: u32,
    /// When it began; for a queued one, when it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl TurnView {
    pub(super) fn new(id: Seq, at: Timestamp) -> Self {
        Self {
            id,
            outcome: None,
            message: None,
            answer: None,
            model: "".into(),
            usage: Usage::default(),
            cost: 0,
            iterations: 0,
            tool_calls: 0,
            started_at: at,
            ended_at: None,
        }
    }
}

/// A question that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// The call that waits.
    pub call: CallId,
    /// What is asked.
    pub kind: QuestionKind,
    /// The question, for people.
    pub question: String,
    /// The facts that decide it.
    pub preview: Value,
    /// When the answer is taken to be no.
    pub deadline: Timestamp,
    /// The tool's name.
    pub tool: String,
    /// The arguments, as the model gave them.
    pub input: Value,
}
