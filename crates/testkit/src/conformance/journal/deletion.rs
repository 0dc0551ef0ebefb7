//! Forks, deletion and retention.

use super::{Subject, fixture::*};
use bedplate_core::{
    id::{RunId, Tenant, UserId},
    port::journal::{AppendError, Deleted, RunQuery, RunStatus, SignalError},
    time::Timestamp,
};

const AT: Timestamp = Timestamp(5_000);

pub(super) async fn a_deleted_run_is_gone_and_its_id_is_not_used_again(mut subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let kept = create(&journal, "bob", "chat", 3).await;
    let head = create(&journal, "ann", "chat", 3).await;
    let id = head.run.id;
    journal.signal(&tenant(), id, "k", "secret".into(), Timestamp(1)).await.expect("the run exists");
    journal.put_snapshot(head.run, 2, "state".into()).await.expect("the run exists");
    assert_eq!(journal.delete_run(&tenant(), id, AT).await, Ok(Deleted { runs: 1, blobs: 0 }));
    for reopened in [false, true] {
        if reopened {
            subject.reopen();
        }
        let journal = subject.journal();
        assert_eq!(journal.head(&tenant(), id).await, Ok(None));
        assert_eq!(journal.read(head.run, 0, 10).await, Ok(Vec::new()));
        assert_eq!(journal.signals(head.run).await, Ok(Vec::new()));
        assert_eq!(journal.get_snapshot(head.run).await, Ok(None));
        assert_eq!(journal.claim(&tenant(), id, AT).await, Ok(None));
        assert_eq!(journal.append(head.run, expected(&head), batch(9, events(1))).await, Err(AppendError::NotFound));
        assert_eq!(journal.put_snapshot(head.run, 1, "s".into()).await, Err(AppendError::NotFound));
        let signal = journal.signal(&tenant(), id, "k2", "x".into(), AT).await;
        assert_eq!(signal, Err(SignalError::NotFound));
        let again = journal.create(run("ann", "chat"), batch(9, events(1))).await;
        assert_eq!(again.map(|head| head.seq), Err(AppendError::Conflict), "a late start must not bring it back");
        let forked = journal.fork(kept.run, 3, run("ann", "chat"), batch(9, events(1))).await;
        assert_eq!(forked.map(|head| head.seq), Err(AppendError::Conflict));
        let next = create(&journal, "ann", &format!("next {reopened}"), 1).await;
        assert_ne!(next.run.key, head.run.key, "a key never names another run");
        assert_eq!(read_all(&journal, &kept).await, events(3));
    }
}

pub(super) async fn deleting_what_is_not_there_removes_nothing(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    let other = Tenant::from("other");
    assert_eq!(journal.delete_run(&other, head.run.id, AT).await, Ok(Deleted::default()));
    assert_eq!(journal.delete_run(&tenant(), RunId::derive(&[b"nobody"]), AT).await, Ok(Deleted::default()));
    assert_eq!(journal.delete_user(&other, &"ann".into(), AT).await, Ok(Deleted::default()));
    assert_eq!(now(&journal, &head).await, head);
    assert_eq!(journal.delete_run(&tenant(), head.run.id, AT).await, Ok(Deleted { runs: 1, blobs: 0 }));
    assert_eq!(journal.delete_run(&tenant(), head.run.id, AT).await, Ok(Deleted::default()), "twice is once");
}

pub(super) async fn deleting_a_user_takes_all_runs_and_forks_and_nobody_elses(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let ann = create(&journal, "ann", "chat", 2).await;
    for index in 0..70 {
        create(&journal, "ann", &format!("more {index}"), 1).await;
    }
    let bob = create(&journal, "bob", "chat", 2).await;
    let elsewhere =
        journal.create(run_of(&Tenant::from("other"), "ann", "chat"), batch(1, events(1))).await.expect("new");
    // Bob forks Ann's run, and then his own fork; both hold what Ann said.
    let fork = journal.fork(ann.run, 2, run("bob", "fork"), batch(2, events(1))).await.expect("the run is new");
    let again =
        journal.fork(fork.run, 3, run("bob", "fork of fork"), batch(2, events(1))).await.expect("the run is new");
    assert_eq!(again.user, UserId::from("bob"));
    let deleted = journal.delete_user(&tenant(), &"ann".into(), AT).await;
    assert_eq!(deleted, Ok(Deleted { runs: 73, blobs: 0 }));
    for gone in [&ann, &fork, &again] {
        assert_eq!(journal.head(&tenant(), gone.run.id).await, Ok(None));
    }
    assert_eq!(now(&journal, &bob).await, bob);
    assert_eq!(now(&journal, &elsewhere).await, elsewhere);
    let again = journal.create(run("ann", "chat"), batch(9, events(1))).await;
    assert_eq!(again.map(|head| head.seq), Err(AppendError::Conflict));
}

pub(super) async fn retention_takes_idle_runs_that_nobody_touched(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    for (session, at, status) in [
        ("old", 10, RunStatus::Idle),
        ("older", 5, RunStatus::Idle),
        ("old but running", 5, RunStatus::Running),
        ("old but waiting", 5, RunStatus::Waiting),
        ("old but called", 5, RunStatus::Idle),
        ("touched at the limit", 20, RunStatus::Idle),
        ("new", 30, RunStatus::Idle),
    ] {
        let mut first = batch(at, events(1));
        first.status = status;
        journal.create(run("ann", session), first).await.expect("the run is new");
    }
    let called = run("ann", "old but called").id;
    journal.signal(&tenant(), called, "k", "x".into(), Timestamp(6)).await.expect("the run exists");
    assert_eq!(journal.retain(Timestamp(20), 1).await, Ok(Deleted { runs: 1, blobs: 0 }));
    assert_eq!(journal.head(&tenant(), run("ann", "older").id).await, Ok(None), "the oldest goes first");
    assert_eq!(journal.retain(Timestamp(20), 100).await, Ok(Deleted { runs: 1, blobs: 0 }));
    assert_eq!(journal.retain(Timestamp(20), 100).await, Ok(Deleted { runs: 0, blobs: 0 }));
    let query = RunQuery { tenant: tenant(), limit: 100, ..RunQuery::default() };
    let left = journal.list(query).await.expect("the store works").runs;
    let mut left: Vec<_> = left.iter().map(|head| head.session.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["new", "old but called", "old but running", "old but waiting", "touched at the limit"]);
}

