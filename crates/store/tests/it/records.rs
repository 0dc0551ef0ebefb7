//! Both adapters keep every promise of the Records port; SQLite also across processes.

use bedplate_core::{
    id::Tenant,
    message::Usage,
    port::{
        Priority,
        records::{CacheUse, CallRecord, Outcome, RecordFilter, Records},
    },
    time::Timestamp,
};
use bedplate_store::{MemoryRecords, Options, Store};
use bedplate_testkit::conformance::{self, records::record};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

#[tokio::test]
async fn the_memory_adapter_keeps_the_promises_of_the_records() {
    conformance::records::all(|| Arc::new(MemoryRecords::new())).await;
}

#[tokio::test]
async fn the_sqlite_adapter_keeps_the_promises_of_the_records() {
    let stores = Mutex::new(Vec::new());
    conformance::records::all(|| -> Arc<dyn Records> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let records = store.records();
        stores.lock().unwrap().push((store, folder));
        records
    })
    .await;
}

#[tokio::test]
async fn records_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    store.records().append(vec![record(1, Timestamp(5)), record(2, Timestamp(6))].into()).await.unwrap();
    drop(store);
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let found = store.records().list(&Tenant::default(), RecordFilter::default(), None, 10).await.unwrap();
    assert_eq!(found, [record(2, Timestamp(6)), record(1, Timestamp(5))]);
}

#[tokio::test]
async fn records_of_the_first_version_are_read_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("calls.db")).unwrap();
    conn.execute_batch(include_str!("../../src/calls/schema_1.sql")).unwrap();
    conn.execute_batch(include_str!("../fixtures/calls-version-1.sql")).unwrap();
    drop(conn);
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let records = store.records();
    let found = records.list(&Tenant::default(), RecordFilter::default(), None, 10).await.unwrap();
    let [failed, cancelled, whole] = &found[..] else { panic!("{found:?}") };
    let failure = Outcome::Failed { kind: "rate_limited".into(), message: "slow \"down\"".into() };
    assert_eq!((failed.outcome.clone(), failed.user.as_deref()), (failure, Some("ann")));
    assert_eq!((&cancelled.outcome, cancelled.cost, cancelled.priority), (&Outcome::Cancelled, None, Priority::Batch));
    let tags = [("project".to_owned(), "x\"y".to_owned())].into();
    let usage = Usage { input: 10, output: 20, cache_read: 30, cache_write: 40 };
    let expected = CallRecord {
        id: whole.id,
        at: Timestamp(1_700_000_000_001),
        tenant: Tenant::default(),
        user: Some("ann".into()),
        key: Some("k1".into()),
        team: Some("red".into()),
        agent: Some("helper".into()),
        session: Some("s".into()),
        run: Some("00112233445566778899aabbccddeeff".parse().unwrap()),
        tags,
        jurisdiction: Some("eu".into()),
        priority: Priority::Interactive,
        dialect: "openai_chat",
        stream: true,
        route: "default".into(),
        reason: Some("cheapest".into()),
        target: Some("small".into()),
        provider: Some("openai".into()),
        model: Some("gpt".into()),
        attempts: 2,
        cache: Some(CacheUse::Miss),
        degraded: Some("smaller".into()),
        guard: Some("masked".into()),
        prompt_cache_markers: 3,
        usage,
        estimated: true,
        cost: Some(1_234),
        saved: 5,
        first_token: Some(Duration::from_micros(6)),
        total: Duration::from_micros(7),
        outcome: Outcome::Ok,
        payload: None,
    };
    assert_eq!(*whole, expected);
    let costs = records.costs(&Tenant::default(), RecordFilter::default(), vec![]).await.unwrap();
    assert_eq!((costs.total.calls, costs.total.errors, costs.total.cost), (3, 1, 1_234));
    assert_eq!(records.forget(&Tenant::default(), "ann").await, Ok(2));
    let left = records.get(&Tenant::default(), failed.id).await.unwrap().expect("it stays");
    assert_eq!(left.outcome, Outcome::Failed { kind: "rate_limited".into(), message: "".into() });
    assert_eq!((left.user, left.tags.len()), (None, 0));
}
