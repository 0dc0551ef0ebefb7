//! Whole replies: Converse → core and back.

use super::{
    block::{blocks_in, blocks_out},
    stop_reason_in, stop_reason_out, usage_in, usage_out, wire,
};
use crate::{DecodeError, NameMap, json, reply::settle};
use bedplate_core::{
    message::{ContentBlock, Message, Role},
    port::model::ModelReply,
};

/// Reads an upstream's whole reply; it does not say which `model` it is of. `provider` and `cost` are left to the
/// caller.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_reply(body: &[u8], names: &NameMap, model: &str) -> Result<ModelReply, DecodeError> {
    let wire: wire::Reply = json::from_slice(body)?;
    let Some(reason) = stop_reason_in(&wire.stop_reason) else {
        return Err(DecodeError::new("stopReason", format!("unknown reason `{}`", wire.stop_reason)));
    };
    let wire::Output::Message(message) = wire.output;
    let mut content = blocks_in(message.content, "output.message.content", names)?;
    content.retain(|block| *block != ContentBlock::text(""));
    let message = Message { role: Role::Assistant, content };
    let stop_reason = settle(reason, message.tool_uses().next().is_some(), false);
    Ok(ModelReply {
        message,
        stop_reason,
        stop_sequence: None,
        usage: usage_in(&wire.usage),
        cost: None,
        model: model.to_owned(),
        provider: String::new(),
    })
}

/// Says a reply to a client; it took `latency_ms`.
#[must_use]
pub fn encode_reply(reply: &ModelReply, latency_ms: u64) -> wire::Reply {
    // Pictures, documents and results are the only blocks that can fail, and a model's reply has none.
    let content = blocks_out(&reply.message.content, &NameMap::default()).unwrap_or_default();
    wire::Reply {
        output: wire::Output::Message(wire::Message { role: "assistant".into(), content }),
        stop_reason: stop_reason_out(reply.stop_reason).into(),
        usage: usage_out(&reply.usage),
        metrics: wire::Metrics { latency_ms },
    }
}
