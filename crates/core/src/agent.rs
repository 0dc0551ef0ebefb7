//! An agent as a run is pinned to it: model, prompt, tools and limits. Field names follow AgentCore's Harness.

use crate::tool::ToolDefinition;
use serde::{Deserialize, Serialize};

/// An agent, whole: everything that a turn needs besides the conversation. Its canonical JSON is the blob that a
/// turn's `definition` hash names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentDefinition {
    /// The name, that of its file.
    pub name: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// The route that its model calls take.
    pub model: String,
    /// The system prompt, a minijinja template that the project has checked; variables: `user`, `now`, `project`.
    pub system: String,
    /// Its tools, in the order of the agent file.
    #[serde(default)]
    pub tools: Vec<ToolDefinition>,
    /// What bounds a turn.
    #[serde(default)]
    pub limits: Limits,
    /// What of a long conversation the model is shown.
    #[serde(default)]
    pub truncation: Truncation,
    /// What a second turn does while one is under way.
    #[serde(default)]
    pub session_policy: SessionPolicy,
    /// The sampling temperature, 0 to 2; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

impl AgentDefinition {
    /// Returns the tool called `name`.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&ToolDefinition> {
        self.tools.iter().find(|tool| tool.spec.name == name)
    }
}

/// The bounds of one turn; each is checked before the intent that would pass it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Model calls in a turn.
    pub max_iterations: u32,
    /// Output tokens of one reply.
    pub max_tokens: u32,
    /// All tokens of a turn together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turn_tokens: Option<u64>,
    /// Tool calls in a turn.
    pub max_tool_calls: u32,
    /// Money of a turn in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_micros: Option<u64>,
    /// Wall time of a turn in seconds; waiting for a person does not count.
    pub timeout_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_iterations: 10,
            max_tokens: 2048,
            max_turn_tokens: None,
            max_tool_calls: 32,
            max_cost_micros: None,
            timeout_seconds: 300,
        }
    }
}

/// What of a conversation the model is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "snake_case")]
pub enum Truncation {
    /// All of it.
    #[default]
    None,
    /// The last messages; a call and its result stay together, and the current turn keeps its question.
    SlidingWindow {
        /// How many messages at most.
        messages: usize,
    },
}

/// What happens to a turn that is started while another is under way on its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionPolicy {
    /// It waits; the reply names what blocks it.
    #[default]
    Enqueue,
    /// It is refused.
    Reject,
    /// The one under way ends first: unstarted calls close, partial text is kept and marked.
    Interrupt,
}

/// Prices of a model in millionths of a US dollar for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Input that no cache is involved in.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from the provider's cache.
    pub cache_read: u64,
    /// Input written to the provider's cache.
    pub cache_write: u64,
}

impl Price {
    /// Returns what `usage` costs in millionths of a US dollar, rounded up, so that many small calls are never free.
    #[must_use]
    pub fn cost(&self, usage: &crate::message::Usage) -> u64 {
        let parts = [
            (self.input, usage.input),
            (self.output, usage.output),
            (self.cache_read, usage.cache_read),
            (self.cache_write, usage.cache_write),
        ];
        let sum: u128 = parts.iter().map(|&(price, tokens)| u128::from(price) * u128::from(tokens)).sum();
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}
