//! A journal that dies at a scripted call: before it, so that nothing was written, or after it, so that it is durable
//! and nobody learns so.
//!
//! It counts calls and reads neither clock nor randomness: the same script and the same calls end the same way.

use bedplate_core::{
    event::Entry,
    id::{ContentHash, RunId, Seq, Tenant, UserId},
    port::{
        BoxFuture,
        journal::{
            AppendError, Batch, Deleted, Expected, Head, Journal, NewRun, ReadError, RunPage, RunQuery, RunRef, Signal,
            SignalError, SignalOutcome,
        },
    },
    time::Timestamp,
};
use bytes::Bytes;
use futures::future::pending;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Which calls a script counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those that write events: create, append, fork.
    Appends,
    /// All that write: those, signals, claims, blobs, snapshots, deletions.
    Writes,
}

/// On which side of the counted call the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call does nothing.
    Before,
    /// The call does its work, and its caller never learns the outcome.
    After,
}

/// What the dying call and every later one do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// They fail with the port's store error.
    Fail,
    /// They never return, as in a process that is gone.
    Hang,
}

/// When and how the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Which calls are counted.
    pub counted: Counted,
    /// At which of them it dies, from 1.
    pub at: u64,
    /// On which side of it.
    pub moment: Moment,
    /// What is seen of it.
    pub then: Then,
}

/// A journal over another one that dies by a script. Clones share the count.
#[derive(Clone)]
pub struct FaultyJournal {
    inner: Arc<dyn Journal>,
    crash: Option<Crash>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    appends: AtomicU64,
    writes: AtomicU64,
    crashed: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Append,
    OtherWrite,
    Read,
}

impl FaultyJournal {
    /// Wraps a journal; without a crash it only counts.
    #[must_use]
    pub fn new(inner: Arc<dyn Journal>, crash: Option<Crash>) -> Self {
        Self { inner, crash, state: Arc::default() }
    }

    /// Returns whether the script's call has come.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.state.crashed.load(Ordering::SeqCst)
    }

    /// Returns how many counted calls were begun, so that a run without a crash tells where one could be.
    #[must_use]
    pub fn count(&self, counted: Counted) -> u64 {
        match counted {
            Counted::Appends => self.state.appends.load(Ordering::SeqCst),
            Counted::Writes => self.state.writes.load(Ordering::SeqCst),
        }
    }

    /// Carries out a call, or the crash. Calls are counted when they are first polled.
    fn guard<T, E>(
        &self,
        kind: Call,
        failed: fn(String) -> E,
        call: impl FnOnce(&dyn Journal) -> BoxFuture<'static, Result<T, E>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let faulty = self.clone();
        Box::pin(async move {
            if faulty.crashed() {
                return faulty.gone(failed).await;
            }
            match faulty.dies_at(kind) {
                None => {
                    let outcome = call(&*faulty.inner).await;
                    // Another call's crash ends the process while this one is under way.
                    if faulty.crashed() { faulty.gone(failed).await } else { outcome }
                }
                Some(moment) => {
                    if moment == Moment::After {
                        // Whatever it says: nobody learns it.
                        let _ = call(&*faulty.inner).await;
                    }
                    faulty.state.crashed.store(true, Ordering::SeqCst);
                    faulty.gone(failed).await
                }
            }
        })
    }

    fn dies_at(&self, kind: Call) -> Option<Moment> {
        if kind == Call::Read {
            return None;
        }
        let writes = self.state.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let appends = self.state.appends.fetch_add(u64::from(kind == Call::Append), Ordering::SeqCst) + 1;
        let crash = self.crash?;
        let now = match crash.counted {
            Counted::Writes => writes == crash.at,
            Counted::Appends => kind == Call::Append && appends == crash.at,
        };
        now.then_some(crash.moment)
    }

    async fn gone<T, E>(&self, failed: fn(String) -> E) -> Result<T, E> {
        match self.crash.map(|crash| crash.then) {
            Some(Then::Hang) => pending().await,
            Some(Then::Fail) | None => Err(failed("the process died by script".into())),
        }
    }
}

impl Journal for FaultyJournal {
    fn create(&self, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        self.guard(Call::Append, AppendError::Store, move |inner| inner.create(run, batch))
    }

