//! Bulk work over a store that fails, or whose owner is deleted, at a chosen write.

use super::{batch_work, start};
use crate::{Access, App, BulkLimits, Options, key::Pepper, routes::router};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use bedplate_catalog::Catalog;
use bedplate_core::{
    id::{Tenant, UserId},
    port::{
        BoxFuture, BoxStream,
        clock::Clock,
        documents::{Document, DocumentError, DocumentQuery, Documents, NewDocument, Precondition, Revision},
        health::{Health, ModelHealth},
        ledger::{BudgetState, Budgets, LedgerError},
        records::{CallRecord, CallTotals, LiveRecords},
        webhooks::{WebhookError, Webhooks},
    },
    time::Timestamp,
};
use bedplate_runtime::{Runtime, Unconfigured};
use bedplate_store::{MemoryRecords, MemoryStore};
use bedplate_testkit::{
    clock::SimEntropy,
    scripted::{FixedDefinitions, ScriptedModel, ScriptedTools},
};
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};
use tower::ServiceExt;

const PIECES: &str = "file-pieces";
const BATCHES: &str = "batches";

/// What goes wrong, once.
#[derive(Clone, Copy)]
enum Fault {
    /// The write of this number to a collection, from 1, fails.
    Write(&'static str, u32),
    /// The first removal from a collection fails.
    Delete(&'static str),
    /// The person goes just before the first write to a collection whose id has this in it.
    PersonGoes(&'static str, &'static str),
}

/// Documents in memory, and what goes wrong with them.
#[derive(Clone)]
struct Faulty {
    documents: Arc<dyn Documents>,
    fault: Arc<Mutex<Option<Fault>>>,
    writes: Arc<AtomicU32>,
}

impl Faulty {
    fn new(fault: Option<Fault>) -> Self {
        Self { documents: MemoryStore::new().documents(), fault: Arc::new(Mutex::new(fault)), writes: Arc::default() }
    }

    fn is_over(&self) -> bool {
        self.fault.lock().unwrap().is_none()
    }

    /// Takes the fault when it is meant.
    fn take(&self, is_meant: impl FnOnce(Fault) -> bool) -> bool {
        let mut fault = self.fault.lock().unwrap();
        let taken = fault.is_some_and(is_meant);
        if taken {
            *fault = None;
        }
        taken
    }

    async fn left(&self, collection: &str) -> Vec<String> {
        let query = DocumentQuery { collection: collection.into(), limit: 1_000, ..DocumentQuery::default() };
        let found = self.documents.list(&Tenant::default(), query).await.unwrap();
        found.into_iter().map(|document| document.id).collect()
    }

    /// Waits until nothing is left in a collection.
    async fn emptied(&self, collection: &str) {
        let mut left = self.left(collection).await;
        for _ in 0..1_000 {
            if left.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            left = self.left(collection).await;
        }
        panic!("these stay in {collection}: {left:?}");
    }
}

fn down<T: Send + 'static>() -> BoxFuture<'static, Result<T, DocumentError>> {
    Box::pin(std::future::ready(Err(DocumentError::Store("the disk is full".into()))))
}

impl Documents for Faulty {
    fn write(
        &self,
        tenant: &Tenant,
        collection: &str,
        document: NewDocument,
    ) -> BoxFuture<'static, Result<Revision, DocumentError>> {
        let counts = matches!(*self.fault.lock().unwrap(), Some(Fault::Write(which, _)) if which == collection);
        let number = if counts { self.writes.fetch_add(1, SeqCst) + 1 } else { 0 };
        if self.take(|fault| matches!(fault, Fault::Write(which, at) if which == collection && at == number)) {
            return down();
        }
        let goes = self.take(|fault| match fault {
            Fault::PersonGoes(which, part) => which == collection && document.id.contains(part),
            Fault::Write(..) | Fault::Delete(_) => false,
        });
        let (this, tenant, collection) = (self.clone(), tenant.clone(), collection.to_owned());
        Box::pin(async move {
            if goes {
                let user = document.user.clone().expect("a piece is somebody's");
                this.documents.delete_user(&tenant, &user).await?;
            }
            this.documents.write(&tenant, &collection, document).await
        })
    }

    fn get(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
    ) -> BoxFuture<'static, Result<Option<Document>, DocumentError>> {
        self.documents.get(tenant, collection, id)
    }

