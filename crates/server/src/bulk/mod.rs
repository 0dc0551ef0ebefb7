//! Work that nobody waits for: batches of requests, and jobs. It is kept as documents and goes on after a crash.
//!
//! A piece of work is a request to this very server, on behalf of whoever asked for it, at the priority `batch`; so
//! whatever a client can call, a batch can. What is finished is a document that was not there before, which is written
//! before anything counts it: a finished piece is never done again.

mod batch;
mod batch_routes;
mod batch_work;
mod door;
mod file_routes;
mod files;
mod invocation;
mod invocation_routes;
mod job;
mod job_routes;
mod message_batches;
mod rows;
mod shelf;
#[cfg(test)]
mod tests;
mod webhook;
mod who;

pub(crate) use self::{
    batch_routes::{
        __path_cancel as __path_cancel_batch, __path_create as __path_create_batch, __path_list as __path_list_batches,
        __path_show as __path_show_batch, cancel as cancel_batch, create as create_batch, list as list_batches,
        show as show_batch,
    },
    file_routes::{
        __path_content as __path_file_content, __path_delete as __path_delete_file, __path_list as __path_list_files,
        __path_show as __path_show_file, __path_upload as __path_upload_file, content as file_content,
        delete as delete_file, list as list_files, show as show_file, upload as upload_file,
    },
    invocation_routes::{
        __path_list as __path_list_invocations, __path_show as __path_show_invocation,
        __path_start as __path_start_invocation, list as list_invocations, show as show_invocation,
        start as start_invocation,
    },
    job_routes::{
        __path_cancel as __path_cancel_job, __path_create as __path_create_job, __path_list as __path_list_jobs,
        __path_show as __path_show_job, cancel as cancel_job, create as create_job, list as list_jobs,
        show as show_job,
    },
    message_batches::{
        __path_cancel as __path_cancel_message_batch, __path_create as __path_create_message_batch,
        __path_delete as __path_delete_message_batch, __path_list as __path_list_message_batches,
        __path_results as __path_message_batch_results, __path_show as __path_show_message_batch,
        cancel as cancel_message_batch, create as create_message_batch, delete as delete_message_batch,
        list as list_message_batches, results as message_batch_results, show as show_message_batch,
    },
};

use crate::App;
use axum::Router;
use bedplate_core::{id::Tenant, port::documents::DocumentQuery, time::Timestamp};
use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How long work waits when the store does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What a batch or a job can call, beside agents.
const ENDPOINTS: [&str; 4] = ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages"];

/// How much work is done at once, and how fast it begins.
#[derive(Clone, Copy, Debug)]
pub struct BulkLimits {
    /// How many requests are under way at once; at least 1.
    pub concurrency: u32,
    /// How many begin in a minute at most.
    pub per_minute: Option<u32>,
}

/// What all work shares.
pub(crate) struct Bulk {
    limits: BulkLimits,
    room: Arc<Semaphore>,
    /// When the next request may begin.
    next: Mutex<Instant>,
    /// The server as work reaches it.
    server: OnceLock<Router>,
    /// What is being worked on: work that is made while the work of an earlier process is taken up is found by both.
    in_hand: std::sync::Mutex<HashSet<(Tenant, String)>>,
}

/// Work that nobody else begins until this is dropped.
struct Held {
    app: App,
    work: (Tenant, String),
}

impl Held {
    /// Returns the hold on a piece of work; none when somebody else has it.
    fn take(app: &App, tenant: &Tenant, id: &str) -> Option<Self> {
        let work = (tenant.clone(), id.to_owned());
        let is_free = app.0.bulk.in_hand.lock().unwrap_or_else(PoisonError::into_inner).insert(work.clone());
        is_free.then(|| Self { app: app.clone(), work })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.app.0.bulk.in_hand.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.work);
    }
}

impl Bulk {
    pub(crate) fn new(limits: BulkLimits) -> Self {
        let room = Arc::new(Semaphore::new(limits.concurrency.max(1) as usize));
        Self {
            limits,
            room,
            next: Mutex::new(Instant::now()),
            server: OnceLock::new(),
            in_hand: std::sync::Mutex::default(),
        }
    }

    pub(crate) fn server(&self) -> Option<Router> {
        self.server.get().cloned()
    }

    /// Waits until another request may begin; there is room for it until the permit is dropped.
    async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.room).acquire_owned().await.ok()?;
        if let Some(per_minute) = self.limits.per_minute {
            let gap = Duration::from_secs(60) / per_minute.max(1);
            let at = {
                let mut next = self.next.lock().await;
                let at = (*next).max(Instant::now());
                *next = at + gap;
                at
            };
            tokio::time::sleep_until(at).await;
        }
        Some(permit)
    }
}

/// Begins the work that an earlier process left, and lets new work reach the server.
pub(crate) fn start(app: &App, server: Router) {
    // A server is started once; a second start would be the same router.
    let _ = app.0.bulk.server.set(server);
    let app = app.clone();
    tokio::spawn(async move {
        take_up(&app, batch::BATCHES, batch_work::spawn).await;
        take_up(&app, job::JOBS, job::spawn).await;
    });
}

/// Goes on with each document of a collection.
async fn take_up(app: &App, collection: &'static str, spawn: fn(&App, Tenant, String)) {
    let documents = app.documents();
    let tenants = insist(app, || documents.tenants(collection)).await.unwrap_or_default();
    for tenant in tenants {
        let mut after = None;
        loop {
            let query = DocumentQuery {
                collection: collection.to_owned(),
                after: after.clone(),
                limit: 200,
                ..DocumentQuery::default()
            };
            let page = insist(app, || documents.list(&tenant, query.clone())).await.unwrap_or_default();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            page.into_iter().for_each(|document| spawn(app, tenant.clone(), document.id));
        }
    }
}

/// Repeats a word to the store until it answers; none when the server stops.
async fn insist<T, E, F>(app: &App, word: impl Fn() -> F) -> Option<T>
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    loop {
        match word().await {
            Ok(answer) => return Some(answer),
            Err(error) => tracing::warn!(%error, "the store did not answer; the work waits"),
        }
        if !pause(app, STORE_PAUSE).await {
            return None;
        }
    }
}

/// Waits; returns false when the server stops.
async fn pause(app: &App, time: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = app.closed() => false,
    }
}

/// Returns a new id whose order is that of time.
fn new_id(app: &App, prefix: &str) -> String {
    let random = crate::key::hex(&app.0.options.entropy.bytes()[..8]);
    format!("{prefix}{:012x}{random}", app.now().0)
}

/// Returns a hash that other parts, or the same split elsewhere, do not have.
fn digest(parts: &[&str]) -> [u8; 32] {
    let all: Vec<u8> = parts.iter().flat_map(|part| *blake3::hash(part.as_bytes()).as_bytes()).collect();
    *blake3::hash(&all).as_bytes()
}

/// Returns a time in seconds since 1970.
fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}
