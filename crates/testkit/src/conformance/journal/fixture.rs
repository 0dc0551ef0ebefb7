//! Short ways to make runs, batches and events.

use bedplate_core::{
    event::{Event, QuestionAnswered, RunKind},
    id::{CallId, RunId, Seq, Tenant},
    port::journal::{Batch, Expected, Head, Journal, NewRun, RunStatus},
    time::Timestamp,
};
use std::sync::Arc;

/// The tenant that most promises are checked with.
pub(super) fn tenant() -> Tenant {
    Tenant::from("acme")
}

/// Returns a new run of `user`; equal words give an equal id.
pub(super) fn run(user: &str, session: &str) -> NewRun {
    run_of(&tenant(), user, session)
}

/// Returns a new run of a tenant.
pub(super) fn run_of(tenant: &Tenant, user: &str, session: &str) -> NewRun {
    NewRun {
        id: RunId::session(tenant, &user.into(), session),
        tenant: tenant.clone(),
        kind: RunKind::Agent,
        name: "helper".into(),
        user: user.into(),
        session: session.into(),
        parent: None,
    }
}

/// Returns an event that carries `note`.
pub(super) fn event(call: CallId, note: impl Into<String>) -> Event {
    Event::QuestionAnswered(QuestionAnswered { call, approved: true, by: Some("ann".into()), note: Some(note.into()) })
}

/// Returns `count` small events.
pub(super) fn events(count: u64) -> Vec<Event> {
    (1..=count).map(|call| event(call, format!("event {call}"))).collect()
}

/// Returns an idle batch with these events.
pub(super) fn batch(at: i64, events: Vec<Event>) -> Batch {
    Batch {
        at: Timestamp(at),
        events: events.into(),
        status: RunStatus::Idle,
        wake_at: None,
        title: None,
        consumed: Vec::new(),
        blobs: Vec::new(),
    }
}

/// Creates a run with `count` events in one batch.
pub(super) async fn create(journal: &Arc<dyn Journal>, user: &str, session: &str, count: u64) -> Head {
    journal.create(run(user, session), batch(1_000, events(count))).await.expect("the run is new")
}

/// Returns what the present head expects.
pub(super) fn expected(head: &Head) -> Expected {
    Expected { seq: head.seq, epoch: head.epoch }
}

/// Appends and returns the head as it is then.
pub(super) async fn append(journal: &Arc<dyn Journal>, head: &Head, batch: Batch) -> Head {
    journal.append(head.run, expected(head), batch).await.expect("the head is as expected");
    now(journal, head).await
}

/// Reads the head again.
pub(super) async fn now(journal: &Arc<dyn Journal>, head: &Head) -> Head {
    journal.head(&head.tenant, head.run.id).await.expect("the store works").expect("the run exists")
}

/// Reads all events of a run.
pub(super) async fn read_all(journal: &Arc<dyn Journal>, head: &Head) -> Vec<Event> {
    let mut all = Vec::new();
    let mut after: Seq = 0;
    loop {
        let page = journal.read(head.run, after, 7).await.expect("the store works");
        let Some(last) = page.last() else { return all };
        after = last.seq;
        all.extend(page.into_iter().map(|entry| entry.event));
    }
}