    fn list(&self, tenant: &Tenant, query: DocumentQuery) -> BoxFuture<'static, Result<Vec<Document>, DocumentError>> {
        self.documents.list(tenant, query)
    }

    fn delete(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
        precondition: Precondition,
    ) -> BoxFuture<'static, Result<bool, DocumentError>> {
        if self.take(|fault| matches!(fault, Fault::Delete(which) if which == collection)) {
            return down();
        }
        self.documents.delete(tenant, collection, id, precondition)
    }

    fn delete_user(&self, tenant: &Tenant, user: &UserId) -> BoxFuture<'static, Result<u64, DocumentError>> {
        self.documents.delete_user(tenant, user)
    }

    fn tenants(&self, collection: &str) -> BoxFuture<'static, Result<Vec<Tenant>, DocumentError>> {
        self.documents.tenants(collection)
    }
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(now.as_millis()).unwrap())
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(until.since(self.now())))
    }
}

/// The ports that bulk work has no use for.
struct Nobody;

impl Webhooks for Nobody {
    fn post(&self, _: &str, _: Vec<(&'static str, String)>, _: Bytes) -> BoxFuture<'static, Result<u16, WebhookError>> {
        Box::pin(std::future::ready(Ok(200)))
    }

    fn refuses(&self, _: &str) -> Option<String> {
        None
    }
}

impl LiveRecords for Nobody {
    fn watch(&self, _: &Tenant) -> BoxStream<'static, Option<Arc<CallRecord>>> {
        Box::pin(stream::pending())
    }

    fn totals(&self) -> Vec<CallTotals> {
        Vec::new()
    }
}

impl Budgets for Nobody {
    fn states(&self, _: &Tenant) -> BoxFuture<'static, Result<Vec<BudgetState>, LedgerError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn prices_as_of(&self) -> String {
        String::new()
    }
}

impl Health for Nobody {
    fn models(&self) -> Vec<ModelHealth> {
        Vec::new()
    }
}

/// A server that lets everybody in and has no models: each row of a batch is refused, which is a result, too.
fn server(documents: &Faulty) -> (App, Router) {
    let store = MemoryStore::new();
    let (clock, entropy) = (Arc::new(WallClock), Arc::new(SimEntropy::new(1)));
    let (definitions, model) = (FixedDefinitions::new([]), ScriptedModel::new([]));
    let catalog = Catalog::new(bedplate_catalog::Options {
        documents: store.documents(),
        definitions: definitions.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    });
    let runtime = Runtime::start(bedplate_runtime::Options {
        journal: store.journal(),
        model: model.clone(),
        tools: ScriptedTools::echo(),
        definitions: definitions.clone(),
        tasks: Arc::new(Unconfigured),
        workflows: Arc::new(Unconfigured),
        clock: clock.clone(),
        entropy: entropy.clone(),
        lease: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        recover: false,
    });
    let access = Access { hosts: Vec::new(), origins: Vec::new(), admin_token: None, open_without_keys: true };
    let app = App::new(Options {
        runtime,
        definitions,
        model,
        journal: store.journal(),
        documents: Arc::new(documents.clone()),
        catalog,
        tasks: None,
        task_mocks: None,
        mock_cases: None,
        workflow_files: None,
        webhooks: Arc::new(Nobody),
        bulk: BulkLimits { concurrency: 2, per_minute: None },
        output_buckets: Vec::new(),
        keys: store.keys(),
        records: Arc::new(MemoryRecords::new()),
        live: Arc::new(Nobody),
        budgets: Arc::new(Nobody),
        health: Arc::new(Nobody),
        clock,
        entropy,
        access,
        pepper: Pepper::new([7; 32]),
        version: "0",
        instance: String::new(),
    });
    let router = router(app.clone());
    start(&app, router.clone());
    (app, router)
}

