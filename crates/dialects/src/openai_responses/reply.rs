//! Whole replies: Responses → core and back, and the items that whole replies and streams share.

use super::{
    item::{call_in, reasoning_in, seal_of},
    status_of, usage_in, usage_out,
    wire::{self, Item, Part},
};
use crate::{
    DecodeError, Envelope, NameMap, UpstreamFault,
    fault::ErrorDetail,
    json::{self, TextOr},
    render_input,
    reply::settle,
};
use bedplate_core::{
    message::{ContentBlock, Message, Reasoning, Role, StopReason},
    port::model::{BlockKind, ModelReply},
};
use serde_json::{Map, Value};

/// The outer part of a response, besides its envelope: what the request said and the response says again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The fields as [`super::Inbound::echo`] has them.
    pub echo: Map<String, Value>,
}

/// Reads an upstream's whole response. `provider` and `cost` are left to the caller.
///
/// # Errors
/// [`DecodeError`], also when the response says that it failed.
pub fn decode_reply(body: &[u8], names: &NameMap) -> Result<ModelReply, DecodeError> {
    let response: wire::Response = json::from_slice(body)?;
    if let Some(fault) = failure(&response) {
        return Err(DecodeError::new("error", fault.message));
    }
    reply_of(response, names)
}

/// Returns what a failed response says of its failure.
pub(super) fn failure(response: &wire::Response) -> Option<UpstreamFault> {
    let failed = matches!(response.status.as_deref(), Some("failed" | "cancelled"));
    match &response.error {
        Some(error) => Some(ErrorDetail::of_code(error.message.clone(), &error.code).into_fault(None)),
        None if failed => Some(ErrorDetail::of_message("the response failed".into()).into_fault(None)),
        None => None,
    }
}

/// Returns the reply that a response holds.
pub(super) fn reply_of(response: wire::Response, names: &NameMap) -> Result<ModelReply, DecodeError> {
    let (reason, refused) = ending(&response)?;
    let mut content = Vec::with_capacity(response.output.len());
    for (index, item) in response.output.into_iter().enumerate() {
        blocks_in(item, index, names, &mut content)?;
    }
    let message = Message { role: Role::Assistant, content };
    let stop_reason = settle(reason, message.tool_uses().next().is_some(), refused);
    Ok(ModelReply {
        message,
        stop_reason,
        stop_sequence: None,
        usage: response.usage.as_ref().map(usage_in).unwrap_or_default(),
        cost: None,
        model: response.model,
        provider: String::new(),
    })
}

/// Returns why a response ended, and whether the model refused.
pub(super) fn ending(response: &wire::Response) -> Result<(StopReason, bool), DecodeError> {
    let refused = response.output.iter().any(|item| match &item.content {
        Some(TextOr::Parts(parts)) => parts.iter().any(|part| matches!(part, Part::Refusal { .. })),
        _ => false,
    });
    let reason = match response.status.as_deref() {
        Some("completed") => StopReason::EndTurn,
        Some("incomplete") => match response.incomplete_details.as_ref().map(|details| details.reason.as_str()) {
            Some("content_filter") => StopReason::ContentFiltered,
            _ => StopReason::MaxTokens,
        },
        Some(other) => return Err(DecodeError::new("status", format!("the response is not over: `{other}`"))),
        None => return Err(DecodeError::new("status", "the response does not say whether it is whole")),
    };
    Ok((reason, refused))
}

fn blocks_in(item: Item, index: usize, names: &NameMap, content: &mut Vec<ContentBlock>) -> Result<(), DecodeError> {
    let path = format!("output[{index}]");
    match item.kind() {
        "message" => match item.content {
            Some(TextOr::Text(text)) => content.extend((!text.is_empty()).then_some(ContentBlock::Text { text })),
            Some(TextOr::Parts(parts)) => {
                let texts = parts.iter().filter_map(Part::text).filter(|text| !text.is_empty());
                content.extend(texts.map(ContentBlock::text));
            }
            None => {}
        },
        "function_call" => content.push(call_in(item, index, &path, names)?),
        "reasoning" => content.extend(reasoning_in(item).map(ContentBlock::Reasoning)),
        other => {
            return Err(DecodeError::new(format!("{path}.type"), format!("items of type `{other}` are not supported")));
        }
    }
    Ok(())
}

