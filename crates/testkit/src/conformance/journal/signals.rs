//! The inbox of a run.

use super::{Subject, fixture::*};
use bedplate_core::{
    id::{RunId, Tenant},
    port::journal::{
        AppendError, Journal, MAX_BATCH_BYTES, MAX_SIGNALS, RunStatus, Signal, SignalError, SignalOutcome,
    },
    time::Timestamp,
};
use std::sync::Arc;

async fn send(journal: &Arc<dyn Journal>, run: RunId, key: &str, at: i64) -> SignalOutcome {
    let body = format!("body of {key}").into();
    journal.signal(&tenant(), run, key, body, Timestamp(at)).await.expect("the run exists")
}

async fn waiting(journal: &Arc<dyn Journal>, run: bedplate_core::port::journal::RunRef) -> Vec<Signal> {
    journal.signals(run).await.expect("the store works")
}

pub(super) async fn a_signal_makes_its_run_due_and_waits_until_it_is_consumed(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    assert_eq!(send(&journal, head.run.id, "k1", 50).await, SignalOutcome::Stored);
    assert_eq!(journal.next_due().await, Ok(Some(Timestamp(50))));
    let claimed = journal.claim_due(Timestamp(50), Timestamp(500), 10).await.expect("the store works");
    assert_eq!(claimed.iter().map(|head| head.run).collect::<Vec<_>>(), [head.run]);
    let [signal] = &waiting(&journal, head.run).await[..] else { panic!("one signal waits") };
    assert_eq!((signal.key.as_str(), &signal.body[..], signal.at), ("k1", &b"body of k1"[..], Timestamp(50)));
    let mut consuming = batch(60, events(1));
    consuming.consumed = vec![signal.id];
    let after = append(&journal, &claimed[0], consuming).await;
    assert_eq!((waiting(&journal, head.run).await, after.wake_at), (Vec::new(), None));
    // A signal makes a run due earlier, never later.
    let mut timer = batch(70, events(1));
    timer.wake_at = Some(Timestamp(80));
    append(&journal, &after, timer).await;
    send(&journal, head.run.id, "k2", 90).await;
    assert_eq!(journal.next_due().await, Ok(Some(Timestamp(80))));
}

pub(super) async fn a_second_signal_with_a_key_is_dropped_also_after_the_first_was_consumed(
    mut subject: Box<dyn Subject>,
) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    let other = create(&journal, "bob", "chat", 1).await;
    assert_eq!(send(&journal, head.run.id, "key", 1).await, SignalOutcome::Stored);
    assert_eq!(send(&journal, head.run.id, "key", 2).await, SignalOutcome::Duplicate);
    assert_eq!(send(&journal, other.run.id, "key", 2).await, SignalOutcome::Stored, "keys are a run's own");
    let mut consuming = batch(3, events(1));
    consuming.consumed = waiting(&journal, head.run).await.iter().map(|signal| signal.id).collect();
    append(&journal, &head, consuming).await;
    assert_eq!(send(&journal, head.run.id, "key", 4).await, SignalOutcome::Duplicate);
    assert_eq!(now(&journal, &head).await.wake_at, None, "a dropped signal makes nothing due");
    drop(journal);
    subject.reopen();
    let journal = subject.journal();
    assert_eq!(send(&journal, head.run.id, "key", 5).await, SignalOutcome::Duplicate);
    assert_eq!(send(&journal, head.run.id, "other key", 5).await, SignalOutcome::Stored);
    assert_eq!(waiting(&journal, head.run).await.len(), 1);
}

pub(super) async fn signals_come_oldest_first_and_at_most_fifty(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let mut head = create(&journal, "ann", "chat", 1).await;
    for index in 0..70_i64 {
        send(&journal, head.run.id, &format!("key {index}"), 1_000 - index).await;
    }
    let first = waiting(&journal, head.run).await;
    assert_eq!(first.len(), MAX_SIGNALS);
    assert!(first.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!((first[0].key.as_str(), first[49].key.as_str()), ("key 0", "key 49"));
    let mut consuming = batch(2, events(1));
    consuming.consumed = first.iter().rev().map(|signal| signal.id).collect();
    head = append(&journal, &head, consuming).await;
    let rest = waiting(&journal, head.run).await;
    assert_eq!((rest.len(), rest[0].key.as_str()), (20, "key 50"));
    assert!(rest[0].id > first[49].id, "numbers ascend also after others were consumed");
}

pub(super) async fn a_signal_that_came_meanwhile_keeps_the_run_due(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    send(&journal, head.run.id, "read", 5).await;
    let head = journal.claim(&tenant(), head.run.id, Timestamp(500)).await.expect("it works").expect("it exists");
    let read = waiting(&journal, head.run).await;
    send(&journal, head.run.id, "came meanwhile", 6).await;
    let mut done = batch(7, events(1));
    done.status = RunStatus::Idle;
    done.consumed = vec![read[0].id];
    append(&journal, &head, done).await;
    let due = journal.claim_due(Timestamp(7), Timestamp(900), 10).await.expect("the store works");
    assert_eq!(due.len(), 1, "otherwise the signal would wait for ever");
    assert_eq!(waiting(&journal, head.run).await[0].key, "came meanwhile");
}

pub(super) async fn a_signal_is_consumed_once_or_the_append_is_refused(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    send(&journal, head.run.id, "k", 5).await;
    let id = waiting(&journal, head.run).await[0].id;
    let mut consuming = batch(7, events(1));
    for wrong in [vec![id, id], vec![id, id + 1], vec![-1]] {
        consuming.consumed = wrong;
        let refused = journal.append(head.run, expected(&head), consuming.clone()).await;
        assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
    }
    consuming.consumed = vec![id];
    let head = append(&journal, &head, consuming.clone()).await;
    let refused = journal.append(head.run, expected(&head), consuming).await;
    assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
}

pub(super) async fn a_refused_append_consumes_no_signal(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    send(&journal, head.run.id, "k", 5).await;
    let mut consuming = batch(7, events(1));
    consuming.consumed = vec![waiting(&journal, head.run).await[0].id];
    let mut stale = expected(&head);
    stale.seq += 1;
    assert_eq!(journal.append(head.run, stale, consuming).await, Err(AppendError::Conflict));
    assert_eq!(waiting(&journal, head.run).await.len(), 1);
}

pub(super) async fn a_signal_to_nobody_or_of_too_many_bytes_is_refused(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    let (run, at) = (head.run.id, Timestamp(1));
    let nobody = RunId::derive(&[b"nobody"]);
    assert_eq!(journal.signal(&tenant(), nobody, "k", "x".into(), at).await, Err(SignalError::NotFound));
    let other = Tenant::from("other");
    assert_eq!(journal.signal(&other, run, "k", "x".into(), at).await, Err(SignalError::NotFound));
    let large = vec![b'x'; MAX_BATCH_BYTES + 1];
    let refused = journal.signal(&tenant(), run, "k", large.into(), at).await;
    assert_eq!(refused, Err(SignalError::TooLarge(MAX_BATCH_BYTES + 1)));
    let most = vec![b'x'; MAX_BATCH_BYTES];
    assert_eq!(journal.signal(&tenant(), run, "k", most.clone().into(), at).await, Ok(SignalOutcome::Stored));
    assert_eq!(waiting(&journal, head.run).await[0].body, most);
}
