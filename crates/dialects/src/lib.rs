//! Wire formats of model APIs to and from core messages, in both directions, streamed and not.
//!
//! Each dialect is a module with the same five parts: `wire` (the typed shapes at the edge), `request` (core → wire and
//! wire → core), `reply` (the same for whole replies), `stream_in` (bytes of an upstream's stream → model events) and
//! `stream_out` (model events → bytes for a client). What they share stands beside them.
//!
//! Invariant: nothing here does I/O, reads a clock, or knows who serves a dialect; bytes come in, values come out, and
//! malformed input is a [`DecodeError`] that says where, never a panic.

pub mod anthropic_messages;
pub mod bedrock_converse;
pub mod bedrock_invoke;
mod decode;
mod error;
mod fault;
mod input;
mod json;
mod media;
mod names;
mod normalise;
pub mod openai_chat;
pub mod openai_responses;
mod output;
mod params;
pub mod raw;
mod reply;
pub mod sse;
mod stream;
mod tools;

pub use decode::decode;
pub use error::{DecodeError, EncodeError};
pub use fault::{Fault, UpstreamFault, WireError, bedrock_error};
pub use input::{parse_input, render_input};
pub use names::{NameMap, NameRule};
pub use normalise::normalise;
pub use params::untranslated;
pub use reply::{Ending, ReplyBuilder, events_of};
pub use stream::{Envelope, StreamDecoder, StreamError};
