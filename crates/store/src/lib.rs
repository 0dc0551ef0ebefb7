//! Journals, keys, documents, call records and the ledger in SQLite and in memory; the ledger also in Redis.
//!
//! Invariant: nothing here knows a machine, a model or a tool; events are written and read, never interpreted.

mod book;
mod calls;
mod codec;
mod cursor;
mod documents;
mod fold;
mod pack;
mod redis_ledger;
mod rules;

pub mod memory;
pub mod sqlite;

pub use memory::{MemoryLedger, MemoryRecords, MemoryStore};
pub use redis_ledger::{RedisLedger, RedisOptions};
pub use sqlite::{OpenError, Options, Store};
