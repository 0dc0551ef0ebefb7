//! The Model port: one call of a model through the gateway.

use super::{BoxFuture, BoxStream, Caller};
use crate::{
    agent::Price,
    message::{ContentBlock, Message, Reasoning, StopReason, Usage},
    time::Timestamp,
    tool::ToolSpec,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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
    pub asked: Asked,
    /// Whether the reply is wanted piece by piece as it is made. A whole one comes as its events all the same.
    pub stream: bool,
    /// When the caller stops waiting.
    pub deadline: Option<Timestamp>,
}

impl ModelCall {
    /// Returns a streamed call of `request` without a deadline.
    #[must_use]
    pub fn new(caller: Caller, request: ModelRequest) -> Self {
        Self { caller, asked: Asked::Core(request), stream: true, deadline: None }
    }
}

/// A request in one of its two forms.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// In core form.
    Core(ModelRequest),
    /// As a client sent it.
    Raw(RawRequest),
}

impl Asked {
    /// Returns the route or model that is asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::Core(request) => &request.model,
            Self::Raw(request) => &request.model,
        }
    }
}

/// A request as a client sent it. A provider of the same dialect gets it with unknown fields kept byte for byte; for
/// any other the gateway decodes it, and answers with events.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRequest {
    /// The dialect's name (`NAME` of its module).
    pub dialect: &'static str,
    /// The route that is asked for.
    pub model: String,
    /// A JSON object in UTF-8.
    pub body: Bytes,
    /// Where in `body` the value of the model's name stands, with its quotes; empty where it stands in no body.
    pub model_at: Range<usize>,
    /// Headers of the dialect that its providers take (`anthropic-beta`, …), by name in small letters.
    pub headers: Vec<(&'static str, String)>,
}

/// The events of a reply as they come.
pub type Events = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// What a model says to a call that it accepted.
pub enum Answer {
    /// In core form.
    Events(Events),
    /// In the dialect of a raw request.
    Raw(RawReply),
}

impl Answer {
    /// Returns the events of an answer to a core request.
    ///
    /// # Errors
    /// [`ModelErrorKind::InvalidReply`] when the model broke the port's promise and answered in its own dialect.
    pub fn into_events(self) -> Result<Events, ModelError> {
        match self {
            Self::Events(events) => Ok(events),
            Self::Raw(_) => Err(ModelError::new(
                ModelErrorKind::InvalidReply,
                "the model answered in a dialect that nobody asked for",
            )),
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Events(_) => f.write_str("Events(…)"),
            Self::Raw(reply) => reply.fmt(f),
        }
    }
}

/// A reply in its provider's own bytes.
#[derive(Debug)]
pub struct RawReply {
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: RawBody,
}

/// The bytes of a raw reply.
pub enum RawBody {
    /// A whole reply.
    Whole(Bytes, RawEnd),
    /// A stream. Unless it fails it ends with exactly one `End`, which comes only after the dialect's terminal event; a
    /// stream that ends without it was cut.
    Stream(BoxStream<'static, Result<RawPiece, ModelError>>),
}

impl std::fmt::Debug for RawBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes, end) => f.debug_tuple("Whole").field(&bytes.len()).field(end).finish(),
            Self::Stream(_) => f.write_str("Stream(…)"),
        }
    }
}

/// A piece of a raw stream.
#[derive(Clone, Debug, PartialEq)]
pub enum RawPiece {
    /// Whole events of the dialect, one or more.
    Bytes(Bytes),
    /// The reply is complete.
    End(RawEnd),
}

/// What was read of a raw reply as it passed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawEnd {
    /// Tokens, as the provider counted them; zero where it said nothing.
    pub usage: Usage,
    /// Money, in millionths of a US dollar; absent where no price is known.
    pub cost: Option<u64>,
}

/// What the port returns for a call.
#[derive(Debug)]
pub struct Answered {
    /// What the model says.
    pub answer: Answer,
    /// What became known of the call so far; it goes on being written while the answer is read.
    pub notes: Arc<Notes>,
}

impl Answered {
    /// Returns an answer of `events` about which nothing is noted.
    #[must_use]
    pub fn events(events: Events) -> Self {
        Self { answer: Answer::Events(events), notes: Arc::default() }
    }
}

/// What is noted about one call on its way, for its record and for the headers of the reply. Shared by all who handle
/// the call.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Noted>);

