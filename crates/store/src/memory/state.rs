//! What the store in memory holds, and the steps that several operations share.

use crate::{
    codec::{DecodeError, decode},
    rules::{BLOB_GRACE, Prepared, contains_folded, first_epoch, invalid, next_epoch},
};
use bedplate_core::{
    event::Entry,
    id::{ContentHash, RunId, Seq, Tenant, UserId},
    port::{
        documents::Document,
        journal::{AppendError, Deleted, Expected, Head, NewRun, ReadError, RunQuery, RunRef, Signal, SignalId},
        keys::ApiKey,
    },
    time::Timestamp,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The whole store.
pub(super) struct State {
    boot: u64,
    last_key: i64,
    /// Runs that were claimed before the last boot and wait for recovery.
    pub(super) orphans: VecDeque<i64>,
    pub(super) runs: BTreeMap<i64, Run>,
    pub(super) ids: BTreeMap<(Tenant, RunId), i64>,
    tombstones: BTreeSet<(Tenant, RunId)>,
    pub(super) blobs: BTreeMap<(Tenant, ContentHash), Blob>,
    pub(super) keys: BTreeMap<String, (ApiKey, [u8; 32])>,
    /// By collection, tenant and id.
    pub(super) documents: BTreeMap<(String, Tenant, String), Document>,
}

/// A run.
pub(super) struct Run {
    pub(super) head: Head,
    batches: Vec<StoredBatch>,
    pub(super) inbox: BTreeMap<SignalId, Signal>,
    pub(super) signal_keys: BTreeSet<String>,
    pub(super) snapshot: Option<(Seq, Bytes)>,
    /// The blobs that it refers to, each with the position of the first event that does.
    references: BTreeMap<ContentHash, Seq>,
    /// Other users whose runs it holds a copy of.
    lineage: BTreeSet<UserId>,
}

#[derive(Clone)]
struct StoredBatch {
    first: Seq,
    count: u64,
    at: Timestamp,
    payload: Bytes,
}

/// A blob.
pub(super) struct Blob {
    pub(super) content: Bytes,
    /// When it was put; none once a run refers to it.
    pub(super) put_at: Option<Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            boot: 1,
            last_key: 0,
            orphans: VecDeque::new(),
            runs: BTreeMap::new(),
            ids: BTreeMap::new(),
            tombstones: BTreeSet::new(),
            blobs: BTreeMap::new(),
            keys: BTreeMap::new(),
            documents: BTreeMap::new(),
        }
    }
}

impl State {
    /// Counts a boot: every run that somebody was to look at is due.
    pub(super) fn boot(&mut self) {
        self.boot += 1;
        self.orphans = self.runs.iter().filter(|(_, run)| run.head.wake_at.is_some()).map(|(key, _)| *key).collect();
    }

    pub(super) fn find(&self, tenant: &Tenant, id: RunId) -> Option<&Run> {
        self.ids.get(&(tenant.clone(), id)).and_then(|key| self.runs.get(key))
    }

    pub(super) fn find_mut(&mut self, tenant: &Tenant, id: RunId) -> Option<&mut Run> {
        self.ids.get(&(tenant.clone(), id)).and_then(|key| self.runs.get_mut(key))
    }

    pub(super) fn at(&self, run: RunRef) -> Option<&Run> {
        self.runs.get(&run.key).filter(|found| found.head.run == run)
    }

    pub(super) fn at_mut(&mut self, run: RunRef) -> Option<&mut Run> {
        self.runs.get_mut(&run.key).filter(|found| found.head.run == run)
    }

    /// Creates a run whose journal begins with `prefix`.
    pub(super) fn create(&mut self, new: NewRun, prefix: Prefix, batch: &Prepared) -> Result<Head, AppendError> {
        let id = (new.tenant.clone(), new.id);
        if self.ids.contains_key(&id) || self.tombstones.contains(&id) {
            return Err(AppendError::Conflict);
        }
        self.check_blobs(&new.tenant, batch)?;
        self.last_key += 1;
        let key = self.last_key;
        let head = Head {
            run: RunRef { id: new.id, key },
            tenant: new.tenant,
            kind: new.kind,
            name: new.name,
            user: new.user,
            session: new.session,
            parent: new.parent,
            seq: prefix.batches.last().map_or(0, |batch| batch.first + batch.count - 1),
            epoch: first_epoch(self.boot),
            wake_at: None,
            status: batch.status,
            title: prefix.title,
            created_at: batch.at,
            touched_at: batch.at,
        };
        let run = Run {
            head,
            batches: prefix.batches,
            inbox: BTreeMap::new(),
            signal_keys: BTreeSet::new(),
            snapshot: None,
            references: prefix.references,
            lineage: prefix.lineage,
        };
        self.ids.insert(id, key);
        self.runs.insert(key, run);
        Ok(self.write(key, batch))
    }

