//! The form of a conversation that every provider accepts.

use bedplate_core::message::{ContentBlock, Message, Role};
use std::sync::Arc;

/// Returns the conversation with neighbours of one role merged, tool results first in a user's message, empty texts
/// dropped, and messages that are empty then left out. A reasoning block is never dropped, also when its text is empty.
/// A cache point stays behind the block that it follows.
///
/// Messages that are in form already are shared and not copied.
#[must_use]
pub fn normalise(messages: &[Arc<Message>]) -> Vec<Arc<Message>> {
    let mut out: Vec<Arc<Message>> = Vec::with_capacity(messages.len());
    for message in messages {
        let whole = if message.content.iter().any(is_empty_text) {
            let content = message.content.iter().filter(|block| !is_empty_text(block)).cloned().collect();
            Arc::new(Message { role: message.role, content })
        } else {
            Arc::clone(message)
        };
        if whole.content.iter().all(|block| matches!(block, ContentBlock::CachePoint)) {
            continue;
        }
        match out.last_mut() {
            Some(last) if last.role == whole.role => {
                Arc::make_mut(last).content.extend(whole.content.iter().cloned());
            }
            _ => out.push(whole),
        }
    }
    for message in &mut out {
        if message.role == Role::User && !results_first(&message.content) {
            let message = Arc::make_mut(message);
            message.content = with_results_first(std::mem::take(&mut message.content));
        }
    }
    out
}

fn is_empty_text(block: &ContentBlock) -> bool {
    matches!(block, ContentBlock::Text { text } if text.is_empty())
}

fn results_first(content: &[ContentBlock]) -> bool {
    let mut other = false;
    content.iter().all(|block| match block {
        ContentBlock::ToolResult(_) => !other,
        ContentBlock::CachePoint => true,
        _ => {
            other = true;
            true
        }
    })
}

fn with_results_first(content: Vec<ContentBlock>) -> Vec<ContentBlock> {
    let (mut results, mut others) = (Vec::new(), Vec::new());
    let mut in_results = false;
    for block in content {
        match block {
            ContentBlock::CachePoint => {}
            ContentBlock::ToolResult(_) => in_results = true,
            _ => in_results = false,
        }
        if in_results { results.push(block) } else { others.push(block) }
    }
    results.append(&mut others);
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::message::{Reasoning, ToolResult};

    fn result(id: &str) -> ContentBlock {
        ContentBlock::ToolResult(ToolResult { tool_use_id: id.into(), content: vec![], is_error: false })
    }

    fn user(content: Vec<ContentBlock>) -> Arc<Message> {
        Arc::new(Message { role: Role::User, content })
    }

    #[test]
    fn pain_24_parallel_results_share_one_user_message_and_come_first() {
        let messages = [
            user(vec![result("a")]),
            user(vec![ContentBlock::text("and"), result("b"), ContentBlock::CachePoint]),
            user(vec![ContentBlock::text("")]),
        ];
        let out = normalise(&messages);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].content, [result("a"), result("b"), ContentBlock::CachePoint, ContentBlock::text("and")]);
    }

    #[test]
    fn pain_21_a_signed_reasoning_block_without_text_is_kept() {
        let signed = ContentBlock::Reasoning(Reasoning {
            text: String::new(),
            signature: Some("c2ln".into()),
            redacted: None,
            family: Some("anthropic".into()),
        });
        let message =
            Arc::new(Message { role: Role::Assistant, content: vec![signed.clone(), ContentBlock::text("")] });
        assert_eq!(normalise(&[message])[0].content, [signed]);
    }
}
