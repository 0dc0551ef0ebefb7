//! Reading events.

use super::{
    blobs,
    bundle::{self, Recent},
    pieces, place,
};
use crate::codec::{DecodeError, decode};
use bedplate_core::{
    event::Entry,
    id::{Seq, Tenant},
    port::journal::{ReadError, RunRef},
};
use rusqlite::{Connection, OptionalExtension, Result};

/// Reads whole batches after a position until `limit` events are read.
pub(super) fn read(
    conn: &Connection,
    run: RunRef,
    after: Seq,
    limit: usize,
    recent: &Recent,
) -> Result<Result<Vec<Entry>, ReadError>> {
    let sql = "SELECT tail, tenant FROM run WHERE key = ?1 AND id = ?2 AND seq > ?3";
    let head = conn.prepare_cached(sql)?.query_row((run.key, &run.id.0[..], place::to_sql(after)), |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, Tenant::from(row.get_ref(1)?.as_str()?)))
    });
    let Some((tail, tenant)) = head.optional()? else { return bundle::read(conn, run, after, recent) };
    let until = after.saturating_add(limit.max(1) as u64);
    let mut entries = Vec::new();
    for place in place::find(conn, run.key, &tail, after, until)? {
        let damaged = |message: String| Ok(Err(ReadError::Damaged { run: run.id, seq: place.first, message }));
        let Some((header, payload)) = pieces::read(conn, place.pos)? else {
            return damaged("a batch is missing".into());
        };
        if (header.run, header.first) != (run.key, place.first) {
            return damaged("another batch is in its place".into());
        }
        let at = header.at;
        let events = match decode(&payload, |hash| blobs::load(conn, &tenant, hash)) {
            Ok(events) => events,
            Err(DecodeError::Damaged(message)) => return damaged(message),
            Err(DecodeError::Fetch(error)) => return Err(error),
        };
        let placed = (place.first..).zip(events).filter(|(seq, _)| *seq > after);
        entries.extend(placed.map(|(seq, event)| Entry { seq, at, event }));
    }
    Ok(Ok(entries))
}
