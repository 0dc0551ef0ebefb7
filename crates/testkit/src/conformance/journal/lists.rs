//! Lists of runs, and that tenants never see each other.

use super::{Subject, fixture::*};
use bedplate_core::{
    id::Tenant,
    port::journal::{Journal, ReadError, RunQuery, RunStatus},
    time::Timestamp,
};
use std::sync::Arc;

fn query() -> RunQuery {
    RunQuery { tenant: tenant(), limit: 200, ..RunQuery::default() }
}

/// Reads all pages of a query.
async fn sessions(journal: &Arc<dyn Journal>, mut query: RunQuery) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = journal.list(query.clone()).await.expect("the query is valid");
        assert!(page.runs.len() <= query.limit);
        found.extend(page.runs.into_iter().map(|head| head.session));
        let Some(cursor) = page.cursor else { return found };
        query.cursor = Some(cursor);
    }
}

pub(super) async fn a_list_shows_the_latest_touched_first_page_by_page(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    assert_eq!(journal.list(query()).await.map(|page| (page.runs, page.cursor)), Ok((Vec::new(), None)));
    let mut expected = Vec::new();
    for index in 0..11_i64 {
        // Some are touched in the same millisecond.
        let session = format!("s{index}");
        journal.create(run("ann", &session), batch(100 + index / 3, events(1))).await.expect("the run is new");
        expected.insert(0, session);
    }
    for limit in [1, 2, 3, 5, 10, 11, 12] {
        assert_eq!(sessions(&journal, RunQuery { limit, ..query() }).await, expected, "pages of {limit}");
    }
    let head = journal.head(&tenant(), run("ann", "s4").id).await.expect("the store works").expect("it exists");
    let mut titled = batch(999, events(1));
    titled.title = Some("again".into());
    append(&journal, &head, titled).await;
    expected.retain(|session| session != "s4");
    expected.insert(0, "s4".into());
    assert_eq!(sessions(&journal, RunQuery { limit: 4, ..query() }).await, expected);
    let page = journal.list(query()).await.expect("the query is valid");
    assert_eq!(page.runs[0], now(&journal, &head).await, "a list shows whole heads");
}

pub(super) async fn a_list_is_narrowed_by_user_name_state_and_text(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    for (at, user, session, name, status, title) in [
        (1, "ann", "Über den Rücken", "helper", RunStatus::Idle, "50% off_now"),
        (2, "ann", "b", "other", RunStatus::Running, "Where is MY order?"),
        (3, "bob", "c", "helper", RunStatus::Waiting, "refund order 7"),
        (4, "bob", "order", "helper", RunStatus::Idle, ""),
    ] {
        let mut new = run(user, session);
        new.name = name.into();
        let mut first = batch(at, events(1));
        first.status = status;
        first.title = Some(title.into());
        journal.create(new, first).await.expect("the run is new");
    }
    let cases = [
        (RunQuery { user: Some("ann".into()), ..query() }, vec!["b", "Über den Rücken"]),
        (RunQuery { user: Some("nobody".into()), ..query() }, vec![]),
        (RunQuery { name: Some("helper".into()), ..query() }, vec!["order", "c", "Über den Rücken"]),
        (RunQuery { status: Some(RunStatus::Idle), ..query() }, vec!["order", "Über den Rücken"]),
        (RunQuery { status: Some(RunStatus::Waiting), ..query() }, vec!["c"]),
        (RunQuery { text: Some("Order".into()), ..query() }, vec!["order", "c", "b"]),
        (RunQuery { text: Some("ÜBER".into()), ..query() }, vec!["Über den Rücken"]),
        (RunQuery { text: Some("50% OFF_".into()), ..query() }, vec!["Über den Rücken"]),
        (RunQuery { text: Some("%".into()), ..query() }, vec!["Über den Rücken"]),
        (RunQuery { text: Some("'; DROP TABLE run; --".into()), ..query() }, vec![]),
        (
            RunQuery { user: Some("bob".into()), text: Some("order".into()), status: Some(RunStatus::Idle), ..query() },
            vec!["order"],
        ),
    ];
    for (query, expected) in cases {
        for limit in [1, 200] {
            let query = RunQuery { limit, ..query.clone() };
            assert_eq!(sessions(&journal, query.clone()).await, expected, "{query:?}");
        }
    }
}

pub(super) async fn a_list_shows_one_tenant_only(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let other = Tenant::from("other");
    create(&journal, "ann", "ours", 1).await;
    create(&journal, "ann", "ours too", 1).await;
    journal.create(run_of(&other, "ann", "theirs"), batch(1, events(1))).await.expect("the run is new");
    assert_eq!(sessions(&journal, query()).await, ["ours too", "ours"]);
    let cursor = journal.list(RunQuery { limit: 1, ..query() }).await.expect("the query is valid").cursor;
    assert!(cursor.is_some());
    let foreign = RunQuery { tenant: other, cursor, ..query() };
    assert_eq!(sessions(&journal, foreign).await, ["theirs"], "a cursor opens no other tenant");
}

pub(super) async fn a_cursor_that_is_none_is_refused(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    create(&journal, "ann", "chat", 1).await;
    for wrong in ["", "x", "r1.", "r1.1", "r1.1.2.3", "r1.1.x", "1.1", "r2.1.1", "r1.99999999999999999999.1", "' OR 1"]
    {
        let refused = journal.list(RunQuery { cursor: Some(wrong.into()), ..query() }).await;
        assert_eq!(refused.map(|page| page.runs), Err(ReadError::BadCursor), "{wrong}");
    }
}

pub(super) async fn one_id_in_two_tenants_is_two_runs(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let ours = create(&journal, "ann", "chat", 2).await;
    let mut same_id = run_of(&Tenant::from("other"), "eve", "chat");
    same_id.id = ours.run.id;
    let theirs = journal.create(same_id, batch(1, events(1))).await.expect("another tenant's id is no conflict");
    assert_eq!(now(&journal, &ours).await, ours);
    append(&journal, &theirs, batch(2, events(1))).await;
    let until = Timestamp(100);
    journal.claim(&theirs.tenant, theirs.run.id, until).await.expect("the store works").expect("it exists");
    journal.signal(&theirs.tenant, theirs.run.id, "k", "x".into(), until).await.expect("the run exists");
    journal.delete_run(&theirs.tenant, theirs.run.id, until).await.expect("the store works");
    assert_eq!(now(&journal, &ours).await, ours);
    assert_eq!(read_all(&journal, &ours).await, events(2));
}
