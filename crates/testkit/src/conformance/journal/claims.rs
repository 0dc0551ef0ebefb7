//! Claims, leases and what is due.

use super::{Subject, fixture::*};
use bedplate_core::{
    id::{RunId, Tenant},
    port::journal::{AppendError, Batch, Head, RunStatus},
    time::Timestamp,
};

fn due_at(at: i64) -> Batch {
    let mut batch = batch(1, events(1));
    batch.status = RunStatus::Running;
    batch.wake_at = Some(Timestamp(at));
    batch
}

fn sessions(heads: &[Head]) -> Vec<&str> {
    heads.iter().map(|head| head.session.as_str()).collect()
}

pub(super) async fn a_claim_fences_every_older_one(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let created = create(&journal, "ann", "chat", 1).await;
    let mut older = created.clone();
    for round in 0..5 {
        let lease = Timestamp(100 + round);
        let claimed =
            journal.claim(&tenant(), created.run.id, lease).await.expect("the store works").expect("it exists");
        assert!(claimed.epoch > older.epoch);
        assert_eq!((claimed.seq, claimed.wake_at), (created.seq, Some(lease)));
        assert_eq!(now(&journal, &claimed).await, claimed);
        let zombie = journal.append(older.run, expected(&older), batch(2, events(1))).await;
        assert_eq!(zombie, Err(AppendError::Conflict));
        older = claimed;
    }
    append(&journal, &older, batch(2, events(1))).await;
}

pub(super) async fn a_claim_stays_within_its_tenant(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    let until = Timestamp(100);
    assert_eq!(journal.claim(&Tenant::from("other"), head.run.id, until).await, Ok(None));
    assert_eq!(journal.claim(&tenant(), RunId::derive(&[b"nobody"]), until).await, Ok(None));
    assert_eq!(now(&journal, &head).await, head);
}

pub(super) async fn what_is_due_is_claimed_once_until_its_lease_ends(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    for (session, at) in [("second", 20), ("first", 10), ("later", 31)] {
        journal.create(run("ann", session), due_at(at)).await.expect("the run is new");
    }
    assert_eq!(journal.claim_due(Timestamp(9), Timestamp(100), 10).await, Ok(Vec::new()));
    let claimed = journal.claim_due(Timestamp(30), Timestamp(100), 10).await.expect("the store works");
    assert_eq!(sessions(&claimed), ["first", "second"]);
    for head in &claimed {
        assert_eq!(head.wake_at, Some(Timestamp(100)));
        assert_eq!(now(&journal, head).await, *head, "the returned head is the new one");
    }
    assert_eq!(journal.claim_due(Timestamp(30), Timestamp(100), 10).await, Ok(Vec::new()));
    let again = journal.claim_due(Timestamp(100), Timestamp(200), 10).await.expect("the store works");
    assert_eq!(again.len(), 3, "leases that ended are due");
    let first = &claimed[0];
    let zombie = journal.append(first.run, expected(first), batch(2, events(1))).await;
    assert_eq!(zombie, Err(AppendError::Conflict));
    // A lease that is over at once does not make one call claim a run twice.
    let past = journal.claim_due(Timestamp(300), Timestamp(0), 10).await.expect("the store works");
    assert_eq!(past.len(), 3);
}

pub(super) async fn runs_that_wait_for_nothing_are_never_due(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    create(&journal, "ann", "idle", 1).await;
    let head = journal.create(run("ann", "busy"), due_at(10)).await.expect("the run is new");
    append(&journal, &head, batch(5, events(1))).await;
    assert_eq!(journal.claim_due(Timestamp(i64::MAX), Timestamp(i64::MAX), 10).await, Ok(Vec::new()));
    assert_eq!(journal.next_due().await, Ok(None));
}

pub(super) async fn the_limit_bounds_what_is_claimed(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    for index in 0..7_i64 {
        journal.create(run("ann", &index.to_string()), due_at(10 + index)).await.expect("the run is new");
    }
    let mut claimed = Vec::new();
    for wanted in [3, 3, 1, 0] {
        let some = journal.claim_due(Timestamp(50), Timestamp(100), 3).await.expect("the store works");
        assert_eq!(some.len(), wanted);
        claimed.extend(some);
    }
    assert_eq!(sessions(&claimed), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(journal.claim_due(Timestamp(1_000), Timestamp(2_000), 0).await, Ok(Vec::new()));
}

pub(super) async fn work_of_a_dead_process_is_due_at_once(mut subject: Box<dyn Subject>) {
    let journal = subject.journal();
    for (session, at) in [("a", 10_000), ("b", 20_000), ("c", 30_000)] {
        journal.create(run("ann", session), due_at(at)).await.expect("the run is new");
    }
    create(&journal, "ann", "idle", 1).await;
    let mut held =
        journal.claim(&tenant(), run("ann", "b").id, Timestamp(99_000)).await.expect("it works").expect("it exists");
    for _ in 0..100 {
        held = journal.claim(&tenant(), held.run.id, Timestamp(99_000)).await.expect("it works").expect("it exists");
    }
    drop(journal);
    subject.reopen();
    let journal = subject.journal();
    assert!(journal.next_due().await.expect("the store works").is_some_and(|at| at <= Timestamp(0)), "at once");
    let mut recovered = journal.claim_due(Timestamp(1), Timestamp(500), 2).await.expect("the store works");
    recovered.extend(journal.claim_due(Timestamp(1), Timestamp(500), 2).await.expect("the store works"));
    let mut names = sessions(&recovered);
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c"], "each once, and the idle one not at all");
    assert_eq!(journal.claim_due(Timestamp(1), Timestamp(500), 2).await, Ok(Vec::new()));
    assert_eq!(journal.next_due().await, Ok(Some(Timestamp(500))));
    let zombie = journal.append(held.run, expected(&held), batch(2, events(1))).await;
    assert_eq!(zombie, Err(AppendError::Conflict), "the dead process's claim is fenced");
    for head in &recovered {
        append(&journal, head, batch(2, events(1))).await;
    }
}

pub(super) async fn next_due_tells_the_earliest_time(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    assert_eq!(journal.next_due().await, Ok(None));
    create(&journal, "ann", "idle", 1).await;
    let later = journal.create(run("ann", "later"), due_at(40)).await.expect("the run is new");
    journal.create(run("ann", "sooner"), due_at(30)).await.expect("the run is new");
    assert_eq!(journal.next_due().await, Ok(Some(Timestamp(30))));
    let mut moved = batch(2, events(1));
    moved.wake_at = Some(Timestamp(20));
    append(&journal, &later, moved).await;
    assert_eq!(journal.next_due().await, Ok(Some(Timestamp(20))));
    journal.claim_due(Timestamp(35), Timestamp(90), 10).await.expect("the store works");
    assert_eq!(journal.next_due().await, Ok(Some(Timestamp(90))));
}
