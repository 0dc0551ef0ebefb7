//! A deterministic stand-in for a foundation model: it reads the conversation and the tools' schemas, calls tools, and
//! words answers from their results. It knows no question beforehand and no tool by its name.
//!
//! Invariant: no I/O, no clock, no randomness, no table of questions. The same request at the same time gets the same reply.

pub mod answer;
pub mod chat;
pub mod choose;
mod embed;
pub mod fill;
pub mod output;
pub mod plan;
pub mod read;
pub mod schema;
pub mod turn;
pub mod words;

use bedplate_core::{
    message::{ContentBlock, Message, Role, StopReason, ToolUse, Usage},
    port::model::{ModelReply, ModelRequest, ToolChoice},
    time::Timestamp,
};
use choose::Toolbox;
pub use embed::{DIMENSIONS, embed};
use plan::{Call, Next};
use schema::Tool;
use serde_json::Value;

/// The name of the provider in every reply.
pub const PROVIDER: &str = "rehearsal";
/// The name of the model in every reply.
pub const MODEL: &str = "rehearsal-1";
/// How many tools are read.
const MAX_TOOLS: usize = 128;

/// Replies to a request. Never fails and never panics; the time it takes is bounded by the bounds on what it reads.
#[must_use]
pub fn reply(request: &ModelRequest, now: Timestamp) -> ModelReply {
    let toolbox = Toolbox::new(request.tools.iter().take(MAX_TOOLS).map(Tool::read).collect());
    let mut turns = turn::turns(request);
    let meant = plan::follow::resolved(&turns, now);
    if let (Some(question), Some(turn)) = (meant, turns.last_mut()) {
        turn.said = std::mem::replace(&mut turn.question, question);
    }
    match decide(request, &toolbox, &turns, now) {
        Decision::Say(text) => {
            let text = match (&request.params.output, turns.last()) {
                (Some(format), Some(turn)) => output::compose(format, turn, &text, now),
                _ => text,
            };
            finish(request, vec![ContentBlock::text(text)], StopReason::EndTurn)
        }
        Decision::Call(calls) => {
            let done: usize = turns.iter().map(|turn| turn.steps.len()).sum();
            let blocks = calls
                .into_iter()
                .enumerate()
                .map(|(index, call)| {
                    ContentBlock::ToolUse(ToolUse {
                        id: format!("call_{}", done + index + 1),
                        name: call.name,
                        input: Value::Object(call.args),
                        malformed: None,
                    })
                })
                .collect();
            finish(request, blocks, StopReason::ToolUse)
        }
    }
}

enum Decision {
    Say(String),
    Call(Vec<Call>),
}

fn decide(request: &ModelRequest, toolbox: &Toolbox, turns: &[turn::Turn], now: Timestamp) -> Decision {
    let nothing = turn::Turn::default();
    let turn = turns.last().unwrap_or(&nothing);
    let fresh = turn.steps.is_empty();
    let (must, only) = match &request.tool_choice {
        ToolChoice::Any if fresh => (true, None),
        ToolChoice::Tool(name) if fresh => (true, Some(name.as_str())),
        _ => (false, None),
    };
    let barred = request.tool_choice == ToolChoice::None || toolbox.tools.is_empty();
    if fresh
        && !must
        && let Some(text) = talk(toolbox, turns, now, barred)
    {
        return Decision::Say(text);
    }
    if barred {
        return Decision::Say(if fresh {
            chat::recall(turns, false).unwrap_or_else(|| chat::decline(toolbox))
        } else {
            answer::compose(turn, now)
        });
    }
    let reading = read::Reading::new(&turn.question, now);
    if let Some(unable) = plan::unable(toolbox, &reading).filter(|_| !must) {
        let plain = chat::unable(&unable.verb, &unable.what);
        return match unable.rules {
            Some((name, param, topic)) if fresh => {
                let args = std::iter::once((param, Value::String(topic))).collect();
                Decision::Call(vec![Call { name, args }])
            }
            Some(_) => Decision::Say(format!("{plain}\n\n{}", answer::compose(turn, now))),
            None => Decision::Say(format!("{plain} {}", chat::offer(toolbox))),
        };
    }
    match plan::next(toolbox, turns, now, must, only) {
        Next::Calls(mut calls) if !calls.is_empty() => {
            if request.params.parallel_tool_calls == Some(false) {
                calls.truncate(1);
            }
            Decision::Call(calls)
        }
        Next::Calls(_) | Next::Answer if !fresh => Decision::Say(answer::compose(turn, now)),
        Next::Ask { tool, .. } if must => Decision::Call(vec![plan::forced(toolbox, &tool, &turn.question, now)]),
        Next::Ask { tool, missing } => Decision::Say(chat::ask(toolbox, &tool, &missing)),
        Next::Calls(_) | Next::Answer | Next::Nothing => {
            Decision::Say(chat::recall(turns, false).unwrap_or_else(|| chat::decline(toolbox)))
        }
    }
}