async fn ask(router: &Router, method: Method, path: &str, body: Body) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
    let request = request.header("content-type", "application/json").body(body).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn create(router: &Router, text: &str) -> (StatusCode, Value) {
    let params = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": text}]});
    let body = json!({"requests": [{"custom_id": "a", "params": params}]});
    ask(router, Method::POST, "/v1/messages/batches", Body::from(body.to_string())).await
}

/// Waits until a batch has ended.
async fn ended(router: &Router, id: &str) {
    for _ in 0..1_000 {
        let (_, batch) = ask(router, Method::GET, &format!("/v1/messages/batches/{id}"), Body::empty()).await;
        if batch["processing_status"] == "ended" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the batch {id} does not end");
}

#[tokio::test]
async fn a_person_who_is_deleted_while_results_are_written_leaves_none_of_them() {
    let documents = Faulty::new(Some(Fault::PersonGoes(PIECES, "-results/")));
    let (_, router) = server(&documents);
    assert_eq!(create(&router, "private").await.0, StatusCode::OK);
    for _ in 0..1_000 {
        if documents.is_over() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(documents.is_over(), "the results are written");
    for collection in [PIECES, "batch-rows", "files", BATCHES] {
        documents.emptied(collection).await;
    }
}

#[tokio::test]
async fn work_that_finds_its_batch_gone_removes_everything_that_could_be_left_of_it() {
    let documents = Faulty::new(None);
    let (app, _) = server(&documents);
    let pieces = ["batch_1-results", "batch_1-requests", "file-1-output", "file-1-error", "file-2-output"];
    let places = pieces.map(|file| (PIECES, format!("{file}/000000")));
    for (collection, id) in places.into_iter().chain([("batch-rows", "batch_1/000001".to_owned())]) {
        let body = Bytes::from_static(b"private");
        let put = documents.put(&Tenant::default(), collection, &id, body, Precondition::Absent, Timestamp(0));
        put.await.unwrap();
    }
    batch_work::spawn(&app, Tenant::default(), "batch_1".into());
    documents.emptied("batch-rows").await;
    for _ in 0..1_000 {
        if documents.left(PIECES).await.len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(documents.left(PIECES).await, ["file-2-output/000000"], "another batch keeps its own");
}

#[tokio::test]
async fn a_batch_that_could_not_be_made_leaves_no_piece_of_its_requests() {
    let long = "x".repeat(3 * 1024 * 1024);
    for (fault, text) in [(Fault::Write(PIECES, 2), long.as_str()), (Fault::Write(BATCHES, 1), "short")] {
        let documents = Faulty::new(Some(fault));
        let (_, router) = server(&documents);
        let (status, _) = create(&router, text).await;
        assert!(status.is_server_error() && documents.is_over(), "{status}");
        assert_eq!(documents.left(PIECES).await, [""; 0]);
        assert_eq!(documents.left(BATCHES).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_batch_is_there_until_all_its_pieces_are_gone() {
    let documents = Faulty::new(None);
    let (_, router) = server(&documents);
    let (_, made) = create(&router, "short").await;
    let id = made["id"].as_str().unwrap();
    ended(&router, id).await;
    assert!(!documents.left(PIECES).await.is_empty(), "its results");
    *documents.fault.lock().unwrap() = Some(Fault::Delete(PIECES));
    let path = format!("/v1/messages/batches/{id}");
    assert!(ask(&router, Method::DELETE, &path, Body::empty()).await.0.is_server_error());
    assert_eq!(ask(&router, Method::GET, &path, Body::empty()).await.0, StatusCode::OK, "it can be removed again");
    assert_eq!(ask(&router, Method::DELETE, &path, Body::empty()).await.0, StatusCode::OK);
    assert_eq!(documents.left(PIECES).await, [""; 0]);
    assert_eq!(documents.left(BATCHES).await, [""; 0]);
}
