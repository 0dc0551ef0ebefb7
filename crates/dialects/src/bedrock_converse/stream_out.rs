//! Streams to a client: model events → the contents of frames.

use super::{
    block::redacted_out,
    stop_reason_out, usage_out,
    wire::{
        BlockDelta, BlockStart, BlockStop, Delta, InputDelta, MessageStart, MessageStop, Metadata, Metrics,
        ReasoningDelta, Start, ToolUseStart,
    },
};
use crate::{Fault, anthropic_messages::seal, json, reply::block_events};
use bedplate_core::port::model::{BlockKind, ModelEvent, ModelReply};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// The content of one frame of an event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `:event-type`, or `:exception-type` of an exception.
    pub kind: &'static str,
    /// Whether `:message-type` is `exception`, which ends the stream.
    pub exception: bool,
    /// The JSON.
    pub payload: Vec<u8>,
}

/// Returns the frame that tells a client of a failure after the 200.
#[must_use]
pub fn exception(fault: Fault, message: &str) -> Frame {
    let kind = match fault {
        Fault::InvalidRequest | Fault::TooLarge | Fault::NotFound | Fault::Unauthenticated | Fault::Forbidden => {
            "validationException"
        }
        Fault::RateLimited => "throttlingException",
        Fault::Internal => "internalServerException",
        Fault::Overloaded => "serviceUnavailableException",
        Fault::BadUpstream | Fault::Timeout => "modelStreamErrorException",
    };
    Frame { kind, exception: true, payload: json::to_vec(&json!({ "message": message })) }
}

/// Says a stream as the frames of a ConverseStream; the caller sends them and adds nothing.
///
/// A failure ends the stream with an exception and no made-up stop.
#[derive(Debug, Default)]
pub struct Encoder {
    begun: bool,
    over: bool,
    seen: bool,
    kinds: BTreeMap<u32, BlockKind>,
    /// The indices on the wire of the blocks that a client was told of.
    shown: BTreeMap<u32, u32>,
    next: u32,
}

impl Encoder {
    /// Says an event; `latency_ms` have passed since the request came.
    pub fn event(&mut self, event: &ModelEvent, latency_ms: u64, out: &mut Vec<Frame>) {
        if self.over {
            return;
        }
        match event {
            ModelEvent::BlockStart { index, kind } => self.start(*index, kind, out),
            ModelEvent::TextDelta { index, text } => match self.kinds.get(index) {
                Some(BlockKind::Text) => self.delta(*index, Delta::Text(text.clone()), out),
                Some(BlockKind::Reasoning) => self.reasoning(*index, ReasoningDelta::Text(text.clone()), out),
                _ => {}
            },
            ModelEvent::InputDelta { index, json } => {
                if let Some(BlockKind::ToolUse { .. }) = self.kinds.get(index) {
                    self.delta(*index, Delta::ToolUse(InputDelta { input: json.clone() }), out);
                }
            }
            ModelEvent::ReasoningSeal { index, seal } => {
                if let Some(data) = redacted_out(seal) {
                    self.reasoning(*index, ReasoningDelta::RedactedContent(data), out);
                } else if seal.signature.is_some() {
                    self.reasoning(*index, ReasoningDelta::Signature(seal::signature_of(seal)), out);
                }
            }
            ModelEvent::BlockStop { index } => self.stop(*index, out),
            ModelEvent::Restart if !self.begun => self.kinds.clear(),
            ModelEvent::Restart => self.fail(Fault::BadUpstream, "the reply broke off and began again", out),
            ModelEvent::End(reply) => self.end(reply, latency_ms, out),
        }
    }

    /// Says a failure and ends the stream.
    pub fn fail(&mut self, fault: Fault, message: &str, out: &mut Vec<Frame>) {
        if !std::mem::replace(&mut self.over, true) {
            out.push(exception(fault, message));
        }
    }

    /// Returns whether the reply or a failure ended the stream; nothing is said after that.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn start(&mut self, index: u32, kind: &BlockKind, out: &mut Vec<Frame>) {
        self.seen = true;
        self.kinds.insert(index, kind.clone());
        // Texts and reasoning begin with their first delta.
        if let BlockKind::ToolUse { id, name } = kind {
            let start = Start::ToolUse(ToolUseStart { tool_use_id: id.clone(), name: name.clone() });
            let content_block_index = self.show(index, out);
            frame("contentBlockStart", &BlockStart { content_block_index, start }, out);
        }
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut Vec<Frame>) {
        let content_block_index = self.show(index, out);
        frame("contentBlockDelta", &BlockDelta { content_block_index, delta }, out);
    }

    fn reasoning(&mut self, index: u32, delta: ReasoningDelta, out: &mut Vec<Frame>) {
        self.delta(index, Delta::ReasoningContent(delta), out);
    }

    fn stop(&mut self, index: u32, out: &mut Vec<Frame>) {
        self.kinds.remove(&index);
        if let Some(content_block_index) = self.shown.remove(&index) {
            frame("contentBlockStop", &BlockStop { content_block_index }, out);
        }
    }

    fn end(&mut self, reply: &ModelReply, latency_ms: u64, out: &mut Vec<Frame>) {
        if !self.seen {
            let mut events = Vec::new();
            block_events(reply, &mut events);
            events.iter().for_each(|event| self.event(event, latency_ms, out));
        }
        self.begin(out);
        frame("messageStop", &MessageStop { stop_reason: stop_reason_out(reply.stop_reason).into() }, out);
        let metrics = Metrics { latency_ms };
        frame("metadata", &Metadata { usage: usage_out(&reply.usage), metrics }, out);
        self.over = true;
    }

    /// Returns the index of a block on the wire, which it gets when it is first told of.
    fn show(&mut self, index: u32, out: &mut Vec<Frame>) -> u32 {
        self.begin(out);
        let next = &mut self.next;
        *self.shown.entry(index).or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }

    fn begin(&mut self, out: &mut Vec<Frame>) {
        if !std::mem::replace(&mut self.begun, true) {
            frame("messageStart", &MessageStart { role: "assistant".into() }, out);
        }
    }
}

fn frame<T: Serialize>(kind: &'static str, payload: &T, out: &mut Vec<Frame>) {
    out.push(Frame { kind, exception: false, payload: json::to_vec(payload) });
}
