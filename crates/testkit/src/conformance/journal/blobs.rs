//! Large events, limits, blobs and who keeps them.

use super::{Subject, fixture::*};
use bedplate_core::{
    id::{ContentHash, Tenant},
    port::journal::{AppendError, Deleted, MAX_BATCH_BYTES, MAX_EVENT_BYTES, MAX_INLINE_BYTES},
    time::Timestamp,
};
use std::time::Duration;

pub(super) async fn a_large_event_is_read_back_as_it_was(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let sizes = [MAX_INLINE_BYTES - 200, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, MAX_BATCH_BYTES * 3];
    let written: Vec<_> = sizes.into_iter().map(|bytes| event(1, "ü".repeat(bytes / 2))).chain(events(2)).collect();
    let head = journal.create(run("ann", "chat"), batch(1, written.clone())).await.expect("only inline bytes count");
    assert_eq!(read_all(&journal, &head).await, written);
    // The same large event again, in another run and in this one.
    let other = journal.create(run("bob", "chat"), batch(1, written.clone())).await.expect("the run is new");
    let head = append(&journal, &head, batch(2, written.clone())).await;
    assert_eq!(read_all(&journal, &other).await, written);
    assert_eq!(read_all(&journal, &head).await.len(), 2 * written.len());
}

pub(super) async fn a_batch_over_a_limit_is_refused_for_good(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    let much = vec![event(1, "x".repeat(MAX_INLINE_BYTES - 500)); 9];
    let refused = journal.append(head.run, expected(&head), batch(2, much.clone())).await;
    let Err(AppendError::TooLarge { bytes, limit: MAX_BATCH_BYTES, .. }) = refused else { panic!("{refused:?}") };
    assert!(bytes > MAX_BATCH_BYTES);
    let huge = vec![event(1, "x".repeat(MAX_EVENT_BYTES))];
    let refused = journal.append(head.run, expected(&head), batch(2, huge.clone())).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { limit: MAX_EVENT_BYTES, .. })), "{refused:?}");
    let refused = journal.create(run("bob", "chat"), batch(2, huge)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })), "{refused:?}");
    let mut many = batch(2, events(1));
    many.consumed = (1..=51).collect();
    let refused = journal.append(head.run, expected(&head), many).await;
    assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
    assert_eq!(now(&journal, &head).await, head, "nothing was written");
    append(&journal, &head, batch(2, much[..7].to_vec())).await;
}

pub(super) async fn a_blob_is_kept_once_and_for_its_tenant_only(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let content = bytes::Bytes::from(vec![0, 255, 1, 254]);
    let hash = journal.put_blob(&tenant(), content.clone()).await.expect("the store works");
    assert_eq!(hash, ContentHash::of(&content));
    assert_eq!(journal.put_blob(&tenant(), content.clone()).await, Ok(hash));
    assert_eq!(journal.get_blob(&tenant(), hash).await, Ok(Some(content)));
    assert_eq!(journal.get_blob(&Tenant::from("other"), hash).await, Ok(None));
    assert_eq!(journal.get_blob(&tenant(), ContentHash::of(b"else")).await, Ok(None));
    let refused = journal.put_blob(&tenant(), vec![0; MAX_EVENT_BYTES + 1].into()).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })), "{refused:?}");
}

pub(super) async fn an_append_cannot_refer_to_a_blob_that_is_not_stored(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let hash = journal.put_blob(&Tenant::from("other"), "theirs".into()).await.expect("the store works");
    let mut referring = batch(1, events(1));
    referring.blobs = vec![hash];
    let refused = journal.create(run("ann", "chat"), referring.clone()).await;
    assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
    let head = create(&journal, "ann", "chat", 1).await;
    let refused = journal.append(head.run, expected(&head), referring.clone()).await;
    assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
    journal.put_blob(&tenant(), "theirs".into()).await.expect("the store works");
    append(&journal, &head, referring).await;
}

