//! The rows of a batch: how a line is read, and how what became of it is written.

use super::{batch::Face, door::Answer};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// The longest id that a client gives to a row, in bytes.
const MAX_ID: usize = 256;

/// A row as a client wrote it.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) custom_id: String,
    method: String,
    url: String,
    body: Box<RawValue>,
}

impl Row {
    /// Reads a line of a batch for `endpoint`.
    ///
    /// # Errors
    /// A code of OpenAI's, and what is wrong.
    pub(super) fn read(line: &[u8], endpoint: &str) -> Result<Self, (&'static str, String)> {
        let row: Self = serde_json::from_slice(line)
            .map_err(|error| ("invalid_json_line", format!("This line is not parseable as a request: {error}")))?;
        if row.custom_id.is_empty() || row.custom_id.len() > MAX_ID {
            return Err(("invalid_custom_id", format!("custom_id must have 1 to {MAX_ID} bytes")));
        }
        if row.method != "POST" {
            return Err(("invalid_method", "The method must be POST".to_owned()));
        }
        if row.url != endpoint {
            return Err(("mismatched_endpoint", format!("The url must be the batch's endpoint, {endpoint}")));
        }
        if !row.body.get().trim_start().starts_with('{') {
            return Err(("invalid_request_body", "The body must be an object".to_owned()));
        }
        Ok(row)
    }

    pub(super) fn body(&self) -> Bytes {
        Bytes::copy_from_slice(self.body.get().as_bytes())
    }
}

/// Returns a row as a line that [`Row::read`] reads.
pub(super) fn line_of(custom_id: &str, endpoint: &str, body: &RawValue) -> Vec<u8> {
    // A line has no end within: outside of texts JSON means the same without it, and within it is escaped.
    let body = body.get().replace(['\n', '\r'], " ");
    let (custom_id, url) = (Value::from(custom_id), Value::from(endpoint));
    format!("{{\"custom_id\":{custom_id},\"method\":\"POST\",\"url\":{url},\"body\":{body}}}\n").into_bytes()
}

/// Why a row was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Canceled,
    Expired,
}

/// What became of a row, as it is kept: a mark for how it ended, and the line for the client.
pub(super) struct Outcome(pub(super) Bytes);

/// The mark of a row that ended well.
const WELL: u8 = b'+';
/// The mark of one that did not.
const BADLY: u8 = b'-';

impl Outcome {
    /// Returns the outcome of a row that was answered.
    pub(super) fn answered(face: Face, id: &str, custom_id: &str, answer: &Answer) -> Self {
        let (body, well) = (answer.json(), answer.is_well());
        let line = match face {
            Face::OpenAi => {
                let response = json!({ "status_code": answer.status, "request_id": answer.request_id, "body": body });
                json!({ "id": id, "custom_id": custom_id, "response": response, "error": null })
            }
            Face::Anthropic if well => {
                json!({ "custom_id": custom_id, "result": { "type": "succeeded", "message": body } })
            }
            Face::Anthropic => json!({ "custom_id": custom_id, "result": { "type": "errored", "error": body } }),
        };
        Self::of(well, &line)
    }

    /// Returns the outcome of a row that was not done.
    pub(super) fn left_out(face: Face, id: &str, custom_id: &str, left: Left) -> Self {
        let line = match (face, left) {
            (Face::Anthropic, Left::Canceled) => json!({ "custom_id": custom_id, "result": { "type": "canceled" } }),
            (Face::Anthropic, Left::Expired) => json!({ "custom_id": custom_id, "result": { "type": "expired" } }),
            (Face::OpenAi, Left::Canceled) => {
                undone(id, custom_id, "batch_cancelled", "This request was not executed: the batch was cancelled.")
            }
            (Face::OpenAi, Left::Expired) => {
                let message = "This request could not be executed before the completion window expired.";
                undone(id, custom_id, "batch_expired", message)
            }
        };
        Self::of(false, &line)
    }

    /// Returns the outcome of a row that cannot be read.
    pub(super) fn broken(id: &str, code: &str, message: &str) -> Self {
        Self::of(false, &undone(id, "", code, message))
    }

    fn of(well: bool, line: &Value) -> Self {
        let mut bytes = vec![if well { WELL } else { BADLY }];
        bytes.extend_from_slice(line.to_string().as_bytes());
        bytes.push(b'\n');
        Self(bytes.into())
    }

    pub(super) fn is_well(&self) -> bool {
        self.0.first() == Some(&WELL)
    }

    /// Returns the line for the client.
    pub(super) fn line(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }
}

fn undone(id: &str, custom_id: &str, code: &str, message: &str) -> Value {
    json!({ "id": id, "custom_id": custom_id, "response": null, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_written_over_lines_is_one_and_reads_back() {
        let body: Box<RawValue> = serde_json::from_str("{\n \"a\": \"x\\ny\",\r\n \"b\": 1e400}").expect("it is JSON");
        let line = line_of("q\"1", "/v1/messages", &body);
        let (end, line) = line.split_last().expect("it has an end");
        assert!(*end == b'\n' && !line.contains(&b'\n') && !line.contains(&b'\r'));
        let row = Row::read(line, "/v1/messages").expect("it is a row");
        assert_eq!((row.custom_id.as_str(), &row.body()[..]), ("q\"1", &br#"{  "a": "x\ny",   "b": 1e400}"#[..]));
    }

    #[test]
    fn a_row_says_what_is_wrong_with_it() {
        let endpoint = "/v1/chat/completions";
        let good =
            r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m", "x" : 1e400}}"#;
        let row = Row::read(good.as_bytes(), endpoint).expect("it is whole");
        assert_eq!((row.custom_id.as_str(), &row.body()[..]), ("a", &br#"{"model":"m", "x" : 1e400}"#[..]));
        for (from, to, code) in [
            ("POST", "GET", "invalid_method"),
            ("completions", "other", "mismatched_endpoint"),
            ("\"a\"", "\"\"", "invalid_custom_id"),
            ("\"a\"", "5", "invalid_json_line"),
            ("{\"model\":\"m\", \"x\" : 1e400}", "[]", "invalid_request_body"),
            ("{\"c", "c", "invalid_json_line"),
        ] {
            assert_eq!(
                Row::read(good.replacen(from, to, 1).as_bytes(), endpoint).err().map(|(code, _)| code),
                Some(code)
            );
        }
    }
}
