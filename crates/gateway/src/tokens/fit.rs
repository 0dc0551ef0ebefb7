//! Leaving out the oldest turns of a conversation that is too long.

use super::count::Counter;
use bedplate_core::{
    message::{ContentBlock, Role},
    port::model::ModelRequest,
};

/// Leaves out the oldest messages until the request and its reply fit into `window` tokens, and returns how many; none
/// when the last turn alone is too long. A conversation still begins with a person's words, and no result loses its call.
pub(super) fn truncate(request: &mut ModelRequest, window: u64, counter: Counter) -> Option<usize> {
    let output = request.params.max_tokens.map_or(0, u64::from);
    let begins_turn = |request: &ModelRequest, index: usize| {
        let is_result = |block: &ContentBlock| matches!(block, ContentBlock::ToolResult(_));
        let message = &request.messages[index];
        message.role == Role::User && !message.content.iter().any(is_result)
    };
    let sizes: Vec<usize> = request.messages.iter().map(|message| counter.message(message)).collect();
    let fixed = counter.fixed(request);
    let mut left: usize = sizes.iter().sum();
    for start in 1..request.messages.len() {
        left -= sizes[start - 1];
        if begins_turn(request, start) && counter.tokens(fixed + left).saturating_add(output) <= window {
            request.messages.drain(..start);
            return Some(start);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::{
        message::{Message, ToolResult, ToolUse},
        port::model::{ModelParams, ToolChoice},
    };
    use serde_json::json;
    use std::sync::Arc;

    pub(crate) fn request(messages: Vec<Message>) -> ModelRequest {
        ModelRequest {
            model: "m".into(),
            system: Vec::new(),
            messages: messages.into_iter().map(Arc::new).collect(),
            tools: Arc::new([]),
            tool_choice: ToolChoice::Auto,
            params: ModelParams { max_tokens: Some(50), ..ModelParams::default() },
        }
    }

    #[test]
    fn what_is_left_begins_with_a_person_and_keeps_calls_and_results_together() {
        let call = ToolUse { id: "c".into(), name: "t".into(), input: json!({}), malformed: None };
        let long = || "x".repeat(700);
        let messages = vec![
            Message::user(long()),
            Message { role: Role::Assistant, content: vec![ContentBlock::ToolUse(call)] },
            Message {
                role: Role::User,
                content: vec![ContentBlock::ToolResult(ToolResult {
                    tool_use_id: "c".into(),
                    content: Vec::new(),
                    is_error: false,
                })],
            },
            Message::assistant(long()),
            Message::user("the last question"),
        ];
        let mut fitting = request(messages.clone());
        assert_eq!(truncate(&mut fitting, 300, Counter::Estimate), Some(4));
        assert_eq!(fitting.messages.len(), 1);
        let mut hopeless = request(messages);
        assert_eq!(
            (truncate(&mut hopeless, 40, Counter::Estimate), hopeless.messages.len()),
            (None, 5),
            "it stays as it was"
        );
    }
}
