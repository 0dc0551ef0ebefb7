//! Both adapters keep every promise of the Records port; SQLite also across processes.

use bedplate_core::{
    id::Tenant,
    port::records::{RecordFilter, Records},
    time::Timestamp,
};
use bedplate_store::{MemoryRecords, Options, Store};
use bedplate_testkit::conformance::{self, records::record};
use std::sync::{Arc, Mutex};

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
