//! Requests and replies that pass through in their own bytes: only what must be known is read, nothing is rebuilt.

mod frames;
mod head;
mod rewrite;
mod scan;
mod sse;

pub use frames::{ConverseWatch, InvokeWatch};
pub use head::{Head, head};
pub use rewrite::{Rewrite, RewriteOptions, rewrite};
pub use sse::{Dialect, SseWatch};

use crate::StreamError;
use bedplate_core::message::Usage;
use bytes::Bytes;

/// Looks at the bytes of a stream as they pass: whether they are events of the dialect, what they cost, and whether the
/// terminal event came.
pub trait RawWatch: Send {
    /// Takes the next bytes and returns those that may be passed on: whole events, or nothing yet. After the terminal
    /// event it returns nothing more.
    ///
    /// # Errors
    /// [`StreamError`]; the stream is of no more use then. What the upstream reports as an error is one.
    fn feed(&mut self, bytes: Bytes) -> Result<Bytes, StreamError>;

    /// Takes the end of the stream and returns what is left to be passed on.
    ///
    /// # Errors
    /// [`StreamError::Cut`] when the terminal event did not come.
    fn finish(&mut self) -> Result<Bytes, StreamError>;

    /// Returns whether the terminal event came.
    fn is_done(&self) -> bool;

    /// Returns the tokens that the stream told of so far.
    fn usage(&self) -> Usage;
}

/// Returns the tokens that a whole reply of `dialect` tells of; zeros where it tells none.
#[must_use]
pub fn usage_of_reply(dialect: &str, body: &[u8]) -> Usage {
    let named = |name: &[u8]| scan::field(body, name).unwrap_or_default();
    match dialect {
        crate::openai_chat::NAME => crate::openai_chat::usage_of_json(named(b"usage")),
        crate::anthropic_messages::NAME | crate::anthropic_messages::INVOKE_NAME => {
            let mut usage = Usage::default();
            crate::anthropic_messages::usage_of_json(named(b"usage"), &mut usage);
            usage
        }
        crate::bedrock_converse::NAME => crate::bedrock_converse::usage_of_json(named(b"usage")),
        _ => Usage::default(),
    }
}
