//! The Journal port over the store in memory.

use super::MemoryStore;
use crate::{
    codec::encode,
    cursor::Cursor,
    memory::state::{Blob, Prefix},
    rules::{MAX_BLOB_BYTES, MAX_PAGE, MAX_SNAPSHOT_BYTES, Prepared, check_size, invalid},
};
use bedplate_core::{
    event::Entry,
    id::{ContentHash, RunId, Seq, Tenant, UserId},
    port::{
        BoxFuture,
        journal::{
            AppendError, Batch, Deleted, Expected, Head, Journal, MAX_BATCH_BYTES, MAX_SIGNALS, NewRun, ReadError,
            RunPage, RunQuery, RunRef, Signal, SignalError, SignalOutcome,
        },
    },
    time::Timestamp,
};
use bytes::Bytes;

impl Journal for MemoryStore {
    fn create(&self, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        let store = self.clone();
        Box::pin(async move {
            let batch = Prepared::for_new_run(batch)?;
            store.lock().create(run, Prefix::default(), &batch)
        })
    }

    fn create_ended(&self, runs: Vec<(NewRun, Batch)>) -> BoxFuture<'static, Result<Vec<bool>, AppendError>> {
        let store = self.clone();
        Box::pin(async move {
            let prepare = |(run, batch): (NewRun, Batch)| Ok((run, Prepared::for_ended_run(batch, encode)?));
            let runs: Vec<_> = runs.into_iter().map(prepare).collect::<Result<_, AppendError>>()?;
            let mut state = store.lock();
            runs.iter().try_for_each(|(run, batch)| state.check_blobs(&run.tenant, batch))?;
            let mut created = Vec::with_capacity(runs.len());
            for (run, batch) in runs {
                created.push(match state.create(run, Prefix::default(), &batch) {
                    Ok(_) => true,
                    Err(AppendError::Conflict) => false,
                    Err(error) => return Err(error),
                });
            }
            Ok(created)
        })
    }

    fn append(&self, run: RunRef, expected: Expected, batch: Batch) -> BoxFuture<'static, Result<Seq, AppendError>> {
        let store = self.clone();
        Box::pin(async move {
            let batch = Prepared::for_append(batch)?;
            store.lock().append(run, expected, &batch)
        })
    }

    fn head(&self, tenant: &Tenant, run: RunId) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        let (store, tenant) = (self.clone(), tenant.clone());
        Box::pin(async move { Ok(store.lock().find(&tenant, run).map(|run| run.head.clone())) })
    }

    fn read(&self, run: RunRef, after: Seq, limit: usize) -> BoxFuture<'static, Result<Vec<Entry>, ReadError>> {
        let store = self.clone();
        Box::pin(async move { store.lock().read(run, after, limit.max(1)) })
    }

    fn list(&self, query: RunQuery) -> BoxFuture<'static, Result<RunPage, ReadError>> {
        let store = self.clone();
        Box::pin(async move {
            let from = query.cursor.as_deref().map(Cursor::parse).transpose()?;
            let limit = query.limit.clamp(1, MAX_PAGE);
            let state = store.lock();
            let place = |head: &Head| Cursor { touched_at: head.touched_at, key: head.run.key };
            let heads = state.matching(&query).into_iter();
            let mut left = heads.filter(|head| from.is_none_or(|from| place(head) < from));
            let runs: Vec<Head> = left.by_ref().take(limit).cloned().collect();
            let cursor = left.next().and_then(|_| runs.last()).map(|last| place(last).to_text());
            Ok(RunPage { runs, cursor })
        })
    }

    fn signal(
        &self,
        tenant: &Tenant,
        run: RunId,
        key: &str,
        body: Bytes,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<SignalOutcome, SignalError>> {
        let (store, tenant, key) = (self.clone(), tenant.clone(), key.to_owned());
        Box::pin(async move {
            if body.len() > MAX_BATCH_BYTES {
                return Err(SignalError::TooLarge(body.len()));
            }
            let mut state = store.lock();
            let run = state.find_mut(&tenant, run).ok_or(SignalError::NotFound)?;
            if !run.signal_keys.insert(key.clone()) {
                return Ok(SignalOutcome::Duplicate);
            }
            let id = i64::try_from(run.signal_keys.len()).unwrap_or(i64::MAX);
            run.inbox.insert(id, Signal { id, key, at, body });
            run.head.wake_at = Some(run.head.wake_at.map_or(at, |wake| wake.min(at)));
            Ok(SignalOutcome::Stored)
        })
    }

    fn signals(&self, run: RunRef) -> BoxFuture<'static, Result<Vec<Signal>, ReadError>> {
        let store = self.clone();
        Box::pin(async move {
            let state = store.lock();
            let inbox = state.at(run).map(|run| run.inbox.values().take(MAX_SIGNALS).cloned().collect());
            Ok(inbox.unwrap_or_default())
        })
    }

    fn claim(
        &self,
        tenant: &Tenant,
        run: RunId,
        lease_until: Timestamp,
    ) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        let (store, tenant) = (self.clone(), tenant.clone());
        Box::pin(async move {
            let mut state = store.lock();
            let key = state.find(&tenant, run).map(|run| run.head.run.key);
            Ok(key.and_then(|key| state.claim(key, lease_until)))
        })
    }

    fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Head>, ReadError>> {
        let store = self.clone();
        Box::pin(async move {
            let mut state = store.lock();
            let mut claimed = Vec::new();
            while claimed.len() < limit
                && let Some(key) = state.orphans.pop_front()
            {
                if state.is_orphan(key) {
                    claimed.extend(state.claim(key, lease_until));
                }
            }
            let wake = |head: &Head| head.wake_at.filter(|at| *at <= now).map(|at| (at, head.run.key));
            let mut due: Vec<_> = state.runs.values().filter_map(|run| wake(&run.head)).collect();
            due.sort_unstable();
            due.retain(|(_, key)| !claimed.iter().any(|head| head.run.key == *key));
            due.truncate(limit - claimed.len());
            for (_, key) in due {
                claimed.extend(state.claim(key, lease_until));
            }
            Ok(claimed)
        })
    }

    fn next_due(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>> {
        let store = self.clone();
        Box::pin(async move {
            let state = store.lock();
            if state.orphans.iter().any(|key| state.is_orphan(*key)) {
                return Ok(Some(Timestamp(0)));
            }
            Ok(state.runs.values().filter_map(|run| run.head.wake_at).min())
        })
    }

    fn fork(&self, from: RunRef, at: Seq, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        let store = self.clone();
        Box::pin(async move {
            let batch = Prepared::for_new_run(batch)?;
            let mut state = store.lock();
            let prefix = state.prefix(from, &run.tenant, &run.user, at)?;
            state.create(run, prefix, &batch)
        })
    }

    fn put_blob(&self, tenant: &Tenant, content: Bytes) -> BoxFuture<'static, Result<ContentHash, AppendError>> {
        let (store, tenant) = (self.clone(), tenant.clone());
        Box::pin(async move {
            check_size("the blob", content.len(), MAX_BLOB_BYTES)?;
            let hash = ContentHash::of(&content);
            let blob = Blob { content, put_at: Some((store.now)()) };
            store.lock().blobs.insert((tenant, hash), blob);
            Ok(hash)
        })
    }

    fn get_blob(&self, tenant: &Tenant, hash: ContentHash) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>> {
        let (store, tenant) = (self.clone(), tenant.clone());
        Box::pin(async move { Ok(store.lock().content(&tenant, hash)) })
    }

    fn put_snapshot(&self, run: RunRef, seq: Seq, state: Bytes) -> BoxFuture<'static, Result<(), AppendError>> {
        let store = self.clone();
        Box::pin(async move {
            check_size("the snapshot", state.len(), MAX_SNAPSHOT_BYTES)?;
            let mut guard = store.lock();
            let run = guard.at_mut(run).ok_or(AppendError::NotFound)?;
            if seq > run.head.seq {
                return Err(invalid(format!("the run has no position {seq}")));
            }
            if run.snapshot.as_ref().is_none_or(|(older, _)| *older <= seq) {
                run.snapshot = Some((seq, state));
            }
            Ok(())
        })
    }

    fn get_snapshot(&self, run: RunRef) -> BoxFuture<'static, Result<Option<(Seq, Bytes)>, ReadError>> {
        let store = self.clone();
        Box::pin(async move { Ok(store.lock().at(run).and_then(|run| run.snapshot.clone())) })
    }

    fn delete_run(
        &self,
        tenant: &Tenant,
        run: RunId,
        _at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let (store, tenant) = (self.clone(), tenant.clone());
        Box::pin(async move {
            let mut state = store.lock();
            let key = state.find(&tenant, run).map(|run| run.head.run.key);
            Ok(key.map(|key| state.remove(key)).unwrap_or_default())
        })
    }

    fn delete_user(
        &self,
        tenant: &Tenant,
        user: &UserId,
        _at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let (store, tenant, user) = (self.clone(), tenant.clone(), user.clone());
        Box::pin(async move {
            let mut state = store.lock();
            let keys = state.of_user(&tenant, &user);
            Ok(keys.into_iter().map(|key| state.remove(key)).fold(Deleted::default(), add))
        })
    }

    fn retain(&self, before: Timestamp, limit: usize) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let store = self.clone();
        Box::pin(async move {
            let mut state = store.lock();
            let keys = state.stale(before, limit);
            let mut deleted = keys.into_iter().map(|key| state.remove(key)).fold(Deleted::default(), add);
            deleted.blobs += state.collect_blobs((store.now)());
            Ok(deleted)
        })
    }
}

fn add(sum: Deleted, one: Deleted) -> Deleted {
    Deleted { runs: sum.runs + one.runs, blobs: sum.blobs + one.blobs }
}
