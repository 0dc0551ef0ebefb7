//! Streams of server-sent events as they pass.

use super::{RawWatch, scan};
use crate::{DecodeError, StreamError, anthropic_messages, fault::ErrorDetail, openai_chat};
use bedplate_core::message::Usage;
use bytes::{Bytes, BytesMut};
use memchr::{memchr, memmem};

/// The longest event that is waited for, in bytes.
const MAX_EVENT: usize = 8 << 20;

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Chat Completions: `[DONE]` is terminal.
    Chat {
        /// Whether the chunk that tells the usage is kept from the client, which did not ask for it.
        hide_usage: bool,
    },
    /// Messages: `message_stop` is terminal.
    Messages,
}

/// Watches server-sent events of one dialect.
#[derive(Debug)]
pub struct SseWatch {
    dialect: Dialect,
    held: BytesMut,
    usage: Usage,
    /// Whether a finish reason was said; some servers leave `[DONE]` out after it.
    finished: bool,
    done: bool,
}

/// What becomes of an event.
#[derive(PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    Last,
}

impl SseWatch {
    /// Returns a watch over a stream of `dialect`.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, held: BytesMut::new(), usage: Usage::default(), finished: false, done: false }
    }

    /// Looks at whole events and returns those that are passed on.
    fn events(&mut self, whole: Bytes) -> Result<Bytes, StreamError> {
        let (mut event, mut at, mut fate) = (0, 0, Fate::Pass);
        let mut kept: Option<BytesMut> = None;
        while at < whole.len() {
            let rest = &whole[at..];
            let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest[..length].trim_ascii_end();
            at += length;
            if let Some(data) = line.strip_prefix(b"data:") {
                fate = self.data(data.trim_ascii_start())?;
                continue;
            }
            if !line.is_empty() {
                continue;
            }
            match std::mem::replace(&mut fate, Fate::Pass) {
                Fate::Pass => {
                    if let Some(kept) = &mut kept {
                        kept.extend_from_slice(&whole[event..at]);
                    }
                }
                Fate::Drop => {
                    kept.get_or_insert_with(|| BytesMut::from(&whole[..event]));
                }
                Fate::Last => {
                    self.done = true;
                    return Ok(match kept {
                        Some(mut kept) => {
                            kept.extend_from_slice(&whole[event..at]);
                            kept.freeze()
                        }
                        None => whole.slice(..at),
                    });
                }
            }
            event = at;
        }
        Ok(kept.map_or(whole, BytesMut::freeze))
    }

    fn data(&mut self, data: &[u8]) -> Result<Fate, StreamError> {
        match self.dialect {
            Dialect::Chat { hide_usage } => self.chat(data, hide_usage),
            Dialect::Messages => messages(data, &mut self.usage),
        }
    }

    fn chat(&mut self, data: &[u8], hide_usage: bool) -> Result<Fate, StreamError> {
        if data == b"[DONE]" {
            return Ok(Fate::Last);
        }
        let (mut told, mut empty) = (false, true);
        for field in scan::fields(data) {
            let field = field.map_err(|scan::NotAnObject| not_json())?;
            let value = &data[field.value];
            match &*field.name {
                b"usage" if value != b"null" => {
                    self.usage = openai_chat::usage_of_json(value);
                    told = true;
                }
                b"error" if value != b"null" => return Err(StreamError::Upstream(openai_chat::fault_of_json(value))),
                b"choices" => {
                    empty = value.strip_prefix(b"[").is_none_or(|rest| rest.trim_ascii_start().starts_with(b"]"));
                    self.finished |= says_reason(value);
                }
                _ => {}
            }
        }
        Ok(if hide_usage && told && empty { Fate::Drop } else { Fate::Pass })
    }
}

/// Returns whether `choices` say a finish reason.
fn says_reason(choices: &[u8]) -> bool {
    const NAME: &[u8] = b"\"finish_reason\":";
    memmem::find(choices, NAME).is_some_and(|at| choices[at + NAME.len()..].trim_ascii_start().first() == Some(&b'"'))
}

/// Looks at one event of Messages as JSON.
fn messages(data: &[u8], usage: &mut Usage) -> Result<Fate, StreamError> {
    let kind = scan::field(data, b"type").ok_or_else(not_json)?;
    match kind {
        b"\"message_start\"" => {
            if let Some(told) = scan::field(data, b"message").and_then(|message| scan::field(message, b"usage")) {
                anthropic_messages::usage_of_json(told, usage);
            }
        }
        b"\"message_delta\"" => {
            if let Some(told) = scan::field(data, b"usage") {
                anthropic_messages::usage_of_json(told, usage);
            }
        }
        b"\"message_stop\"" => return Ok(Fate::Last),
        b"\"error\"" => {
            let detail: ErrorDetail =
                scan::field(data, b"error").and_then(|error| serde_json::from_slice(error).ok()).unwrap_or_default();
            return Err(StreamError::Upstream(detail.into_fault(None)));
        }
        _ => {}
    }
    Ok(Fate::Pass)
}

/// Looks at one event of Messages that came in another shell; returns whether it is the last.
pub(super) fn message_event(data: &[u8], usage: &mut Usage) -> Result<bool, StreamError> {
    Ok(messages(data, usage)? == Fate::Last)
}

pub(super) fn not_json() -> StreamError {
    DecodeError::new("", "an event is not the JSON of its dialect").into()
}

