//! Runs that were over when they were created, many in one row of `bundle`.
//!
//! A child of a distributed Map that ends where it begins is written once and mostly never touched again. What such
//! runs have in common is kept once, the rest of them packed together, and only their ids are indexed one by one. To
//! readers each is a run as any. Whoever writes to one of them first has its bundle opened: all in it become rows of
//! `run`, with the same keys. So nothing else here knows of bundles but lists and deletions.

use super::{
    append, blobs,
    head::{self, kind_word, status_number},
    pieces::{self, Header},
    place::{Place, Tail},
};
use crate::{
    codec::{DecodeError, decode_plain},
    cursor::Cursor,
    pack,
    rules::{Prepared, contains_folded, first_epoch},
};
use bedplate_core::{
    event::Entry,
    id::{ContentHash, Epoch, RunId, Seq, Tenant, UserId},
    port::journal::{Deleted, Head, NewRun, ReadError, RunQuery, RunRef},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, types::Type};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many runs a bundle holds at most.
const MOST: usize = 256;

/// From how many bytes of events on a bundle takes no more runs.
const FULL: usize = 512 * 1024;

/// How many bundles that were read are kept unpacked.
const RECENT: usize = 4;

/// The bytes of an id.
const ID: usize = 16;

/// Runs of one kind, name, user and parent that end at one time, as they are about to be written.
pub(super) struct Draft {
    /// The first of them; it says what all have in common.
    like: NewRun,
    at: Timestamp,
    blobs: Vec<ContentHash>,
    ids: Vec<RunId>,
    members: Vec<Member>,
    /// Before it is packed: the batches one after the other.
    plain: Vec<u8>,
    packed: Option<(Vec<u8>, Vec<u8>)>,
}

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

