//! Runs that were over when they were created, many in one row of `bundle`.
//!
//! A child of a distributed Map that ends where it begins is written once and mostly never touched again. What such
//! runs have in common is kept once, the rest of them packed together, and only their ids are indexed one by one. To
//! readers each is a run as any. Whoever writes to one of them first has its bundle opened: all in it become rows of
//! `run`, with the same keys. So nothing else here knows of bundles but lists and deletions.

mod draft;
mod recent;
#[cfg(test)]
mod tests;

pub(super) use draft::Draft;
pub(super) use recent::Recent;

use super::{
    blobs,
    head::{self, kind_word},
    pieces::{self, Header},
    place::{Place, Tail},
};
use crate::{
    codec::{DecodeError, decode_plain},
    cursor::Cursor,
    pack,
    rules::contains_folded,
};
use bedplate_core::{
    event::Entry,
    id::{ContentHash, Epoch, RunId, Seq, Tenant, UserId},
    port::journal::{Deleted, Head, NewRun, ReadError, RunQuery, RunRef},
    time::Timestamp,
};
use recent::Contents;
use rusqlite::{Connection, OptionalExtension, Result, Row, types::Type};
use serde::{Deserialize, Serialize};

/// The bytes of an id.
const ID: usize = 16;

/// What is a run's own.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    session: String,
    title: String,
    status: i64,
    seq: Seq,
    /// The bytes of its batch.
    bytes: usize,
}

/// A row of `bundle`, without its contents.
pub(super) struct Bundle {
    key: i64,
    like: NewRun,
    epoch: Epoch,
    at: Timestamp,
    ids: Vec<u8>,
}

impl Bundle {
    /// Returns the bundle that the run with a key is in.
    fn of_key(conn: &Connection, key: i64) -> Result<Option<Self>> {
        let sql = "SELECT key, tenant, kind, name, user, parent, epoch, at, ids FROM bundle
                   WHERE key <= ?1 ORDER BY key DESC LIMIT 1";
        let found = conn.prepare_cached(sql)?.query_row([key], Self::from_row).optional()?;
        Ok(found.filter(|bundle| key < bundle.key + bundle.count()))
    }

    fn from_row(row: &Row<'_>) -> Result<Self> {
        let like = NewRun {
            id: RunId([0; ID]),
            tenant: row.get::<_, String>(1)?.into(),
            kind: head::kind(row, 2)?,
            name: row.get(3)?,
            user: row.get::<_, String>(4)?.into(),
            session: String::new(),
            parent: row.get::<_, Option<[u8; ID]>>(5)?.map(RunId),
        };
        let (epoch, at) = (row.get::<_, i64>(6)?.cast_unsigned(), Timestamp(row.get(7)?));
        Ok(Self { key: row.get(0)?, like, epoch, at, ids: row.get(8)? })
    }

    fn count(&self) -> i64 {
        (self.ids.len() / ID) as i64
    }

    fn ids(&self) -> impl Iterator<Item = RunId> {
        self.ids.as_chunks::<ID>().0.iter().map(|id| RunId(*id))
    }

    /// Returns which of its runs one is.
    fn place(&self, run: RunRef) -> Option<usize> {
        let at = usize::try_from(run.key - self.key).ok()?;
        (self.ids().nth(at)? == run.id).then_some(at)
    }

    /// Returns the runs, in the order of their keys.
    fn members(&self, conn: &Connection) -> Result<Vec<Member>> {
        let heads = self.unpacked(conn, "SELECT heads FROM bundle WHERE key = ?1")?;
        let members: Vec<Member> = serde_json::from_slice(&heads).map_err(|error| damaged(error.to_string()))?;
        if members.len() as i64 == self.count() { Ok(members) } else { Err(damaged("runs are missing".into())) }
    }

    fn contents(&self, conn: &Connection) -> Result<Contents> {
        let members = self.members(conn)?;
        let batches = self.unpacked(conn, "SELECT data FROM bundle WHERE key = ?1")?;
        let mut end = 0_usize;
        let mut ends = Vec::with_capacity(members.len());
        for member in &members {
            end = end.saturating_add(member.bytes);
            ends.push(end);
        }
        if end == batches.len() {
            Ok(Contents { members, batches, ends })
        } else {
            Err(damaged("batches are missing".into()))
        }
    }

    fn unpacked(&self, conn: &Connection, sql: &str) -> Result<Vec<u8>> {
        let packed: Vec<u8> = conn.prepare_cached(sql)?.query_row([self.key], |row| row.get(0))?;
        pack::restore(&packed).map_err(damaged)
    }

    fn head(&self, key: i64, id: RunId, member: &Member) -> Result<Head> {
        Ok(Head {
            run: RunRef { id, key },
            tenant: self.like.tenant.clone(),
            kind: self.like.kind,
            name: self.like.name.clone(),
            user: self.like.user.clone(),
            session: member.session.clone(),
            parent: self.like.parent,
            seq: member.seq,
            epoch: self.epoch,
            wake_at: None,
            status: head::status_of(member.status).ok_or_else(|| damaged("a status is not known".into()))?,
            title: member.title.clone(),
            created_at: self.at,
            touched_at: self.at,
        })
    }

