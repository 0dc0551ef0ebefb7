//! Streams to a client: model events → chunks.

use super::{
    error_body, finish_reason,
    reply::reasoning_out,
    usage_out,
    wire::{self, Content},
};
use crate::{Envelope, Fault, json, reply::block_events, sse};
use bedplate_core::{
    message::ContentBlock,
    port::model::{BlockKind, ModelEvent, ModelReply},
};
use std::collections::BTreeMap;

/// Writes a stream of chunks; the caller sends what is appended to `out` and adds nothing.
///
/// A failure ends the stream with an error object and neither a made-up finish reason nor `[DONE]`.
#[derive(Debug)]
pub struct Encoder {
    envelope: Envelope,
    include_usage: bool,
    begun: bool,
    over: bool,
    kinds: BTreeMap<u32, BlockKind>,
    calls: BTreeMap<u32, u32>,
    // Texts of two blocks are set apart as in a whole reply.
    spoken: Option<u32>,
}

impl Encoder {
    /// Returns an encoder; `include_usage` is what the client asked for.
    #[must_use]
    pub fn new(envelope: Envelope, include_usage: bool) -> Self {
        Self {
            envelope,
            include_usage,
            begun: false,
            over: false,
            kinds: BTreeMap::new(),
            calls: BTreeMap::new(),
            spoken: None,
        }
    }

    /// Writes an event.
    pub fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            ModelEvent::BlockStart { index, kind } => self.start(*index, kind, out),
            ModelEvent::TextDelta { index, text } => self.text(*index, text, out),
            ModelEvent::InputDelta { index, json } => {
                if let Some(&call) = self.calls.get(index) {
                    let function = wire::FunctionCall { name: None, arguments: Some(json.as_str().into()) };
                    self.call(
                        wire::ToolCall { index: Some(call), function: Some(function), ..wire::ToolCall::default() },
                        out,
                    );
                }
            }
            // Seals come whole with the end.
            ModelEvent::ReasoningSeal { .. } | ModelEvent::BlockStop { .. } => {}
            ModelEvent::Restart if !self.begun => {}
            ModelEvent::Restart => self.fail(Fault::BadUpstream, "the reply broke off and began again", out),
            ModelEvent::End(reply) => self.end(reply, out),
        }
    }

    /// Writes a failure and ends the stream.
    pub fn fail(&mut self, fault: Fault, message: &str, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            sse::write(out, "", &error_body(fault, message).body.to_string());
        }
    }

    /// Returns whether the reply or a failure ended the stream; nothing is written after that.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn start(&mut self, index: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        self.kinds.insert(index, kind.clone());
        if let BlockKind::ToolUse { id, name } = kind {
            let call = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
            self.calls.insert(index, call);
            let function = wire::FunctionCall { name: Some(name.clone()), arguments: Some("".into()) };
            let call = wire::ToolCall {
                index: Some(call),
                id: Some(id.clone()),
                kind: Some("function".into()),
                function: Some(function),
            };
            self.call(call, out);
        }
    }

    fn text(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        let delta = match self.kinds.get(&index) {
            Some(BlockKind::Reasoning) => {
                wire::Message { reasoning_content: Some(text.to_owned()), ..wire::Message::default() }
            }
            Some(BlockKind::Text) => {
                let gap = if self.spoken.is_some_and(|before| before != index) { "\n\n" } else { "" };
                self.spoken = Some(index);
                wire::Message { content: Content::text(format!("{gap}{text}")), ..wire::Message::default() }
            }
            _ => return,
        };
        self.delta(delta, None, out);
    }

    fn call(&mut self, call: wire::ToolCall, out: &mut Vec<u8>) {
        self.delta(wire::Message { tool_calls: Some(vec![call]), ..wire::Message::default() }, None, out);
    }

    fn end(&mut self, reply: &ModelReply, out: &mut Vec<u8>) {
        if self.kinds.is_empty() {
            let mut events = Vec::new();
            block_events(reply, &mut events);
            events.iter().for_each(|event| self.event(event, out));
        }
        let sealed = reply.message.content.iter().any(|block| {
            matches!(block, ContentBlock::Reasoning(reasoning) if reasoning.signature.is_some() || reasoning.redacted.is_some())
        });
        let bedplate_reasoning = if sealed { reasoning_out(&reply.message.content).1 } else { None };
        let delta = wire::Message { bedplate_reasoning, ..wire::Message::default() };
        self.delta(delta, Some(finish_reason(reply.stop_reason)), out);
        if self.include_usage {
            let chunk = wire::Reply { usage: Some(usage_out(&reply.usage)), ..self.chunk() };
            sse::write(out, "", &json::to_string(&chunk));
        }
        sse::write(out, "", "[DONE]");
        self.over = true;
    }

    fn delta(&mut self, mut delta: wire::Message, finish: Option<&str>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            delta.role = Some("assistant".into());
        }
        let choice =
            wire::Choice { index: 0, message: None, delta: Some(delta), finish_reason: finish.map(str::to_owned) };
        let chunk = wire::Reply { choices: vec![choice], ..self.chunk() };
        sse::write(out, "", &json::to_string(&chunk));
    }

    fn chunk(&self) -> wire::Reply {
        wire::Reply {
            id: self.envelope.id.clone(),
            object: "chat.completion.chunk".into(),
            created: self.envelope.created,
            model: self.envelope.model.clone(),
            choices: Vec::new(),
            usage: None,
            error: None,
        }
    }
}
