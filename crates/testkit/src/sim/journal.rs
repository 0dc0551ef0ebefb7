//! A journal as one process sees it: it may be slow, fail, and at a chosen append the process dies.

use crate::clock::{Rng, SimClock};
use bedplate_core::{
    id::{ContentHash, RunId, Seq, Tenant, UserId},
    port::{
        BoxFuture,
        clock::Clock,
        journal::{
            AppendError, Batch, Deleted, Expected, Head, Journal, NewRun, ReadError, RunPage, RunQuery, RunRef, Signal,
            SignalError, SignalOutcome,
        },
    },
    time::Timestamp,
};
use bytes::Bytes;
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Where a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// At which append, counted over all processes of the world from 1.
    pub append: u64,
    /// Before or after it is written.
    pub moment: Moment,
}

/// When, at an append, a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is written.
    Before,
    /// It is written, and nobody hears of it.
    After,
    /// Nothing is written, and yet the process goes on as if it were until its next append: what a store that lies
    /// about durability does. No platform survives it; a simulation that does not notice is worth nothing.
    Lie,
}

/// What happens to the journals of a world, shared by its processes.
#[derive(Debug)]
pub struct Fate {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rng: Rng,
    appends: u64,
    crashes: Vec<Crash>,
    failing_percent: u64,
    slow_percent: u64,
}

impl Fate {
    /// Returns the fate of a world in which processes die at `crashes`.
    #[must_use]
    pub fn new(seed: u64, crashes: Vec<Crash>, failing_percent: u64, slow_percent: u64) -> Arc<Self> {
        let inner = Inner { rng: Rng::new(seed), appends: 0, crashes, failing_percent, slow_percent };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// Returns how many appends there were.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.lock().appends
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happens at one append.
struct Draw {
    crash: Option<Moment>,
    fails_before: bool,
    fails_after: bool,
    slow: (Duration, Duration),
}

/// A journal as one process sees it. Once the process is dead, nothing returns any more.
#[derive(Clone)]
pub struct SimJournal {
    inner: Arc<dyn Journal>,
    fate: Arc<Fate>,
    clock: SimClock,
    life: Arc<Mutex<Life>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Alive,
    Lying,
    Dead,
}

impl SimJournal {
    /// Returns the journal `inner` as a new process sees it.
    #[must_use]
    pub fn new(inner: Arc<dyn Journal>, fate: Arc<Fate>, clock: SimClock) -> Self {
        Self { inner, fate, clock, life: Arc::default() }
    }

    /// Returns whether the process died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.life() == Life::Dead
    }

    fn life(&self) -> Life {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, life: Life) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = life;
    }

    fn draw(&self) -> Draw {
        let mut fate = self.fate.lock();
        fate.appends += 1;
        let at = fate.appends;
        let crash = fate.crashes.iter().find(|crash| crash.append == at).map(|crash| crash.moment);
        let (failing, slow) = (fate.failing_percent, fate.slow_percent);
        let (fails_before, fails_after) = (fate.rng.chance(failing), fate.rng.chance(failing));
        let mut pause = || Duration::from_millis(if fate.rng.chance(slow) { fate.rng.below(30) } else { 0 });
        let slow = (pause(), pause());
        Draw { crash, fails_before, fails_after, slow }
    }

    async fn pause(&self, pause: Duration) {
        if !pause.is_zero() {
            self.clock.sleep_until(self.clock.now().after(pause)).await;
        }
    }

    /// Writes as fate will have it; `lie` is what a process hears whose store lies.
    async fn write<T>(
        self,
        lie: Option<T>,
        write: impl Future<Output = Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        let draw = self.draw();
        self.pause(draw.slow.0).await;
        self.live().await;
        match (draw.crash, lie) {
            (Some(Moment::Lie), Some(lie)) => {
                self.set(Life::Lying);
                return Ok(lie);
            }
            (Some(Moment::Before), _) => return self.die().await,
            _ => {}
        }
        if self.life() == Life::Lying {
            return self.die().await;
        }
        if draw.fails_before {
            return Err(AppendError::Store("the disk is busy".to_owned()));
        }
        let written = write.await;
        if draw.crash.is_some() {
            return self.die().await;
        }
        self.pause(draw.slow.1).await;
        self.live().await;
        if draw.fails_after { Err(AppendError::Store("the connection broke".to_owned())) } else { written }
    }