    /// Appends a batch when the head is as expected.
    pub(super) fn append(&mut self, run: RunRef, expected: Expected, batch: &Prepared) -> Result<Seq, AppendError> {
        let found = self.at(run).ok_or(AppendError::NotFound)?;
        if found.head.seq != expected.seq || found.head.epoch != expected.epoch {
            return Err(AppendError::Conflict);
        }
        if let Some(id) = batch.consumed.iter().find(|id| !found.inbox.contains_key(id)) {
            return Err(invalid(format!("signal {id} is not in the inbox")));
        }
        let tenant = found.head.tenant.clone();
        self.check_blobs(&tenant, batch)?;
        Ok(self.write(run.key, batch).seq)
    }

    pub(super) fn check_blobs(&self, tenant: &Tenant, batch: &Prepared) -> Result<(), AppendError> {
        match batch.blobs.iter().find(|hash| !self.blobs.contains_key(&(tenant.clone(), **hash))) {
            Some(hash) => Err(invalid(format!("the blob {hash} is not stored"))),
            None => Ok(()),
        }
    }

    /// Writes a batch that passed every check.
    fn write(&mut self, key: i64, batch: &Prepared) -> Head {
        let run = self.runs.get_mut(&key).expect("the caller has just found or made this run");
        let first = run.head.seq + 1;
        for (hash, content) in &batch.events.large {
            let blob = Blob { content: content.clone(), put_at: None };
            self.blobs.entry((run.head.tenant.clone(), *hash)).or_insert(blob);
        }
        for hash in batch.events.large.iter().map(|(hash, _)| hash).chain(&batch.blobs) {
            run.references.entry(*hash).or_insert(first);
            if let Some(blob) = self.blobs.get_mut(&(run.head.tenant.clone(), *hash)) {
                blob.put_at = None;
            }
        }
        if batch.events.count > 0 {
            let payload = batch.events.payload.clone();
            run.batches.push(StoredBatch { first, count: batch.events.count, at: batch.at, payload });
        }
        for id in &batch.consumed {
            run.inbox.remove(id);
        }
        run.head.seq += batch.events.count;
        run.head.status = batch.status;
        run.head.wake_at = batch.due(run.inbox.len() as u64);
        if let Some(title) = &batch.title {
            run.head.title.clone_from(title);
            run.head.touched_at = batch.at;
        }
        run.head.clone()
    }

    /// Returns the part of a run that a fork at `at` copies.
    pub(super) fn prefix(&self, from: RunRef, tenant: &Tenant, user: &UserId, at: Seq) -> Result<Prefix, AppendError> {
        let source = self.at(from).filter(|run| run.head.tenant == *tenant).ok_or(AppendError::NotFound)?;
        let batches: Vec<_> = source.batches.iter().take_while(|batch| batch.first <= at).cloned().collect();
        if batches.last().is_none_or(|batch| batch.first + batch.count - 1 != at) {
            return Err(invalid(format!("position {at} is not the end of a batch")));
        }
        let references =
            source.references.iter().filter(|(_, first)| **first <= at).map(|(hash, first)| (*hash, *first));
        let mut lineage = source.lineage.clone();
        lineage.insert(source.head.user.clone());
        lineage.remove(user);
        Ok(Prefix { batches, references: references.collect(), lineage, title: source.head.title.clone() })
    }

    /// Reads whole batches after a position.
    pub(super) fn read(&self, run: RunRef, after: Seq, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        let Some(found) = self.at(run) else { return Ok(entries) };
        for batch in &found.batches {
            if batch.first + batch.count - 1 <= after {
                continue;
            }
            if entries.len() >= limit {
                break;
            }
            let fetch = |hash| Ok::<_, ReadError>(self.content(&found.head.tenant, hash));
            let events = decode(&batch.payload, fetch).map_err(|error| match error {
                DecodeError::Damaged(message) => ReadError::Damaged { run: run.id, seq: batch.first, message },
                DecodeError::Fetch(error) => error,
            })?;
            let placed = (batch.first..).zip(events).filter(|(seq, _)| *seq > after);
            entries.extend(placed.map(|(seq, event)| Entry { seq, at: batch.at, event }));
        }
        Ok(entries)
    }

    pub(super) fn content(&self, tenant: &Tenant, hash: ContentHash) -> Option<Bytes> {
        self.blobs.get(&(tenant.clone(), hash)).map(|blob| blob.content.clone())
    }

