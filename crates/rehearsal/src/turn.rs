//! A conversation as a rehearsal reads it: the present question, what was done for it, and what came before.

use bedplate_core::{
    message::{Message, Role, ToolResult, ToolResultContent},
    port::model::ModelRequest,
};
use serde_json::Value;
use std::sync::Arc;

/// How many messages back a conversation is read.
const MAX_MESSAGES: usize = 400;

/// A call that was made, with its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The tool.
    pub name: String,
    /// The arguments.
    pub input: Value,
    /// What the tool answered; none when no result is in the conversation.
    pub output: Option<Output>,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The answer; text that is JSON is read as JSON.
    pub value: Value,
    /// The answer as text.
    pub text: String,
    /// Whether it is a failure.
    pub failed: bool,
}

/// A question with what was done for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// What the user said.
    pub question: String,
    /// The question as it was said, where what "it" stands for was put into it; else empty.
    pub said: String,
    /// The calls, in order.
    pub steps: Vec<Step>,
    /// What the assistant said last in this turn.
    pub answer: String,
}

/// Reads the turns of a conversation, oldest first; the last one is the present one.
#[must_use]
pub fn turns(request: &ModelRequest) -> Vec<Turn> {
    let messages = &request.messages;
    let skip = messages.len().saturating_sub(MAX_MESSAGES);
    let mut turns: Vec<Turn> = Vec::new();
    for (index, message) in messages.iter().enumerate().skip(skip) {
        match message.role {
            Role::User => {
                let said = message.text();
                for result in message.tool_results() {
                    attach(&mut turns, messages, index, result);
                }
                if !said.trim().is_empty() {
                    let only_results = message.tool_results().next().is_some();
                    match turns.last_mut() {
                        // Words beside results belong to the turn that goes on, unless they are a new question.
                        Some(turn) if only_results && turn.question.is_empty() => turn.question = said,
                        Some(turn) if !only_results && turn.steps.is_empty() && turn.answer.is_empty() => {
                            turn.question.push_str("\n\n");
                            turn.question.push_str(&said);
                        }
                        _ => turns.push(Turn { question: said, ..Turn::default() }),
                    }
                }
            }
            Role::Assistant => {
                if turns.is_empty() {
                    turns.push(Turn::default());
                }
                if let Some(turn) = turns.last_mut() {
                    let said = message.text();
                    if !said.trim().is_empty() {
                        turn.answer = said;
                    }
                    turn.steps.extend(message.tool_uses().map(|call| Step {
                        name: call.name.clone(),
                        input: call.input.clone(),
                        output: None,
                    }));
                }
            }
        }
    }
    if turns.is_empty() {
        turns.push(Turn::default());
    }
    turns
}

/// Gives a result to the call it answers: the id's last use before it that has no result yet.
fn attach(turns: &mut [Turn], messages: &[Arc<Message>], before: usize, result: &ToolResult) {
    let Some(position) =
        messages[..before].iter().rev().find(|message| message.role == Role::Assistant).and_then(|message| {
            let calls: Vec<_> = message.tool_uses().collect();
            calls.iter().position(|call| call.id == result.tool_use_id).map(|index| calls.len() - index)
        })
    else {
        return;
    };
    if let Some(turn) = turns.last_mut() {
        let at = turn.steps.len().checked_sub(position);
        if let Some(step) = at.and_then(|at| turn.steps.get_mut(at)) {
            step.output = Some(read(result));
        }
    }
}

fn read(result: &ToolResult) -> Output {
    let text = result.text();
    let json = result.content.iter().find_map(|part| match part {
        ToolResultContent::Json { json } => Some(json.clone()),
        ToolResultContent::Text { .. } | ToolResultContent::Image { .. } => None,
    });
    let trimmed = text.trim();
    let value = match json {
        Some(json) => json,
        None if trimmed.starts_with(['{', '[']) => {
            serde_json::from_str(trimmed).unwrap_or_else(|_| Value::String(text.clone()))
        }
        None => Value::String(text.clone()),
    };
    let failed = result.is_error
        || value
            .as_object()
            .is_some_and(|map| map.len() <= 3 && map.get("error").is_some_and(|error| !error.is_null()));
    Output { value, text, failed }
}
