//! Streams of an upstream: the contents of frames → model events.

use super::{
    block::redacted_in,
    stop_reason_in, usage_in,
    wire::{BlockDelta, BlockStart, BlockStop, Delta, Exception, MessageStop, Metadata, ReasoningDelta, Start},
};
use crate::{
    DecodeError, Ending, NameMap, ReplyBuilder, StreamError, UpstreamFault,
    anthropic_messages::seal,
    json,
    reply::{nameless_tool, settle},
};
use bedplate_core::{
    message::{StopReason, Usage},
    port::model::{BlockKind, ModelErrorKind, ModelEvent},
};
use std::collections::BTreeMap;

/// Reads the frames of a ConverseStream. The usage comes after the stop, in `metadata`, which ends the reply.
#[derive(Debug, Default)]
pub struct Decoder {
    names: NameMap,
    model: String,
    builder: ReplyBuilder,
    open: BTreeMap<u32, Open>,
    stop: Option<StopReason>,
    usage: Usage,
    done: bool,
}

/// A block of the wire that is open.
#[derive(Debug)]
enum Open {
    Text(u32),
    Reasoning { block: u32, signature: String, redacted: Option<String> },
    ToolUse(u32),
}

impl Decoder {
    /// Returns a decoder for the reply of `model` to a request whose tools have these names.
    #[must_use]
    pub fn new(names: NameMap, model: impl Into<String>) -> Self {
        Self { names, model: model.into(), ..Self::default() }
    }

    /// Takes an event's frame: its `:event-type` and its payload. Kinds that are not known are skipped, because the API
    /// gets new ones.
    ///
    /// # Errors
    /// [`StreamError`]; the stream is of no more use then.
    pub fn event(&mut self, kind: &str, payload: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if self.done {
            return Ok(());
        }
        match kind {
            "contentBlockStart" => {
                let BlockStart { content_block_index, start: Start::ToolUse(call) } = json::from_slice(payload)?;
                if call.name.is_empty() {
                    return Err(nameless_tool("start.toolUse").into());
                }
                self.stop_block(content_block_index, out);
                let name = self.names.core(&call.name).to_owned();
                let block = self.builder.start(BlockKind::ToolUse { id: call.tool_use_id, name }, out);
                self.open.insert(content_block_index, Open::ToolUse(block));
            }
            "contentBlockDelta" => {
                let BlockDelta { content_block_index, delta } = json::from_slice(payload)?;
                self.delta(content_block_index, delta, out)?;
            }
            "contentBlockStop" => {
                let BlockStop { content_block_index } = json::from_slice(payload)?;
                self.stop_block(content_block_index, out);
            }
            "messageStop" => {
                let MessageStop { stop_reason } = json::from_slice(payload)?;
                let unknown = || DecodeError::new("stopReason", format!("unknown reason `{stop_reason}`"));
                self.stop = Some(stop_reason_in(&stop_reason).ok_or_else(unknown)?);
            }
            "metadata" => {
                let Metadata { usage, .. } = json::from_slice(payload)?;
                self.usage = usage_in(&usage);
                self.end(out)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the error that an exception's frame tells of: its `:exception-type` and its payload.
    #[must_use]
    pub fn exception(kind: &str, payload: &[u8]) -> StreamError {
        let message = json::from_slice::<Exception>(payload).map(|exception| exception.message).unwrap_or_default();
        let message = if message.is_empty() { format!("the provider failed: {kind}") } else { message };
        let kind = match kind {
            "throttlingException" => ModelErrorKind::RateLimited,
            "validationException" => ModelErrorKind::InvalidRequest,
            "modelTimeoutException" => ModelErrorKind::Timeout,
            _ => ModelErrorKind::Unavailable,
        };
        StreamError::Upstream(UpstreamFault { kind, message })
    }

    /// Takes the end of the stream. One that stopped without telling its usage is whole all the same.
    ///
    /// # Errors
    /// [`StreamError::Cut`] when it ended without a stop.
    pub fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        if self.done { Ok(()) } else { self.end(out) }
    }

    /// Returns whether the `End` came.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        let builder = &mut self.builder;
        // Texts and reasoning begin with their first delta.
        match delta {
            Delta::Text(text) if text.is_empty() => {}
            Delta::Text(text) => {
                let open = self.open.entry(index).or_insert_with(|| Open::Text(builder.start(BlockKind::Text, out)));
                let Open::Text(block) = open else { return Err(misfit()) };
                builder.text(*block, &text, out);
            }
            Delta::ToolUse(input) => {
                let Some(Open::ToolUse(block)) = self.open.get(&index) else { return Err(misfit()) };
                builder.input(*block, &input.input, out);
            }
            Delta::ReasoningContent(delta) => {
                let open = self.open.entry(index).or_insert_with(|| Open::Reasoning {
                    block: builder.start(BlockKind::Reasoning, out),
                    signature: String::new(),
                    redacted: None,
                });
                let Open::Reasoning { block, signature, redacted } = open else { return Err(misfit()) };
                match delta {
                    ReasoningDelta::Text(text) => builder.text(*block, &text, out),
                    ReasoningDelta::Signature(more) => signature.push_str(&more),
                    ReasoningDelta::RedactedContent(more) => redacted.get_or_insert_default().push_str(&more),
                }
            }
        }
        Ok(())
    }

    fn stop_block(&mut self, index: u32, out: &mut Vec<ModelEvent>) {
        match self.open.remove(&index) {
            None => {}
            Some(Open::Text(block) | Open::ToolUse(block)) => self.builder.stop(block, out),
            Some(Open::Reasoning { block, signature, redacted }) => {
                let sealed = match redacted {
                    Some(data) => redacted_in(&data),
                    None => seal::of_thinking(String::new(), &signature),
                };
                if sealed.signature.is_some() || sealed.redacted.is_some() {
                    self.builder.seal(block, sealed, out);
                }
                self.builder.stop(block, out);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError> {
        let Some(reason) = self.stop.take() else { return Err(StreamError::Cut) };
        let open: Vec<u32> = self.open.keys().copied().collect();
        open.into_iter().for_each(|index| self.stop_block(index, out));
        self.done = true;
        let builder = std::mem::take(&mut self.builder);
        let ending = Ending {
            stop_reason: settle(reason, builder.has_tool_use(), false),
            stop_sequence: None,
            usage: self.usage,
            model: std::mem::take(&mut self.model),
        };
        builder.finish(ending, out);
        Ok(())
    }
}

fn misfit() -> StreamError {
    DecodeError::new("delta", "the delta does not fit its block").into()
}
