//! Streams to a client: model events → Messages events.

use super::{
    error_body, seal, stop_reason_out, usage_out,
    wire::{Block, Delta, MessageDelta, Reply, StreamEvent, Usage as WireUsage},
};
use crate::{Envelope, Fault, json, reply::block_events, sse};
use bedplate_core::{
    message::Reasoning,
    port::model::{BlockKind, ModelEvent, ModelReply},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Writes a stream of Messages events; the caller sends what is appended to `out` and adds nothing.
///
/// A failure ends the stream with `event: error` and no made-up stop. Calls of tools that an upstream sends at the
/// same time stay open at the same time; their indices keep them apart.
#[derive(Debug)]
pub struct Encoder {
    envelope: Envelope,
    begun: bool,
    over: bool,
    blocks: BTreeMap<u32, Shown>,
    next: u32,
}

/// A block that a client was told of, or is about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// A reasoning block whose kind on the wire is not known yet: readable or redacted.
    Held,
    Text(u32),
    Thinking(u32),
    Redacted(u32),
    ToolUse(u32),
    Over,
}

impl Encoder {
    /// Returns an encoder.
    #[must_use]
    pub fn new(envelope: Envelope) -> Self {
        Self { envelope, begun: false, over: false, blocks: BTreeMap::new(), next: 0 }
    }

    /// Writes an event.
    pub fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            ModelEvent::BlockStart { index, kind } => self.start(*index, kind, out),
            ModelEvent::TextDelta { index, text } => match self.readable(*index, out) {
                Some(Shown::Text(wire)) => self.delta(wire, Delta::TextDelta { text: text.clone() }, out),
                Some(Shown::Thinking(wire)) => self.delta(wire, Delta::ThinkingDelta { thinking: text.clone() }, out),
                _ => {}
            },
            ModelEvent::InputDelta { index, json } => {
                if let Some(Shown::ToolUse(wire)) = self.blocks.get(index) {
                    self.delta(*wire, Delta::InputJsonDelta { partial_json: json.clone() }, out);
                }
            }
            ModelEvent::ReasoningSeal { index, seal } => self.seal(*index, seal, out),
            ModelEvent::BlockStop { index } => self.stop(*index, out),
            ModelEvent::Restart if !self.begun => {}
            ModelEvent::Restart => self.fail(Fault::BadUpstream, "the reply broke off and began again", out),
            ModelEvent::End(reply) => self.end(reply, out),
        }
    }

    /// Writes a failure and ends the stream.
    pub fn fail(&mut self, fault: Fault, message: &str, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            sse::write(out, "error", &error_body(fault, message).body.to_string());
        }
    }

    /// Returns whether the reply or a failure ended the stream; nothing is written after that.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn start(&mut self, index: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        let shown = match kind {
            BlockKind::Reasoning => Shown::Held,
            BlockKind::Text => Shown::Text(self.open(Block::Text { text: String::new(), cache_control: None }, out)),
            BlockKind::ToolUse { id, name } => {
                let input = Value::Object(Map::new());
                let block = Block::ToolUse { id: id.clone(), name: name.clone(), input, cache_control: None };
                Shown::ToolUse(self.open(block, out))
            }
        };
        self.blocks.insert(index, shown);
    }

    /// Returns how a block is shown; one that was held is readable from here on.
    fn readable(&mut self, index: u32, out: &mut Vec<u8>) -> Option<Shown> {
        if self.blocks.get(&index) == Some(&Shown::Held) {
            let block = Block::Thinking { thinking: String::new(), signature: String::new() };
            let shown = Shown::Thinking(self.open(block, out));
            self.blocks.insert(index, shown);
        }
        self.blocks.get(&index).copied()
    }

    fn seal(&mut self, index: u32, seal: &Reasoning, out: &mut Vec<u8>) {
        match (seal::redacted_of(seal), self.blocks.get(&index)) {
            (Some(data), Some(Shown::Held)) => {
                let shown = Shown::Redacted(self.open(Block::RedactedThinking { data }, out));
                self.blocks.insert(index, shown);
            }
            (Some(_), _) => {}
            (None, _) => {
                if let Some(Shown::Thinking(wire)) = self.readable(index, out) {
                    self.delta(wire, Delta::SignatureDelta { signature: seal::signature_of(seal) }, out);
                }
            }
        }
    }

    fn stop(&mut self, index: u32, out: &mut Vec<u8>) {
        match self.readable(index, out) {
            Some(Shown::Text(wire) | Shown::Thinking(wire) | Shown::Redacted(wire) | Shown::ToolUse(wire)) => {
                self.blocks.insert(index, Shown::Over);
                write(&StreamEvent::ContentBlockStop { index: wire }, out);
            }
            None | Some(Shown::Held | Shown::Over) => {}
        }
    }

    fn end(&mut self, reply: &ModelReply, out: &mut Vec<u8>) {
        if self.blocks.is_empty() {
            let mut events = Vec::new();
            block_events(reply, &mut events);
            events.iter().for_each(|event| self.event(event, out));
        }
        self.begin(out);
        let delta = MessageDelta {
            stop_reason: Some(stop_reason_out(reply.stop_reason).into()),
            stop_sequence: reply.stop_sequence.clone(),
        };
        write(&StreamEvent::MessageDelta { delta, usage: Some(usage_out(&reply.usage)) }, out);
        write(&StreamEvent::MessageStop, out);
        self.over = true;
    }

    fn open(&mut self, content_block: Block, out: &mut Vec<u8>) -> u32 {
        self.begin(out);
        let index = self.next;
        self.next += 1;
        write(&StreamEvent::ContentBlockStart { index, content_block }, out);
        index
    }

    fn delta(&self, index: u32, delta: Delta, out: &mut Vec<u8>) {
        write(&StreamEvent::ContentBlockDelta { index, delta }, out);
    }

    /// Writes the start of the message. The input's tokens are known at the end only, and said there.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = Reply {
            id: self.envelope.id.clone(),
            kind: "message".into(),
            role: "assistant".into(),
            model: self.envelope.model.clone(),
            usage: WireUsage { input_tokens: Some(0), output_tokens: Some(0), ..WireUsage::default() },
            ..Reply::default()
        };
        write(&StreamEvent::MessageStart { message }, out);
    }
}

fn write(event: &StreamEvent, out: &mut Vec<u8>) {
    sse::write(out, event.name(), &json::to_string(event));
}
