//! The Model port: one call of a model through the gateway.

use super::{BoxFuture, BoxStream, Caller};
use crate::{
    agent::Price,
    message::{ContentBlock, Message, Reasoning, StopReason, Usage},
    time::Timestamp,
    tool::ToolSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// A request to a model in core form.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRequest {
    /// The route or model that is asked for.
    pub model: String,
    /// The instructions of the system: text blocks and cache points.
    pub system: Vec<ContentBlock>,
    /// The conversation, oldest first; begins with a user's message and alternates after normalisation.
    pub messages: Vec<Arc<Message>>,
    /// The tools on offer.
    pub tools: Arc<[ToolSpec]>,
    /// Which of them must be used.
    pub tool_choice: ToolChoice,
    /// Sampling and length.
    pub params: ModelParams,
}

/// Whether and which tool the model must use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// Some tool.
    Any,
    /// This tool.
    Tool(String),
    /// No tool.
    None,
}

/// Sampling and length of a reply; absent fields leave the provider's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelParams {
    /// Output tokens allowed.
    pub max_tokens: Option<u32>,
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// 0 to 1.
    pub top_p: Option<f64>,
    /// Texts that end the reply.
    pub stop_sequences: Vec<String>,
    /// Whether several tools may be called in one reply; only ever sent together with tools.
    pub parallel_tool_calls: Option<bool>,
    /// What form the text of the reply must have; absent: words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFormat>,
    /// Provider fields that have no core form (Anthropic `thinking`, …), passed to providers of the same dialect.
    pub extra: serde_json::Map<String, Value>,
}

/// A form that the text of a reply must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Some JSON object.
    Json,
    /// A JSON value that a schema describes.
    Schema(OutputSchema),
}

/// The schema of a reply's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// What the client calls it, `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema (2020-12).
    pub schema: Value,
    /// Whether the provider must hold the model to it; absent: the provider's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A finished reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    /// What the model said.
    pub message: Message,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// The stop sequence that came up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_sequence: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// Money, in millionths of a US dollar; absent where no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// The model that answered, as its provider names it.
    pub model: String,
    /// The provider (`anthropic`, `openai`, `rehearsal`, `scripted`).
    pub provider: String,
}

/// A piece of a reply as it comes. Every stream that does not fail ends with exactly one `End`; a stream that ends
/// without it was cut, which is an error.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// A block begins. Indices count all blocks of the reply from 0.
    BlockStart {
        /// Which block.
        index: u32,
        /// What it is; for a tool use with its id and name.
        kind: BlockKind,
    },
    /// More of a text or reasoning block.
    TextDelta {
        /// Which block.
        index: u32,
        /// The new characters.
        text: String,
    },
    /// More of a tool use's arguments.
    InputDelta {
        /// Which block.
        index: u32,
        /// The new characters of the JSON.
        json: String,
    },
    /// What seals a reasoning block: its signature, or its redacted part. Its text came before and is empty here.
    ReasoningSeal {
        /// Which block.
        index: u32,
        /// The seal.
        seal: Reasoning,
    },
    /// A block is complete.
    BlockStop {
        /// Which block.
        index: u32,
    },
    /// What came is void: another attempt begins.
    Restart,
    /// The reply is complete.
    End(Box<ModelReply>),
}

/// What a block of a streamed reply is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Words.
    Text,
    /// Reasoning.
    Reasoning,
    /// A tool call.
    ToolUse {
        /// The model's id of the call.
        id: String,
        /// The tool's name.
        name: String,
    },
}

/// One call of a model.
#[derive(Clone, Debug)]
pub struct ModelCall {
    /// On whose behalf.
    pub caller: Caller,
    /// What is asked.
    pub request: ModelRequest,
    /// When the caller stops waiting.
    pub deadline: Option<Timestamp>,
}

/// Models behind their routes. Dropping the future or the stream cancels the call upstream.
pub trait Model: Send + Sync {
    /// Returns the stream of a reply. The future resolves when the provider has accepted the request.
    ///
    /// # Errors
    /// [`ModelError`], both from the future and from the stream.
    fn call(
        &self,
        call: ModelCall,
    ) -> BoxFuture<'static, Result<BoxStream<'static, Result<ModelEvent, ModelError>>, ModelError>>;

    /// Returns what stands behind `route` now; none when there is no such route.
    fn describe(&self, route: &str) -> Option<ModelInfo>;

    /// Returns the names of all routes, sorted.
    fn routes(&self) -> Vec<String>;
}

/// What stands behind a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The provider (`anthropic`, `openai`, `rehearsal`, `scripted`).
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    /// Whether it is a real foundation model; `rehearsal` and `scripted` are not, and everything says so.
    pub foundation_model: bool,
    /// What it costs, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// A model call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// What kind of failure.
    pub kind: ModelErrorKind,
    /// What went wrong, for people; no secret, no internal address.
    pub message: String,
    /// When the provider asked to be called again.
    pub retry_after: Option<Duration>,
    /// Tokens known to have been spent before it failed.
    pub usage: Usage,
}

impl ModelError {
    /// Returns an error of `kind` that says `message` and knows of no spent tokens.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, usage: Usage::default() }
    }
}

/// Kinds of failure of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelErrorKind {
    /// The request is wrong; it will never succeed.
    InvalidRequest,
    /// No such route or model.
    NotFound,
    /// The provider refused the credential.
    Unauthorized,
    /// The request is too large.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// The provider is overloaded or failed.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// The stream ended without its terminal event, or with bytes that are not the dialect's.
    BrokenStream,
    /// The reply could not be understood, or a script did not match.
    InvalidReply,
}

impl ModelErrorKind {
    /// Returns whether the same call may succeed later.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Timeout | Self::BrokenStream)
    }

    /// Returns the stable code, as journal and API say it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "model_invalid_request",
            Self::NotFound => "model_not_found",
            Self::Unauthorized => "model_unauthorized",
            Self::TooLarge => "model_request_too_large",
            Self::RateLimited => "model_rate_limited",
            Self::Unavailable => "model_unavailable",
            Self::Timeout => "model_timeout",
            Self::BrokenStream => "model_broken_stream",
            Self::InvalidReply => "model_invalid_reply",
        }
    }
}