/// Returns where the last whole event in `bytes` ends.
fn whole(bytes: &[u8]) -> usize {
    let plain = memmem::rfind(bytes, b"\n\n").map_or(0, |at| at + 2);
    let with_returns = memmem::rfind(&bytes[plain..], b"\n\r\n").map_or(0, |at| plain + at + 3);
    plain.max(with_returns)
}

impl RawWatch for SseWatch {
    fn feed(&mut self, bytes: Bytes) -> Result<Bytes, StreamError> {
        if self.done {
            return Ok(Bytes::new());
        }
        let mut bytes = if self.held.is_empty() {
            bytes
        } else {
            self.held.extend_from_slice(&bytes);
            std::mem::take(&mut self.held).freeze()
        };
        let rest = bytes.split_off(whole(&bytes));
        if !rest.is_empty() {
            if rest.len() > MAX_EVENT {
                return Err(DecodeError::new("", "an event is longer than 8 MiB").into());
            }
            self.held.extend_from_slice(&rest);
        }
        if bytes.is_empty() { Ok(bytes) } else { self.events(bytes) }
    }

    fn finish(&mut self) -> Result<Bytes, StreamError> {
        if self.done {
            return Ok(Bytes::new());
        }
        let mut last = std::mem::take(&mut self.held);
        if !last.is_empty() {
            // Some servers leave the last blank line out.
            last.extend_from_slice(b"\n\n");
        }
        let mut last = if last.is_empty() { Bytes::new() } else { self.events(last.freeze())? };
        if !self.done && self.finished {
            self.done = true;
            last = [&last[..], b"data: [DONE]\n\n"].concat().into();
        }
        if self.done { Ok(last) } else { Err(StreamError::Cut) }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::port::model::ModelErrorKind;

    const CHAT: &str = concat!(
        ": hi\n\n",
        "data: {\"x\":1,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a \\\"usage\\\":{} \\n\\n\"}}],\"usage\":null}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\n",
        "data: [DONE]\n\n",
    );

    fn pass(watch: &mut SseWatch, text: &str, piece: usize) -> Result<String, StreamError> {
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            out.extend_from_slice(&watch.feed(Bytes::copy_from_slice(piece))?);
        }
        out.extend_from_slice(&watch.finish()?);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_byte_passes_wherever_the_stream_is_cut_and_usage_is_read() {
        for piece in 1..CHAT.len() {
            let mut watch = SseWatch::new(Dialect::Chat { hide_usage: false });
            assert_eq!(pass(&mut watch, CHAT, piece).unwrap(), CHAT, "{piece}");
            assert_eq!((watch.usage.input, watch.usage.output), (7, 3));
        }
    }

    #[test]
    fn a_client_that_did_not_ask_for_usage_gets_none() {
        for piece in [1, 50, 10_000] {
            let mut watch = SseWatch::new(Dialect::Chat { hide_usage: true });
            let said = pass(&mut watch, CHAT, piece).unwrap();
            assert!(!said.contains("prompt_tokens") && said.ends_with("data: [DONE]\n\n"), "{said}");
            assert!(said.contains("a \\\"usage\\\"") && watch.usage.output == 3);
        }
    }

    #[test]
    fn a_cut_stream_is_an_error_and_a_finished_one_without_its_last_word_gets_it() {
        let cut = &CHAT[..CHAT.find("data: {\"choices\":[{\"index\":0,\"delta\":{},").unwrap()];
        let mut watch = SseWatch::new(Dialect::Chat { hide_usage: false });
        assert_eq!(pass(&mut watch, cut, 9), Err(StreamError::Cut));
        let unsaid = CHAT.strip_suffix("data: [DONE]\n\n").unwrap();
        let mut watch = SseWatch::new(Dialect::Chat { hide_usage: false });
        assert_eq!(pass(&mut watch, unsaid, 9).unwrap(), CHAT);
        let bare = CHAT.trim_end();
        let mut watch = SseWatch::new(Dialect::Chat { hide_usage: false });
        assert_eq!(pass(&mut watch, bare, 9).unwrap(), CHAT);
    }

    #[test]
    fn an_error_in_mid_stream_is_an_error_here() {
        let mut watch = SseWatch::new(Dialect::Chat { hide_usage: false });
        let error =
            pass(&mut watch, "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\"}}\n\n", 99).unwrap_err();
        assert!(matches!(error, StreamError::Upstream(fault) if fault.kind == ModelErrorKind::Unavailable));
        let mut watch = SseWatch::new(Dialect::Messages);
        let text = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"full\"}}\n\n";
        assert!(
            matches!(pass(&mut watch, text, 7).unwrap_err(), StreamError::Upstream(fault) if fault.message == "full")
        );
        let mut watch = SseWatch::new(Dialect::Messages);
        assert!(matches!(pass(&mut watch, "data: <html>\n\n", 7).unwrap_err(), StreamError::Decode(_)));
    }

    #[test]
    fn the_counts_of_messages_are_those_of_its_start_and_its_delta() {
        let text = concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: new_kind\ndata: {\"type\":\"new_kind\",\"usage\":{\"input_tokens\":0}}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":5}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        );
        for piece in [1, 33, 10_000] {
            let mut watch = SseWatch::new(Dialect::Messages);
            assert_eq!(pass(&mut watch, text, piece).unwrap(), text);
            assert_eq!(watch.usage, Usage { input: 9, output: 5, cache_read: 4, cache_write: 0 });
        }
    }
}
