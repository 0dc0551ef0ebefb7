//! Chat Completions, as OpenAI defined it and many servers speak it.
//!
//! What it cannot say, and what happens then:
//! - cache points: left out, these servers cache by themselves; `cache_control` on a client's part is read as one;
//! - a failed tool result: its text says so, there is no flag;
//! - a picture in a tool's result: it follows in a user's message, with a line that says which call it is from;
//! - reasoning: readable text goes in the extension field `reasoning_content` of replies, and whole, with signatures,
//!   in `bedplate_reasoning`, which a client may send back; upstreams get neither unless [`EncodeOptions::extensions`];
//! - a system message late in the conversation: all of them are moved to the front, in order, so that they keep their
//!   authority in dialects that know no other place;
//! - `name` of a message and `strict` of a function are not kept.

mod reply;
mod request;
mod stream_in;
mod stream_out;
pub mod wire;

pub use reply::{decode_reply, encode_reply};
pub use request::{EncodeOptions, Inbound, MaxTokensField, decode_request, encode_request};
pub use stream_in::Decoder;
pub use stream_out::Encoder;

use crate::{Fault, NameRule, WireError};
use bedplate_core::message::{StopReason, Usage};
use serde_json::json;

/// The name under which fields without a core form are kept.
pub const NAME: &str = "openai_chat";

/// The tool names that the dialect allows.
pub const NAME_RULE: NameRule = NameRule { max: 64 };

/// Returns the answer of this dialect for a fault.
#[must_use]
pub fn error_body(fault: Fault, message: &str) -> WireError {
    let (status, kind, code) = match fault {
        Fault::InvalidRequest => (400, "invalid_request_error", None),
        Fault::Unauthenticated => (401, "invalid_request_error", Some("invalid_api_key")),
        Fault::Forbidden => (403, "permission_error", None),
        Fault::NotFound => (404, "invalid_request_error", Some("model_not_found")),
        Fault::TooLarge => (413, "invalid_request_error", Some("request_too_large")),
        Fault::RateLimited => (429, "rate_limit_error", Some("rate_limit_exceeded")),
        Fault::Internal => (500, "server_error", None),
        Fault::BadUpstream => (502, "server_error", Some("bad_upstream")),
        Fault::Overloaded => (503, "server_error", Some("overloaded")),
        Fault::Timeout => (504, "server_error", Some("timeout")),
    };
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    WireError { status, body, header: None }
}

fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::PauseTurn => "stop",
        StopReason::ToolUse => "tool_calls",
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => "length",
        StopReason::ContentFiltered | StopReason::GuardrailIntervened | StopReason::Refusal => "content_filter",
    }
}

/// Reads a finish reason, also the words that some servers use instead; none when it is unknown.
fn stop_reason(word: &str) -> Option<StopReason> {
    Some(match word {
        "stop" | "eos" | "eos_token" | "end_turn" => StopReason::EndTurn,
        "length" | "max_tokens" | "model_length" => StopReason::MaxTokens,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolUse,
        "content_filter" | "safety" => StopReason::ContentFiltered,
        _ => return None,
    })
}

/// Core counts without cached tokens, this dialect with them.
fn usage_in(usage: &wire::Usage) -> Usage {
    let details = usage.prompt_tokens_details.clone().unwrap_or_default();
    let (cache_read, cache_write) = (details.cached_tokens, details.cache_write_tokens);
    Usage {
        input: usage.prompt_tokens.saturating_sub(cache_read).saturating_sub(cache_write),
        output: usage.completion_tokens,
        cache_read,
        cache_write,
    }
}

/// Returns the counts of a `usage` object of an upstream; zeros where it is none.
pub(crate) fn usage_of_json(json: &[u8]) -> Usage {
    serde_json::from_slice::<wire::Usage>(json).map(|usage| usage_in(&usage)).unwrap_or_default()
}

/// Returns the fault that the `error` of a chunk tells of.
pub(crate) fn fault_of_json(json: &[u8]) -> crate::UpstreamFault {
    stream_in::error_detail(serde_json::from_slice(json).unwrap_or_default()).into_fault(None)
}

fn usage_out(usage: &Usage) -> wire::Usage {
    let prompt_tokens = usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write);
    wire::Usage {
        prompt_tokens,
        completion_tokens: usage.output,
        total_tokens: prompt_tokens.saturating_add(usage.output),
        prompt_tokens_details: Some(wire::PromptTokensDetails {
            cached_tokens: usage.cache_read,
            cache_write_tokens: usage.cache_write,
        }),
    }
}
