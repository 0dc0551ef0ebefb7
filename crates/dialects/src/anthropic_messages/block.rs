//! Content blocks: core → wire and back, the same in requests and replies.

use super::{
    seal,
    wire::{Block, Source as WireSource},
};
use crate::{
    DecodeError, EncodeError, NameMap,
    input::{input_as_object, input_of_value},
    json::TextOr,
    media::{base64_source, remote_url, text_of, text_source},
    reply::nameless_tool,
};
use bedplate_core::message::{ContentBlock, Source, ToolResult, ToolResultContent, ToolUse};

/// Says blocks; a cache point marks the block before it.
pub(super) fn blocks_out(content: &[ContentBlock], names: &NameMap) -> Result<Vec<Block>, EncodeError> {
    let mut out: Vec<Block> = Vec::with_capacity(content.len());
    for block in content {
        out.push(match block {
            ContentBlock::Text { text } => Block::Text { text: text.clone(), cache_control: None },
            ContentBlock::Image { media_type, source } => {
                Block::Image { source: source_out(media_type, source)?, cache_control: None }
            }
            ContentBlock::Document { name, media_type, source } => document_out(name, media_type, source)?,
            ContentBlock::ToolUse(call) => Block::ToolUse {
                id: call.id.clone(),
                name: names.wire(&call.name).to_owned(),
                input: input_as_object(call),
                cache_control: None,
            },
            ContentBlock::ToolResult(result) => result_out(result)?,
            ContentBlock::Reasoning(reasoning) => seal::block_of(reasoning),
            ContentBlock::CachePoint => {
                // Where no mark is allowed, the block before it carries it: that caches a little less, and is legal.
                let _ = out.iter_mut().rev().any(Block::mark);
                continue;
            }
        });
    }
    Ok(out)
}

fn source_out(media_type: &str, source: &Source) -> Result<WireSource, EncodeError> {
    match source {
        Source::Base64(data) => Ok(WireSource::Base64 { media_type: media_type.to_owned(), data: data.clone() }),
        Source::Url(url) => Ok(WireSource::Url { url: url.clone() }),
        Source::Blob(_) => Err(EncodeError::UnresolvedBlob),
    }
}

fn document_out(name: &str, media_type: &str, source: &Source) -> Result<Block, EncodeError> {
    let source = match source {
        // The API takes texts as text only.
        Source::Base64(data) if media_type.starts_with("text/") => {
            let data = text_of(data).ok_or_else(|| EncodeError::NotText(name.to_owned()))?;
            WireSource::Text { media_type: "text/plain".into(), data }
        }
        other => source_out(media_type, other)?,
    };
    Ok(Block::Document { source, title: (!name.is_empty()).then(|| name.to_owned()), cache_control: None })
}

fn result_out(result: &ToolResult) -> Result<Block, EncodeError> {
    let mut parts = Vec::with_capacity(result.content.len());
    for part in &result.content {
        parts.push(match part {
            ToolResultContent::Text { text } if text.is_empty() => continue,
            ToolResultContent::Text { text } => Block::Text { text: text.clone(), cache_control: None },
            ToolResultContent::Json { json } => Block::Text { text: json.to_string(), cache_control: None },
            ToolResultContent::Image { media_type, source } => {
                Block::Image { source: source_out(media_type, source)?, cache_control: None }
            }
        });
    }
    Ok(Block::ToolResult {
        tool_use_id: result.tool_use_id.clone(),
        content: (!parts.is_empty()).then_some(TextOr::Parts(parts)),
        is_error: result.is_error.then_some(true),
        cache_control: None,
    })
}

/// Reads the content of a message.
pub(super) fn content_in(
    content: TextOr<Block>,
    path: &str,
    names: &NameMap,
) -> Result<Vec<ContentBlock>, DecodeError> {
    match content {
        TextOr::Text(text) => Ok(vec![ContentBlock::Text { text }]),
        TextOr::Parts(blocks) => blocks_in(blocks, path, names),
    }
}

/// Reads blocks; a mark becomes a cache point behind its block.
pub(super) fn blocks_in(blocks: Vec<Block>, path: &str, names: &NameMap) -> Result<Vec<ContentBlock>, DecodeError> {
    let mut out = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        let marked = block.is_marked();
        out.push(block_in(block, &format!("{path}[{index}]"), names)?);
        if marked {
            out.push(ContentBlock::CachePoint);
        }
    }
    Ok(out)
}

fn block_in(block: Block, path: &str, names: &NameMap) -> Result<ContentBlock, DecodeError> {
    Ok(match block {
        Block::Text { text, .. } => ContentBlock::Text { text },
        Block::Image { source, .. } => {
            let (media_type, source) = source_in(source, &format!("{path}.source"))?;
            ContentBlock::Image { media_type, source }
        }
        Block::Document { source, title, .. } => {
            let (media_type, source) = source_in(source, &format!("{path}.source"))?;
            ContentBlock::Document { name: title.unwrap_or_default(), media_type, source }
        }
        Block::ToolUse { name, .. } if name.is_empty() => return Err(nameless_tool(path)),
        Block::ToolUse { id, name, input, .. } => {
            let (input, malformed) = input_of_value(input);
            ContentBlock::ToolUse(ToolUse { id, name: names.core(&name).to_owned(), input, malformed })
        }
        Block::ToolResult { tool_use_id, content, is_error, .. } => ContentBlock::ToolResult(ToolResult {
            tool_use_id,
            content: result_in(content, path)?,
            is_error: is_error.unwrap_or(false),
        }),
        Block::Thinking { thinking, signature } => ContentBlock::Reasoning(seal::of_thinking(thinking, &signature)),
        Block::RedactedThinking { data } => ContentBlock::Reasoning(seal::of_redacted(&data)),
    })
}

fn result_in(content: Option<TextOr<Block>>, path: &str) -> Result<Vec<ToolResultContent>, DecodeError> {
    let blocks = match content {
        None => return Ok(Vec::new()),
        Some(TextOr::Text(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(TextOr::Text(text)) => return Ok(vec![ToolResultContent::Text { text }]),
        Some(TextOr::Parts(blocks)) => blocks,
    };
    let read = |(index, block)| {
        let path = format!("{path}.content[{index}]");
        match block {
            Block::Text { text, .. } => Ok(ToolResultContent::Text { text }),
            Block::Image { source, .. } => {
                let (media_type, source) = source_in(source, &format!("{path}.source"))?;
                Ok(ToolResultContent::Image { media_type, source })
            }
            _ => Err(DecodeError::new(path, "the result of a tool holds texts and images only")),
        }
    };
    blocks.into_iter().enumerate().map(read).collect()
}

fn source_in(source: WireSource, path: &str) -> Result<(String, Source), DecodeError> {
    match source {
        WireSource::Base64 { media_type, data } => {
            let source = base64_source(&data, &format!("{path}.data"))?;
            Ok((media_type, source))
        }
        WireSource::Text { media_type, data } => Ok((media_type, text_source(&data))),
        WireSource::Url { .. } => Err(remote_url(&format!("{path}.url"))),
    }
}