    fn delete(&self, conn: &Connection) -> Result<()> {
        let mut delete = conn.prepare_cached("DELETE FROM bundled WHERE prefix = ?1")?;
        for id in self.ids() {
            delete.execute([prefix(id)])?;
        }
        conn.prepare_cached("DELETE FROM bundle WHERE key = ?1")?.execute([self.key]).map(drop)
    }
}

/// Returns the key of a tenant's run that is in a bundle.
pub(super) fn key(conn: &Connection, tenant: &Tenant, run: RunId) -> Result<Option<i64>> {
    find(conn, tenant, run).map(|found| found.map(|(bundle, at)| bundle.key + at as i64))
}

/// Returns the head of a tenant's run that is in a bundle.
pub(super) fn load(conn: &Connection, tenant: &Tenant, run: RunId, recent: &Recent) -> Result<Option<Head>> {
    let Some((bundle, at)) = find(conn, tenant, run)? else { return Ok(None) };
    let contents = recent.contents(conn, &bundle)?;
    contents.members.get(at).map(|member| bundle.head(bundle.key + at as i64, run, member)).transpose()
}

/// Returns the bundle that a tenant's run is in, and its place there.
fn find(conn: &Connection, tenant: &Tenant, run: RunId) -> Result<Option<(Bundle, usize)>> {
    let Some(key) = by_prefix(conn, run)? else { return Ok(None) };
    let bundle = Bundle::of_key(conn, key)?.filter(|bundle| bundle.like.tenant == *tenant);
    // Another run, or another tenant's, may have the same prefix.
    Ok(bundle.and_then(|bundle| bundle.place(RunRef { id: run, key }).map(|at| (bundle, at))))
}

/// Returns the key of the run in a bundle that has the prefix of `run`.
fn by_prefix(conn: &Connection, run: RunId) -> Result<Option<i64>> {
    let sql = "SELECT key FROM bundled WHERE prefix = ?1";
    conn.prepare_cached(sql)?.query_row([prefix(run)], |row| row.get(0)).optional()
}

/// Returns the first half of an id as a number.
fn prefix(run: RunId) -> i64 {
    run.0.first_chunk().map_or(0, |half| i64::from_be_bytes(*half))
}

/// Reads the events after a position of a run that is in a bundle.
pub(super) fn read(
    conn: &Connection,
    run: RunRef,
    after: Seq,
    recent: &Recent,
) -> Result<Result<Vec<Entry>, ReadError>> {
    let Some(bundle) = Bundle::of_key(conn, run.key)? else { return Ok(Ok(Vec::new())) };
    let Some(at) = bundle.place(run) else { return Ok(Ok(Vec::new())) };
    let contents = recent.contents(conn, &bundle)?;
    let events = match decode_plain(contents.batch(at), |_| Ok::<_, rusqlite::Error>(None)) {
        Ok(events) => events,
        Err(DecodeError::Damaged(message)) => return Ok(Err(ReadError::Damaged { run: run.id, seq: 1, message })),
        Err(DecodeError::Fetch(error)) => return Err(error),
    };
    let placed = (1..).zip(events).filter(|(seq, _)| *seq > after);
    Ok(Ok(placed.map(|(seq, event)| Entry { seq, at: bundle.at, event }).collect()))
}