/// What a bundle holds, unpacked.
struct Contents {
    members: Vec<Member>,
    /// The batches one after the other.
    batches: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Contents {
    /// Returns the batch of a run by its place.
    fn batch(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(begin);
        self.batches.get(begin..end).unwrap_or_default()
    }
}

/// The bundles that were read last: whoever reads one run of a bundle mostly reads its neighbours next. A bundle never
/// changes but goes as a whole, and its key never names another; whether it is there is looked up each time.
#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<(i64, Arc<Contents>)>>);

impl Recent {
    /// Forgets all: something was deleted.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn contents(&self, conn: &Connection, bundle: &Bundle) -> Result<Arc<Contents>> {
        if let Some((_, found)) = self.lock().iter().find(|(key, _)| *key == bundle.key) {
            return Ok(Arc::clone(found));
        }
        let contents = Arc::new(bundle.contents(conn)?);
        let mut recent = self.lock();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back((bundle.key, Arc::clone(&contents)));
        Ok(contents)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(i64, Arc<Contents>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Draft {
    /// Returns an empty draft for runs like this one.
    pub(super) fn new(run: &NewRun, batch: &Prepared) -> Self {
        let (like, at, blobs) = (run.clone(), batch.at, batch.blobs.clone());
        Self { like, at, blobs, ids: Vec::new(), members: Vec::new(), plain: Vec::new(), packed: None }
    }

    /// Returns whether a run and its batch, which is not packed, may lie in a bundle at all.
    pub(super) fn suits(batch: &Prepared) -> bool {
        batch.events.large.is_empty()
    }

    /// Returns whether a run goes into this bundle too.
    pub(super) fn takes(&self, run: &NewRun, batch: &Prepared) -> bool {
        let NewRun { tenant, kind, name, user, parent, id: _, session: _ } = run;
        let like = &self.like;
        self.ids.len() < MOST
            && self.plain.len() < FULL
            && (tenant, kind, name, user, parent) == (&like.tenant, &like.kind, &like.name, &like.user, &like.parent)
            && (batch.at, &batch.blobs) == (self.at, &self.blobs)
    }

    /// Adds a run.
    pub(super) fn push(&mut self, run: NewRun, batch: Prepared) {
        self.ids.push(run.id);
        self.members.push(Member {
            session: run.session,
            title: batch.title.unwrap_or_default(),
            status: status_number(batch.status),
            seq: batch.events.count,
            bytes: batch.events.payload.len(),
        });
        self.plain.extend_from_slice(&batch.events.payload);
    }

    /// Returns the blobs that they name, and whose.
    pub(super) fn blobs(&self) -> (&Tenant, &[ContentHash]) {
        (&self.like.tenant, &self.blobs)
    }

    /// Packs what was added, so that the writer need not.
    ///
    /// # Errors
    /// The message of the encoder.
    pub(super) fn packed(mut self) -> Result<Self, String> {
        let heads = serde_json::to_vec(&self.members).map_err(|error| error.to_string())?;
        self.packed = Some((pack::shrink(&heads), pack::shrink(&self.plain)));
        Ok(self)
    }

    /// Writes the runs that are new; returns for each whether it is. The blobs that they name are there.
    pub(super) fn write(&self, conn: &Connection, boot: u64) -> Result<Vec<bool>> {
        let mut seen = HashSet::with_capacity(self.ids.len());
        let mut new = Vec::with_capacity(self.ids.len());
        // Whether all are new, and each has a prefix of its own.
        let mut whole = true;
        for id in &self.ids {
            let is_new = seen.insert(*id) && append::is_new(conn, &self.like.tenant, *id)?;
            whole &= is_new && by_prefix(conn, *id)?.is_none();
            new.push(is_new);
        }
        whole &= self.ids.iter().map(|id| prefix(*id)).collect::<HashSet<_>>().len() == self.ids.len();
        let epoch = first_epoch(boot);
        match &self.packed {
            Some(packed) if whole => self.insert(conn, epoch, packed)?,
            _ => {
                let mut batches = &self.plain[..];
                for ((id, member), new) in self.ids.iter().zip(&self.members).zip(&new) {
                    let (batch, rest) = batches.split_at(member.bytes);
                    batches = rest;
                    if *new {
                        let key = reserve(conn, 1)?;
                        let like = NewRun { id: *id, ..self.like.clone() };
                        insert_row(conn, key, (&like, epoch, self.at), member, batch)?;
                        refer(conn, &like.tenant, key, &self.blobs)?;
                    }
                }
            }
        }
        Ok(new)
    }

    fn insert(&self, conn: &Connection, epoch: Epoch, (heads, data): &(Vec<u8>, Vec<u8>)) -> Result<()> {
        let (like, count) = (&self.like, self.ids.len() as i64);
        let key = reserve(conn, count)?;
        let ids: Vec<u8> = self.ids.iter().flat_map(|id| id.0).collect();
        let sql = "INSERT INTO bundle (key, tenant, kind, name, user, parent, epoch, at, count, ids, heads, data)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        conn.prepare_cached(sql)?.execute((
            key,
            like.tenant.as_str(),
            kind_word(like.kind),
            &like.name,
            like.user.as_str(),
            like.parent.as_ref().map(|id| &id.0[..]),
            epoch.cast_signed(),
            self.at.0,
            count,
            ids,
            heads,
            data,
        ))?;
        // In the order of the table, so that what lies on one page is written together.
        let mut numbers: Vec<(i64, i64)> = self.ids.iter().map(|id| prefix(*id)).zip(key..).collect();
        numbers.sort_unstable();
        let mut insert = conn.prepare_cached("INSERT INTO bundled (prefix, key) VALUES (?1, ?2)")?;
        for number in numbers {
            insert.execute(number)?;
        }
        refer(conn, &like.tenant, -key, &self.blobs)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode_plain;
    use bedplate_core::{
        event::{Event, RunKind, RunStarted},
        port::journal::{Batch, RunStatus},
    };
    use std::sync::Arc;

    fn open_file() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        for sql in [include_str!("migrations/0001.sql"), include_str!("migrations/0004.sql")] {
            conn.execute_batch(sql).unwrap();
        }
        conn
    }

    fn runs(count: u8) -> Vec<NewRun> {
        let run = |at| NewRun {
            id: RunId([at; ID]),
            tenant: "acme".into(),
            kind: RunKind::Workflow,
            name: "a map run".into(),
            user: "ann".into(),
            session: format!("child {at}"),
            parent: None,
        };
        (0..count).map(run).collect()
    }

    fn event(run: &NewRun) -> Event {
        let (name, session) = (run.name.clone(), run.session.clone());
        Event::RunStarted(RunStarted { kind: run.kind, name, user: run.user.clone(), session, parent: None })
    }

    fn draft(runs: Vec<NewRun>) -> Draft {
        let prepared = |run: &NewRun| {
            let batch = Batch {
                at: Timestamp(7),
                events: Arc::new(vec![event(run)]),
                status: RunStatus::Failed,
                wake_at: None,
                title: Some(run.session.clone()),
                consumed: Vec::new(),
                blobs: Vec::new(),
            };
            Prepared::for_ended_run(batch, encode_plain).unwrap()
        };
        let mut draft = Draft::new(&runs[0], &prepared(&runs[0]));
        for run in runs {
            let batch = prepared(&run);
            assert!(Draft::suits(&batch) && draft.takes(&run, &batch));
            draft.push(run, batch);
        }
        draft.packed().unwrap()
    }

