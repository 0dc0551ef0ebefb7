//! Messages as Bedplate keeps them; the shape follows Bedrock Converse. Wire formats live in `dialects`.

use crate::id::ContentHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks. Instructions of the system are not messages; they stand beside them in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person, or the results of tools that the assistant called.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation: a role and its content blocks, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; never empty in a message that goes to a model.
    pub content: Vec<ContentBlock>,
}

impl Message {
    /// Returns a user's message of one text block.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, content: vec![ContentBlock::text(text)] }
    }

    /// Returns an assistant's message of one text block.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: vec![ContentBlock::text(text)] }
    }

    /// Returns all text blocks joined with a blank line between them; empty when there is none. The answer of a reply
    /// is this text, and not its first block, which may be a reasoning or tool block.
    #[must_use]
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self
            .content
            .iter()
            .filter_map(|block| match block {
                ContentBlock::Text { text } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        texts.join("\n\n")
    }

    /// Iterates over the calls of tools in this message, in order.
    pub fn tool_uses(&self) -> impl Iterator<Item = &ToolUse> {
        self.content.iter().filter_map(|block| match block {
            ContentBlock::ToolUse(call) => Some(call),
            _ => None,
        })
    }

    /// Iterates over the results of tools in this message, in order.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.content.iter().filter_map(|block| match block {
            ContentBlock::ToolResult(result) => Some(result),
            _ => None,
        })
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentBlock {
    /// Words.
    Text {
        /// The words themselves.
        text: String,
    },
    /// A picture.
    Image {
        /// The media type, for example `image/png`.
        media_type: String,
        /// Where its bytes are.
        source: Source,
    },
    /// A document, for example a PDF.
    Document {
        /// The name that the model sees.
        name: String,
        /// The media type, for example `application/pdf`.
        media_type: String,
        /// Where its bytes are.
        source: Source,
    },
    /// The assistant asks for a tool.
    ToolUse(ToolUse),
    /// The answer to a tool call.
    ToolResult(ToolResult),
    /// The model's reasoning; it goes back to the same model family byte for byte.
    Reasoning(Reasoning),
    /// Everything up to here may be cached by the provider (Converse `cachePoint`, Anthropic `cache_control`).
    CachePoint,
}

impl ContentBlock {
    /// Returns a text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// Where the bytes of an image or document are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The bytes themselves, base64 with padding.
    Base64(String),
    /// A remote address; it is fetched only under a rule that denies private addresses.
    Url(String),
    /// A blob of the store.
    Blob(ContentHash),
}

/// A model's wish to call a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolUse {
    /// The model's own id of the call. Models repeat these, so nothing but the pairing with its result hangs on it.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments; an object whenever `malformed` is absent.
    pub input: Value,
    /// What the model wrote instead of a JSON object, word for word; `input` is `{}` then and must not be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malformed: Option<String>,
}

/// The answer to a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The model's id of the call that this answers.
    pub tool_use_id: String,
    /// What the tool says.
    pub content: Vec<ToolResultContent>,
    /// Whether the model should read it as a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

impl ToolResult {
    /// Returns the text of the result; JSON parts are rendered compactly.
    #[must_use]
    pub fn text(&self) -> String {
        let parts: Vec<String> = self
            .content
            .iter()
            .filter_map(|part| match part {
                ToolResultContent::Text { text } => Some(text.clone()),
                ToolResultContent::Json { json } => Some(json.to_string()),
                ToolResultContent::Image { .. } => None,
            })
            .collect();
        parts.join("\n")
    }
}

/// A part of a tool's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolResultContent {
    /// Words.
    Text {
        /// The words themselves.
        text: String,
    },
    /// A JSON value.
    Json {
        /// The value.
        json: Value,
    },
    /// A picture.
    Image {
        /// The media type, for example `image/png`.
        media_type: String,
        /// Where its bytes are.
        source: Source,
    },
}

impl ToolResultContent {
    /// Returns a text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// A block of reasoning as the provider gave it. An empty text with a signature is still a block and is never dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// The readable part; may be empty.
    #[serde(default)]
    pub text: String,
    /// The provider's signature over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The encrypted part of a redacted block, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted: Option<String>,
    /// The model family that signed it (`anthropic`, `openai`, …); another family never gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
}

/// Why a model stopped, in Converse's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model finished its turn.
    EndTurn,
    /// The model waits for tool results.
    ToolUse,
    /// The reply reached `max_tokens`.
    MaxTokens,
    /// One of the request's stop sequences came up.
    StopSequence,
    /// The provider's filter cut or replaced the reply.
    ContentFiltered,
    /// A guardrail cut or replaced the reply.
    GuardrailIntervened,
    /// The conversation is longer than the model can read.
    ModelContextWindowExceeded,
    /// The model refused.
    Refusal,
    /// The provider paused a long turn; the same conversation is sent again to go on.
    PauseTurn,
}

/// Tokens of one or more model calls. `input` excludes what came from or went to the provider's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a cache.
    #[serde(default)]
    pub input: u64,
    /// Output tokens, reasoning included.
    #[serde(default)]
    pub output: u64,
    /// Input tokens read from the provider's cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Input tokens written to the provider's cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write: u64,
}

impl Usage {
    /// Returns all tokens together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output).saturating_add(self.cache_read).saturating_add(self.cache_write)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
