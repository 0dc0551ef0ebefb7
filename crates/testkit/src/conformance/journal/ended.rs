//! Runs that are over with their first events, created many at once.

use super::{Subject, fixture::*};
use bedplate_core::{
    id::ContentHash,
    port::journal::{AppendError, Batch, Deleted, Expected, Head, Journal, NewRun, RunQuery, RunStatus},
    time::Timestamp,
};
use std::{collections::BTreeSet, sync::Arc};

/// How many runs are created together: more than one page of a list.
const MANY: u64 = 250;

/// A time after all others here.
const LATE: Timestamp = Timestamp(1_000_000);

/// Returns a run that is over, and what its journal holds.
fn over(user: &str, session: &str, count: u64) -> (NewRun, Batch) {
    let batch = Batch { title: Some(format!("of {session}")), ..batch(1_000, events(count)) };
    (run(user, session), Batch { status: RunStatus::Succeeded, ..batch })
}

fn many() -> Vec<(NewRun, Batch)> {
    (0..MANY).map(|at| over("ann", &format!("many {at}"), 1 + at % 5)).collect()
}

async fn create_all(journal: &Arc<dyn Journal>, runs: Vec<(NewRun, Batch)>) {
    let count = runs.len();
    assert_eq!(journal.create_ended(runs).await, Ok(vec![true; count]));
}

async fn head(journal: &Arc<dyn Journal>, session: &str) -> Option<Head> {
    let found = journal.head(&tenant(), run("ann", session).id).await;
    found.expect("the store works")
}

async fn list(journal: &Arc<dyn Journal>, query: RunQuery) -> Vec<Head> {
    let mut query = RunQuery { tenant: tenant(), ..query };
    let mut all = Vec::new();
    loop {
        let page = journal.list(query.clone()).await.expect("the store works");
        assert!(page.runs.len() <= query.limit);
        all.extend(page.runs);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return all;
        }
    }
}

pub(super) async fn runs_that_are_over_are_created_together_and_each_once(mut subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let there = create(&journal, "ann", "there", 2).await;
    let gone = create(&journal, "ann", "gone", 2).await;
    journal.delete_run(&tenant(), gone.run.id, LATE).await.expect("the store works");
    let names = ["one", "there", "two", "gone", "one"];
    let runs = names.iter().zip(1..).map(|(name, count)| over("ann", name, count)).collect();
    assert_eq!(journal.create_ended(runs).await, Ok(vec![true, false, true, false, false]));
    assert_eq!(now(&journal, &there).await, there, "what was there is as it was");
    assert_eq!(read_all(&journal, &there).await, events(2));
    let again = journal.create_ended(vec![over("ann", "two", 9), over("ann", "three", 2)]).await;
    assert_eq!(again, Ok(vec![false, true]));
    assert_eq!(journal.create(run("ann", "two"), batch(9, events(1))).await.map(drop), Err(AppendError::Conflict));
    for reopened in [false, true] {
        if reopened {
            subject.reopen();
        }
        let journal = subject.journal();
        assert_eq!(head(&journal, "gone").await, None);
        for (name, count) in [("one", 1), ("two", 3), ("three", 2)] {
            let head = head(&journal, name).await.expect("it was created");
            let new = run("ann", name);
            assert_eq!((head.run.id, &head.tenant, head.kind), (new.id, &new.tenant, new.kind));
            assert_eq!((&head.name, &head.user, &head.session), (&new.name, &new.user, &new.session));
            assert_eq!((head.seq, head.status, head.wake_at), (count, RunStatus::Succeeded, None));
            assert_eq!(head.title, format!("of {name}"));
            assert_eq!((head.created_at, head.touched_at), (Timestamp(1_000), Timestamp(1_000)));
            assert_eq!(read_all(&journal, &head).await, events(count));
        }
        assert_eq!(journal.next_due().await, Ok(None), "nothing is left to be done");
        assert_eq!(journal.claim_due(LATE, LATE, 10).await, Ok(Vec::new()));
    }
}

