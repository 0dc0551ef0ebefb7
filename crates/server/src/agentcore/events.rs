//! What happens in a turn as the events of a harness: messages of the model and of its tools, in blocks.
//!
//! A message that is under way is shown as it comes. What came of an attempt that is void ends as `interrupted`, and the
//! next attempt begins a new message.

use crate::routes::agent::waiting_text;
use axum::response::sse::Event as SseEvent;
use bedplate_core::{
    event::{Event, ToolOutcome, ToolRequested, TurnOutcome},
    id::{CallId, Seq},
    message::{ContentBlock, Message, Reasoning, StopReason, ToolResultContent},
    port::model::{BlockKind, ModelEvent},
};
use bedplate_runtime::{Live, TurnResult, TurnState};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// An event: its name and its body.
pub(crate) type Said = (&'static str, Value);

/// Returns an event as a line of a stream.
pub(crate) fn said((name, body): &Said) -> SseEvent {
    SseEvent::default().data(json!({ "event": { *name: body } }).to_string())
}

/// Words what happens in a turn.
#[derive(Default)]
pub(crate) struct Events {
    open: Option<Open>,
    /// The replies of the model that asked for tools, by position.
    replies: BTreeMap<Seq, Arc<Message>>,
    /// The model's ids of tool calls.
    calls: BTreeMap<CallId, String>,
}

/// The message that a model is saying.
struct Open {
    call: CallId,
    /// Whether its beginning was missed, so that it is shown when it is whole.
    missed: bool,
    /// Its blocks that are not complete; whether each is reasoning.
    blocks: BTreeMap<u32, bool>,
    began: bool,
}

impl Events {
    /// Appends the events of what happened live.
    pub(crate) fn live(&mut self, live: &Live, out: &mut Vec<Said>) {
        match live {
            Live::Partial { call, .. } => {
                self.open = Some(Open { missed: true, ..Open::new(*call) });
            }
            Live::Delta { call, event } => self.delta(*call, event, out),
            Live::Restart { call } => self.restart(*call, out),
            Live::Entry(entry) => self.entry(entry.seq, &entry.event, out),
            Live::CaughtUp | Live::Lagged { .. } => {}
        }
    }

    /// Appends what ends the stream of a turn.
    pub(crate) fn done(&mut self, result: &TurnResult, out: &mut Vec<Said>) {
        self.interrupt(out);
        match &result.state {
            TurnState::Waiting(open) => {
                let text = waiting_text(open.iter().map(|question| question.question.as_str()));
                whole(
                    &Message { role: bedplate_core::message::Role::Assistant, content: vec![ContentBlock::text(text)] },
                    out,
                );
                stop("partial_turn", out);
            }
            TurnState::Ended(outcome) => {
                if let Some(reason) = limit(*outcome) {
                    out.push(("messageStart", json!({ "role": "assistant" })));
                    stop(reason, out);
                }
            }
        }
        let usage = &result.usage;
        let input = usage.input + usage.cache_read + usage.cache_write;
        out.push((
            "metadata",
            json!({
                "usage": {
                    "inputTokens": usage.input, "outputTokens": usage.output, "totalTokens": input + usage.output,
                    "cacheReadInputTokens": usage.cache_read, "cacheWriteInputTokens": usage.cache_write,
                },
                "metrics": { "latencyMs": 0 },
            }),
        ));
    }

    fn delta(&mut self, call: CallId, event: &ModelEvent, out: &mut Vec<Said>) {
        if matches!(event, ModelEvent::Restart) {
            return self.restart(call, out);
        }
        if self.open.as_ref().is_none_or(|open| open.call != call) {
            self.interrupt(out);
            self.open = Some(Open::new(call));
        }
        let Some(open) = self.open.as_mut().filter(|open| !open.missed) else { return };
        open.delta(event, out);
    }

    fn restart(&mut self, call: CallId, out: &mut Vec<Said>) {
        self.interrupt(out);
        self.open = Some(Open::new(call));
    }

    /// Ends a message that will not be completed.
    fn interrupt(&mut self, out: &mut Vec<Said>) {
        if let Some(mut open) = self.open.take().filter(|open| open.began) {
            open.close_blocks(out);
            stop("interrupted", out);
        }
    }

    fn entry(&mut self, seq: Seq, event: &Event, out: &mut Vec<Said>) {
        match event {
            Event::ModelReplied(reply) => {
                match self.open.take().filter(|open| open.call == reply.call && open.began) {
                    Some(mut open) => open.close_blocks(out),
                    None => whole(&reply.message, out),
                }
                stop(stop_reason(reply.stop_reason), out);
                self.replies.insert(seq, Arc::clone(&reply.message));
            }
            Event::ModelFailed(_) => self.interrupt(out),
            Event::ToolRequested(ToolRequested { reply, index, .. }) => {
                let uses = self.replies.get(reply).into_iter().flat_map(|message| &message.content);
                let uses =
                    uses.filter_map(|block| if let ContentBlock::ToolUse(tool) = block { Some(tool) } else { None });
                if let Some(tool) = uses.into_iter().nth(*index as usize) {
                    self.calls.insert(seq, tool.id.clone());
                }
            }
            Event::ToolReturned(returned) => {
                let id = self.calls.remove(&returned.call).unwrap_or_else(|| returned.call.to_string());
                let failed = returned.output.is_error || returned.outcome != ToolOutcome::Done;
                let status = if failed { "error" } else { "success" };
                out.push(("messageStart", json!({ "role": "user" })));
                let start = json!({ "toolResult": { "toolUseId": id, "status": status } });
                out.push(("contentBlockStart", json!({ "contentBlockIndex": 0, "start": start })));
                let content: Vec<Value> = returned.output.content.iter().filter_map(result_content).collect();
                if !content.is_empty() {
                    out.push((
                        "contentBlockDelta",
                        json!({ "contentBlockIndex": 0, "delta": { "toolResult": content } }),
                    ));
                }
                out.push(("contentBlockStop", json!({ "contentBlockIndex": 0 })));
                stop("tool_result", out);
            }
            _ => {}
        }
    }
}

impl Open {
    fn new(call: CallId) -> Self {
        Self { call, missed: false, blocks: BTreeMap::new(), began: false }
    }

    fn delta(&mut self, event: &ModelEvent, out: &mut Vec<Said>) {
        if !self.began && !matches!(event, ModelEvent::End(_)) {
            self.began = true;
            out.push(("messageStart", json!({ "role": "assistant" })));
        }
        match event {
            ModelEvent::BlockStart { index, kind } => {
                self.blocks.insert(*index, *kind == BlockKind::Reasoning);
                if let BlockKind::ToolUse { id, name } = kind {
                    out.push(tool_start(*index, id, name));
                }
            }
            ModelEvent::TextDelta { index, text } if !text.is_empty() => {
                let reasoning = self.blocks.get(index).copied().unwrap_or_default();
                let delta =
                    if reasoning { json!({ "reasoningContent": { "text": text } }) } else { json!({ "text": text }) };
                out.push(piece(*index, &delta));
            }
            ModelEvent::InputDelta { index, json } if !json.is_empty() => {
                out.push(piece(*index, &json!({ "toolUse": { "input": json } })));
            }
            ModelEvent::ReasoningSeal { index, seal } => sealed(*index, seal, out),
            ModelEvent::BlockStop { index } => {
                self.blocks.remove(index);
                out.push(("contentBlockStop", json!({ "contentBlockIndex": index })));
            }
            ModelEvent::TextDelta { .. } | ModelEvent::InputDelta { .. } | ModelEvent::Restart | ModelEvent::End(_) => {
            }
        }
    }

    fn close_blocks(&mut self, out: &mut Vec<Said>) {
        for index in std::mem::take(&mut self.blocks).into_keys() {
            out.push(("contentBlockStop", json!({ "contentBlockIndex": index })));
        }
    }
}

/// Appends a whole message, but for its end.
fn whole(message: &Message, out: &mut Vec<Said>) {
    out.push(("messageStart", json!({ "role": "assistant" })));
    for (index, block) in (0..).zip(&message.content) {
        match block {
            ContentBlock::Text { text } if !text.is_empty() => out.push(piece(index, &json!({ "text": text }))),
            ContentBlock::ToolUse(tool) => {
                out.push(tool_start(index, &tool.id, &tool.name));
                let input = tool.malformed.clone().unwrap_or_else(|| tool.input.to_string());
                out.push(piece(index, &json!({ "toolUse": { "input": input } })));
            }
            ContentBlock::Reasoning(reasoning) => {
                if !reasoning.text.is_empty() {
                    out.push(piece(index, &json!({ "reasoningContent": { "text": reasoning.text } })));
                }
                sealed(index, reasoning, out);
            }
            _ => continue,
        }
        out.push(("contentBlockStop", json!({ "contentBlockIndex": index })));
    }
}

fn piece(index: u32, delta: &Value) -> Said {
    ("contentBlockDelta", json!({ "contentBlockIndex": index, "delta": delta }))
}

fn sealed(index: u32, seal: &Reasoning, out: &mut Vec<Said>) {
    if let Some(signature) = &seal.signature {
        out.push(piece(index, &json!({ "reasoningContent": { "signature": signature } })));
    }
    if let Some(redacted) = &seal.redacted {
        out.push(piece(index, &json!({ "reasoningContent": { "redactedContent": redacted } })));
    }
}

fn tool_start(index: u32, id: &str, name: &str) -> Said {
    let start = json!({ "toolUse": { "toolUseId": id, "name": name, "type": "tool_use" } });
    ("contentBlockStart", json!({ "contentBlockIndex": index, "start": start }))
}

fn result_content(content: &ToolResultContent) -> Option<Value> {
    match content {
        ToolResultContent::Text { text } => (!text.is_empty()).then(|| json!({ "text": text })),
        ToolResultContent::Json { json } => Some(json!({ "json": json })),
        ToolResultContent::Image { .. } => None,
    }
}

fn stop(reason: &str, out: &mut Vec<Said>) {
    out.push(("messageStop", json!({ "stopReason": reason })));
}

fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::Refusal => "end_turn",
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => "content_filtered",
        StopReason::ModelContextWindowExceeded => "model_context_window_exceeded",
        StopReason::PauseTurn => "partial_turn",
    }
}