pub(super) async fn a_fork_begins_with_a_copy_and_goes_its_own_way(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let source = create(&journal, "ann", "chat", 2).await;
    let source = append(&journal, &source, batch(1_500, vec![event(9, "three")])).await;
    let source = append(&journal, &source, batch(1_600, vec![event(9, "not copied")])).await;
    journal.signal(&tenant(), source.run.id, "k", "x".into(), Timestamp(1)).await.expect("the run exists");
    let mut first = batch(2_000, vec![event(9, "own")]);
    first.wake_at = Some(Timestamp(7_000));
    let fork = journal.fork(source.run, 3, run("ann", "fork"), first).await.expect("the run is new");
    assert_eq!((fork.seq, fork.wake_at, fork.created_at), (4, Some(Timestamp(7_000)), Timestamp(2_000)));
    let mut copied = events(2);
    copied.extend([event(9, "three"), event(9, "own")]);
    assert_eq!(read_all(&journal, &fork).await, copied);
    let entries = journal.read(fork.run, 0, 100).await.expect("the store works");
    assert_eq!(entries.iter().map(|entry| entry.at.0).collect::<Vec<_>>(), [1_000, 1_000, 1_500, 2_000]);
    assert_eq!(journal.signals(fork.run).await, Ok(Vec::new()), "signals are not copied");
    let fork = append(&journal, &fork, batch(3_000, events(1))).await;
    let source = now(&journal, &source).await;
    append(&journal, &source, batch(3_000, events(2))).await;
    assert_eq!((read_all(&journal, &fork).await.len(), read_all(&journal, &source).await.len()), (5, 6));
    journal.delete_run(&tenant(), source.run.id, AT).await.expect("the store works");
    assert_eq!(read_all(&journal, &fork).await.len(), 5, "a fork lives on without its source");
    let again = journal.fork(fork.run, 5, run("ann", "fork"), batch(1, events(1))).await;
    assert_eq!(again.map(|head| head.seq), Err(AppendError::Conflict));
}

pub(super) async fn a_fork_ends_at_the_end_of_a_batch(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    // Batches end at 2, 3, 6.
    let mut head = create(&journal, "ann", "chat", 2).await;
    for count in [1, 3] {
        head = append(&journal, &head, batch(2, events(count))).await;
    }
    for at in 0..9 {
        let forked = journal.fork(head.run, at, run("ann", &format!("fork {at}")), batch(3, events(1))).await;
        match at {
            2 | 3 | 6 => assert_eq!(forked.map(|head| head.seq), Ok(at + 1)),
            _ => assert!(matches!(forked, Err(AppendError::Invalid(_))), "{at}: {forked:?}"),
        }
    }
    let other = run_of(&Tenant::from("other"), "ann", "fork");
    let foreign = journal.fork(head.run, 2, other, batch(3, events(1))).await;
    assert_eq!(foreign.map(|head| head.seq), Err(AppendError::NotFound), "another tenant's run is none");
    let empty = journal.fork(head.run, 2, run("ann", "empty"), batch(3, Vec::new())).await;
    assert!(matches!(empty, Err(AppendError::Invalid(_))), "{empty:?}");
}

pub(super) async fn a_fork_keeps_the_blobs_that_it_shows(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let [early, late] = ["x", "y"].map(|text| vec![event(1, text.repeat(50_000))]);
    let source = journal.create(run("ann", "chat"), batch(1, early.clone())).await.expect("the run is new");
    let source = append(&journal, &source, batch(2, late)).await;
    let fork = journal.fork(source.run, 1, run("ann", "fork"), batch(3, events(1))).await.expect("the run is new");
    let deleted = journal.delete_run(&tenant(), source.run.id, AT).await;
    assert_eq!(deleted, Ok(Deleted { runs: 1, blobs: 1 }), "the later event was the source's alone");
    assert_eq!(read_all(&journal, &fork).await[..1], early);
    let deleted = journal.delete_run(&tenant(), fork.run.id, AT).await;
    assert_eq!(deleted, Ok(Deleted { runs: 1, blobs: 1 }));
}

pub(super) async fn a_long_run_is_forked_whole(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let mut source = create(&journal, "ann", "chat", 1).await;
    for index in 0..99 {
        source = append(&journal, &source, batch(2, vec![event(index, format!("{index}"))])).await;
    }
    for at in [1, 31, 32, 33, 64, 65, 99, 100] {
        let fork = journal.fork(source.run, at, run("ann", &format!("{at}")), batch(3, events(1))).await.expect("new");
        let (original, copy) = (read_all(&journal, &source).await, read_all(&journal, &fork).await);
        let at = usize::try_from(at).expect("it is small");
        assert_eq!((copy.len(), &copy[..at]), (at + 1, &original[..at]));
        let mut fork = fork;
        for index in 0..40 {
            fork = append(&journal, &fork, batch(4, vec![event(index, "own")])).await;
        }
        assert_eq!(read_all(&journal, &fork).await.len(), at + 41);
    }
}
