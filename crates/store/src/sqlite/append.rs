//! Creating runs and appending to them; the only place that writes events.

use super::{
    blobs,
    bundle::{self, Draft},
    head,
    pieces::{self, Header},
    place::{Place, Tail},
    writer::Writer,
};
use crate::{
    codec::encode_plain,
    rules::{Prepared, first_epoch, invalid},
};
use bedplate_core::{
    id::{ContentHash, RunId, Seq, Tenant},
    port::journal::{AppendError, Batch, Expected, Head, NewRun, RunRef},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result};

/// The part of a head row that an append changes.
pub(super) struct Current {
    pub(super) key: i64,
    pub(super) seq: Seq,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) inbox: u64,
    pub(super) tail: Tail,
}

/// Appends a batch when the head is as expected.
pub(super) fn append(
    writer: &mut Writer,
    run: RunRef,
    expected: Expected,
    batch: &Prepared,
) -> Result<Result<Seq, AppendError>> {
    let conn = &writer.conn;
    let mut select =
        conn.prepare_cached("SELECT seq, epoch, wake_at, inbox, tail FROM run WHERE key = ?1 AND id = ?2")?;
    let mut rows = select.query((run.key, &run.id.0[..]))?;
    let Some(row) = rows.next()? else {
        drop(rows);
        drop(select);
        return match bundle::open(conn, run.key)? {
            true => append(writer, run, expected, batch),
            false => Ok(Err(AppendError::NotFound)),
        };
    };
    let seq = row.get::<_, i64>(0)?.cast_unsigned();
    if seq != expected.seq || row.get::<_, i64>(1)?.cast_unsigned() != expected.epoch {
        return Ok(Err(AppendError::Conflict));
    }
    let current = Current {
        key: run.key,
        seq,
        wake_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        inbox: row.get::<_, i64>(3)?.cast_unsigned(),
        tail: Tail::new(row.get_ref(4)?.as_blob()?),
    };
    drop(rows);
    if let Some(refused) = check_signals(conn, run.key, batch)? {
        return Ok(Err(refused));
    }
    if !batch.blobs.is_empty() || !batch.events.large.is_empty() {
        let tenant = tenant_of(conn, run.key)?;
        if let Some(refused) = check_blobs(conn, &tenant, &batch.blobs)? {
            return Ok(Err(refused));
        }
        refer_to_blobs(conn, &tenant, run.key, seq + 1, batch)?;
    }
    write(conn, current, batch).map(Ok)
}

/// Creates a run with its first events.
pub(super) fn create(writer: &mut Writer, run: &NewRun, batch: &Prepared) -> Result<Result<Head, AppendError>> {
    let conn = &writer.conn;
    if let Some(refused) = check_new(conn, run, batch)? {
        return Ok(Err(refused));
    }
    let key = insert(writer, run, "", batch)?;
    let current = Current { key, seq: 0, wake_at: None, inbox: 0, tail: Tail::default() };
    refer_to_blobs(conn, &run.tenant, key, 1, batch)?;
    let seq = write(conn, current, batch)?;
    // What was just written is known, so it is not read again.
    Ok(Ok(Head {
        run: RunRef { id: run.id, key },
        tenant: run.tenant.clone(),
        kind: run.kind,
        name: run.name.clone(),
        user: run.user.clone(),
        session: run.session.clone(),
        parent: run.parent,
        seq,
        epoch: first_epoch(writer.boot),
        wake_at: batch.due(0),
        status: batch.status,
        title: batch.title.clone().unwrap_or_default(),
        created_at: batch.at,
        touched_at: batch.at,
    }))
}

/// Runs that are over with their first events, as they are about to be written.
pub(super) enum Ended {
    /// Many alike.
    Many(Draft),
    /// One that goes into no bundle.
    One(Box<(NewRun, Prepared)>),
}

