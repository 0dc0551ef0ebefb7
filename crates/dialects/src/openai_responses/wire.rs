//! The shapes of Responses at the edge, as OpenAI's Python package types them.

use crate::json::{self, TextOr, null_default};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Request {
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<TextOr<Item>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<TextOr<Item>>,
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_response_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
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
pub(super) const REQUEST_FIELDS: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "stream",
    "store",
    "previous_response_id",
    "include",
];

/// An item of a conversation, of a request or a reply. One shape for all kinds, because clients leave out the kind of a
/// message and add what they got to what they send.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Item {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<TextOr<Part>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<TextOr<Part>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<Part>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
}

impl Item {
    /// Returns the kind; an item without one is a message.
    pub(super) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("message")
    }

    /// Gives the item its kind, and the id under which it is found with its response, as far as it has none.
    pub fn name_in(&mut self, response: &str, index: usize) {
        let kind = self.kind().to_owned();
        let prefix = match kind.as_str() {
            "function_call" => "fc",
            "function_call_output" => "fco",
            "reasoning" => "rs",
            _ => "msg",
        };
        self.kind.get_or_insert(kind);
        self.id.get_or_insert_with(|| super::item_id(prefix, response, &format!("i{index}")));
        if let Some(TextOr::Text(text)) = &self.content {
            let part = match self.role.as_deref() {
                Some("assistant") => Part::output_text(text),
                _ => Part::InputText { text: text.clone() },
            };
            self.content = Some(TextOr::Parts(vec![part]));
        }
        if self.kind() == "message" {
            self.status.get_or_insert_with(|| "completed".to_owned());
        }
    }

    /// Returns the item as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("wire types have string keys only")
    }
}

/// A part of a message, of a tool's output or of reasoning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum Part {
    #[serde(alias = "text")]
    InputText {
        text: String,
    },
    OutputText {
        text: String,
        #[serde(default, deserialize_with = "null_default")]
        annotations: Vec<Value>,
        #[serde(default, deserialize_with = "null_default")]
        logprobs: Vec<Value>,
    },
    InputImage {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_url: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    InputFile {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_url: Option<String>,
    },
    Refusal {
        refusal: String,
    },
    SummaryText {
        text: String,
    },
    ReasoningText {
        text: String,
    },
}

impl Part {
    pub(super) fn output_text(text: impl Into<String>) -> Self {
        Self::OutputText { text: text.into(), annotations: Vec::new(), logprobs: Vec::new() }
    }

    /// Returns the words of a part that has some.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::InputText { text }
            | Self::OutputText { text, .. }
            | Self::SummaryText { text }
            | Self::ReasoningText { text }
            | Self::Refusal { refusal: text } => Some(text),
            Self::InputImage { .. } | Self::InputFile { .. } => None,
        }
    }
}

/// A tool on offer; other kinds than `function` have other fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Tool {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    #[serde(default)]
    pub strict: Option<bool>,
}

/// Which tool must be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub enum ToolChoice {
    Mode(String),
    Function {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools: Option<Vec<Value>>,
    },
}

/// A response. The fields that a client gets back as it sent them stand in `echo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Response {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub object: String,
    #[serde(default, deserialize_with = "seconds")]
    pub created_at: i64,
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub error: Option<ResponseError>,
    #[serde(default)]
    pub incomplete_details: Option<IncompleteDetails>,
    #[serde(default, deserialize_with = "null_default")]
    pub model: String,
    #[serde(default, deserialize_with = "null_default")]
    pub output: Vec<Item>,
    #[serde(default)]
    pub usage: Option<Usage>,
    #[serde(flatten)]
    pub echo: Map<String, Value>,
}

impl Response {
    /// Returns the body of the response.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }
}

/// Reads a time that some servers say with a fraction.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond i64 saturates, and no time is that large")]
    Option::<f64>::deserialize(deserializer).map(|time| time.unwrap_or_default() as i64)
}

/// Why a response failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct ResponseError {
    #[serde(default, deserialize_with = "null_default")]
    pub code: String,
    #[serde(default, deserialize_with = "null_default")]
    pub message: String,
}

/// Why a response is not whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct IncompleteDetails {
    #[serde(default, deserialize_with = "null_default")]
    pub reason: String,
}

/// Tokens; `input_tokens` includes cached ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct Usage {
    #[serde(default, deserialize_with = "null_default")]
    pub input_tokens: u64,
    #[serde(default, deserialize_with = "null_default")]
    pub input_tokens_details: InputTokensDetails,
    #[serde(default, deserialize_with = "null_default")]
    pub output_tokens: u64,
    #[serde(default, deserialize_with = "null_default")]
    pub output_tokens_details: OutputTokensDetails,
    #[serde(default, deserialize_with = "null_default")]
    pub total_tokens: u64,
}

/// What of the input was cached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct InputTokensDetails {
    #[serde(default, deserialize_with = "null_default")]
    pub cached_tokens: u64,
    #[serde(default, deserialize_with = "null_default")]
    pub cache_write_tokens: u64,
}

/// What of the output was reasoning; core counts do not tell it apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct OutputTokensDetails {
    #[serde(default, deserialize_with = "null_default")]
    pub reasoning_tokens: u64,
}

/// An event of a stream: what all of them have, read as it comes.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct StreamEvent {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) output_index: Option<u32>,
    #[serde(default)]
    pub(super) delta: Option<String>,
    #[serde(default)]
    pub(super) arguments: Option<String>,
    #[serde(default)]
    pub(super) item: Option<Item>,
    #[serde(default)]
    pub(super) response: Option<Response>,
    #[serde(default)]
    pub(super) error: Option<Value>,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) code: Option<String>,
}
