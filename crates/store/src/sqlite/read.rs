//! Reading events.

use super::{blobs, place};
use crate::codec::{DecodeError, decode};
use bedplate_core::{
    event::Entry,
    id::{Seq, Tenant},
    port::journal::{ReadError, RunRef},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result};

/// Reads whole batches after a position until `limit` events are read.
pub(super) fn read(conn: &Connection, run: RunRef, after: Seq, limit: usize) -> Result<Result<Vec<Entry>, ReadError>> {
    let sql = "SELECT tail, tenant FROM run WHERE key = ?1 AND id = ?2 AND seq > ?3";
    let head = conn.prepare_cached(sql)?.query_row((run.key, &run.id.0[..], place::to_sql(after)), |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, Tenant::from(row.get_ref(1)?.as_str()?)))
    });
    let Some((tail, tenant)) = head.optional()? else { return Ok(Ok(Vec::new())) };
    let until = after.saturating_add(limit.max(1) as u64);
    let mut entries = Vec::new();
    let mut select = conn.prepare_cached("SELECT run, first, at, events FROM batch WHERE pos = ?1")?;
    for place in place::find(conn, run.key, &tail, after, until)? {
        let damaged = |message: String| Ok(Err(ReadError::Damaged { run: run.id, seq: place.first, message }));
        let mut rows = select.query([place.pos])?;
        let Some(row) = rows.next()? else { return damaged("a batch is missing".into()) };
        if (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?.cast_unsigned()) != (run.key, place.first) {
            return damaged("another batch is in its place".into());
        }
        let at = Timestamp(row.get(2)?);
        let events = match decode(row.get_ref(3)?.as_bytes()?, |hash| blobs::load(conn, &tenant, hash)) {
            Ok(events) => events,
            Err(DecodeError::Damaged(message)) => return damaged(message),
            Err(DecodeError::Fetch(error)) => return Err(error),
        };
        let placed = (place.first..).zip(events).filter(|(seq, _)| *seq > after);
        entries.extend(placed.map(|(seq, event)| Entry { seq, at, event }));
    }
    Ok(Ok(entries))
}