impl Ended {
    /// Puts runs into bundles, as far as they are alike, and packs them. Batches come as they are encoded for these.
    pub(super) fn draft(runs: Vec<(NewRun, Batch)>) -> Result<Vec<Self>, AppendError> {
        let mut drafts = Vec::new();
        let mut open: Option<Draft> = None;
        for (run, batch) in runs {
            let batch = Prepared::for_ended_run(batch, encode_plain)?;
            if !Draft::suits(&batch) {
                drafts.extend(open.take().map(Self::Many));
                drafts.push(Self::One(Box::new((run, batch.packed()))));
                continue;
            }
            if open.as_ref().is_some_and(|draft| !draft.takes(&run, &batch)) {
                drafts.extend(open.take().map(Self::Many));
            }
            open.get_or_insert_with(|| Draft::new(&run, &batch)).push(run, batch);
        }
        drafts.extend(open.map(Self::Many));
        let packed = |ended| match ended {
            Self::Many(draft) => draft.packed().map(Self::Many).map_err(AppendError::Invalid),
            one @ Self::One(_) => Ok(one),
        };
        drafts.into_iter().map(packed).collect()
    }
}

/// Creates runs that are over with their first events; returns for each whether it was new.
pub(super) fn create_ended(writer: &mut Writer, runs: &[Ended]) -> Result<Result<Vec<bool>, AppendError>> {
    for ended in runs {
        let (tenant, blobs) = match ended {
            Ended::Many(draft) => draft.blobs(),
            Ended::One(one) => (&one.0.tenant, &one.1.blobs[..]),
        };
        if let Some(refused) = check_blobs(&writer.conn, tenant, blobs)? {
            return Ok(Err(refused));
        }
    }
    let mut created = Vec::new();
    for ended in runs {
        match ended {
            Ended::Many(draft) => created.extend(draft.write(&writer.conn, writer.boot)?),
            // Its blobs are there, so that it can only exist already.
            Ended::One(one) => created.push(create(writer, &one.0, &one.1)?.is_ok()),
        }
    }
    Ok(Ok(created))
}

/// Says why a run cannot be created, if so.
pub(super) fn check_new(conn: &Connection, run: &NewRun, batch: &Prepared) -> Result<Option<AppendError>> {
    match is_new(conn, &run.tenant, run.id)? {
        true => check_blobs(conn, &run.tenant, &batch.blobs),
        false => Ok(Some(AppendError::Conflict)),
    }
}

/// Returns whether no run of a tenant has, or had, an id.
pub(super) fn is_new(conn: &Connection, tenant: &Tenant, run: RunId) -> Result<bool> {
    let buried = "SELECT 1 FROM tombstone WHERE tenant = ?1 AND id = ?2";
    Ok(head::key(conn, tenant, run)?.is_none()
        && bundle::key(conn, tenant, run)?.is_none()
        && !conn.prepare_cached(buried)?.exists((tenant.as_str(), &run.0[..]))?)
}

/// Inserts the head row of a new run, with no events yet; returns its key.
pub(super) fn insert(writer: &Writer, run: &NewRun, title: &str, batch: &Prepared) -> Result<i64> {
    let sql = "INSERT INTO run (id, tenant, seq, epoch, status, tail, kind, name, user, session, parent, title,
                                created_at, touched_at)
               VALUES (?1, ?2, 0, ?3, ?4, x'', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)";
    writer.conn.prepare_cached(sql)?.execute((
        &run.id.0[..],
        run.tenant.as_str(),
        first_epoch(writer.boot).cast_signed(),
        head::status_number(batch.status),
        head::kind_word(run.kind),
        &run.name,
        run.user.as_str(),
        &run.session,
        run.parent.as_ref().map(|id| &id.0[..]),
        batch.title.as_deref().unwrap_or(title),
        batch.at.0,
    ))?;
    Ok(writer.conn.last_insert_rowid())
}