pub(super) async fn a_blob_goes_with_the_last_run_that_refers_to_it(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let hash = journal.put_blob(&tenant(), "agent definition".into()).await.expect("the store works");
    let mut referring = batch(1, events(1));
    referring.blobs = vec![hash, hash];
    let ann = journal.create(run("ann", "chat"), referring.clone()).await.expect("the run is new");
    let ann = append(&journal, &ann, referring.clone()).await;
    let bob = create(&journal, "bob", "chat", 1).await;
    let bob = append(&journal, &bob, referring).await;
    let deleted = journal.delete_run(&tenant(), ann.run.id, Timestamp(5)).await;
    assert_eq!(deleted, Ok(Deleted { runs: 1, blobs: 0 }));
    assert!(journal.get_blob(&tenant(), hash).await.expect("the store works").is_some(), "bob still needs it");
    let deleted = journal.delete_run(&tenant(), bob.run.id, Timestamp(5)).await;
    assert_eq!(deleted, Ok(Deleted { runs: 1, blobs: 1 }));
    assert_eq!(journal.get_blob(&tenant(), hash).await, Ok(None));
}

pub(super) async fn a_large_event_goes_with_its_run(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let large = vec![event(1, "x".repeat(MAX_INLINE_BYTES)), event(2, "y".repeat(MAX_INLINE_BYTES))];
    let ann = journal.create(run("ann", "chat"), batch(1, large.clone())).await.expect("the run is new");
    let bob = journal.create(run("bob", "chat"), batch(1, large[..1].to_vec())).await.expect("the run is new");
    let deleted = journal.delete_run(&tenant(), ann.run.id, Timestamp(5)).await;
    assert_eq!(deleted, Ok(Deleted { runs: 1, blobs: 1 }), "bob's journal holds the other one");
    assert_eq!(read_all(&journal, &bob).await, large[..1]);
    let deleted = journal.delete_run(&tenant(), bob.run.id, Timestamp(5)).await;
    assert_eq!(deleted, Ok(Deleted { runs: 1, blobs: 1 }));
}

pub(super) async fn a_blob_that_no_run_refers_to_is_kept_for_an_hour(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let used = journal.put_blob(&tenant(), "used".into()).await.expect("the store works");
    let unused = journal.put_blob(&tenant(), "unused".into()).await.expect("the store works");
    let mut referring = batch(1, events(1));
    referring.blobs = vec![used];
    journal.create(run("ann", "chat"), referring).await.expect("the run is new");
    subject.advance(Duration::from_secs(3_500));
    let again = journal.put_blob(&tenant(), "put again".into()).await.expect("the store works");
    assert_eq!(journal.retain(Timestamp(0), 100).await, Ok(Deleted { runs: 0, blobs: 0 }));
    subject.advance(Duration::from_secs(200));
    journal.put_blob(&tenant(), "put again".into()).await.expect("the store works");
    assert_eq!(journal.retain(Timestamp(0), 100).await, Ok(Deleted { runs: 0, blobs: 1 }));
    for (hash, kept) in [(used, true), (unused, false), (again, true)] {
        assert_eq!(journal.get_blob(&tenant(), hash).await.expect("the store works").is_some(), kept);
    }
}

pub(super) async fn a_blob_put_again_is_not_taken_away_with_an_old_run(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let hash = journal.put_blob(&tenant(), "definition".into()).await.expect("the store works");
    let mut referring = batch(1, events(1));
    referring.blobs = vec![hash];
    let old = journal.create(run("ann", "old"), referring.clone()).await.expect("the run is new");
    // Somebody puts it for a new run; before that run refers to it, the old one is deleted.
    journal.put_blob(&tenant(), "definition".into()).await.expect("the store works");
    journal.delete_run(&tenant(), old.run.id, Timestamp(5)).await.expect("the store works");
    journal.create(run("ann", "new"), referring).await.expect("the blob was put for this run");
    assert!(journal.get_blob(&tenant(), hash).await.expect("the store works").is_some());
}
