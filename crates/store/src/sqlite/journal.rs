//! The Journal port over SQLite: arguments are checked and encoded on the caller's side, then the writer or a reader
//! does the work.

use super::bundle::{self, Recent};
use super::{append, blobs, claims, delete, fork, head, list, read, signals, snapshots};
use super::{
    readers::Readers,
    writer::{StoreFailure, WriterHandle},
};
use crate::rules::{MAX_BLOB_BYTES, MAX_SNAPSHOT_BYTES, Prepared, check_size};
use bedplate_core::{
    event::Entry,
    id::{ContentHash, RunId, Seq, Tenant, UserId},
    port::{
        BoxFuture,
        journal::{
            AppendError, Batch, Deleted, Expected, Head, Journal, MAX_BATCH_BYTES, NewRun, ReadError, RunPage,
            RunQuery, RunRef, Signal, SignalError, SignalOutcome,
        },
    },
    time::Timestamp,
};
use bytes::Bytes;
use std::sync::Arc;

/// The journals of a store.
pub(super) struct SqliteJournal {
    pub(super) writer: Arc<WriterHandle>,
    pub(super) readers: Arc<Readers>,
    pub(super) recent: Arc<Recent>,
}

impl StoreFailure for AppendError {
    fn store_failed(message: String) -> Self {
        Self::Store(message)
    }
}

impl StoreFailure for ReadError {
    fn store_failed(message: String) -> Self {
        Self::Store(message)
    }
}

impl StoreFailure for SignalError {
    fn store_failed(message: String) -> Self {
        Self::Store(message)
    }
}

