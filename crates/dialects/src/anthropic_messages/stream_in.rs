//! Streams of an upstream: bytes → model events.

use super::{
    seal, stop_reason_in, usage_in,
    wire::{Block, Delta, StreamEvent, Usage as WireUsage},
};
use crate::{
    DecodeError, Ending, NameMap, ReplyBuilder, StreamDecoder, StreamError, json,
    reply::{nameless_tool, settle},
    sse,
};
use bedplate_core::{
    message::{Reasoning, StopReason, Usage},
    port::model::{BlockKind, ModelEvent},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads a stream of Messages events. `message_stop` ends the reply.
#[derive(Debug, Default)]
pub struct Decoder {
    names: NameMap,
    parser: sse::Parser,
    events: Vec<sse::Event>,
    builder: ReplyBuilder,
    open: BTreeMap<u32, Open>,
    stop: Option<(StopReason, Option<String>)>,
    usage: Usage,
    model: String,
    done: bool,
}

/// A block of the wire that is open.
#[derive(Debug)]
enum Open {
    /// A text's core block begins with its first character, so that an empty text never shows.
    Text(Option<u32>),
    Reasoning {
        block: u32,
        signature: String,
        redacted: Option<String>,
    },
    ToolUse {
        block: u32,
        early: String,
        deltas: bool,
    },
}

impl Decoder {
    /// Returns a decoder for the reply to a request whose tools have these names.
    #[must_use]
    pub fn new(names: NameMap) -> Self {
        Self { names, ..Self::default() }
    }

    /// Takes one event as JSON, for transports that are not server-sent events (Bedrock's event stream).
    ///
    /// # Errors
    /// As [`StreamDecoder::feed`].
    pub fn event(&mut self, json: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if self.done {
            return Ok(());
        }
        match json::from_slice(json)? {
            StreamEvent::MessageStart { message } => {
                self.model = message.model;
                self.count(Some(&message.usage));
            }
            StreamEvent::ContentBlockStart { index, content_block } => self.start(index, content_block, out)?,
            StreamEvent::ContentBlockDelta { index, delta } => self.delta(index, delta, out)?,
            StreamEvent::ContentBlockStop { index } => self.stop_block(index, out),
            StreamEvent::MessageDelta { delta, usage } => {
                self.count(usage.as_ref());
                if let Some(word) = delta.stop_reason {
                    let unknown = || DecodeError::new("delta.stop_reason", format!("unknown reason `{word}`"));
                    self.stop = Some((stop_reason_in(&word).ok_or_else(unknown)?, delta.stop_sequence));
                }
            }
            StreamEvent::MessageStop => self.end(out)?,
            StreamEvent::Error { error } => return Err(StreamError::Upstream(error.into_fault(None))),
            StreamEvent::Other => {}
        }
        Ok(())
    }

    fn count(&mut self, usage: Option<&WireUsage>) {
        if let Some(usage) = usage {
            usage_in(usage, &mut self.usage);
        }
    }

    fn start(&mut self, index: u32, block: Block, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        self.stop_block(index, out);
        let open = match block {
            Block::Text { text, .. } => {
                self.open.insert(index, Open::Text(None));
                return self.delta(index, Delta::TextDelta { text }, out);
            }
            Block::Thinking { thinking, signature } => {
                let block = self.builder.start(BlockKind::Reasoning, out);
                self.builder.text(block, &thinking, out);
                Open::Reasoning { block, signature, redacted: None }
            }
            Block::RedactedThinking { data } => {
                let block = self.builder.start(BlockKind::Reasoning, out);
                Open::Reasoning { block, signature: String::new(), redacted: Some(data) }
            }
            Block::ToolUse { name, .. } if name.is_empty() => return Err(nameless_tool("content_block").into()),
            Block::ToolUse { id, name, input, .. } => {
                let name = self.names.core(&name).to_owned();
                let block = self.builder.start(BlockKind::ToolUse { id, name }, out);
                Open::ToolUse { block, early: early_input(input), deltas: false }
            }
            Block::Image { .. } | Block::Document { .. } | Block::ToolResult { .. } => {
                return Err(DecodeError::new("content_block.type", "a reply does not hold such a block").into());
            }
        };
        self.open.insert(index, open);
        Ok(())
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        let builder = &mut self.builder;
        match (self.open.get_mut(&index), delta) {
            (_, Delta::OtherDelta) => {}
            (Some(Open::Text(_)), Delta::TextDelta { text }) if text.is_empty() => {}
            (Some(Open::Text(block)), Delta::TextDelta { text }) => {
                let block = *block.get_or_insert_with(|| builder.start(BlockKind::Text, out));
                builder.text(block, &text, out);
            }
            (Some(Open::Reasoning { block, .. }), Delta::ThinkingDelta { thinking }) => {
                builder.text(*block, &thinking, out)
            }
            (Some(Open::Reasoning { signature: whole, .. }), Delta::SignatureDelta { signature }) => {
                whole.push_str(&signature)
            }
            (Some(Open::ToolUse { block, deltas, .. }), Delta::InputJsonDelta { partial_json }) => {
                *deltas |= !partial_json.is_empty();
                builder.input(*block, &partial_json, out);
            }
            (None, _) => return Err(DecodeError::new("index", format!("block {index} is not open")).into()),
            (Some(_), _) => return Err(DecodeError::new("delta.type", "the delta does not fit its block").into()),
        }
        Ok(())
    }

    fn stop_block(&mut self, index: u32, out: &mut Vec<ModelEvent>) {
        match self.open.remove(&index) {
            None | Some(Open::Text(None)) => {}
            Some(Open::Text(Some(block))) => self.builder.stop(block, out),
            Some(Open::Reasoning { block, signature, redacted }) => {
                let sealed: Reasoning = match redacted {
                    Some(data) => seal::of_redacted(&data),
                    None => seal::of_thinking(String::new(), &signature),
                };
                if sealed.signature.is_some() || sealed.redacted.is_some() {
                    self.builder.seal(block, sealed, out);
                }
                self.builder.stop(block, out);
            }
            Some(Open::ToolUse { block, early, deltas }) => {
                // Arguments that came with the start count when no delta said them.
                if !deltas {
                    self.builder.input(block, &early, out);
                }
                self.builder.stop(block, out);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        let Some((reason, stop_sequence)) = self.stop.take() else { return Err(StreamError::Cut) };
        let open: Vec<u32> = self.open.keys().copied().collect();
        open.into_iter().for_each(|index| self.stop_block(index, out));
        self.done = true;
        let builder = std::mem::take(&mut self.builder);
        let ending = Ending {
            stop_reason: settle(reason, builder.has_tool_use(), false),
            stop_sequence,
            usage: self.usage,
            model: std::mem::take(&mut self.model),
        };
        builder.finish(ending, out);
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        std::mem::take(&mut self.events).into_iter().try_for_each(|event| self.event(event.data.as_bytes(), out))
    }
}

impl StreamDecoder for Decoder {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        self.parser.feed(bytes, &mut self.events);
        self.drain(out)
    }

    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        self.parser.finish(&mut self.events);
        self.drain(out)?;
        if self.done { Ok(()) } else { Err(StreamError::Cut) }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// Returns the arguments that a block starts with; the empty object is only the place where deltas will go.
fn early_input(input: Value) -> String {
    match input {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => other.to_string(),
    }
}
