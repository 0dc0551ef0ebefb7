//! Whole replies: Messages → core and back.

use super::{
    block::{blocks_in, blocks_out},
    stop_reason_in, stop_reason_out, usage_in, usage_out, wire,
};
use crate::{DecodeError, Envelope, NameMap, json, reply::settle};
use bedplate_core::{
    message::{ContentBlock, Message, Role, Usage},
    port::model::ModelReply,
};

/// Reads an upstream's whole reply. `provider` and `cost` are left to the caller.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_reply(body: &[u8], names: &NameMap) -> Result<ModelReply, DecodeError> {
    let wire: wire::Reply = json::from_slice(body)?;
    let Some(word) = wire.stop_reason else {
        return Err(DecodeError::new("stop_reason", "the reply does not say why it ended"));
    };
    let Some(reason) = stop_reason_in(&word) else {
        return Err(DecodeError::new("stop_reason", format!("unknown reason `{word}`")));
    };
    let mut content = blocks_in(wire.content, "content", names)?;
    content.retain(|block| *block != ContentBlock::text(""));
    let message = Message { role: Role::Assistant, content };
    let mut usage = Usage::default();
    usage_in(&wire.usage, &mut usage);
    let stop_reason = settle(reason, message.tool_uses().next().is_some(), false);
    Ok(ModelReply {
        message,
        stop_reason,
        stop_sequence: wire.stop_sequence,
        usage,
        cost: None,
        model: wire.model,
        provider: String::new(),
    })
}

/// Says a reply to a client; the same for `/v1/messages` and Bedrock's InvokeModel.
#[must_use]
pub fn encode_reply(reply: &ModelReply, envelope: &Envelope) -> wire::Reply {
    // Pictures, documents and results are the only blocks that can fail, and a model's reply has none.
    let content = blocks_out(&reply.message.content, &NameMap::default()).unwrap_or_default();
    wire::Reply {
        id: envelope.id.clone(),
        kind: "message".into(),
        role: "assistant".into(),
        model: envelope.model.clone(),
        content,
        stop_reason: Some(stop_reason_out(reply.stop_reason).into()),
        stop_sequence: reply.stop_sequence.clone(),
        usage: usage_out(&reply.usage),
    }
}