impl Journal for SqliteJournal {
    fn create(&self, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let batch = Prepared::for_new_run(batch)?;
            writer.run(move |writer| append::create(writer, &run, &batch)).await
        })
    }

    fn create_ended(&self, runs: Vec<(NewRun, Batch)>) -> BoxFuture<'static, Result<Vec<bool>, AppendError>> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let runs = append::Ended::draft(runs)?;
            writer.run(move |writer| append::create_ended(writer, &runs)).await
        })
    }

    fn append(&self, run: RunRef, expected: Expected, batch: Batch) -> BoxFuture<'static, Result<Seq, AppendError>> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let batch = Prepared::for_append(batch)?;
            writer.run(move |writer| append::append(writer, run, expected, &batch)).await
        })
    }

    fn head(&self, tenant: &Tenant, run: RunId) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        let (readers, tenant, recent) = (self.readers.clone(), tenant.clone(), self.recent.clone());
        Box::pin(async move { readers.run(move |conn| head::load(conn, &tenant, run, &recent).map(Ok)).await })
    }

    fn read(&self, run: RunRef, after: Seq, limit: usize) -> BoxFuture<'static, Result<Vec<Entry>, ReadError>> {
        let (readers, recent) = (self.readers.clone(), self.recent.clone());
        Box::pin(async move { readers.run(move |conn| read::read(conn, run, after, limit, &recent)).await })
    }

    fn list(&self, query: RunQuery) -> BoxFuture<'static, Result<RunPage, ReadError>> {
        let readers = self.readers.clone();
        Box::pin(async move { readers.run(move |conn| list::list(conn, &query)).await })
    }

    fn signal(
        &self,
        tenant: &Tenant,
        run: RunId,
        key: &str,
        body: Bytes,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<SignalOutcome, SignalError>> {
        let (writer, tenant, key) = (self.writer.clone(), tenant.clone(), key.to_owned());
        Box::pin(async move {
            if body.len() > MAX_BATCH_BYTES {
                return Err(SignalError::TooLarge(body.len()));
            }
            writer.run(move |writer| signals::store(writer, &tenant, run, &key, &body, at)).await
        })
    }

    fn signals(&self, run: RunRef) -> BoxFuture<'static, Result<Vec<Signal>, ReadError>> {
        let readers = self.readers.clone();
        Box::pin(async move { readers.run(move |conn| signals::waiting(conn, run).map(Ok)).await })
    }

    fn claim(
        &self,
        tenant: &Tenant,
        run: RunId,
        lease_until: Timestamp,
    ) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        let (writer, tenant) = (self.writer.clone(), tenant.clone());
        Box::pin(
            async move { writer.run(move |writer| claims::claim(writer, &tenant, run, lease_until).map(Ok)).await },
        )
    }

    fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Head>, ReadError>> {
        let writer = self.writer.clone();
        Box::pin(
            async move { writer.run(move |writer| claims::claim_due(writer, now, lease_until, limit).map(Ok)).await },
        )
    }

    fn next_due(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>> {
        let writer = self.writer.clone();
        Box::pin(async move { writer.run(move |writer| claims::next_due(writer).map(Ok)).await })
    }

    fn fork(&self, from: RunRef, at: Seq, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let batch = Prepared::for_new_run(batch)?;
            writer.run(move |writer| fork::fork(writer, from, at, &run, &batch)).await
        })
    }

    fn put_blob(&self, tenant: &Tenant, content: Bytes) -> BoxFuture<'static, Result<ContentHash, AppendError>> {
        let (writer, tenant) = (self.writer.clone(), tenant.clone());
        Box::pin(async move {
            check_size("the blob", content.len(), MAX_BLOB_BYTES)?;
            let hash = ContentHash::of(&content);
            writer
                .run(move |writer| {
                    let now = (writer.now)();
                    blobs::put(&writer.conn, &tenant, hash, &content, now).map(|()| Ok(hash))
                })
                .await
        })
    }

    fn get_blob(&self, tenant: &Tenant, hash: ContentHash) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>> {
        let (readers, tenant) = (self.readers.clone(), tenant.clone());
        Box::pin(async move { readers.run(move |conn| blobs::load(conn, &tenant, hash).map(Ok)).await })
    }

    fn put_snapshot(&self, run: RunRef, seq: Seq, state: Bytes) -> BoxFuture<'static, Result<(), AppendError>> {
        let writer = self.writer.clone();
        Box::pin(async move {
            check_size("the snapshot", state.len(), MAX_SNAPSHOT_BYTES)?;
            writer.run(move |writer| snapshots::put(writer, run, seq, &state)).await
        })
    }

    fn get_snapshot(&self, run: RunRef) -> BoxFuture<'static, Result<Option<(Seq, Bytes)>, ReadError>> {
        let readers = self.readers.clone();
        Box::pin(async move { readers.run(move |conn| snapshots::get(conn, run).map(Ok)).await })
    }

    fn delete_run(
        &self,
        tenant: &Tenant,
        run: RunId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let (writer, tenant, recent) = (self.writer.clone(), tenant.clone(), self.recent.clone());
        Box::pin(async move {
            let deleted = writer
                .run(move |writer| match delete::key(&writer.conn, &tenant, run)? {
                    Some(key) => delete::run(&writer.conn, key, at).map(Ok),
                    None => Ok(Ok(Deleted::default())),
                })
                .await;
            recent.clear();
            deleted
        })
    }

    fn delete_user(
        &self,
        tenant: &Tenant,
        user: &UserId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let (writer, tenant, user) = (self.writer.clone(), tenant.clone(), user.clone());
        let recent = self.recent.clone();
        Box::pin(async move {
            let mut sum = Deleted::default();
            loop {
                let (tenant, user) = (tenant.clone(), user.clone());
                let some = move |writer: &mut super::writer::Writer| {
                    delete::some_of_user(&writer.conn, &tenant, &user, at).map(Ok::<_, AppendError>)
                };
                let removed = writer.run(some).await?;
                recent.clear();
                if removed.runs == 0 {
                    return Ok(sum);
                }
                sum = delete::add(sum, removed);
            }
        })
    }

    fn retain(&self, before: Timestamp, limit: usize) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let (writer, readers, recent) = (self.writer.clone(), self.readers.clone(), self.recent.clone());
        Box::pin(async move {
            let mut sum = Deleted::default();
            let bundles = readers.run(move |conn| bundle::stale(conn, before, limit).map(Ok::<_, AppendError>)).await?;
            for (key, count) in bundles {
                let whole = count <= limit as u64 - sum.runs;
                let some = move |writer: &mut super::writer::Writer| {
                    let (conn, now) = (&writer.conn, (writer.now)());
                    match whole {
                        true => bundle::remove(conn, key, now).map(Ok::<_, AppendError>),
                        // Some of its runs stay, so that each is a run of its own from now on.
                        false => bundle::open(conn, key).map(|_| Ok(Deleted::default())),
                    }
                };
                sum = delete::add(sum, writer.run(some).await?);
                if !whole {
                    break;
                }
            }
            let left = limit.saturating_sub(usize::try_from(sum.runs).unwrap_or(usize::MAX));
            let stale: Vec<i64> =
                readers.run(move |conn| delete::stale(conn, before, left).map(Ok::<_, AppendError>)).await?;
            for chunk in stale.chunks(delete::CHUNK) {
                let keys = chunk.to_vec();
                let some = move |writer: &mut super::writer::Writer| {
                    let now = (writer.now)();
                    delete::if_stale(&writer.conn, &keys, before, now).map(Ok::<_, AppendError>)
                };
                sum = delete::add(sum, writer.run(some).await?);
            }
            let collect = |writer: &mut super::writer::Writer| {
                let now = (writer.now)();
                blobs::collect(&writer.conn, now).map(Ok::<_, AppendError>)
            };
            sum.blobs += writer.run(collect).await?;
            recent.clear();
            Ok(sum)
        })
    }
}
