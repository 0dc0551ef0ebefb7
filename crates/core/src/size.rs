//! How large content is for a model, estimated without a tokeniser and without encoding anything.

use crate::{
    message::{ContentBlock, Message, Source, ToolResultContent},
    tool::ToolSpec,
};
use serde_json::Value;

/// What a picture counts for, in bytes of text: about 1,500 tokens.
pub const IMAGE_BYTES: usize = 5_250;

/// What every message costs besides its words.
const MESSAGE_BYTES: usize = 14;

/// Returns the estimated tokens of `bytes` of text: one for 3.5 bytes, rounded up. Bytes and not characters are
/// counted, because scripts with long encodings also take more tokens a character.
#[must_use]
pub fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(2).div_ceil(7)
}

/// Returns about how many bytes of text a message counts for.
#[must_use]
pub fn message(message: &Message) -> usize {
    MESSAGE_BYTES + message.content.iter().map(block).sum::<usize>()
}

/// Returns about how many bytes of text a tool's description counts for.
#[must_use]
pub fn spec(spec: &ToolSpec) -> usize {
    spec.name.len() + spec.description.len() + value(&spec.input_schema)
}

/// Returns about how many bytes of text a block counts for.
#[must_use]
pub fn block(block: &ContentBlock) -> usize {
    match block {
        ContentBlock::Text { text } => text.len(),
        ContentBlock::Image { .. } => IMAGE_BYTES,
        ContentBlock::Document { name, source, .. } => name.len() + document(source),
        ContentBlock::ToolUse(call) => {
            call.id.len() + call.name.len() + call.malformed.as_ref().map_or_else(|| value(&call.input), String::len)
        }
        ContentBlock::ToolResult(result) => {
            result.tool_use_id.len() + result.content.iter().map(result_part).sum::<usize>()
        }
        ContentBlock::Reasoning(reasoning) => {
            reasoning.text.len()
                + reasoning.signature.as_ref().map_or(0, String::len)
                + reasoning.redacted.as_ref().map_or(0, String::len)
        }
        ContentBlock::CachePoint => 0,
    }
}

fn result_part(part: &ToolResultContent) -> usize {
    match part {
        ToolResultContent::Text { text } => text.len(),
        ToolResultContent::Json { json } => value(json),
        ToolResultContent::Image { .. } => IMAGE_BYTES,
    }
}

/// A document's words are a fraction of its bytes; where the bytes are elsewhere, a few pages are assumed.
fn document(source: &Source) -> usize {
    match source {
        Source::Base64(bytes) => bytes.len() / 4,
        Source::Url(_) | Source::Blob(_) => 4 * IMAGE_BYTES,
    }
}

fn value(json: &Value) -> usize {
    match json {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| value(item) + 1).sum::<usize>(),
        Value::Object(fields) => 2 + fields.iter().map(|(key, item)| key.len() + 4 + value(item)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_near_the_encoded_length() {
        let json = serde_json::json!({"city": "Paris", "days": [1, 2, 3], "ok": true});
        let encoded = json.to_string().len();
        let estimate = value(&json);
        assert!(estimate >= encoded && estimate < encoded * 2, "{estimate} for {encoded} bytes");
    }

    #[test]
    fn tokens_round_up_so_that_nothing_is_free() {
        assert_eq!(tokens(0), 0);
        assert_eq!(tokens(1), 1);
        assert_eq!(tokens(7), 2);
        assert_eq!(tokens(8), 3);
    }
}
