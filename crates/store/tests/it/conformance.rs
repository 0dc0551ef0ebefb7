//! The conformance suites over both adapters.

use bedplate_core::{
    port::{documents::Documents, journal::Journal, keys::Keys},
    time::Timestamp,
};
use bedplate_store::{MemoryStore, Options, Store};
use bedplate_testkit::conformance::{
    self, documents,
    journal::{Subject, promises},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// A clock that tests move.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

struct InMemory {
    store: MemoryStore,
    hand: Hand,
}

impl InMemory {
    fn new() -> Self {
        let hand = Hand::default();
        let clock = hand.clone();
        Self { store: MemoryStore::with_time(move || clock.now()), hand }
    }

    fn fresh() -> Box<dyn Subject> {
        Box::new(Self::new())
    }
}

impl Subject for InMemory {
    fn journal(&self) -> Arc<dyn Journal> {
        self.store.journal()
    }

    fn reopen(&mut self) {
        self.store = self.store.reopen();
    }

    fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }
}

struct Sqlite {
    store: Option<Store>,
    hand: Hand,
    folder: TempDir,
}

impl Sqlite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut fresh = Self { store: None, hand: Hand::default(), folder };
        Subject::reopen(&mut fresh);
        fresh
    }

    fn fresh() -> Box<dyn Subject> {
        Box::new(Self::new())
    }
}

impl Subject for Sqlite {
    fn journal(&self) -> Arc<dyn Journal> {
        self.store.as_ref().unwrap().journal()
    }

    fn reopen(&mut self) {
        drop(self.store.take());
        let hand = self.hand.clone();
        let options = Options { now: Arc::new(move || hand.now()) };
        self.store = Some(Store::open(self.folder.path(), options).unwrap());
    }

    fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }
}

impl documents::Subject for InMemory {
    fn documents(&self) -> Arc<dyn Documents> {
        self.store.documents()
    }

    fn reopen(&mut self) {
        Subject::reopen(self);
    }
}

impl documents::Subject for Sqlite {
    fn documents(&self) -> Arc<dyn Documents> {
        self.store.as_ref().unwrap().documents()
    }

    fn reopen(&mut self) {
        Subject::reopen(self);
    }
}

#[tokio::test]
async fn the_memory_adapter_keeps_the_promises_of_the_documents() {
    documents::all(|| Box::new(InMemory::new())).await;
}

#[tokio::test]
async fn the_sqlite_adapter_keeps_the_promises_of_the_documents() {
    documents::all(|| Box::new(Sqlite::new())).await;
}

#[tokio::test]
async fn the_memory_adapter_keeps_the_promises_of_the_journal() {
    conformance::journal::all(InMemory::fresh).await;
}

#[tokio::test]
async fn the_sqlite_adapter_keeps_the_promises_of_the_journal() {
    conformance::journal::all(Sqlite::fresh).await;
}

#[tokio::test]
async fn the_memory_adapter_keeps_the_promises_of_the_keys() {
    conformance::keys::all(|| MemoryStore::new().keys()).await;
}

#[tokio::test]
async fn the_sqlite_adapter_keeps_the_promises_of_the_keys() {
    let stores = Mutex::new(Vec::new());
    conformance::keys::all(|| -> Arc<dyn Keys> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let keys = store.keys();
        stores.lock().unwrap().push((store, folder));
        keys
    })
    .await;
}

#[test]
fn the_list_of_promises_names_each_once() {
    let mut names: Vec<_> = promises().iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), promises().len());
}
