//! Snapshots.

use super::{Subject, fixture::*};
use bedplate_core::port::journal::{AppendError, RunRef};

pub(super) async fn the_latest_snapshot_is_kept(mut subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 9).await;
    let other = create(&journal, "bob", "chat", 9).await;
    assert_eq!(journal.get_snapshot(head.run).await, Ok(None));
    for (seq, state, latest) in
        [(3, "three", (3, "three")), (5, "five", (5, "five")), (4, "four", (5, "five")), (5, "5", (5, "5"))]
    {
        journal.put_snapshot(head.run, seq, state.into()).await.expect("the run exists");
        let kept = journal.get_snapshot(head.run).await.expect("the store works");
        assert_eq!(kept, Some((latest.0, latest.1.into())));
    }
    assert_eq!(journal.get_snapshot(other.run).await, Ok(None));
    drop(journal);
    subject.reopen();
    let journal = subject.journal();
    assert_eq!(journal.get_snapshot(head.run).await, Ok(Some((5, "5".into()))));
    assert_eq!(now(&journal, &head).await, head, "a snapshot changes no head");
}

pub(super) async fn a_snapshot_needs_its_run(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 2).await;
    let nobody = RunRef { id: head.run.id, key: head.run.key + 1 };
    assert_eq!(journal.put_snapshot(nobody, 1, "x".into()).await, Err(AppendError::NotFound));
    assert_eq!(journal.get_snapshot(nobody).await, Ok(None));
    let early = journal.put_snapshot(head.run, 3, "x".into()).await;
    assert!(matches!(early, Err(AppendError::Invalid(_))), "a snapshot of what did not happen: {early:?}");
}
