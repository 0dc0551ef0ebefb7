//! Leaving out the oldest turns of a conversation that is too long.

use bedplate_core::{
    message::{ContentBlock, Role},
    port::model::ModelRequest,
};

/// Leaves out the oldest messages until the request and its reply fit into `window` tokens, and returns how many; none
/// when the last turn alone is too long. A conversation still begins with a person's words, and no result loses its call.
pub(super) fn truncate(request: &mut ModelRequest, window: u64) -> Option<usize> {
    let output = request.params.max_tokens.map_or(0, u64::from);
    let begins_turn = |request: &ModelRequest, index: usize| {
        let is_result = |block: &ContentBlock| matches!(block, ContentBlock::ToolResult(_));
        let message = &request.messages[index];
        message.role == Role::User && !message.content.iter().any(is_result)
    };
    let starts: Vec<usize> = (1..request.messages.len()).filter(|&index| begins_turn(request, index)).collect();
    let all = request.messages.clone();
    for start in starts {
        request.messages = all[start..].to_vec();
        if super::estimate(request).saturating_add(output) <= window {
            return Some(start);
        }
    }
    request.messages = all;
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
        assert_eq!(truncate(&mut fitting, 300), Some(4));
        assert_eq!(fitting.messages.len(), 1);
        let mut hopeless = request(messages);
        assert_eq!((truncate(&mut hopeless, 40), hopeless.messages.len()), (None, 5), "it stays as it was");
    }
}