/// Adds to `heads` those that a query asks for, as many as may be on its page and one more.
pub(super) fn list(
    conn: &Connection,
    query: &RunQuery,
    from: Option<Cursor>,
    limit: usize,
    heads: &mut Vec<Head>,
) -> Result<()> {
    let sql = "SELECT key, tenant, kind, name, user, parent, epoch, at, ids FROM bundle
               WHERE tenant = ?1 AND at BETWEEN ?2 AND ?3 AND (?4 IS NULL OR name = ?4) AND (?5 IS NULL OR kind = ?5)
                 AND (?6 IS NULL OR user = ?6) AND (?7 IS NULL OR parent = ?7) ORDER BY at DESC, key DESC";
    let until = from.map_or(i64::MAX, |from| from.touched_at.0);
    // What comes after a full page is not looked at.
    let since = heads.get(limit).map_or(i64::MIN, |last| last.touched_at.0);
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query((
        query.tenant.as_str(),
        since,
        until,
        query.name.as_deref(),
        query.kind.map(kind_word),
        query.user.as_ref().map(UserId::as_str),
        query.parent.as_ref().map(|id| &id.0[..]),
    ))?;
    let needle = query.text.as_ref().map(|text| text.to_lowercase());
    let mut found = 0;
    while found <= limit
        && let Some(row) = rows.next()?
    {
        let bundle = Bundle::from_row(row)?;
        let members = bundle.members(conn)?.into_iter().zip(bundle.ids()).zip(bundle.key..);
        for ((member, id), key) in members.collect::<Vec<_>>().into_iter().rev() {
            let head = bundle.head(key, id, &member)?;
            let text = |needle| contains_folded(&head.title, needle) || contains_folded(&head.session, needle);
            if from.is_none_or(|from| Cursor { touched_at: head.touched_at, key } < from)
                && query.status.is_none_or(|status| status == head.status)
                && needle.as_deref().is_none_or(text)
            {
                heads.push(head);
                found += 1;
                if found > limit {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Makes rows as any of a run that is in a bundle, and of all that are in it; returns whether it was in one.
pub(super) fn open(conn: &Connection, key: i64) -> Result<bool> {
    let Some(bundle) = Bundle::of_key(conn, key)? else { return Ok(false) };
    let contents = bundle.contents(conn)?;
    let sql = "INSERT INTO reference (run, blob, first) SELECT ?1, blob, first FROM reference WHERE run = ?2";
    for ((at, member), id) in contents.members.iter().enumerate().zip(bundle.ids()) {
        let (key, like) = (bundle.key + at as i64, NewRun { id, ..bundle.like.clone() });
        insert_row(conn, key, (&like, bundle.epoch, bundle.at), member, contents.batch(at))?;
        conn.prepare_cached(sql)?.execute((key, -bundle.key))?;
    }
    conn.prepare_cached("DELETE FROM reference WHERE run = ?1")?.execute([-bundle.key])?;
    bundle.delete(conn)?;
    Ok(true)
}

/// As [`open`], for a tenant's run.
pub(super) fn open_run(conn: &Connection, tenant: &Tenant, run: RunId) -> Result<bool> {
    key(conn, tenant, run)?.map_or(Ok(false), |key| open(conn, key))
}

/// Returns the keys of the bundles of runs that were made before a time, and how many are in each.
pub(super) fn stale(conn: &Connection, before: Timestamp, limit: usize) -> Result<Vec<(i64, u64)>> {
    let sql = "SELECT key, count FROM bundle WHERE at < ?1 ORDER BY at, key LIMIT ?2";
    let values = (before.0, i64::try_from(limit).unwrap_or(i64::MAX));
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
    conn.prepare_cached(sql)?.query_map(values, read)?.collect()
}

/// Returns the key of a bundle of a user's runs.
pub(super) fn one_of_user(conn: &Connection, tenant: &Tenant, user: &UserId) -> Result<Option<i64>> {
    let sql = "SELECT key FROM bundle WHERE tenant = ?1 AND user = ?2 LIMIT 1";
    conn.prepare_cached(sql)?.query_row((tenant.as_str(), user.as_str()), |row| row.get(0)).optional()
}

/// Removes a bundle with all that is in it, and leaves tombstones; removes nothing when it was opened meanwhile.
pub(super) fn remove(conn: &Connection, key: i64, at: Timestamp) -> Result<Deleted> {
    let Some(bundle) = Bundle::of_key(conn, key)?.filter(|bundle| bundle.key == key) else {
        return Ok(Deleted::default());
    };
    let mut bury = conn.prepare_cached("INSERT OR IGNORE INTO tombstone (tenant, id, at) VALUES (?1, ?2, ?3)")?;
    for id in bundle.ids() {
        bury.execute((bundle.like.tenant.as_str(), &id.0[..], at.0))?;
    }
    bundle.delete(conn)?;
    Ok(Deleted { runs: bundle.count().cast_unsigned(), blobs: blobs::release(conn, -key)? })
}

/// Returns the first of some keys that no run ever had or will have besides.
fn reserve(conn: &Connection, count: i64) -> Result<i64> {
    let sql = "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'run'";
    if conn.prepare_cached(sql)?.execute([count])? == 0 {
        let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('run', ?1)";
        conn.prepare_cached(sql)?.execute([count])?;
        return Ok(1);
    }
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'run'";
    let last: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(last - count + 1)
}

fn insert_row(
    conn: &Connection,
    key: i64,
    (run, epoch, at): (&NewRun, Epoch, Timestamp),
    member: &Member,
    batch: &[u8],
) -> Result<()> {
    let mut tail = Tail::default();
    let pos = pieces::write(conn, &Header { run: key, first: 1, at }, &pack::pack(batch.to_vec()))?;
    tail.push(conn, key, Place { first: 1, pos })?;
    let sql = "INSERT INTO run (key, id, tenant, seq, epoch, status, tail, kind, name, user, session, parent, title,
                                created_at, touched_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)";
    conn.prepare_cached(sql)?.execute((
        key,
        &run.id.0[..],
        run.tenant.as_str(),
        member.seq.cast_signed(),
        epoch.cast_signed(),
        member.status,
        tail.bytes(),
        kind_word(run.kind),
        &run.name,
        run.user.as_str(),
        &member.session,
        run.parent.as_ref().map(|id| &id.0[..]),
        &member.title,
        at.0,
    ))?;
    Ok(())
}

fn refer(conn: &Connection, tenant: &Tenant, run: i64, blobs: &[ContentHash]) -> Result<()> {
    for hash in blobs {
        if let Some(blob) = blobs::find(conn, tenant, *hash)? {
            blobs::refer(conn, run, blob, 1)?;
        }
    }
    Ok(())
}

fn damaged(message: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, format!("a bundle of runs is damaged: {message}").into())
}
