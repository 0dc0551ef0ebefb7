//! Whole replies: Chat Completions → core and back, and the parts that requests and replies share.

use super::{
    finish_reason,
    request::parts_in,
    stop_reason, usage_in, usage_out,
    wire::{self, Content},
};
use crate::{
    DecodeError, Envelope, NameMap, json, parse_input, render_input,
    reply::{call_id, nameless_tool, settle},
};
use bedplate_core::{
    message::{ContentBlock, Message, Reasoning, Role, ToolUse},
    port::model::ModelReply,
};
use serde_json::Value;

/// Reads an upstream's whole reply. `provider` and `cost` are left to the caller.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_reply(body: &[u8], names: &NameMap) -> Result<ModelReply, DecodeError> {
    let wire: wire::Reply = json::from_slice(body)?;
    let Some(choice) = wire.choices.into_iter().next() else {
        return Err(DecodeError::new("choices", "the reply has no choice"));
    };
    let Some(message) = choice.message else {
        return Err(DecodeError::new("choices[0]", "missing field `message`"));
    };
    let Some(word) = choice.finish_reason else {
        return Err(DecodeError::new("choices[0].finish_reason", "the reply does not say why it ended"));
    };
    let Some(reason) = stop_reason(&word) else {
        return Err(DecodeError::new("choices[0].finish_reason", format!("unknown reason `{word}`")));
    };
    let refused = message.refusal.as_deref().is_some_and(|text| !text.is_empty());
    let content = assistant_blocks(message, "choices[0].message", names)?;
    let message = Message { role: Role::Assistant, content };
    let stop_reason = settle(reason, message.tool_uses().next().is_some(), refused);
    Ok(ModelReply {
        message,
        stop_reason,
        stop_sequence: None,
        usage: wire.usage.as_ref().map(usage_in).unwrap_or_default(),
        cost: None,
        model: wire.model,
        provider: String::new(),
    })
}

/// Says a reply to a client.
#[must_use]
pub fn encode_reply(reply: &ModelReply, envelope: &Envelope) -> wire::Reply {
    let calls: Vec<wire::ToolCall> =
        reply.message.tool_uses().map(|call| tool_call_out(call, &NameMap::default())).collect();
    let text = reply.message.text();
    let (reasoning_content, bedplate_reasoning) = reasoning_out(&reply.message.content);
    let message = wire::Message {
        role: Some("assistant".into()),
        content: if text.is_empty() { Content::Null } else { Content::text(text) },
        tool_calls: (!calls.is_empty()).then_some(calls),
        reasoning_content,
        bedplate_reasoning,
        ..wire::Message::default()
    };
    wire::Reply {
        id: envelope.id.clone(),
        object: "chat.completion".into(),
        created: envelope.created,
        model: envelope.model.clone(),
        choices: vec![wire::Choice {
            index: 0,
            message: Some(message),
            delta: None,
            finish_reason: Some(finish_reason(reply.stop_reason).into()),
        }],
        usage: Some(usage_out(&reply.usage)),
        error: None,
    }
}

/// Reads an assistant's message: reasoning, then words, then calls.
pub(super) fn assistant_blocks(
    message: wire::Message,
    path: &str,
    names: &NameMap,
) -> Result<Vec<ContentBlock>, DecodeError> {
    if message.function_call.as_ref().is_some_and(|call| !call.is_null()) {
        return Err(DecodeError::new(format!("{path}.function_call"), "functions are not supported: use `tool_calls`"));
    }
    let mut blocks = reasoning_in(&message);
    let words = parts_in(message.content, path)?.into_iter().chain(message.refusal.map(ContentBlock::text));
    blocks.extend(words.filter(|block| *block != ContentBlock::text("")));
    for (index, call) in message.tool_calls.into_iter().flatten().enumerate() {
        blocks.push(tool_call_in(call, index, path, names)?);
    }
    Ok(blocks)
}

fn tool_call_in(call: wire::ToolCall, index: usize, path: &str, names: &NameMap) -> Result<ContentBlock, DecodeError> {
    let path = format!("{path}.tool_calls[{index}]");
    let Some(function) = call.function else {
        return Err(DecodeError::new(path, "only calls of functions are supported"));
    };
    let name = function.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| nameless_tool(path))?;
    let (input, malformed) = parse_input(&function.arguments_text());
    let id = call_id(call.id, index);
    Ok(ContentBlock::ToolUse(ToolUse { id, name: names.core(name).to_owned(), input, malformed }))
}

pub(super) fn tool_call_out(call: &ToolUse, names: &NameMap) -> wire::ToolCall {
    wire::ToolCall {
        index: None,
        id: Some(call.id.clone()),
        kind: Some("function".into()),
        function: Some(wire::FunctionCall {
            name: Some(names.wire(&call.name).to_owned()),
            arguments: Some(Value::String(render_input(call))),
        }),
    }
}

fn reasoning_in(message: &wire::Message) -> Vec<ContentBlock> {
    if let Some(blocks) = &message.bedplate_reasoning {
        return blocks.iter().cloned().map(|block| ContentBlock::Reasoning(block.into_core())).collect();
    }
    let text = reasoning_text(message);
    let unsigned = |text| ContentBlock::Reasoning(Reasoning { text, signature: None, redacted: None, family: None });
    text.map(unsigned).into_iter().collect()
}

/// Returns the readable reasoning of a message or delta under either of the names that servers use for it.
pub(super) fn reasoning_text(message: &wire::Message) -> Option<String> {
    let other = message.reasoning.as_ref().and_then(Value::as_str);
    message
        .reasoning_content
        .as_deref()
        .filter(|text| !text.is_empty())
        .or(other)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Returns the readable reasoning, and the blocks whole when there is more to them than text.
pub(super) fn reasoning_out(content: &[ContentBlock]) -> (Option<String>, Option<Vec<wire::Reasoning>>) {
    let blocks: Vec<wire::Reasoning> = content
        .iter()
        .filter_map(|block| match block {
            ContentBlock::Reasoning(Reasoning { text, signature, redacted, family }) => Some(wire::Reasoning {
                text: text.clone(),
                signature: signature.clone(),
                redacted: redacted.clone(),
                family: family.clone(),
            }),
            _ => None,
        })
        .collect();
    let text: String = blocks.iter().map(|block| block.text.as_str()).collect();
    let plain =
        matches!(blocks.as_slice(), [] | [wire::Reasoning { signature: None, redacted: None, family: None, .. }]);
    let plain = plain && (blocks.is_empty() || !text.is_empty());
    ((!text.is_empty()).then_some(text), (!plain).then_some(blocks))
}