/// Answers without any tool: small talk, memory, statements, a member of the last result.
fn talk(toolbox: &Toolbox, turns: &[turn::Turn], now: Timestamp, barred: bool) -> Option<String> {
    let question = &turns.last()?.question;
    if let Some(text) = chat::small_talk(question, toolbox) {
        return Some(text);
    }
    if let Some(text) = chat::recall(turns, true) {
        return Some(text);
    }
    if let Some(text) = chat::acknowledge(question) {
        return Some(text);
    }
    let asked = &turns.last()?.said;
    let reading = read::Reading::new(if asked.is_empty() { question } else { asked }, now);
    if barred { None } else { plan::follow::member(turns, &reading) }
}

fn finish(request: &ModelRequest, mut content: Vec<ContentBlock>, mut stop_reason: StopReason) -> ModelReply {
    let mut stop_sequence = None;
    for block in &mut content {
        let ContentBlock::Text { text } = block else { continue };
        for stop in request.params.stop_sequences.iter().filter(|stop| !stop.is_empty()) {
            if let Some(at) = text.find(stop.as_str()) {
                text.truncate(at);
                stop_reason = StopReason::StopSequence;
                stop_sequence = Some(stop.clone());
            }
        }
        let room = request.params.max_tokens.map_or(usize::MAX, |tokens| (tokens as usize).saturating_mul(4));
        if text.chars().count() > room {
            *text = text.chars().take(room).collect();
            stop_reason = StopReason::MaxTokens;
            stop_sequence = None;
        }
        if text.is_empty() {
            // A message is never empty on its way to a model.
            text.push(' ');
        }
    }
    let message = Message { role: Role::Assistant, content };
    let usage = Usage { input: estimate(request), output: tokens(size(&message)), ..Usage::default() };
    ModelReply {
        message,
        stop_reason,
        stop_sequence,
        usage,
        cost: Some(0),
        model: MODEL.into(),
        provider: PROVIDER.into(),
    }
}

/// Estimates the tokens of a request: a quarter of its characters.
fn estimate(request: &ModelRequest) -> u64 {
    let system: usize = request.system.iter().map(block_size).sum();
    let messages: usize = request.messages.iter().map(|message| size(message)).sum();
    let tools: usize = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.input_schema.to_string().len())
        .sum();
    tokens(system + messages + tools)
}

fn tokens(characters: usize) -> u64 {
    (characters as u64).div_ceil(4)
}

fn size(message: &Message) -> usize {
    message.content.iter().map(block_size).sum()
}

fn block_size(block: &ContentBlock) -> usize {
    match block {
        ContentBlock::Text { text } => text.chars().count(),
        ContentBlock::ToolUse(call) => call.name.len() + call.input.to_string().chars().count(),
        ContentBlock::ToolResult(result) => result.text().chars().count(),
        ContentBlock::Reasoning(reasoning) => reasoning.text.chars().count(),
        ContentBlock::Image { .. } | ContentBlock::Document { .. } => 1_000,
        ContentBlock::CachePoint => 0,
    }
}