impl Notes {
    /// Returns notes that begin with `noted`.
    #[must_use]
    pub fn of(noted: Noted) -> Self {
        Self(Mutex::new(noted))
    }

    /// Changes what is noted.
    pub fn note(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns what is noted so far.
    #[must_use]
    pub fn read(&self) -> Noted {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// See [`Notes`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noted {
    /// The route that was asked for.
    pub route: Option<Arc<str>>,
    /// Why the route chose this model.
    pub reason: Option<Arc<str>>,
    /// The model that answers, by its name in the configuration.
    pub target: Option<Arc<str>>,
    /// What stands behind that name.
    pub info: Option<Arc<ModelInfo>>,
    /// Requests that were sent to providers.
    pub attempts: u32,
    /// What the cache said: `hit`, `semantic_hit`, `miss` or `bypass`; none where there is no cache.
    pub cache: Option<&'static str>,
    /// In which way the answer is less than what was asked for.
    pub degraded: Option<Arc<str>>,
    /// What a guard did.
    pub guard: Option<Arc<str>>,
    /// How many markers of the provider's prompt cache were set.
    pub prompt_cache_markers: u32,
    /// What the answer from the cache had cost, in millionths of a US dollar.
    pub saved: u64,
    /// How the caller's limits stand after this call was let in.
    pub limits: Option<Box<RateLimits>>,
    /// When the first piece of the reply came.
    pub first_piece: Option<Timestamp>,
    /// Fields of the request that the provider will not see, as `dialect.field`.
    pub untranslated: Vec<String>,
}

/// How the limits of a caller's plan stand, each by the one that is nearest to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests.
    pub requests: Option<Meter>,
    /// Input tokens.
    pub input_tokens: Option<Meter>,
    /// Output tokens.
    pub output_tokens: Option<Meter>,
    /// Input and output tokens together.
    pub tokens: Option<Meter>,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// How long until all of it is free again, if nothing more comes.
    pub reset: Duration,
}

/// A call for embeddings.
#[derive(Clone, Debug)]
pub struct EmbedCall {
    /// On whose behalf.
    pub caller: Caller,
    /// The route or model that is asked for.
    pub model: String,
    /// The texts.
    pub inputs: Vec<String>,
    /// The length of each vector; absent: the model's own.
    pub dimensions: Option<u32>,
    /// When the caller stops waiting.
    pub deadline: Option<Timestamp>,
    /// What becomes known of the call is written here.
    pub notes: Arc<Notes>,
}

/// Embeddings, one for each input in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// The vectors, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens; only `input` is ever used.
    pub usage: Usage,
    /// Money, in millionths of a US dollar; absent where no price is known.
    pub cost: Option<u64>,
    /// The model that answered, as its provider names it.
    pub model: String,
    /// The provider.
    pub provider: String,
}

/// Models behind their routes. Dropping the future or the stream cancels the call upstream.
pub trait Model: Send + Sync {
    /// Returns the reply. The future resolves when the provider has accepted the request. A core request is always
    /// answered with events; a raw one with whichever form its provider gives.
    ///
    /// # Errors
    /// [`ModelError`], both from the future and from the stream.
    fn call(&self, call: ModelCall) -> BoxFuture<'static, Result<Answered, ModelError>>;

    /// Returns the embeddings of texts.
    ///
    /// # Errors
    /// [`ModelError`]; `InvalidRequest` where the route's model makes none.
    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>>;

    /// Returns what stands behind `route` now; none when there is no such route.
    fn describe(&self, route: &str) -> Option<Arc<ModelInfo>>;

    /// Returns the names of all routes, sorted.
    fn routes(&self) -> Vec<String>;

    /// Returns whether there is a route called `name`.
    fn has_route(&self, name: &str) -> bool {
        self.routes().iter().any(|route| route == name)
    }
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
    /// How the limits stand that refused it, where those of a plan did.
    pub limits: Option<Box<RateLimits>>,
}

impl ModelError {
    /// Returns an error of `kind` that says `message` and knows of no spent tokens.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, usage: Usage::default(), limits: None }
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
    /// A limit or budget of the project does not allow it; waiting does not help soon.
    LimitExceeded,
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
            Self::LimitExceeded => "model_limit_exceeded",
            Self::Unavailable => "model_unavailable",
            Self::Timeout => "model_timeout",
            Self::BrokenStream => "model_broken_stream",
            Self::InvalidReply => "model_invalid_reply",
        }
    }
}
