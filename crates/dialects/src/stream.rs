//! What the stream decoders of all dialects have in common.

use crate::{DecodeError, UpstreamFault};
use bedplate_core::{message::Usage, port::model::ModelEvent};

/// Turns the bytes of a dialect's stream into model events. It never waits and never panics; the caller brings the
/// bytes, cut anywhere, and says when they end.
pub trait StreamDecoder: Send {
    /// Takes the next bytes and appends the events that they complete to `out`. After the reply's `End` it ignores
    /// whatever else comes.
    ///
    /// # Errors
    /// [`StreamError`]; the stream is of no more use then. `out` may have grown by what came before the fault.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), StreamError>;

    /// Takes the end of the stream.
    ///
    /// # Errors
    /// [`StreamError::Cut`] when the stream ended without the dialect's terminal event.
    fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), StreamError>;

    /// Returns whether the `End` came.
    fn is_done(&self) -> bool;

    /// Returns the tokens known so far, for a stream that breaks.
    fn usage(&self) -> Usage;
}

/// A stream that gave no whole reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Something came that is not of the dialect.
    #[error("the stream holds what its dialect does not allow: {0}")]
    Decode(#[from] DecodeError),
    /// The other side said that it failed.
    #[error("{}", .0.message)]
    Upstream(UpstreamFault),
    /// It ended without its terminal event.
    #[error("the stream ended without its terminal event")]
    Cut,
}

/// What a reply's outer shape says besides the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The reply's id.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The model's name as the client asked for it.
    pub model: String,
}
