//! Journals, keys and documents in SQLite and in memory.
//!
//! Invariant: nothing here knows a machine, a model or a tool; events are written and read, never interpreted.

mod codec;
mod cursor;
mod documents;
mod pack;
mod rules;

pub mod memory;
pub mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::{OpenError, Options, Store};
