//! Anthropic's Messages, and the body of Bedrock's InvokeModel for the same models (`anthropic_version` in it, no
//! model).
//!
//! What it cannot say, and what happens then:
//! - a cache point is `cache_control` on the block before it; one at the very beginning of the system's instructions
//!   is on the last tool, because tools come first in what is cached; its time to live is not kept;
//! - malformed arguments of a tool call are shown to the model as `{"malformed_arguments": "…"}`;
//! - reasoning that another family sealed is never sent upstream; a client gets its seal marked as foreign
//!   (`bedplate:<family>:…`) and can send it back;
//! - a temperature above 1 becomes 1, the most that these models take;
//! - tools that run at the provider (`web_search`, …) have no core form and are refused.

mod block;
mod reply;
mod request;
pub(crate) mod seal;
mod stream_in;
mod stream_out;
pub mod wire;

pub use reply::{decode_reply, encode_reply};
pub use request::{EncodeOptions, Inbound, decode_count, decode_invoke, decode_request, encode_request};
pub use stream_in::Decoder;
pub use stream_out::Encoder;

use crate::{Fault, NameRule, WireError};
use bedplate_core::message::{StopReason, Usage};
use serde_json::json;

/// The name under which fields without a core form are kept.
pub const NAME: &str = "anthropic_messages";

/// The name of the body of Bedrock's InvokeModel for Anthropic's models, as a dialect of its own: a request without
/// model, and a stream whose events stand in AWS's frames.
pub const INVOKE_NAME: &str = "bedrock_invoke";

/// The model family whose seals on reasoning this dialect carries.
pub const FAMILY: &str = "anthropic";

/// The tool names that the dialect allows.
pub const NAME_RULE: NameRule = NameRule { max: 128 };

/// The tool names that Bedrock allows.
pub const BEDROCK_NAME_RULE: NameRule = NameRule { max: 64 };

/// Returns the answer of this dialect for a fault.
#[must_use]
pub fn error_body(fault: Fault, message: &str) -> WireError {
    let (status, kind) = match fault {
        Fault::InvalidRequest => (400, "invalid_request_error"),
        Fault::Unauthenticated => (401, "authentication_error"),
        Fault::Forbidden => (403, "permission_error"),
        Fault::NotFound => (404, "not_found_error"),
        Fault::TooLarge => (413, "request_too_large"),
        Fault::RateLimited => (429, "rate_limit_error"),
        Fault::Internal => (500, "api_error"),
        Fault::BadUpstream => (502, "api_error"),
        Fault::Overloaded => (529, "overloaded_error"),
        Fault::Timeout => (504, "timeout_error"),
    };
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    WireError { status, body, header: None }
}

fn stop_reason_out(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn => "end_turn",
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ModelContextWindowExceeded => "model_context_window_exceeded",
        StopReason::PauseTurn => "pause_turn",
        StopReason::Refusal | StopReason::ContentFiltered | StopReason::GuardrailIntervened => "refusal",
    }
}

fn stop_reason_in(word: &str) -> Option<StopReason> {
    Some(match word {
        "end_turn" => StopReason::EndTurn,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "model_context_window_exceeded" => StopReason::ModelContextWindowExceeded,
        "pause_turn" => StopReason::PauseTurn,
        "refusal" => StopReason::Refusal,
        _ => return None,
    })
}

/// Takes over the counts that are there: in a stream they are cumulative, and each replaces what was said before.
fn usage_in(usage: &wire::Usage, into: &mut Usage) {
    for (count, into) in [
        (usage.input_tokens, &mut into.input),
        (usage.output_tokens, &mut into.output),
        (usage.cache_read_input_tokens, &mut into.cache_read),
        (usage.cache_creation_input_tokens, &mut into.cache_write),
    ] {
        *into = count.unwrap_or(*into);
    }
}

/// Takes over the counts of a `usage` object of an upstream.
pub(crate) fn usage_of_json(json: &[u8], into: &mut Usage) {
    if let Ok(usage) = serde_json::from_slice::<wire::Usage>(json) {
        usage_in(&usage, into);
    }
}

fn usage_out(usage: &Usage) -> wire::Usage {
    wire::Usage {
        input_tokens: Some(usage.input),
        output_tokens: Some(usage.output),
        cache_creation_input_tokens: Some(usage.cache_write),
        cache_read_input_tokens: Some(usage.cache_read),
    }
}
