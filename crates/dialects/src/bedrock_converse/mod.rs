//! Bedrock's Converse and ConverseStream. The core message follows Converse, so little is lost here.
//!
//! The frames of a stream (`application/vnd.amazon.eventstream`) are made and read by whoever owns the connection; this
//! module has what is in them.
//!
//! What it cannot say, and what happens then:
//! - no tool may be used: Converse has no such choice, so the tools are left out; a history that holds calls gets a
//!   placeholder, because Converse demands a tool then;
//! - parallel calls are forbidden in `additionalModelRequestFields.tool_choice`, as Anthropic's models take it; other
//!   families cannot be told; `strict` of a tool is not kept;
//! - which stop sequence came up; malformed arguments are shown as `{"malformed_arguments": "…"}`;
//! - reasoning that another family sealed is never sent upstream; a client gets its seal marked as foreign
//!   (`bedplate:<family>:…`) and can send it back;
//! - a document's name is changed to the characters that Bedrock allows;
//! - guardrails, prompts from Bedrock's store, objects in S3, video, audio, citations and tools that run at the provider
//!   have no core form and are refused.

mod block;
mod reply;
mod request;
mod stream_in;
mod stream_out;
pub mod wire;

pub use reply::{decode_reply, encode_reply};
pub use request::{decode_request, encode_request};
pub use stream_in::Decoder;
pub use stream_out::{Encoder, Frame, exception};

use crate::NameRule;
use bedplate_core::message::{StopReason, Usage};

/// The name under which fields without a core form are kept.
pub const NAME: &str = "bedrock_converse";

/// The tool names that the dialect allows.
pub const NAME_RULE: NameRule = NameRule { max: 64 };

fn stop_reason_out(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::PauseTurn => "end_turn",
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ModelContextWindowExceeded => "model_context_window_exceeded",
        StopReason::GuardrailIntervened => "guardrail_intervened",
        StopReason::ContentFiltered | StopReason::Refusal => "content_filtered",
    }
}

/// Reads a stop reason; none when it is unknown, or says that the model's output is of no use.
fn stop_reason_in(word: &str) -> Option<StopReason> {
    Some(match word {
        "end_turn" => StopReason::EndTurn,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "model_context_window_exceeded" => StopReason::ModelContextWindowExceeded,
        "guardrail_intervened" => StopReason::GuardrailIntervened,
        "content_filtered" => StopReason::ContentFiltered,
        _ => return None,
    })
}

fn usage_in(usage: &wire::Usage) -> Usage {
    Usage {
        input: usage.input_tokens,
        output: usage.output_tokens,
        cache_read: usage.cache_read_input_tokens,
        cache_write: usage.cache_write_input_tokens,
    }
}

/// Returns the counts of a `usage` object of an upstream; zeros where it is none.
pub(crate) fn usage_of_json(json: &[u8]) -> Usage {
    serde_json::from_slice::<wire::Usage>(json).map(|usage| usage_in(&usage)).unwrap_or_default()
}

fn usage_out(usage: &Usage) -> wire::Usage {
    wire::Usage {
        input_tokens: usage.input,
        output_tokens: usage.output,
        total_tokens: usage.total(),
        cache_read_input_tokens: usage.cache_read,
        cache_write_input_tokens: usage.cache_write,
    }
}

/// Returns whether `model` is one of Anthropic's, whose own fields are those of Messages.
fn is_anthropic(model: &str) -> bool {
    model.contains("anthropic.")
}
