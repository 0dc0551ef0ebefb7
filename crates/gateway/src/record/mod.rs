//! The record of each call: what leaves the hot path is a draft; a task of its own makes records of drafts and keeps them
//! in batches.
//!
//! None is lost: a call takes a place in the bounded queue before it begins, so there is room for its record when it ends;
//! [`Recorder::close`] waits until all that ended are kept. A killed process loses those that were not written yet: what
//! ended within the last [`WAIT`] and the time of one write.

mod draft;
mod embedding;
mod payload;
mod service;
mod totals;
mod writer;

pub(crate) use service::RecordLayer;

use bedplate_core::{
    id::Tenant,
    port::{
        BoxStream,
        records::{CallRecord, CallTotals, LiveRecords, Records},
    },
};
use draft::Draft;
use futures::{StreamExt, stream};
use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinHandle,
};
use totals::Totals;

/// How many calls may be under way or wait to be written.
const PLACES: usize = 16_384;

/// How many records are written at once.
const BATCH: usize = 2_048;

/// How long a record waits at most for others to be written with. The places are enough for what ends meanwhile.
const WAIT: Duration = Duration::from_millis(50);

/// How many records a slow reader of the live traffic may be behind.
const LIVE: usize = 1_024;

/// Keeps the records of calls.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    queue: mpsc::Sender<Box<Draft>>,
    live: broadcast::Sender<Arc<CallRecord>>,
    totals: Totals,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Tells the ids of this process from those of others.
    process: [u8; 8],
    count: std::sync::atomic::AtomicU16,
}

impl Recorder {
    /// Starts the task that writes to `records`; must be called within a runtime.
    #[must_use]
    pub fn start(records: Arc<dyn Records>) -> Self {
        let (queue, drafts) = mpsc::channel(PLACES);
        let (live, _) = broadcast::channel(LIVE);
        let totals = Totals::default();
        let writer = tokio::spawn(writer::write(drafts, records, live.clone(), totals.clone()));
        let process = RandomState::new().hash_one(std::process::id()).to_be_bytes();
        let writer = Mutex::new(Some(writer));
        Self(Arc::new(Shared { queue, live, totals, writer, process, count: std::sync::atomic::AtomicU16::default() }))
    }

    /// Waits until every call that has ended is kept. Calls that are under way are no longer waited for after `patience`.
    pub async fn close(&self, patience: Duration) {
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        // A place that is taken belongs to a call under way; with all of them free, everything was handed over.
        let idle = self.0.queue.reserve_many(PLACES);
        if tokio::time::timeout(patience, idle).await.is_err() {
            tracing::warn!("calls were under way when the server stopped; they leave no record");
        }
        // The writer ends when told so, after what is queued.
        let ended = self.0.queue.send(Box::new(Draft::last()));
        if tokio::time::timeout(patience, ended).await.is_ok_and(|sent| sent.is_ok())
            && tokio::time::timeout(patience.max(Duration::from_secs(5)), writer).await.is_err()
        {
            tracing::error!("the last records could not be written in time");
        }
    }

    fn id(&self, at: bedplate_core::time::Timestamp) -> bedplate_core::id::RecordId {
        let count = self.0.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        bedplate_core::id::RecordId::new(at, count, self.0.process)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl LiveRecords for Recorder {
    fn watch(&self, tenant: &Tenant) -> BoxStream<'static, Option<Arc<CallRecord>>> {
        let (live, tenant) = (self.0.live.subscribe(), tenant.clone());
        let next = |mut live: broadcast::Receiver<Arc<CallRecord>>| async {
            match live.recv().await {
                Ok(record) => Some((Some(record), live)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((None, live)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        };
        let ours = move |record: &Option<Arc<CallRecord>>| {
            std::future::ready(record.as_ref().is_none_or(|record| record.tenant == tenant))
        };
        Box::pin(stream::unfold(live, next).filter(ours))
    }

    fn totals(&self) -> Vec<CallTotals> {
        self.0.totals.read()
    }
}
