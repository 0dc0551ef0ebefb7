//! Journals and keys in SQLite and in memory.
