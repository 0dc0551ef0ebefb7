//! Items of a conversation: core messages → items and back.

use super::{
    FAMILY,
    wire::{Item, Part},
};
use crate::{
    DecodeError, EncodeError, NameMap,
    json::TextOr,
    media::{parse_data_url, text_of, url_of},
    parse_input, render_input,
    reply::{call_id, nameless_tool},
};
use bedplate_core::message::{ContentBlock, Message, Reasoning, Role, Source, ToolResult, ToolResultContent, ToolUse};
use serde_json::Value;
use std::sync::Arc;

/// Marks a seal with its family, so that a client carries it without reading it. OpenAI's own seals are base64 and hold
/// no colon.
const MARK: &str = "bedplate:";

/// A conversation that was read out of items.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// What system and developer messages say, in order.
    pub(super) system: Vec<ContentBlock>,
    /// One message an item; whoever uses them merges neighbours.
    pub(super) messages: Vec<Arc<Message>>,
}

impl Conversation {
    /// Reads the next item.
    pub(super) fn read(&mut self, item: Item, path: &str, names: &NameMap) -> Result<(), DecodeError> {
        let (role, block) = match item.kind() {
            "message" => return self.message(item, path),
            "function_call" => (Role::Assistant, call_in(item, self.messages.len(), path, names)?),
            "function_call_output" => (Role::User, result_in(item, path)?),
            "reasoning" => match reasoning_in(item) {
                Some(reasoning) => (Role::Assistant, ContentBlock::Reasoning(reasoning)),
                None => return Ok(()),
            },
            "item_reference" => {
                return Err(DecodeError::new(format!("{path}.id"), "no item with this id is stored here"));
            }
            other => {
                return Err(DecodeError::new(
                    format!("{path}.type"),
                    format!("items of type `{other}` are not supported"),
                ));
            }
        };
        self.messages.push(Arc::new(Message { role, content: vec![block] }));
        Ok(())
    }

    fn message(&mut self, item: Item, path: &str) -> Result<(), DecodeError> {
        let parts = match item.content {
            None => return Err(DecodeError::new(path, "missing field `content`")),
            Some(TextOr::Text(text)) => vec![ContentBlock::Text { text }],
            Some(TextOr::Parts(parts)) => parts_in(parts, &format!("{path}.content"))?,
        };
        let role = match item.role.as_deref() {
            Some("system" | "developer") => {
                self.system.extend(parts.into_iter().filter(|block| *block != ContentBlock::text("")));
                return Ok(());
            }
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some(other) => return Err(DecodeError::new(format!("{path}.role"), format!("unknown role `{other}`"))),
            None => return Err(DecodeError::new(path, "missing field `role`")),
        };
        self.messages.push(Arc::new(Message { role, content: parts }));
        Ok(())
    }
}

fn parts_in(parts: Vec<Part>, path: &str) -> Result<Vec<ContentBlock>, DecodeError> {
    let read = |(index, part)| {
        let path = format!("{path}[{index}]");
        match part {
            Part::InputImage { image_url: Some(url), .. } => {
                let (media_type, source) = parse_data_url(&url, &format!("{path}.image_url"))?;
                Ok(ContentBlock::Image { media_type, source })
            }
            Part::InputFile { filename, file_data: Some(data), .. } => {
                let (media_type, source) = parse_data_url(&data, &format!("{path}.file_data"))?;
                Ok(ContentBlock::Document { name: filename.unwrap_or_default(), media_type, source })
            }
            Part::InputImage { .. } => Err(DecodeError::new(
                path,
                "uploaded files are not supported: send the picture as a data URL in `image_url`",
            )),
            Part::InputFile { .. } => Err(DecodeError::new(
                path,
                "uploaded and remote files are not supported: send `file_data` as a data URL",
            )),
            Part::InputText { text }
            | Part::OutputText { text, .. }
            | Part::SummaryText { text }
            | Part::ReasoningText { text }
            | Part::Refusal { refusal: text } => Ok(ContentBlock::Text { text }),
        }
    };
    parts.into_iter().enumerate().map(read).collect()
}