    async fn die<T>(&self) -> T {
        self.set(Life::Dead);
        std::future::pending().await
    }

    /// Returns while the process lives.
    async fn live(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    fn read_through<T: Send + 'static>(&self, read: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
        let journal = self.clone();
        Box::pin(async move {
            journal.live().await;
            read.await
        })
    }
}

impl Journal for SimJournal {
    fn create(&self, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        Box::pin(self.clone().write(None, self.inner.create(run, batch)))
    }

    fn create_ended(&self, runs: Vec<(NewRun, Batch)>) -> BoxFuture<'static, Result<Vec<bool>, AppendError>> {
        Box::pin(self.clone().write(None, self.inner.create_ended(runs)))
    }

    fn append(&self, run: RunRef, expected: Expected, batch: Batch) -> BoxFuture<'static, Result<Seq, AppendError>> {
        let lie = Some(expected.seq + batch.events.len() as u64);
        Box::pin(self.clone().write(lie, self.inner.append(run, expected, batch)))
    }

    fn head(&self, tenant: &Tenant, run: RunId) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        self.read_through(self.inner.head(tenant, run))
    }

    fn read(
        &self,
        run: RunRef,
        after: Seq,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<bedplate_core::event::Entry>, ReadError>> {
        self.read_through(self.inner.read(run, after, limit))
    }

    fn list(&self, query: RunQuery) -> BoxFuture<'static, Result<RunPage, ReadError>> {
        self.read_through(self.inner.list(query))
    }

    fn signal(
        &self,
        tenant: &Tenant,
        run: RunId,
        key: &str,
        body: Bytes,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<SignalOutcome, SignalError>> {
        self.read_through(self.inner.signal(tenant, run, key, body, at))
    }

    fn signals(&self, run: RunRef) -> BoxFuture<'static, Result<Vec<Signal>, ReadError>> {
        self.read_through(self.inner.signals(run))
    }

    fn claim(
        &self,
        tenant: &Tenant,
        run: RunId,
        lease_until: Timestamp,
    ) -> BoxFuture<'static, Result<Option<Head>, ReadError>> {
        self.read_through(self.inner.claim(tenant, run, lease_until))
    }

    fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Head>, ReadError>> {
        self.read_through(self.inner.claim_due(now, lease_until, limit))
    }

    fn next_due(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>> {
        self.read_through(self.inner.next_due())
    }

    fn fork(&self, from: RunRef, at: Seq, run: NewRun, batch: Batch) -> BoxFuture<'static, Result<Head, AppendError>> {
        Box::pin(self.clone().write(None, self.inner.fork(from, at, run, batch)))
    }

    fn put_blob(&self, tenant: &Tenant, content: Bytes) -> BoxFuture<'static, Result<ContentHash, AppendError>> {
        self.read_through(self.inner.put_blob(tenant, content))
    }

    fn get_blob(&self, tenant: &Tenant, hash: ContentHash) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>> {
        self.read_through(self.inner.get_blob(tenant, hash))
    }

    fn put_snapshot(&self, run: RunRef, seq: Seq, state: Bytes) -> BoxFuture<'static, Result<(), AppendError>> {
        self.read_through(self.inner.put_snapshot(run, seq, state))
    }

    fn get_snapshot(&self, run: RunRef) -> BoxFuture<'static, Result<Option<(Seq, Bytes)>, ReadError>> {
        self.read_through(self.inner.get_snapshot(run))
    }

    fn delete_run(
        &self,
        tenant: &Tenant,
        run: RunId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        Box::pin(self.clone().write(None, self.inner.delete_run(tenant, run, at)))
    }

    fn delete_user(
        &self,
        tenant: &Tenant,
        user: &UserId,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        Box::pin(self.clone().write(None, self.inner.delete_user(tenant, user, at)))
    }

    fn retain(&self, before: Timestamp, limit: usize) -> BoxFuture<'static, Result<Deleted, AppendError>> {
        self.read_through(self.inner.retain(before, limit))
    }
}