    fn create_ended(&self, runs: Vec<(NewRun, Batch)>) -> BoxFuture<'static, Result<Vec<bool>, AppendError>> {
        self.guard(Call::Append, AppendError::Store, move |inner| inner.create_ended(runs))
    }

    fn append(&self, run: RunRef, expected: Expected, batch: Batch) -> BoxFuture<'static, Result<Seq, AppendError>> {
        self.guard(Call::Append, AppendError::Store, move |inner| inner.append(run, expected, batch))
    }

    fn head(&self, tenant: &Tenant, run: RunId) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        let tenant = tenant.clone();
        self.guard(Call::Read, ReadError::Store, move |inner| inner.head(&tenant, run))
    }

    fn read(&self, run: RunRef, after: Seq, limit: usize) -> BoxFuture<'static, Result<Vec<Entry>, ReadError>> {
        self.guard(Call::Read, ReadError::Store, move |inner| inner.read(run, after, limit))
    }

    fn list(&self, query: RunQuery) -> BoxFuture<'static, Result<RunPage, ReadError>> {
        self.guard(Call::Read, ReadError::Store, move |inner| inner.list(query))
    }

    fn signal(
        &self,
        tenant: &Tenant,
        run: RunId,
        key: &str,
        body: Bytes,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<SignalOutcome, SignalError>> {
        let (tenant, key) = (tenant.clone(), key.to_owned());
        self.guard(Call::OtherWrite, SignalError::Store, move |inner| inner.signal(&tenant, run, &key, body, at))
    }

    fn signals(&self, run: RunRef) -> BoxFuture<'static, Result<Vec<Signal>, ReadError>> {
        self.guard(Call::Read, ReadError::Store, move |inner| inner.signals(run))
    }

    fn claim(
        &self,
        tenant: &Tenant,
        run: RunId,
        lease_until: Timestamp,
    ) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        let tenant = tenant.clone();
        self.guard(Call::OtherWrite, ReadError::Store, move |inner| inner.claim(&tenant, run, lease_until))
    }

    fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Head>, ReadError>> {
        self.guard(Call::OtherWrite, ReadError::Store, move |inner| inner.claim_due(now, lease_until, limit))
    }

    fn next_due(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>> {
        self.guard(Call::Read, ReadError::Store, |inner| inner.next_due())
    }

    fn fork(&self, from: RunRef, at: Seq, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        self.guard(Call::Append, AppendError::Store, move |inner| inner.fork(from, at, run, batch))
    }

    fn put_blob(&self, tenant: &Tenant, content: Bytes) -> BoxFuture<'static, Result<ContentHash, AppendError>> {
        let tenant = tenant.clone();
        self.guard(Call::OtherWrite, AppendError::Store, move |inner| inner.put_blob(&tenant, content))
    }

    fn get_blob(&self, tenant: &Tenant, hash: ContentHash) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>> {
        let tenant = tenant.clone();
        self.guard(Call::Read, ReadError::Store, move |inner| inner.get_blob(&tenant, hash))
    }

    fn put_snapshot(&self, run: RunRef, seq: Seq, state: Bytes) -> BoxFuture<'static, Result<(), AppendError>> {
        self.guard(Call::OtherWrite, AppendError::Store, move |inner| inner.put_snapshot(run, seq, state))
    }

    fn get_snapshot(&self, run: RunRef) -> BoxFuture<'static, Result<Option<(Seq, Bytes)>, ReadError>> {
        self.guard(Call::Read, ReadError::Store, move |inner| inner.get_snapshot(run))
    }

    fn delete_run(
        &self,
        tenant: &Tenant,
        run: RunId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let tenant = tenant.clone();
        self.guard(Call::OtherWrite, AppendError::Store, move |inner| inner.delete_run(&tenant, run, at))
    }

    fn delete_user(
        &self,
        tenant: &Tenant,
        user: &UserId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        let (tenant, user) = (tenant.clone(), user.clone());
        self.guard(Call::OtherWrite, AppendError::Store, move |inner| inner.delete_user(&tenant, &user, at))
    }

    fn retain(&self, before: Timestamp, limit: usize) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        self.guard(Call::OtherWrite, AppendError::Store, move |inner| inner.retain(before, limit))
    }
}
