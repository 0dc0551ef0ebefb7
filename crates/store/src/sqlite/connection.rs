//! How connections to the file are set up.

use rusqlite::{Connection, OpenFlags, Result, functions::FunctionFlags};
use std::{path::Path, time::Duration};

/// The pages of a new file. A commit writes whole pages, so small ones are cheap to change; batches are cut into pieces
/// that fill them (see `pieces`).
const PAGE_BYTES: u32 = 4_096;

/// The writer's page cache in KiB.
const WRITER_CACHE: i64 = 6_144;

/// A reader's page cache in KiB.
const READER_CACHE: i64 = 1_024;

/// Opens the connection that writes; makes the file when it is missing.
pub(super) fn writer(path: &Path) -> Result<Connection> {
    let conn =
        Connection::open_with_flags(path, flags() | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Deleting a person overwrites what was deleted.
    conn.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    // The checkpointer decides when, so that a commit never pays for it.
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", 67_108_864, |_| Ok(()))?;
    // Only a checkpoint that waits for a reader ever meets this.
    conn.busy_timeout(Duration::from_millis(100))?;
    conn.set_prepared_statement_cache_capacity(96);
    Ok(conn)
}

/// Opens a connection that reads.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, flags() | OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(32);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("contains_folded", 2, flags, |context| {
        let (text, needle) = (context.get_raw(0).as_str()?, context.get_raw(1).as_str()?);
        Ok(crate::rules::contains_folded(text, needle))
    })?;
    Ok(conn)
}

/// Opens the connection that copies the write-ahead log back into the file.
pub(super) fn checkpointer(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, flags() | OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -64)?;
    Ok(conn)
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_NO_MUTEX
}