/// Reads a call of a function.
pub(super) fn call_in(item: Item, position: usize, path: &str, names: &NameMap) -> Result<ContentBlock, DecodeError> {
    let name = item.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| nameless_tool(path))?;
    let (input, malformed) = parse_input(&arguments_text(item.arguments.as_ref()));
    let id = call_id(item.call_id.or(item.id), position);
    Ok(ContentBlock::ToolUse(ToolUse { id, name: names.core(name).to_owned(), input, malformed }))
}

/// Returns arguments as a text; some clients send the object itself.
pub(super) fn arguments_text(arguments: Option<&Value>) -> String {
    match arguments {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn result_in(item: Item, path: &str) -> Result<ContentBlock, DecodeError> {
    let Some(tool_use_id) = item.call_id else {
        return Err(DecodeError::new(path, "missing field `call_id`"));
    };
    let blocks = match item.output {
        None => return Err(DecodeError::new(path, "missing field `output`")),
        Some(TextOr::Text(text)) => vec![ContentBlock::Text { text }],
        Some(TextOr::Parts(parts)) => parts_in(parts, &format!("{path}.output"))?,
    };
    let mut content = Vec::with_capacity(blocks.len());
    for block in blocks {
        match block {
            ContentBlock::Text { text } if text.is_empty() => {}
            ContentBlock::Text { text } => content.push(ToolResultContent::Text { text }),
            ContentBlock::Image { media_type, source } => content.push(ToolResultContent::Image { media_type, source }),
            _ => {
                let message = "the result of a tool holds texts and pictures only";
                return Err(DecodeError::new(format!("{path}.output"), message));
            }
        }
    }
    Ok(ContentBlock::ToolResult(ToolResult { tool_use_id, content, is_error: false }))
}

/// Reads reasoning; none when there is neither a text nor a seal.
pub(super) fn reasoning_in(item: Item) -> Option<Reasoning> {
    let joined = |parts: &[Part]| parts.iter().filter_map(Part::text).collect::<Vec<_>>().join("\n\n");
    let mut text = item.summary.as_deref().map(joined).unwrap_or_default();
    if let (true, Some(TextOr::Parts(parts))) = (text.is_empty(), &item.content) {
        text = joined(parts);
    }
    let (mut signature, mut redacted, mut family) = (None, None, None);
    match item.encrypted_content.filter(|seal| !seal.is_empty()) {
        None if text.is_empty() => return None,
        None => {}
        Some(seal) => match unmarked(&seal) {
            Some((of, "s", seal)) => (signature, family) = (Some(seal.to_owned()), of),
            Some((of, _, seal)) => (redacted, family) = (Some(seal.to_owned()), of),
            // OpenAI pairs a seal with the id of its item.
            None => {
                let id = item.id.unwrap_or_default();
                (signature, family) = (Some(format!("{id}:{seal}")), Some(FAMILY.to_owned()));
            }
        },
    }
    Some(Reasoning { text, signature, redacted, family })
}

/// Returns family, kind and seal of what [`seal_of`] made.
fn unmarked(wire: &str) -> Option<(Option<String>, &str, &str)> {
    let (family, rest) = wire.strip_prefix(MARK)?.split_once(':')?;
    let (kind, seal) = rest.split_once(':')?;
    Some(((!family.is_empty()).then(|| family.to_owned()), kind, seal))
}

/// Returns the seal of a reasoning block as a client carries it; none for one without.
pub(super) fn seal_of(reasoning: &Reasoning) -> Option<String> {
    let family = reasoning.family.as_deref().unwrap_or_default();
    match (&reasoning.redacted, &reasoning.signature) {
        (Some(data), _) => Some(format!("{MARK}{family}:r:{data}")),
        (None, Some(seal)) => Some(format!("{MARK}{family}:s:{seal}")),
        (None, None) => None,
    }
}

/// Says a message to an upstream.
pub(super) fn items_out(message: &Message, names: &NameMap, out: &mut Vec<Item>) -> Result<(), EncodeError> {
    let mut parts = Vec::new();
    for block in &message.content {
        match block {
            ContentBlock::Text { text } if message.role == Role::Assistant => parts.push(Part::output_text(text)),
            ContentBlock::Text { text } => parts.push(Part::InputText { text: text.clone() }),
            ContentBlock::Image { media_type, source } => parts.push(image_out(media_type, source)?),
            ContentBlock::Document { name, media_type, source } => parts.push(document_out(name, media_type, source)?),
            ContentBlock::ToolUse(call) => {
                flush(message.role, &mut parts, out);
                out.push(Item {
                    kind: Some("function_call".into()),
                    call_id: Some(call.id.clone()),
                    name: Some(names.wire(&call.name).to_owned()),
                    arguments: Some(Value::String(render_input(call))),
                    ..Item::default()
                });
            }
            ContentBlock::ToolResult(result) => {
                flush(message.role, &mut parts, out);
                out.push(result_out(result)?);
            }
            ContentBlock::Reasoning(reasoning) => {
                flush(message.role, &mut parts, out);
                out.extend(reasoning_out(reasoning));
            }
            // The API caches by itself.
            ContentBlock::CachePoint => {}
        }
    }
    flush(message.role, &mut parts, out);
    Ok(())
}

fn flush(role: Role, parts: &mut Vec<Part>, out: &mut Vec<Item>) {
    if parts.is_empty() {
        return;
    }
    let role = match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let content = Some(TextOr::Parts(std::mem::take(parts)));
    out.push(Item { kind: Some("message".into()), role: Some(role.into()), content, ..Item::default() });
}

/// Returns the item of a block that an upstream of the family made; none for any other.
fn reasoning_out(reasoning: &Reasoning) -> Option<Item> {
    let (id, seal) = reasoning.signature.as_deref()?.split_once(':')?;
    if reasoning.family.as_deref() != Some(FAMILY) || seal.is_empty() {
        return None;
    }
    let text = (!reasoning.text.is_empty()).then(|| Part::SummaryText { text: reasoning.text.clone() });
    Some(Item {
        id: (!id.is_empty()).then(|| id.to_owned()),
        kind: Some("reasoning".into()),
        summary: Some(text.into_iter().collect()),
        encrypted_content: Some(seal.to_owned()),
        ..Item::default()
    })
}

fn result_out(result: &ToolResult) -> Result<Item, EncodeError> {
    // Several parts keep their borders.
    let plain = match result.content.as_slice() {
        [] => true,
        [part] => !matches!(part, ToolResultContent::Image { .. }),
        _ => false,
    };
    let output = if plain {
        TextOr::Text(result.text())
    } else {
        let part = |part: &ToolResultContent| match part {
            ToolResultContent::Text { text } => Ok(Part::InputText { text: text.clone() }),
            ToolResultContent::Json { json } => Ok(Part::InputText { text: json.to_string() }),
            ToolResultContent::Image { media_type, source } => image_out(media_type, source),
        };
        TextOr::Parts(result.content.iter().map(part).collect::<Result<_, _>>()?)
    };
    Ok(Item {
        kind: Some("function_call_output".into()),
        call_id: Some(result.tool_use_id.clone()),
        output: Some(output),
        ..Item::default()
    })
}

fn image_out(media_type: &str, source: &Source) -> Result<Part, EncodeError> {
    Ok(Part::InputImage { image_url: Some(url_of(media_type, source)?), file_id: None, detail: Some("auto".into()) })
}

/// Says a document as a file; a text goes as text, because the API takes no files of text.
fn document_out(name: &str, media_type: &str, source: &Source) -> Result<Part, EncodeError> {
    if let (true, Source::Base64(data)) = (media_type.starts_with("text/"), source) {
        let text = text_of(data).ok_or_else(|| EncodeError::NotText(name.to_owned()))?;
        let text = if name.is_empty() { text } else { format!("{name}:\n\n{text}") };
        return Ok(Part::InputText { text });
    }
    let filename = Some(if name.is_empty() { "document".to_owned() } else { name.to_owned() });
    Ok(Part::InputFile { filename, file_data: Some(url_of(media_type, source)?), file_id: None, file_url: None })
}
