//! Snapshots: one for each run, the latest.

use super::{bundle, head, place, writer::Writer};
use crate::rules::invalid;
use bedplate_core::{
    id::Seq,
    port::journal::{AppendError, RunRef},
};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result};

/// Keeps a snapshot unless a later one is there.
pub(super) fn put(writer: &mut Writer, run: RunRef, seq: Seq, state: &Bytes) -> Result<Result<(), AppendError>> {
    let conn = &writer.conn;
    match head::load_key(conn, run.key)?.filter(|head| head.run == run) {
        None if bundle::open(conn, run.key)? => return put(writer, run, seq, state),
        None => return Ok(Err(AppendError::NotFound)),
        Some(head) if seq > head.seq => return Ok(Err(invalid(format!("the run has no position {seq}")))),
        Some(_) => {}
    }
    let sql = "INSERT INTO snapshot (run, seq, state) VALUES (?1, ?2, ?3)
               ON CONFLICT (run) DO UPDATE SET seq = excluded.seq, state = excluded.state WHERE seq <= excluded.seq";
    conn.prepare_cached(sql)?.execute((run.key, place::to_sql(seq), &state[..]))?;
    Ok(Ok(()))
}

/// Returns the latest snapshot.
pub(super) fn get(conn: &Connection, run: RunRef) -> Result<Option<(Seq, Bytes)>> {
    if !head::exists(conn, run)? {
        return Ok(None);
    }
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, Vec<u8>>(1)?.into()));
    conn.prepare_cached("SELECT seq, state FROM snapshot WHERE run = ?1")?.query_row([run.key], read).optional()
}