    fn count(conn: &Connection, table: &str) -> i64 {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_run_says_the_same_of_itself_in_a_bundle_and_after_it_was_opened() {
        let conn = open_file();
        let all = runs(5);
        assert_eq!(draft(all.clone()).write(&conn, 3).unwrap(), [true; 5]);
        assert_eq!((count(&conn, "bundle"), count(&conn, "bundled"), count(&conn, "run")), (1, 5, 0));
        let look = |run: &NewRun| {
            let head = head::load(&conn, &run.tenant, run.id, &Recent::default()).unwrap().unwrap();
            let entries = super::super::read::read(&conn, head.run, 0, 10, &Recent::default()).unwrap().unwrap();
            assert_eq!(entries.iter().map(|entry| &entry.event).collect::<Vec<_>>(), [&event(run)]);
            (head, entries)
        };
        let before: Vec<_> = all.iter().map(look).collect();
        assert!(open(&conn, before[3].0.run.key).unwrap());
        assert_eq!((count(&conn, "bundle"), count(&conn, "bundled"), count(&conn, "run")), (0, 0, 5));
        assert_eq!(all.iter().map(look).collect::<Vec<_>>(), before);
        assert!(!open(&conn, before[3].0.run.key).unwrap(), "it is in none any more");
        let next = draft(runs(9));
        assert_eq!(next.write(&conn, 3).unwrap(), [false, false, false, false, false, true, true, true, true]);
        let keys: HashSet<i64> = runs(9).iter().map(|run| look(run).0.run.key).collect();
        assert_eq!((count(&conn, "bundle"), keys.len()), (0, 9), "those that are new are rows of their own");
    }

    #[test]
    fn runs_whose_ids_begin_alike_are_told_apart() {
        let conn = open_file();
        let mut all = runs(3);
        all[2].id.0[..8].copy_from_slice(&[0; 8]);
        assert_eq!(draft(all.clone()).write(&conn, 1).unwrap(), [true; 3]);
        assert_eq!((count(&conn, "bundle"), count(&conn, "run")), (0, 3), "one table cannot have both");
        let conn = open_file();
        let (first, other) = (all[..2].to_vec(), all[2..].to_vec());
        assert_eq!(draft(first.clone()).write(&conn, 1).unwrap(), [true; 2]);
        assert_eq!(key(&conn, &other[0].tenant, other[0].id).unwrap(), None);
        assert_eq!(draft(other).write(&conn, 1).unwrap(), [true]);
        assert_eq!(key(&conn, &"others".into(), first[0].id).unwrap(), None);
        let heads = all.iter().map(|run| head::load(&conn, &run.tenant, run.id, &Recent::default()).unwrap().unwrap());
        assert_eq!(heads.map(|head| head.session).collect::<Vec<_>>(), ["child 0", "child 1", "child 2"]);
        assert_eq!((count(&conn, "bundle"), count(&conn, "run")), (1, 1));
    }

    #[test]
    fn a_damaged_bundle_is_an_error_and_never_a_panic() {
        let conn = open_file();
        let all = runs(4);
        draft(all.clone()).write(&conn, 1).unwrap();
        let run = head::load(&conn, &all[2].tenant, all[2].id, &Recent::default()).unwrap().unwrap().run;
        let rotten = serde_json::to_vec(&[0; 4].map(|_| ("s", "t", 99, 1, usize::MAX))).unwrap();
        for (column, bytes) in [
            ("data", vec![255, 255, 255, 255, 0]),
            ("data", pack::shrink(b"[]")),
            ("heads", Vec::new()),
            ("heads", pack::shrink(b"[]")),
            ("heads", pack::shrink(&rotten)),
        ] {
            conn.execute_batch("SAVEPOINT whole").unwrap();
            conn.execute(&format!("UPDATE bundle SET {column} = ?1"), [bytes]).unwrap();
            assert!(read(&conn, run, 0, &Recent::default()).is_err(), "{column}");
            assert!(open(&conn, run.key).is_err(), "{column}");
            if column == "heads" {
                assert!(load(&conn, &all[2].tenant, all[2].id, &Recent::default()).is_err());
            }
            conn.execute_batch("ROLLBACK TO whole").unwrap();
        }
        assert!(read(&conn, run, 0, &Recent::default()).unwrap().is_ok());
    }
}
