//! Tools: what the model is told of them, how they are declared, and what a call of one is.

use crate::message::ToolResultContent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a model is told of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name, `[A-Za-z0-9_.-]{1,128}`; dialects map it where a provider allows less.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// The JSON Schema (2020-12) of its arguments; its type is `object`.
    pub input_schema: Value,
}

/// What a tool promises about its effects; the words and their meaning are MCP's tool annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Annotations {
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy or overwrite.
    pub destructive: bool,
    /// Calling it again with the same idempotency key has no further effect.
    pub idempotent: bool,
    /// It talks to a world outside the project.
    pub open_world: bool,
}

impl Annotations {
    /// Returns whether a call that began and whose result was lost may be made again without asking.
    #[must_use]
    pub fn repeatable(&self) -> bool {
        self.read_only || self.idempotent
    }
}

/// When a person must agree before a call runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalMode {
    /// It runs at once.
    #[default]
    Never,
    /// A person is always asked.
    Always,
    /// A person is asked when this minijinja expression over `input` and `preview` is true.
    When(String),
}

/// The rule of approval of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// When to ask.
    pub mode: ApprovalMode,
    /// How long a question waits, in seconds; then the answer is no.
    pub deadline_seconds: u64,
    /// The question as a minijinja template over `input` and `preview`; absent: a plain one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

impl Default for Approval {
    fn default() -> Self {
        Self { mode: ApprovalMode::Never, deadline_seconds: 86_400, question: None }
    }
}

/// A tool as a project declares it; what a run is pinned to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolDefinition {
    /// What the model is told.
    #[serde(flatten)]
    pub spec: ToolSpec,
    /// Its promises.
    #[serde(default)]
    pub annotations: Annotations,
    /// Its rule of approval.
    #[serde(default)]
    pub approval: Approval,
    /// What runs it: `builtin`, `http`, `sqlite`, … (the tools crate's visible list).
    pub kind: String,
    /// The part that only the tool's kind understands.
    #[serde(default)]
    pub config: Value,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many bytes of result the model may be given; more is cut and says so.
    pub max_result_bytes: usize,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// The answer's parts.
    pub content: Vec<ToolResultContent>,
    /// Whether the model should read it as a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

impl ToolOutput {
    /// Returns a successful answer of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![ToolResultContent::text(text)], is_error: false }
    }

    /// Returns a failure that the model can read and act on.
    pub fn error(text: impl Into<String>) -> Self {
        Self { content: vec![ToolResultContent::text(text)], is_error: true }
    }
}
