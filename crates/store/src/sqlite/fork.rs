//! Forking: a new run that begins with a copy of another one's first events.

use super::{
    append::{self, Current},
    bundle,
    pieces::{self, Header},
    place::{self, Place, Tail},
    writer::Writer,
};
use crate::rules::{Prepared, invalid};
use bedplate_core::{
    id::Seq,
    port::journal::{AppendError, Head, NewRun, RunRef},
};
use rusqlite::{Connection, OptionalExtension, Result, types::Type};

/// Copies the first `at` events of `from` into a new run and appends `batch`.
pub(super) fn fork(
    writer: &mut Writer,
    from: RunRef,
    at: Seq,
    run: &NewRun,
    batch: &Prepared,
) -> Result<Result<Head, AppendError>> {
    let conn = &writer.conn;
    let source = match Source::load(conn, from, run)? {
        None if bundle::open(conn, from.key)? => Source::load(conn, from, run)?,
        source => source,
    };
    let Some(source) = source else { return Ok(Err(AppendError::NotFound)) };
    let Some(places) = source.places_until(conn, from.key, at)? else {
        return Ok(Err(invalid(format!("position {at} is not the end of a batch"))));
    };
    if let Some(refused) = append::check_new(conn, run, batch)? {
        return Ok(Err(refused));
    }
    let key = append::insert(writer, run, &source.title, batch)?;
    let mut tail = Tail::default();
    for Place { first, pos } in places {
        let Some((header, payload)) = pieces::read(conn, pos)? else {
            // An error of SQLite's kind, so that what was copied so far is rolled back.
            let message = format!("the batch at {first} of run {} is missing", from.id);
            return Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, message.into()));
        };
        let pos = pieces::write(conn, &Header { run: key, ..header }, &payload)?;
        tail.push(conn, key, Place { first, pos })?;
    }
    let references =
        "INSERT INTO reference (run, blob, first) SELECT ?1, blob, first FROM reference WHERE run = ?2 AND first <= ?3";
    conn.prepare_cached(references)?.execute((key, from.key, place::to_sql(at)))?;
    let lineage = "INSERT OR IGNORE INTO lineage (tenant, user, run)
                   SELECT tenant, user, ?1 FROM lineage WHERE run = ?2 AND user <> ?3
                   UNION SELECT tenant, user, ?1 FROM run WHERE key = ?2 AND user <> ?3";
    conn.prepare_cached(lineage)?.execute((key, from.key, run.user.as_str()))?;
    append::begin(conn, &run.tenant, Current { key, seq: at, wake_at: None, inbox: 0, tail }, batch).map(Ok)
}

struct Source {
    seq: Seq,
    title: String,
    tail: Vec<u8>,
}

impl Source {
    fn load(conn: &Connection, from: RunRef, run: &NewRun) -> Result<Option<Self>> {
        let sql = "SELECT seq, title, tail FROM run WHERE key = ?1 AND id = ?2 AND tenant = ?3";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self { seq: row.get::<_, i64>(0)?.cast_unsigned(), title: row.get(1)?, tail: row.get(2)? })
        };
        conn.prepare_cached(sql)?.query_row((from.key, &from.id.0[..], run.tenant.as_str()), read).optional()
    }

    /// Returns the places of the first `at` events; none when `at` is not the end of a batch.
    fn places_until(&self, conn: &Connection, key: i64, at: Seq) -> Result<Option<Vec<Place>>> {
        if at == 0 || at > self.seq {
            return Ok(None);
        }
        let mut places = place::find(conn, key, &self.tail, 0, at.saturating_add(1))?;
        let ends = at == self.seq || places.pop_if(|place| place.first == at + 1).is_some();
        Ok(ends.then_some(places))
    }
}