pub(super) async fn a_run_that_was_created_over_is_a_run_as_any(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    create_all(&journal, many()).await;
    let before = head(&journal, "many 7").await.expect("it was created");
    let neighbour = head(&journal, "many 8").await.expect("it was created");
    assert_ne!(before.run.key, neighbour.run.key);
    let claimed = journal.claim(&tenant(), before.run.id, Timestamp(50_000)).await.expect("the store works");
    let claimed = claimed.expect("it is there");
    assert!(claimed.epoch > before.epoch, "{} after {}", claimed.epoch, before.epoch);
    assert_eq!(Head { epoch: before.epoch, wake_at: None, ..claimed.clone() }, before);
    let stale = Expected { seq: before.seq, epoch: before.epoch };
    assert_eq!(journal.append(before.run, stale, batch(2_000, events(1))).await, Err(AppendError::Conflict));
    let after = append(&journal, &claimed, batch(2_000, vec![event(9, "more")])).await;
    let mut all = events(3);
    all.push(event(9, "more"));
    assert_eq!((after.run, read_all(&journal, &after).await), (before.run, all));
    assert_eq!(now(&journal, &neighbour).await, neighbour, "its neighbour is as it was");
    assert_eq!(read_all(&journal, &neighbour).await, events(4));
    let answered = head(&journal, "many 9").await.expect("it was created");
    journal.signal(&tenant(), answered.run.id, "k", "hello".into(), Timestamp(3_000)).await.expect("it is there");
    assert_eq!(journal.signals(answered.run).await.map(|signals| signals.len()), Ok(1));
    assert_eq!(now(&journal, &answered).await.wake_at, Some(Timestamp(3_000)), "a signal makes it due");
    let pictured = head(&journal, "many 10").await.expect("it was created");
    journal.put_snapshot(pictured.run, 1, "state".into()).await.expect("it is there");
    assert_eq!(journal.get_snapshot(pictured.run).await, Ok(Some((1, "state".into()))));
    let source = head(&journal, "many 14").await.expect("it was created");
    let fork = journal.fork(source.run, 5, run("ann", "copy"), batch(4_000, vec![event(8, "own")])).await;
    let mut all = events(5);
    all.push(event(8, "own"));
    assert_eq!(read_all(&journal, &fork.expect("it ends a batch")).await, all);
    let listed = list(&journal, RunQuery { limit: 100, ..RunQuery::default() }).await;
    let ids: BTreeSet<_> = listed.iter().map(|head| (head.run.id, head.run.key)).collect();
    assert_eq!((listed.len() as u64, ids.len() as u64), (MANY + 1, MANY + 1), "each is listed once");
    for head in &listed {
        assert_eq!(now(&journal, head).await, *head);
    }
}

pub(super) async fn of_runs_that_are_created_together_all_or_none_are_written(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let (_, good) = over("ann", "bad", 1);
    let wrong = [
        Batch { status: RunStatus::Running, ..good.clone() },
        Batch { wake_at: Some(Timestamp(5)), ..good.clone() },
        Batch { events: Vec::new().into(), ..good.clone() },
        Batch { blobs: vec![ContentHash::of(b"nowhere")], ..good },
    ];
    for bad in wrong {
        let refused = journal.create_ended(vec![over("ann", "one", 1), (run("ann", "bad"), bad)]).await;
        assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
        assert_eq!((head(&journal, "one").await, head(&journal, "bad").await), (None, None));
    }
    assert_eq!(journal.create_ended(Vec::new()).await, Ok(Vec::new()));
}

pub(super) async fn runs_that_were_created_together_are_listed_in_pages(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    create(&journal, "ann", "before", 1).await;
    create_all(&journal, many()).await;
    let mut failed = over("bob", "failed", 1);
    failed.1.status = RunStatus::Failed;
    let mut named = over("bob", "named", 1);
    named.0.name = "other".into();
    create_all(&journal, vec![failed, named, over("bob", "good", 1)]).await;
    create(&journal, "ann", "after", 1).await;
    for limit in [1, 7, 100, 200] {
        let all = list(&journal, RunQuery { limit, ..RunQuery::default() }).await;
        assert_eq!(all.len() as u64, MANY + 5, "in pages of {limit}");
        let places: Vec<_> = all.iter().map(|head| (head.touched_at, head.run.key)).collect();
        assert!(places.windows(2).all(|pair| pair[0] > pair[1]), "each is listed once and in order");
        for head in all {
            assert_eq!(now(&journal, &head).await, head);
        }
    }
    let count = async |query: RunQuery| list(&journal, RunQuery { limit: 3, ..query }).await.len();
    let of = |user: &str| RunQuery { user: Some(user.into()), ..RunQuery::default() };
    assert_eq!(count(of("bob")).await, 3);
    assert_eq!(count(RunQuery { status: Some(RunStatus::Failed), ..of("bob") }).await, 1);
    assert_eq!(count(RunQuery { name: Some("other".into()), ..RunQuery::default() }).await, 1);
    assert_eq!(count(RunQuery { text: Some("MANY 11".into()), ..RunQuery::default() }).await, 11);
    assert_eq!(count(RunQuery { text: Some("of good".into()), ..RunQuery::default() }).await, 1);
}

