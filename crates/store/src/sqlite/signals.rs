//! The inbox of a run.

use super::{bundle, writer::Writer};
use bedplate_core::{
    id::{RunId, Tenant},
    port::journal::{MAX_SIGNALS, RunRef, Signal, SignalError, SignalOutcome},
    time::Timestamp,
};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result};

/// Stores a signal unless one with its key came before, and makes the run due.
pub(super) fn store(
    writer: &mut Writer,
    tenant: &Tenant,
    run: RunId,
    key: &str,
    body: &Bytes,
    at: Timestamp,
) -> Result<Result<SignalOutcome, SignalError>> {
    let conn = &writer.conn;
    let sql = "SELECT key, signals, wake_at FROM run WHERE tenant = ?1 AND id = ?2";
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?));
    let found = conn.prepare_cached(sql)?.query_row((tenant.as_str(), &run.0[..]), read).optional()?;
    let Some((run, signals, wake_at)) = found else {
        return match bundle::open_run(conn, tenant, run)? {
            true => store(writer, tenant, run, key, body, at),
            false => Ok(Err(SignalError::NotFound)),
        };
    };
    let sql = "INSERT OR IGNORE INTO signal_key (run, key) VALUES (?1, ?2)";
    if conn.prepare_cached(sql)?.execute((run, key))? == 0 {
        return Ok(Ok(SignalOutcome::Duplicate));
    }
    let sql = "INSERT INTO inbox (run, id, key, at, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    conn.prepare_cached(sql)?.execute((run, signals + 1, key, at.0, &body[..]))?;
    let due = wake_at.map_or(at.0, |wake| wake.min(at.0));
    let sql = "UPDATE run SET signals = signals + 1, inbox = inbox + 1, wake_at = ?2 WHERE key = ?1";
    conn.prepare_cached(sql)?.execute((run, due))?;
    Ok(Ok(SignalOutcome::Stored))
}

/// Returns the oldest signals that are not consumed.
pub(super) fn waiting(conn: &Connection, run: RunRef) -> Result<Vec<Signal>> {
    let sql = "SELECT inbox.id, inbox.key, inbox.at, inbox.body FROM inbox JOIN run ON run.key = inbox.run
               WHERE inbox.run = ?1 AND run.id = ?2 ORDER BY inbox.id LIMIT ?3";
    let read = |row: &rusqlite::Row<'_>| {
        let body = row.get::<_, Vec<u8>>(3)?.into();
        Ok(Signal { id: row.get(0)?, key: row.get(1)?, at: Timestamp(row.get(2)?), body })
    };
    conn.prepare_cached(sql)?.query_map((run.key, &run.id.0[..], MAX_SIGNALS as i64), read)?.collect()
}
