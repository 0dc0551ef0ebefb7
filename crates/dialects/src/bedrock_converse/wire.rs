//! The shapes of Converse at the edge, as botocore's model of `bedrock-runtime` has them. Its unions are objects with
//! one field.

use crate::json::{self, null_default};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request; the model is in the path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Request {
    #[serde(default, deserialize_with = "null_default")]
    pub messages: Vec<Message>,
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<SystemBlock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_config: Option<InferenceConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig>,
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Map::is_empty")]
    pub additional_model_request_fields: Map<String, Value>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Request {
    /// Returns the body of the request.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }
}

/// The names of the fields of [`Request`] that are read.
pub(super) const REQUEST_FIELDS: &[&str] =
    &["messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields"];

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Message {
    pub role: String,
    pub content: Vec<Block>,
}

/// A content block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum Block {
    Text(String),
    Image(Image),
    Document(Document),
    ToolUse(ToolUse),
    ToolResult(ToolResult),
    ReasoningContent(Reasoning),
    CachePoint(CachePoint),
}

/// A block of the system's instructions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum SystemBlock {
    Text(String),
    CachePoint(CachePoint),
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Image {
    pub format: String,
    pub source: Source,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    pub name: String,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citations: Option<Citations>,
}

/// Whether the model should cite a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Citations {
    pub enabled: bool,
}

/// Where the bytes of an image or document are: base64, an object of S3, or the words themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum Source {
    Bytes(String),
    S3Location(Value),
    Text(String),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct ToolUse {
    pub tool_use_id: String,
    pub name: String,
    #[serde(default)]
    pub input: Value,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct ToolResult {
    pub tool_use_id: String,
    #[serde(default, deserialize_with = "null_default")]
    pub content: Vec<ResultBlock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A part of a tool's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum ResultBlock {
    Json(Value),
    Text(String),
    Image(Image),
}

/// Reasoning: readable with a signature, or redacted (base64).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum Reasoning {
    ReasoningText(ReasoningText),
    RedactedContent(String),
}

/// Readable reasoning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct ReasoningText {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The mark of a cache point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct CachePoint {
    #[serde(rename = "type")]
    pub kind: String,
}

impl CachePoint {
    pub(super) fn here() -> Self {
        Self { kind: "default".into() }
    }
}

/// Sampling and length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct InferenceConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
}

/// The tools on offer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct ToolConfig {
    pub tools: Vec<Tool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
}

/// A tool, or the end of what may be cached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum Tool {
    ToolSpec(ToolSpec),
    CachePoint(CachePoint),
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct ToolSpec {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub input_schema: InputSchema,
}

/// The schema of a tool's arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum InputSchema {
    Json(Value),
}

/// Which tool must be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum ToolChoice {
    Auto(Nothing),
    Any(Nothing),
    Tool(ToolName),
}

/// `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// The name of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct ToolName {
    pub name: String,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Reply {
    pub output: Output,
    pub stop_reason: String,
    #[serde(default)]
    pub usage: Usage,
    #[serde(default)]
    pub metrics: Metrics,
}

impl Reply {
    /// Returns the body of the reply.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum Output {
    Message(Message),
}

/// Tokens; `input_tokens` excludes cached ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Usage {
    #[serde(default)]
    pub input_tokens: u64,
    #[serde(default)]
    pub output_tokens: u64,
    #[serde(default)]
    pub total_tokens: u64,
    #[serde(default, deserialize_with = "null_default")]
    pub cache_read_input_tokens: u64,
    #[serde(default, deserialize_with = "null_default")]
    pub cache_write_input_tokens: u64,
}

/// How long a reply took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Metrics {
    #[serde(default)]
    pub latency_ms: u64,
}

/// `messageStart`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MessageStart {
    pub(super) role: String,
}

/// `contentBlockStart`; only calls of tools have one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockStart {
    pub(super) content_block_index: u32,
    pub(super) start: Start,
}

/// What begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Start {
    ToolUse(ToolUseStart),
}

/// A call that begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUseStart {
    pub(super) tool_use_id: String,
    pub(super) name: String,
}

/// `contentBlockDelta`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockDelta {
    pub(super) content_block_index: u32,
    pub(super) delta: Delta,
}

/// More of a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Delta {
    Text(String),
    ToolUse(InputDelta),
    ReasoningContent(ReasoningDelta),
}

/// More of a call's arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct InputDelta {
    pub(super) input: String,
}

/// More of reasoning.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ReasoningDelta {
    Text(String),
    RedactedContent(String),
    Signature(String),
}

/// `contentBlockStop`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockStop {
    pub(super) content_block_index: u32,
}

/// `messageStop`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageStop {
    pub(super) stop_reason: String,
}

/// `metadata`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) usage: Usage,
    #[serde(default)]
    pub(super) metrics: Metrics,
}

/// What an exception's frame says.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Exception {
    #[serde(default, alias = "Message", alias = "originalMessage")]
    pub(super) message: String,
}
