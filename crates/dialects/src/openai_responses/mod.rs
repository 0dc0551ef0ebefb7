//! Responses, OpenAI's second dialect: a conversation is a list of items, and a stream names the item that each of its
//! events belongs to.
//!
//! What it cannot say, and what happens then:
//! - a reply's blocks become one item each: words a message with one part, a call a `function_call`, reasoning a
//!   `reasoning` item whose summary is the text and whose `encrypted_content` is the seal, marked with its family
//!   (`bedplate:<family>:…`), so that a client can send it back whatever model made it;
//! - an item that stands among others keeps its place, but neighbours of one role become one message again;
//! - system and developer messages are moved behind the instructions, in order;
//! - a failed tool result: its text says so, there is no flag; a picture in one goes as a part of the output;
//! - stop sequences and cache points: the API has none, they are left out;
//! - `strict` of a function, `phase` of a message and annotations are not kept;
//! - tools that run at the provider (`web_search`, `mcp`, …), stored prompts, uploaded files and conversations have no
//!   core form and are refused.

mod item;
mod reply;
mod request;
mod stream_in;
mod stream_out;
pub mod wire;

pub use reply::{About, decode_reply, encode_reply, item_id, response_of_item};
pub use request::{Inbound, decode_inbound, decode_request, encode_request};
pub use stream_in::Decoder;
pub use stream_out::Encoder;

use crate::{Fault, NameRule};
use bedplate_core::message::{StopReason, Usage};

/// The name under which fields without a core form are kept.
pub const NAME: &str = "openai_responses";

/// The model family whose seals on reasoning upstreams of this dialect take.
pub const FAMILY: &str = "openai";

/// The tool names that the dialect allows.
pub const NAME_RULE: NameRule = NameRule { max: 64 };

/// Returns the status of a response that ended so, and why it is incomplete.
fn status_of(reason: StopReason) -> (&'static str, Option<&'static str>) {
    match reason {
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::PauseTurn => {
            ("completed", None)
        }
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => ("incomplete", Some("max_output_tokens")),
        StopReason::ContentFiltered | StopReason::GuardrailIntervened | StopReason::Refusal => {
            ("incomplete", Some("content_filter"))
        }
    }
}

/// Returns the code of a failed response; the API knows few.
fn failure_code(fault: Fault) -> &'static str {
    match fault {
        Fault::InvalidRequest | Fault::TooLarge | Fault::NotFound => "invalid_prompt",
        Fault::RateLimited => "rate_limit_exceeded",
        Fault::Unauthenticated
        | Fault::Forbidden
        | Fault::Internal
        | Fault::BadUpstream
        | Fault::Overloaded
        | Fault::Timeout => "server_error",
    }
}

/// Core counts without cached tokens, this dialect with them.
fn usage_in(usage: &wire::Usage) -> Usage {
    let (cache_read, cache_write) =
        (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens);
    Usage {
        input: usage.input_tokens.saturating_sub(cache_read).saturating_sub(cache_write),
        output: usage.output_tokens,
        cache_read,
        cache_write,
    }
}

fn usage_out(usage: &Usage) -> wire::Usage {
    let input_tokens = usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write);
    wire::Usage {
        input_tokens,
        input_tokens_details: wire::InputTokensDetails {
            cached_tokens: usage.cache_read,
            cache_write_tokens: usage.cache_write,
        },
        output_tokens: usage.output,
        output_tokens_details: wire::OutputTokensDetails::default(),
        total_tokens: input_tokens.saturating_add(usage.output),
    }
}
