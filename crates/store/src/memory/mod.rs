//! Journals, keys and documents in memory, for tests: deterministic, without threads, every future is ready at once.

mod documents;
mod journal;
mod keys;
mod ledger;
mod records;
mod state;

use crate::rules::{Now, system_now};
use bedplate_core::{
    port::{documents::Documents, journal::Journal, keys::Keys},
    time::Timestamp,
};
pub use ledger::MemoryLedger;
pub use records::MemoryRecords;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store in memory. Clones share the content, so a test can drop a runtime and open the same store again.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    now: Now,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Returns an empty store that reads the machine's clock for the age of blobs.
    #[must_use]
    pub fn new() -> Self {
        Self::with_time(system_now)
    }

    /// Returns an empty store that reads `now` for the age of blobs.
    #[must_use]
    pub fn with_time(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { state: Arc::default(), now: Arc::new(now) }
    }

    /// Returns the journals.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(self.clone())
    }

    /// Returns the keys.
    #[must_use]
    pub fn keys(&self) -> Arc<dyn Keys> {
        Arc::new(self.clone())
    }

    /// Returns the documents.
    #[must_use]
    pub fn documents(&self) -> Arc<dyn Documents> {
        Arc::new(self.clone())
    }

    /// Behaves as if the process had died and another had opened the store: what was claimed is due at once.
    #[must_use]
    pub fn reopen(&self) -> Self {
        self.lock().boot();
        self.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a test that held the lock must not hide the test's own message behind a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
