//! A small stage for conversations: it keeps the messages, and tools answer when they are called.

use bedplate_core::{
    message::{ContentBlock, Message, Role, StopReason, ToolResult, ToolResultContent, ToolUse},
    port::model::{ModelParams, ModelReply, ModelRequest, ToolChoice},
    time::Timestamp,
    tool::ToolSpec,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// 2026-11-20T15:31:19Z, a Friday.
pub const NOW: Timestamp = Timestamp(1_795_188_679_000);

pub fn spec(name: &str, description: &str, schema: Value) -> ToolSpec {
    ToolSpec { name: name.into(), description: description.into(), input_schema: schema }
}

/// The three tools that the product's documents use.
pub fn assistant_tools() -> Vec<ToolSpec> {
    vec![
        spec(
            "get_current_time",
            "Get the current date and time",
            json!({"type": "object", "properties": {}, "required": []}),
        ),
        spec(
            "calculate",
            "Perform mathematical calculations",
            json!({"type": "object", "properties": {"expression": {"type": "string", "description": "Mathematical expression to evaluate, e.g. '2 + 2'"}}, "required": ["expression"]}),
        ),
        spec(
            "search_database",
            "Search the knowledge base for information",
            json!({"type": "object", "properties": {"query": {"type": "string", "description": "Search query"}}, "required": ["query"]}),
        ),
    ]
}

pub fn request(messages: &[Message], tools: &[ToolSpec], choice: ToolChoice) -> ModelRequest {
    ModelRequest {
        model: "default".into(),
        system: vec![ContentBlock::text("You are a helpful assistant.")],
        messages: messages.iter().cloned().map(Arc::new).collect(),
        tools: tools.to_vec().into(),
        tool_choice: choice,
        params: ModelParams::default(),
    }
}

pub fn ask(question: &str, tools: &[ToolSpec]) -> ModelReply {
    bedplate_rehearsal::reply(&request(&[Message::user(question)], tools, ToolChoice::Auto), NOW)
}

pub fn calls(reply: &ModelReply) -> Vec<ToolUse> {
    reply.message.tool_uses().cloned().collect()
}

/// What a tool does with its arguments.
type Run<'a> = dyn Fn(&str, &Value) -> Result<Value, String> + 'a;

/// A conversation with tools that answer.
pub struct Stage<'a> {
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    pub made: Vec<ToolUse>,
    run: Box<Run<'a>>,
}

impl<'a> Stage<'a> {
    pub fn new(tools: Vec<ToolSpec>, run: impl Fn(&str, &Value) -> Result<Value, String> + 'a) -> Self {
        Self { messages: Vec::new(), tools, made: Vec::new(), run: Box::new(run) }
    }

    /// Says something and runs the loop to the answer. Panics when it does not end.
    pub fn say(&mut self, text: &str) -> String {
        self.messages.push(Message::user(text));
        self.made.clear();
        for _ in 0..12 {
            let reply = bedplate_rehearsal::reply(&request(&self.messages, &self.tools, ToolChoice::Auto), NOW);
            self.messages.push(reply.message.clone());
            let calls = calls(&reply);
            if calls.is_empty() {
                assert_ne!(reply.stop_reason, StopReason::ToolUse);
                return reply.message.text();
            }
            let mut results = Vec::new();
            for call in calls {
                assert!(
                    !self.made.iter().any(|made| made.name == call.name && made.input == call.input),
                    "the same call twice: {call:?}"
                );
                let (content, is_error) = match (self.run)(&call.name, &call.input) {
                    Ok(Value::String(text)) => (ToolResultContent::text(text), false),
                    Ok(json) => (ToolResultContent::Json { json }, false),
                    Err(text) => (ToolResultContent::text(text), true),
                };
                results.push(ContentBlock::ToolResult(ToolResult {
                    tool_use_id: call.id.clone(),
                    content: vec![content],
                    is_error,
                }));
                self.made.push(call);
            }
            self.messages.push(Message { role: Role::User, content: results });
        }
        panic!("the loop did not end for {text:?}: {:?}", self.made);
    }
}

/// Evaluates `+ - * / ^ ()` and `sqrt`, as a calculator tool would.
pub fn evaluate(text: &str) -> Result<f64, String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().replace("**", "^");
    let mut at = 0;
    let value = sum(text.as_bytes(), &mut at)?;
    if at == text.len() { Ok(value) } else { Err(format!("cannot read {:?}", &text[at..])) }
}

fn sum(text: &[u8], at: &mut usize) -> Result<f64, String> {
    let mut value = product(text, at)?;
    while let Some(sign @ (b'+' | b'-')) = text.get(*at) {
        *at += 1;
        let right = product(text, at)?;
        value = if *sign == b'+' { value + right } else { value - right };
    }
    Ok(value)
}

fn product(text: &[u8], at: &mut usize) -> Result<f64, String> {
    let mut value = atom(text, at)?;
    while let Some(sign @ (b'*' | b'/' | b'^')) = text.get(*at) {
        *at += 1;
        let right = atom(text, at)?;
        value = match sign {
            b'*' => value * right,
            b'/' => value / right,
            _ => value.powf(right),
        };
    }
    Ok(value)
}

fn atom(text: &[u8], at: &mut usize) -> Result<f64, String> {
    match text.get(*at) {
        Some(b'-') => {
            *at += 1;
            Ok(-atom(text, at)?)
        }
        Some(b'(') => {
            *at += 1;
            let value = sum(text, at)?;
            if text.get(*at) != Some(&b')') {
                return Err("missing )".into());
            }
            *at += 1;
            Ok(value)
        }
        Some(b's') if text[*at..].starts_with(b"sqrt(") => {
            *at += 4;
            Ok(atom(text, at)?.sqrt())
        }
        _ => {
            let start = *at;
            while text.get(*at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
                *at += 1;
            }
            std::str::from_utf8(&text[start..*at])
                .ok()
                .and_then(|part| part.parse().ok())
                .ok_or_else(|| format!("no number at {start}"))
        }
    }
}
