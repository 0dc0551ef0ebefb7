//! Content blocks: core → wire and back, the same in requests and replies.

use super::wire::{self, Block, CachePoint, ResultBlock, Source as WireSource};
use crate::{
    DecodeError, EncodeError, NameMap,
    anthropic_messages::seal,
    input::{input_as_object, input_of_value},
    media::{base64_source, text_source},
    reply::nameless_tool,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bedplate_core::message::{ContentBlock, Reasoning, Source, ToolResult, ToolResultContent, ToolUse};

/// The formats of documents, and their media types.
const DOCUMENTS: [(&str, &str); 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

/// The formats of pictures; the media type has `image/` before it.
const IMAGES: [&str; 4] = ["png", "jpeg", "gif", "webp"];

/// The longest name of a document that Bedrock takes, in characters.
const MAX_NAME: usize = 200;

/// Says blocks.
pub(super) fn blocks_out(content: &[ContentBlock], names: &NameMap) -> Result<Vec<Block>, EncodeError> {
    content.iter().map(|block| block_out(block, names)).collect()
}

fn block_out(block: &ContentBlock, names: &NameMap) -> Result<Block, EncodeError> {
    Ok(match block {
        ContentBlock::Text { text } => Block::Text(text.clone()),
        ContentBlock::Image { media_type, source } => Block::Image(image_out(media_type, source)?),
        ContentBlock::Document { name, media_type, source } => {
            let format = DOCUMENTS.iter().find(|(_, of)| of == media_type).map(|(format, _)| (*format).to_owned());
            let format = format.ok_or_else(|| EncodeError::UnknownMedia(media_type.clone()))?;
            Block::Document(wire::Document {
                format: Some(format),
                name: document_name(name),
                source: bytes_out(source)?,
                context: None,
                citations: None,
            })
        }
        ContentBlock::ToolUse(call) => Block::ToolUse(wire::ToolUse {
            tool_use_id: call.id.clone(),
            name: names.wire(&call.name).to_owned(),
            input: input_as_object(call),
        }),
        ContentBlock::ToolResult(result) => Block::ToolResult(result_out(result)?),
        ContentBlock::Reasoning(reasoning) => Block::ReasoningContent(reasoning_out(reasoning)),
        ContentBlock::CachePoint => Block::CachePoint(CachePoint::here()),
    })
}

fn image_out(media_type: &str, source: &Source) -> Result<wire::Image, EncodeError> {
    let format = media_type.strip_prefix("image/").filter(|format| IMAGES.contains(format));
    let format = format.ok_or_else(|| EncodeError::UnknownMedia(media_type.to_owned()))?;
    Ok(wire::Image { format: format.to_owned(), source: bytes_out(source)? })
}

fn bytes_out(source: &Source) -> Result<WireSource, EncodeError> {
    match source {
        Source::Base64(data) => Ok(WireSource::Bytes(data.clone())),
        // Converse takes no addresses, and nothing here fetches any.
        Source::Url(_) | Source::Blob(_) => Err(EncodeError::UnresolvedBlob),
    }
}

/// Returns the name in the characters that Bedrock allows: letters, digits, single spaces, hyphens and brackets.
fn document_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
    let plain: String = name.chars().map(allowed).collect();
    let words: Vec<&str> = plain.split_ascii_whitespace().collect();
    let name: String = words.join(" ").chars().take(MAX_NAME).collect();
    if name.is_empty() { "document".into() } else { name }
}

fn result_out(result: &ToolResult) -> Result<wire::ToolResult, EncodeError> {
    let mut content = Vec::with_capacity(result.content.len());
    for part in &result.content {
        content.push(match part {
            ToolResultContent::Text { text } if text.is_empty() => continue,
            ToolResultContent::Text { text } => ResultBlock::Text(text.clone()),
            // Its document type has objects at the top only where every model takes them; the rest goes as text.
            ToolResultContent::Json { json } if json.is_object() => ResultBlock::Json(json.clone()),
            ToolResultContent::Json { json } => ResultBlock::Text(json.to_string()),
            ToolResultContent::Image { media_type, source } => ResultBlock::Image(image_out(media_type, source)?),
        });
    }
    let status = result.is_error.then(|| "error".to_owned());
    Ok(wire::ToolResult { tool_use_id: result.tool_use_id.clone(), content, status })
}

fn reasoning_out(reasoning: &Reasoning) -> wire::Reasoning {
    match redacted_out(reasoning) {
        Some(data) => wire::Reasoning::RedactedContent(data),
        None => {
            let signature = Some(seal::signature_of(reasoning)).filter(|seal| !seal.is_empty());
            wire::Reasoning::ReasoningText(wire::ReasoningText { text: reasoning.text.clone(), signature })
        }
    }
}

/// Returns a redacted block's data in base64, which clients decode; what is none itself is wrapped.
pub(super) fn redacted_out(reasoning: &Reasoning) -> Option<String> {
    let data = seal::redacted_of(reasoning)?;
    if STANDARD.decode(&data).is_ok() {
        return Some(data);
    }
    Some(STANDARD.encode(seal::marked_always(&data)))
}

/// Reads a redacted block's data; see [`redacted_out`].
pub(super) fn redacted_in(data: &str) -> Reasoning {
    let wrapped = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match wrapped.filter(|text| seal::is_marked(text)) {
        Some(text) => seal::of_redacted(&text),
        None => seal::of_redacted(data),
    }
}

/// Reads blocks.
pub(super) fn blocks_in(blocks: Vec<Block>, path: &str, names: &NameMap) -> Result<Vec<ContentBlock>, DecodeError> {
    blocks.into_iter().enumerate().map(|(index, block)| block_in(block, &format!("{path}[{index}]"), names)).collect()
}

fn block_in(block: Block, path: &str, names: &NameMap) -> Result<ContentBlock, DecodeError> {
    Ok(match block {
        Block::Text(text) => ContentBlock::Text { text },
        Block::Image(image) => {
            let (media_type, source) = image_in(image, &format!("{path}.image"))?;
            ContentBlock::Image { media_type, source }
        }
        Block::Document(document) => document_in(document, &format!("{path}.document"))?,
        Block::ToolUse(call) if call.name.is_empty() => return Err(nameless_tool(format!("{path}.toolUse"))),
        Block::ToolUse(call) => {
            let (input, malformed) = input_of_value(call.input);
            let name = names.core(&call.name).to_owned();
            ContentBlock::ToolUse(ToolUse { id: call.tool_use_id, name, input, malformed })
        }
        Block::ToolResult(result) => ContentBlock::ToolResult(result_in(result, &format!("{path}.toolResult"))?),
        Block::ReasoningContent(wire::Reasoning::ReasoningText(reasoning)) => {
            let signature = reasoning.signature.unwrap_or_default();
            ContentBlock::Reasoning(seal::of_thinking(reasoning.text, &signature))
        }
        Block::ReasoningContent(wire::Reasoning::RedactedContent(data)) => ContentBlock::Reasoning(redacted_in(&data)),
        Block::CachePoint(_) => ContentBlock::CachePoint,
    })
}

fn image_in(image: wire::Image, path: &str) -> Result<(String, Source), DecodeError> {
    if !IMAGES.contains(&image.format.as_str()) {
        let message = format!("unknown format `{}`, expected one of {}", image.format, IMAGES.join(", "));
        return Err(DecodeError::new(format!("{path}.format"), message));
    }
    Ok((format!("image/{}", image.format), source_in(image.source, &format!("{path}.source"))?))
}

fn document_in(document: wire::Document, path: &str) -> Result<ContentBlock, DecodeError> {
    if document.context.is_some() {
        return Err(DecodeError::new(format!("{path}.context"), "a context is not supported: say it as a text"));
    }
    if document.citations.is_some_and(|citations| citations.enabled) {
        return Err(DecodeError::new(format!("{path}.citations"), "citations are not supported"));
    }
    let format = document.format.as_deref().unwrap_or("txt");
    let Some((_, media_type)) = DOCUMENTS.iter().find(|(known, _)| *known == format) else {
        return Err(DecodeError::new(format!("{path}.format"), format!("unknown format `{format}`")));
    };
    let source = source_in(document.source, &format!("{path}.source"))?;
    Ok(ContentBlock::Document { name: document.name, media_type: (*media_type).to_owned(), source })
}

fn source_in(source: WireSource, path: &str) -> Result<Source, DecodeError> {
    match source {
        WireSource::Bytes(data) => base64_source(&data, &format!("{path}.bytes")),
        WireSource::Text(text) => Ok(text_source(&text)),
        WireSource::S3Location(_) => {
            Err(DecodeError::new(format!("{path}.s3Location"), "objects of S3 are not fetched: send the bytes"))
        }
    }
}

fn result_in(result: wire::ToolResult, path: &str) -> Result<ToolResult, DecodeError> {
    let is_error = match result.status.as_deref() {
        None | Some("success") => false,
        Some("error") => true,
        Some(other) => return Err(DecodeError::new(format!("{path}.status"), format!("unknown status `{other}`"))),
    };
    let read = |(index, part)| match part {
        ResultBlock::Json(json) => Ok(ToolResultContent::Json { json }),
        ResultBlock::Text(text) => Ok(ToolResultContent::Text { text }),
        ResultBlock::Image(image) => {
            let (media_type, source) = image_in(image, &format!("{path}.content[{index}].image"))?;
            Ok(ToolResultContent::Image { media_type, source })
        }
    };
    let content = result.content.into_iter().enumerate().map(read).collect::<Result<_, DecodeError>>()?;
    Ok(ToolResult { tool_use_id: result.tool_use_id, content, is_error })
}