/// Writes the first batch of a run whose head row was just made, and returns its head.
pub(super) fn begin(conn: &Connection, tenant: &Tenant, current: Current, batch: &Prepared) -> Result<Head> {
    let key = current.key;
    refer_to_blobs(conn, tenant, key, current.seq + 1, batch)?;
    write(conn, current, batch)?;
    head::load_key(conn, key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn write(conn: &Connection, current: Current, batch: &Prepared) -> Result<Seq> {
    let Current { key, seq, wake_at, inbox, mut tail } = current;
    if batch.events.count > 0 {
        let first = seq + 1;
        let pos = pieces::write(conn, &Header { run: key, first, at: batch.at }, &batch.events.payload)?;
        tail.push(conn, key, Place { first, pos })?;
    }
    for id in &batch.consumed {
        conn.prepare_cached("DELETE FROM inbox WHERE run = ?1 AND id = ?2")?.execute((key, id))?;
    }
    let inbox = inbox - batch.consumed.len() as u64;
    let (seq, due, status) = (seq + batch.events.count, batch.due(inbox), head::status_number(batch.status));
    let (seq_sql, inbox_sql) = (seq.cast_signed(), inbox.cast_signed());
    // Three statements, so that an append rewrites no index whose columns stay as they are.
    match &batch.title {
        None if due == wake_at => {
            let sql = "UPDATE run SET seq = ?2, status = ?3, inbox = ?4, tail = ?5 WHERE key = ?1";
            conn.prepare_cached(sql)?.execute((key, seq_sql, status, inbox_sql, tail.bytes()))?;
        }
        None => {
            let sql = "UPDATE run SET seq = ?2, status = ?3, inbox = ?4, tail = ?5, wake_at = ?6 WHERE key = ?1";
            let due = due.map(|at| at.0);
            conn.prepare_cached(sql)?.execute((key, seq_sql, status, inbox_sql, tail.bytes(), due))?;
        }
        Some(title) => {
            let sql = "UPDATE run SET seq = ?2, status = ?3, inbox = ?4, tail = ?5, wake_at = ?6, title = ?7,
                       touched_at = ?8 WHERE key = ?1";
            let due = due.map(|at| at.0);
            let values = (key, seq_sql, status, inbox_sql, tail.bytes(), due, title, batch.at.0);
            conn.prepare_cached(sql)?.execute(values)?;
        }
    }
    Ok(seq)
}

fn check_signals(conn: &Connection, run: i64, batch: &Prepared) -> Result<Option<AppendError>> {
    for id in &batch.consumed {
        if !conn.prepare_cached("SELECT 1 FROM inbox WHERE run = ?1 AND id = ?2")?.exists((run, id))? {
            return Ok(Some(invalid(format!("signal {id} is not in the inbox"))));
        }
    }
    Ok(None)
}

fn check_blobs(conn: &Connection, tenant: &Tenant, blobs: &[ContentHash]) -> Result<Option<AppendError>> {
    for hash in blobs {
        if blobs::find(conn, tenant, *hash)?.is_none() {
            return Ok(Some(invalid(format!("the blob {hash} is not stored"))));
        }
    }
    Ok(None)
}

fn refer_to_blobs(conn: &Connection, tenant: &Tenant, run: i64, first: Seq, batch: &Prepared) -> Result<()> {
    for (hash, content) in &batch.events.large {
        let blob = match blobs::find(conn, tenant, *hash)? {
            Some(blob) => blob,
            None => blobs::insert(conn, tenant, *hash, content, None)?,
        };
        blobs::refer(conn, run, blob, first)?;
    }
    for hash in &batch.blobs {
        if let Some(blob) = blobs::find(conn, tenant, *hash)? {
            blobs::refer(conn, run, blob, first)?;
        }
    }
    Ok(())
}

fn tenant_of(conn: &Connection, run: i64) -> Result<Tenant> {
    let sql = "SELECT tenant FROM run WHERE key = ?1";
    let tenant = conn.prepare_cached(sql)?.query_row([run], |row| row.get::<_, String>(0)).optional()?;
    tenant.map(Tenant::from).ok_or(rusqlite::Error::QueryReturnedNoRows)
}