/// Says a reply to a client.
#[must_use]
pub fn encode_reply(reply: &ModelReply, envelope: &Envelope, about: &About) -> wire::Response {
    let (status, reason) = status_of(reply.stop_reason);
    let mut output = Vec::with_capacity(reply.message.content.len());
    for block in &reply.message.content {
        output.extend(item_of(block, &envelope.id, output.len()));
    }
    wire::Response {
        status: Some(status.into()),
        incomplete_details: reason.map(|reason| wire::IncompleteDetails { reason: reason.into() }),
        output,
        usage: Some(usage_out(&reply.usage)),
        ..opened(envelope, about)
    }
}

/// Returns a response that has begun and says nothing yet.
pub(super) fn opened(envelope: &Envelope, about: &About) -> wire::Response {
    wire::Response {
        id: envelope.id.clone(),
        object: "response".into(),
        created_at: envelope.created,
        status: Some("in_progress".into()),
        model: envelope.model.clone(),
        echo: about.echo.clone(),
        ..wire::Response::default()
    }
}

/// Returns the id of an item of a response: it names its response, so that a reference to it can be looked up.
#[must_use]
pub fn item_id(prefix: &str, response: &str, place: &str) -> String {
    format!("{prefix}_{}_{place}", response.split_once('_').map_or(response, |(_, id)| id))
}

/// Returns the id of the response that an item belongs to; none for an id that [`item_id`] did not make.
#[must_use]
pub fn response_of_item(id: &str) -> Option<String> {
    let (_, rest) = id.split_once('_')?;
    let (response, place) = rest.rsplit_once('_')?;
    (!response.is_empty() && !place.is_empty()).then(|| format!("resp_{response}"))
}

/// Returns the finished item of a block; none for a block that models do not say.
fn item_of(block: &ContentBlock, response: &str, index: usize) -> Option<Item> {
    let item = match block {
        ContentBlock::Text { text } => {
            let mut item = begun(&BlockKind::Text, response, index);
            item.content = Some(TextOr::Parts(vec![Part::output_text(text)]));
            item
        }
        ContentBlock::ToolUse(call) => {
            let kind = BlockKind::ToolUse { id: call.id.clone(), name: call.name.clone() };
            Item { arguments: Some(Value::String(render_input(call))), ..begun(&kind, response, index) }
        }
        ContentBlock::Reasoning(reasoning) => {
            let mut item = begun(&BlockKind::Reasoning, response, index);
            seal(&mut item, reasoning);
            item
        }
        ContentBlock::Image { .. }
        | ContentBlock::Document { .. }
        | ContentBlock::ToolResult(_)
        | ContentBlock::CachePoint => return None,
    };
    Some(over(item))
}

/// Returns the item of a block that begins.
pub(super) fn begun(kind: &BlockKind, response: &str, index: usize) -> Item {
    let status = Some("in_progress".to_owned());
    let id = |prefix| Some(item_id(prefix, response, &index.to_string()));
    match kind {
        BlockKind::Text => Item {
            id: id("msg"),
            kind: Some("message".into()),
            status,
            role: Some("assistant".into()),
            content: Some(TextOr::Parts(Vec::new())),
            ..Item::default()
        },
        BlockKind::Reasoning => {
            Item { id: id("rs"), kind: Some("reasoning".into()), summary: Some(Vec::new()), ..Item::default() }
        }
        BlockKind::ToolUse { id: call, name } => Item {
            id: id("fc"),
            kind: Some("function_call".into()),
            status,
            call_id: Some(call.clone()),
            name: Some(name.clone()),
            arguments: Some(Value::String(String::new())),
            ..Item::default()
        },
    }
}

/// Puts text and seal of reasoning into its item.
pub(super) fn seal(item: &mut Item, reasoning: &Reasoning) {
    let text = (!reasoning.text.is_empty()).then(|| Part::SummaryText { text: reasoning.text.clone() });
    item.summary = Some(text.into_iter().collect());
    item.encrypted_content = seal_of(reasoning);
}

/// Returns the item as one that is complete.
pub(super) fn over(mut item: Item) -> Item {
    if item.status.is_some() {
        item.status = Some("completed".into());
    }
    item
}
