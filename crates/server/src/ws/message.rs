//! The messages of a WebSocket: what a client says, and what it is told.

use crate::{ApiError, extract::identifier};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The longest id that a client gives to a message, in bytes.
const MAX_ID: usize = 64;

/// What a client says.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    /// Who it is; the first message of a client that did not say so when it came.
    Auth {
        /// An API key.
        key: String,
    },
    /// A turn of an agent, told as it happens.
    Invoke {
        /// What replies refer to.
        id: String,
        /// The agent.
        agent: String,
        /// The body of `POST /v1/agents/{agent}/invoke`.
        body: Map<String, Value>,
        /// As the header of that name.
        #[serde(default)]
        idempotency_key: Option<String>,
    },
    /// What happens in a run, from after a position on.
    Subscribe {
        /// What replies refer to.
        id: String,
        /// The run.
        run: String,
        /// The last position that the client has seen.
        #[serde(default)]
        after: u64,
    },
    /// The end of a turn.
    Cancel {
        /// What the reply refers to.
        id: String,
        /// The run.
        run: String,
        /// The turn; absent: the one under way.
        #[serde(default)]
        turn: Option<u64>,
    },
    /// An answer to a question.
    Answer {
        /// What the reply refers to.
        id: String,
        /// The run.
        run: String,
        /// The call that waits.
        call: u64,
        /// Whether it may run.
        approved: bool,
        /// A word to the model.
        #[serde(default)]
        note: Option<String>,
    },
    /// No more of a stream; the turn goes on.
    Stop {
        /// The stream.
        id: String,
    },
    /// A sign of life is wanted.
    Ping {},
}

/// A request to the server's own routes that a message stands for.
#[derive(Debug, PartialEq)]
pub struct Call {
    /// What replies refer to.
    pub id: String,
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The body; none with GET.
    pub body: Option<Value>,
    /// Whether the answer is a stream.
    pub stream: bool,
    /// See [`Said::Invoke`].
    pub idempotency_key: Option<String>,
}

impl Said {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Returns the request that this message stands for; none for those that are about the connection itself.
    ///
    /// # Errors
    /// When an id is too long or says nothing.
    pub fn call(self) -> Result<Option<Call>, ApiError> {
        let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let call = match self {
            Self::Auth { .. } | Self::Stop { .. } | Self::Ping {} => return Ok(None),
            Self::Invoke { id, agent, body, idempotency_key } => Call {
                id,
                method: "POST",
                path: format!("/v1/agents/{}/invoke", part(&agent)),
                body: Some(Value::Object(body)),
                stream: true,
                idempotency_key,
            },
            Self::Subscribe { id, run, after } => Call {
                id,
                method: "GET",
                path: format!("/v1/runs/{}/events?after={after}", part(&run)),
                body: None,
                stream: true,
                idempotency_key: None,
            },
            Self::Cancel { id, run, turn } => Call {
                id,
                method: "POST",
                path: format!("/v1/runs/{}/cancel", part(&run)),
                body: Some(json!({ "turn": turn })),
                stream: false,
                idempotency_key: None,
            },
            Self::Answer { id, run, call, approved, note } => Call {
                id,
                method: "POST",
                path: format!("/v1/runs/{}/calls/{call}/answer", part(&run)),
                body: Some(json!({ "approved": approved, "note": note })),
                stream: false,
                idempotency_key: None,
            },
        };
        if call.id.len() > MAX_ID {
            return Err(ApiError::bad_request("invalid_identifier", format!("id has at most {MAX_ID} bytes")));
        }
        identifier("id", &call.id)?;
        Ok(Some(call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stands_for_a_request_and_cannot_leave_its_path() {
        let said = r#"{"type":"invoke","id":"1","agent":"../keys?x#","body":{"input":"Hi"},"idempotency_key":"k"}"#;
        let call = Said::read(said).expect("it is one").call().expect("it is right").expect("it is a request");
        assert_eq!((call.method, call.path.as_str()), ("POST", "/v1/agents/%2E%2E%2Fkeys%3Fx%23/invoke"));
        assert!(call.stream && call.idempotency_key.as_deref() == Some("k"));
        let call = Said::read(r#"{"type":"subscribe","id":"2","run":"ab","after":7}"#).expect("it is one").call();
        let call = call.expect("it is right").expect("it is a request");
        assert_eq!((call.method, call.path.as_str(), call.body), ("GET", "/v1/runs/ab/events?after=7", None));
    }

    #[test]
    fn what_is_no_message_says_why() {
        for text in ["", "5", "{}", r#"{"type":"other"}"#, r#"{"type":"stop"}"#, r#"{"type":"ping","x":1}"#, "\u{0}"] {
            assert!(!Said::read(text).expect_err(text).is_empty());
        }
        let long = Said::Cancel { id: "x".repeat(65), run: "a".into(), turn: None };
        assert!(long.call().is_err());
    }
}
