//! Both ledgers keep every promise of the port; SQLite's also across processes and threads.

use bedplate_core::{
    id::Tenant,
    port::ledger::{Ledger, Period},
    time::Timestamp,
};
use bedplate_store::{MemoryLedger, Options, Store};
use bedplate_testkit::conformance::{
    self,
    ledger::{account, claim},
};
use std::{
    future::ready,
    sync::{Arc, Mutex},
};

const NOW: Timestamp = Timestamp(1_795_168_800_000);

#[tokio::test]
async fn the_memory_adapter_keeps_the_promises_of_the_ledger() {
    conformance::ledger::all(|| ready(Arc::new(MemoryLedger::new()) as Arc<dyn Ledger>)).await;
}

#[tokio::test]
async fn the_sqlite_adapter_keeps_the_promises_of_the_ledger() {
    let stores = Mutex::new(Vec::new());
    conformance::ledger::all(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let ledger = store.ledger();
        stores.lock().unwrap().push((store, folder));
        ready(ledger)
    })
    .await;
}

#[tokio::test]
async fn what_was_spent_is_still_spent_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let ledger = store.ledger();
    let claims = vec![claim("month", Period::Month, 40, 100), claim("minute", Period::Minute, 1, 1)];
    let spent = ledger.reserve(NOW, claims).await.unwrap();
    ledger.settle(spent, vec![30, 1]).await.unwrap();
    // A process that dies in the middle of a call leaves its reservation behind: it counts as spent.
    let lost = ledger.reserve(NOW, vec![claim("month", Period::Month, 25, 100)]).await.unwrap();
    drop((lost, ledger, store));
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let found = store.ledger().balances(NOW, &Tenant::default(), "").await.unwrap();
    let found: Vec<_> = found.into_iter().map(|(account, balance)| (account, balance.used, balance.held)).collect();
    assert_eq!(found, [(account("month", Period::Month), 55, 0)], "a minute begins anew with the process");
    assert!(store.ledger().reserve(NOW, vec![claim("month", Period::Month, 46, 100)]).await.is_err());
}

#[test]
fn threads_that_reserve_at_once_never_pass_a_limit_together() {
    let ledger = Arc::new(MemoryLedger::new());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let ledger = ledger.clone();
            std::thread::spawn(move || {
                let one = || futures_now(ledger.reserve(NOW, vec![claim("requests", Period::Minute, 1, 1_000)]));
                (0..500).filter_map(|_| one().ok()).count()
            })
        })
        .collect();
    let through: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(through, 1_000);
}

/// Returns the output of a future that is ready at once, as those of the ledger in memory are.
fn futures_now<T>(mut future: bedplate_core::port::BoxFuture<'static, T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("the ledger in memory never waits"),
    }
}