/// Returns how a turn ended that no word of the model ended.
fn limit(outcome: TurnOutcome) -> Option<&'static str> {
    match outcome {
        TurnOutcome::Completed | TurnOutcome::MaxTokens | TurnOutcome::Refused | TurnOutcome::ModelFailed => None,
        TurnOutcome::MaxIterations | TurnOutcome::MaxToolCalls => Some("max_iterations_exceeded"),
        TurnOutcome::MaxTurnTokens | TurnOutcome::MaxCost => Some("max_output_tokens_exceeded"),
        TurnOutcome::ContextExceeded => Some("model_context_window_exceeded"),
        TurnOutcome::Timeout => Some("timeout_exceeded"),
        TurnOutcome::Cancelled | TurnOutcome::Interrupted => Some("interrupted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::{
        event::{Entry, ModelReplied},
        message::Usage,
        time::Timestamp,
    };

    fn replied(call: CallId, text: &str) -> Live {
        let event = Event::ModelReplied(ModelReplied {
            call,
            message: Arc::new(Message {
                role: bedplate_core::message::Role::Assistant,
                content: vec![ContentBlock::text(text)],
            }),
            stop_reason: StopReason::EndTurn,
            usage: Usage::default(),
            cost: 0,
            model: String::new(),
            took_ms: 0,
            partial: false,
        });
        Live::Entry(Entry { seq: 9, at: Timestamp(0), event })
    }

    fn delta(call: CallId, event: ModelEvent) -> Live {
        Live::Delta { call, event }
    }

    fn names(lives: &[Live]) -> Vec<&'static str> {
        let (mut events, mut out) = (Events::default(), Vec::new());
        lives.iter().for_each(|live| events.live(live, &mut out));
        out.into_iter()
            .map(
                |(name, body)| if name == "messageStop" && body["stopReason"] == "interrupted" { "void" } else { name },
            )
            .collect()
    }

    #[test]
    fn a_message_is_shown_once_whether_its_pieces_came_or_not() {
        let start = ModelEvent::BlockStart { index: 0, kind: BlockKind::Text };
        let text = ModelEvent::TextDelta { index: 0, text: "Hi".into() };
        let whole = ["messageStart", "contentBlockDelta", "contentBlockStop", "messageStop"];
        assert_eq!(names(&[delta(3, start.clone()), delta(3, text.clone()), replied(3, "Hi")]), whole);
        assert_eq!(names(&[replied(3, "Hi")]), whole);
        let message = Message { role: bedplate_core::message::Role::Assistant, content: Vec::new() };
        assert_eq!(names(&[Live::Partial { call: 3, message }, delta(3, text), replied(3, "Hi")]), whole);
    }

    #[test]
    fn what_came_of_a_void_attempt_is_ended_before_the_next_begins() {
        let text = ModelEvent::TextDelta { index: 0, text: "Hi".into() };
        let start = ModelEvent::BlockStart { index: 0, kind: BlockKind::Text };
        let said = names(&[
            delta(3, start),
            delta(3, text.clone()),
            Live::Restart { call: 3 },
            delta(3, text),
            replied(3, "Hi"),
        ]);
        let void = ["messageStart", "contentBlockDelta", "contentBlockStop", "void"];
        assert_eq!(said, [&void[..], &["messageStart", "contentBlockDelta", "messageStop"]].concat());
    }
}