    /// Returns the heads that a query asks for, in the order of lists, all pages together.
    pub(super) fn matching(&self, query: &RunQuery) -> Vec<&Head> {
        let needle = query.text.as_ref().map(|text| text.to_lowercase());
        let mut heads: Vec<&Head> = self
            .runs
            .values()
            .map(|run| &run.head)
            .filter(|head| head.tenant == query.tenant)
            .filter(|head| query.user.as_ref().is_none_or(|user| head.user == *user))
            .filter(|head| query.name.as_ref().is_none_or(|name| head.name == *name))
            .filter(|head| query.status.is_none_or(|status| head.status == status))
            .filter(|head| query.kind.is_none_or(|kind| head.kind == kind))
            .filter(|head| query.parent.is_none_or(|parent| head.parent == Some(parent)))
            .filter(|head| {
                let found = |needle| contains_folded(&head.title, needle) || contains_folded(&head.session, needle);
                needle.as_deref().is_none_or(found)
            })
            .collect();
        heads.sort_by_key(|head| std::cmp::Reverse((head.touched_at, head.run.key)));
        heads
    }

    /// Raises a run's epoch and leases it.
    pub(super) fn claim(&mut self, key: i64, lease_until: Timestamp) -> Option<Head> {
        let boot = self.boot;
        let head = &mut self.runs.get_mut(&key)?.head;
        head.epoch = next_epoch(head.epoch, boot);
        head.wake_at = Some(lease_until);
        Some(head.clone())
    }

    /// Returns whether a run still waits to be recovered.
    pub(super) fn is_orphan(&self, key: i64) -> bool {
        let orphan = |head: &Head| head.wake_at.is_some() && head.epoch < first_epoch(self.boot);
        self.runs.get(&key).is_some_and(|run| orphan(&run.head))
    }

    /// Removes a run and leaves a tombstone.
    pub(super) fn remove(&mut self, key: i64) -> Deleted {
        let Some(run) = self.runs.remove(&key) else { return Deleted::default() };
        let id = (run.head.tenant.clone(), run.head.run.id);
        self.ids.remove(&id);
        self.tombstones.insert(id);
        let mut blobs = 0;
        for hash in run.references.keys() {
            let id = (run.head.tenant.clone(), *hash);
            let put = self.blobs.get(&id).is_some_and(|blob| blob.put_at.is_some());
            if !put && !self.is_referenced(&id) {
                self.blobs.remove(&id);
                blobs += 1;
            }
        }
        Deleted { runs: 1, blobs }
    }

    /// Removes the blobs that no run refers to and that were put long ago.
    pub(super) fn collect_blobs(&mut self, now: Timestamp) -> u64 {
        let old = |blob: &Blob| blob.put_at.is_some_and(|at| at.after(BLOB_GRACE) < now);
        let candidates: Vec<_> = self.blobs.iter().filter(|(_, blob)| old(blob)).map(|(id, _)| id.clone()).collect();
        let unused: Vec<_> = candidates.into_iter().filter(|id| !self.is_referenced(id)).collect();
        for id in &unused {
            self.blobs.remove(id);
        }
        unused.len() as u64
    }

    /// Returns the keys of a user's runs and of the forks of them.
    pub(super) fn of_user(&self, tenant: &Tenant, user: &UserId) -> Vec<i64> {
        let belongs = |run: &Run| run.head.tenant == *tenant && (run.head.user == *user || run.lineage.contains(user));
        self.runs.iter().filter(|(_, run)| belongs(run)).map(|(key, _)| *key).collect()
    }

    /// Returns the keys of the idle runs that were last touched before a time, the oldest first.
    pub(super) fn stale(&self, before: Timestamp, limit: usize) -> Vec<i64> {
        let stale = |run: &&Run| run.head.status.is_at_rest() && run.head.touched_at < before && run.inbox.is_empty();
        let mut found: Vec<_> =
            self.runs.values().filter(stale).map(|run| (run.head.touched_at, run.head.run.key)).collect();
        found.sort_unstable();
        found.into_iter().take(limit).map(|(_, key)| key).collect()
    }

    fn is_referenced(&self, id: &(Tenant, ContentHash)) -> bool {
        self.runs.values().any(|run| run.head.tenant == id.0 && run.references.contains_key(&id.1))
    }
}

/// What a fork copies; empty for a run that begins anew.
#[derive(Default)]
pub(super) struct Prefix {
    batches: Vec<StoredBatch>,
    references: BTreeMap<ContentHash, Seq>,
    lineage: BTreeSet<UserId>,
    title: String,
}