pub(super) async fn runs_that_were_created_together_are_deleted_each_alone(mut subject: Box<dyn Subject>) {
    let journal = subject.journal();
    create_all(&journal, many()).await;
    let gone = head(&journal, "many 3").await.expect("it was created");
    let one = Ok(Deleted { runs: 1, blobs: 0 });
    assert_eq!(journal.delete_run(&tenant(), gone.run.id, LATE).await, one);
    assert_eq!(journal.delete_run(&tenant(), gone.run.id, LATE).await, Ok(Deleted::default()));
    for reopened in [false, true] {
        if reopened {
            subject.reopen();
        }
        let journal = subject.journal();
        assert_eq!(head(&journal, "many 3").await, None);
        assert_eq!(journal.read(gone.run, 0, 10).await, Ok(Vec::new()));
        assert_eq!(journal.claim(&tenant(), gone.run.id, LATE).await, Ok(None));
        let late = journal.append(gone.run, expected(&gone), batch(9, events(1))).await;
        assert_eq!(late, Err(AppendError::NotFound));
        assert_eq!(journal.create_ended(vec![over("ann", "many 3", 1)]).await, Ok(vec![false]), "it stays away");
        let kept = head(&journal, "many 4").await.expect("its neighbour is there");
        assert_eq!(read_all(&journal, &kept).await, events(5));
        let listed = list(&journal, RunQuery { limit: 200, ..RunQuery::default() }).await;
        assert_eq!(listed.len() as u64, MANY - 1);
    }
}

pub(super) async fn a_blob_goes_with_the_last_of_the_runs_that_were_created_together(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let blob = journal.put_blob(&tenant(), "the definition".into()).await.expect("the store works");
    let large = vec![event(1, "x".repeat(100_000))];
    let runs = ["one", "two", "three"].map(|name| {
        let (run, batch) = over("ann", name, 1);
        let events = if name == "two" { Arc::new(large.clone()) } else { batch.events };
        (run, Batch { blobs: vec![blob], events, ..batch })
    });
    create_all(&journal, runs.into()).await;
    let two = head(&journal, "two").await.expect("it was created");
    assert_eq!(read_all(&journal, &two).await, large);
    subject.advance(std::time::Duration::from_secs(7_200));
    journal.retain(Timestamp(0), 10).await.expect("the store works");
    let deleted = |name: &str| journal.delete_run(&tenant(), run("ann", name).id, LATE);
    assert_eq!(deleted("one").await, Ok(Deleted { runs: 1, blobs: 0 }));
    assert_eq!(journal.get_blob(&tenant(), blob).await, Ok(Some("the definition".into())));
    assert_eq!(deleted("two").await, Ok(Deleted { runs: 1, blobs: 1 }), "its large event goes with it");
    assert_eq!(deleted("three").await, Ok(Deleted { runs: 1, blobs: 1 }));
    assert_eq!(journal.get_blob(&tenant(), blob).await, Ok(None));
}

pub(super) async fn retention_and_the_deletion_of_a_person_take_runs_that_were_created_together(
    subject: Box<dyn Subject>,
) {
    let journal = subject.journal();
    create_all(&journal, many()).await;
    create_all(&journal, (0..40).map(|at| over("bob", &format!("{at}"), 2)).collect()).await;
    let of = |user: &str| RunQuery { user: Some(user.into()), limit: 200, ..RunQuery::default() };
    let copied = journal.head(&tenant(), run("bob", "5").id).await.expect("the store works").expect("it was created");
    journal.fork(copied.run, 2, run("cid", "copy"), batch(1_000, events(1))).await.expect("it ends a batch");
    let before = list(&journal, of("ann")).await.len();
    assert_eq!(journal.retain(Timestamp(1_000), 500).await, Ok(Deleted::default()), "it is not older than that");
    assert_eq!(journal.retain(Timestamp(1_001), 100).await.map(|deleted| deleted.runs), Ok(100), "as many as asked");
    let left = list(&journal, RunQuery { limit: 200, ..RunQuery::default() }).await;
    assert_eq!(left.len() as u64, MANY + 41 - 100);
    assert!(list(&journal, of("ann")).await.len() < before);
    let bobs = list(&journal, of("bob")).await.len() as u64;
    let copies = list(&journal, of("cid")).await.len() as u64;
    let deleted = journal.delete_user(&tenant(), &"bob".into(), LATE).await.expect("the store works");
    assert_eq!(deleted.runs, bobs + copies, "his runs, and the copy of one");
    assert_eq!(list(&journal, of("bob")).await, Vec::new());
    let anns = list(&journal, of("ann")).await;
    assert_eq!(anns.len() as u64, left.len() as u64 - bobs - copies, "nobody else's");
    for head in &anns {
        assert_eq!(read_all(&journal, head).await.len() as u64, head.seq);
    }
    assert_eq!(journal.retain(LATE, 1_000).await.map(|deleted| deleted.runs), Ok(anns.len() as u64));
    assert_eq!(list(&journal, RunQuery { limit: 10, ..RunQuery::default() }).await, Vec::new());
}
