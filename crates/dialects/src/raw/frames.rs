//! Streams in AWS's frames as they pass: what a frame tells, once whoever owns the connection has taken it apart.

use super::{
    scan,
    sse::{message_event, not_json},
};
use crate::{StreamError, bedrock_converse};
use base64::{Engine, engine::general_purpose::STANDARD};
use bedplate_core::message::Usage;
use serde::Deserialize;

/// Watches the events of a ConverseStream: `metadata` is terminal.
#[derive(Debug, Default)]
pub struct ConverseWatch {
    usage: Usage,
    stopped: bool,
}

impl ConverseWatch {
    /// Takes an event's `:event-type` and its payload; returns whether it is the last.
    ///
    /// # Errors
    /// [`StreamError`] when it is none of the dialect.
    pub fn event(&mut self, kind: &str, payload: &[u8]) -> Result<bool, StreamError> {
        match kind {
            "messageStop" => self.stopped = true,
            "metadata" => {
                let usage = scan::field(payload, b"usage").ok_or_else(not_json)?;
                self.usage = bedrock_converse::usage_of_json(usage);
                return if self.stopped { Ok(true) } else { Err(StreamError::Cut) };
            }
            _ => {}
        }
        Ok(false)
    }

    /// Returns whether the stream is whole if it ends here: its stop was said.
    #[must_use]
    pub fn may_end(&self) -> bool {
        self.stopped
    }

    /// Returns the tokens told so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

/// Watches the chunks of an InvokeModelWithResponseStream: the one with Bedrock's counts is terminal, and
/// `message_stop` of Anthropic's models.
#[derive(Debug, Default)]
pub struct InvokeWatch {
    usage: Usage,
}

impl InvokeWatch {
    /// Takes an event's `:event-type` and its payload; returns whether it is the last.
    ///
    /// # Errors
    /// As [`ConverseWatch::event`].
    pub fn event(&mut self, kind: &str, payload: &[u8]) -> Result<bool, StreamError> {
        if kind != "chunk" {
            return Ok(false);
        }
        let data = unwrap_chunk(payload)?;
        // Bedrock adds its counts to the last event of every family.
        if let Some(metrics) = scan::field(&data, b"amazon-bedrock-invocationMetrics") {
            let metrics: Metrics = serde_json::from_slice(metrics).map_err(|_| not_json())?;
            let Metrics { input, output, cache_read, cache_write } = metrics;
            self.usage = Usage { input, output, cache_read, cache_write };
            return Ok(true);
        }
        match scan::field(&data, b"type") {
            Some(_) => message_event(&data, &mut self.usage),
            None => Ok(false),
        }
    }

    /// Returns the tokens told so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

/// The counts that Bedrock adds.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Metrics {
    #[serde(rename = "inputTokenCount")]
    input: u64,
    #[serde(rename = "outputTokenCount")]
    output: u64,
    #[serde(rename = "cacheReadInputTokenCount")]
    cache_read: u64,
    #[serde(rename = "cacheWriteInputTokenCount")]
    cache_write: u64,
}

/// Returns what a `chunk` holds.
fn unwrap_chunk(payload: &[u8]) -> Result<Vec<u8>, StreamError> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        bytes: std::borrow::Cow<'a, str>,
    }
    let chunk: Chunk<'_> = serde_json::from_slice(payload).map_err(|_| not_json())?;
    STANDARD.decode(chunk.bytes.as_bytes()).map_err(|_| not_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_bedrock_stand_in_the_last_event() {
        let mut watch = ConverseWatch::default();
        assert_eq!(watch.event("contentBlockDelta", b"{}"), Ok(false));
        assert!(!watch.may_end());
        assert_eq!(watch.event("messageStop", b"{\"stopReason\":\"end_turn\"}"), Ok(false));
        let usage = b"{\"metrics\":{},\"usage\":{\"inputTokens\":4,\"outputTokens\":2,\"totalTokens\":6}}";
        assert_eq!(watch.event("metadata", usage), Ok(true));
        assert_eq!((watch.usage().input, watch.usage().output), (4, 2));
    }

    #[test]
    fn the_events_in_chunks_are_those_of_messages() {
        let mut watch = InvokeWatch::default();
        let chunk = |json: &str| format!("{{\"bytes\":\"{}\",\"p\":\"abc\"}}", STANDARD.encode(json)).into_bytes();
        let start = chunk(r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#);
        assert_eq!(watch.event("chunk", &start), Ok(false));
        assert_eq!(watch.event("chunk", &chunk(r#"{"type":"message_stop"}"#)), Ok(true));
        assert_eq!(watch.usage().input, 3);
        assert!(watch.event("chunk", b"{\"bytes\":\"%\"}").is_err());
    }
}
