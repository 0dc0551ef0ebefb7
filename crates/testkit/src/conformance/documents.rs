//! The promises of the Documents port. [`all`] is the visible list; each adapter's tests run it.

use bedplate_core::{
    id::{Tenant, UserId},
    port::documents::{
        DocumentError, DocumentQuery, Documents, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_NAME, NewDocument, Precondition,
    },
    time::Timestamp,
};
use bytes::Bytes;
use std::sync::Arc;

/// An adapter under test. Each one begins empty.
pub trait Subject: Send + Sync {
    /// Returns the documents.
    fn documents(&self) -> Arc<dyn Documents>;

    /// Ends the process that holds the store, as far as the store can tell, and opens it again.
    fn reopen(&mut self);
}

/// Checks every promise, each on a fresh adapter.
///
/// # Panics
/// When a promise is broken.
pub async fn all(fresh: impl Fn() -> Box<dyn Subject>) {
    a_document_reads_back_as_it_was_written(fresh()).await;
    a_write_needs_what_it_expects(fresh()).await;
    of_two_writes_with_the_same_expectation_one_succeeds(fresh()).await;
    a_deletion_needs_what_it_expects(fresh()).await;
    a_page_shows_what_was_asked_for_in_order(fresh()).await;
    ids_are_ordered_by_their_bytes(fresh()).await;
    tenants_and_collections_are_apart(fresh()).await;
    a_deleted_person_leaves_no_document_and_takes_nobody_elses(fresh()).await;
    what_is_too_large_is_refused(fresh()).await;
    what_was_acknowledged_survives_the_process(fresh()).await;
}

/// A body comes back byte for byte, with its revision, its time and its person.
///
/// # Panics
/// When the promise is broken.
pub async fn a_document_reads_back_as_it_was_written(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    assert_eq!(documents.get(&acme(), "c", "id").await, Ok(None));
    let body = Bytes::from((0..=255).collect::<Vec<u8>>());
    let written = documents.put(&acme(), "c", "id", body.clone(), Precondition::Any, Timestamp(7)).await;
    assert_eq!(written, Ok(1));
    let found = documents.get(&acme(), "c", "id").await.expect("the store works").expect("it was written");
    assert_eq!((found.id.as_str(), found.user, found.revision, found.at), ("id", None, 1, Timestamp(7)));
    assert_eq!(found.body, body);
    let mine = NewDocument { user: Some("ann".into()), ..new("id", "") };
    assert_eq!(documents.write(&acme(), "c", mine).await, Ok(2));
    let found = documents.get(&acme(), "c", "id").await.expect("the store works").expect("it was written");
    assert_eq!((found.user, found.revision, found.body.len()), (Some(UserId::from("ann")), 2, 0));
    assert_eq!(documents.get(&acme(), "c", "ID").await, Ok(None), "ids are exact");
}

/// A precondition that is not met refuses the write and changes nothing.
///
/// # Panics
/// When the promise is broken.
pub async fn a_write_needs_what_it_expects(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    let write = |body: &'static str, precondition| {
        documents.put(&acme(), "c", "id", Bytes::from_static(body.as_bytes()), precondition, Timestamp(1))
    };
    assert_eq!(write("a", Precondition::At(1)).await, Err(DocumentError::Conflict));
    assert_eq!(write("b", Precondition::Absent).await, Ok(1));
    assert_eq!(write("c", Precondition::Absent).await, Err(DocumentError::Conflict));
    assert_eq!(write("d", Precondition::At(2)).await, Err(DocumentError::Conflict));
    assert_eq!(read(&documents, &acme(), "c", "id").await.as_deref(), Some("b"));
    assert_eq!(write("e", Precondition::At(1)).await, Ok(2));
    assert_eq!(write("f", Precondition::At(1)).await, Err(DocumentError::Conflict));
    assert_eq!(write("g", Precondition::Any).await, Ok(3));
    assert_eq!(read(&documents, &acme(), "c", "id").await.as_deref(), Some("g"));
}

/// Of writes that race under one expectation exactly one is done.
///
/// # Panics
/// When the promise is broken.
pub async fn of_two_writes_with_the_same_expectation_one_succeeds(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    for precondition in [Precondition::Absent, Precondition::At(1)] {
        let write = |body: &'static str| documents.put(&acme(), "c", "id", body.into(), precondition, Timestamp(1));
        let (a, b, c) = futures::join!(write("a"), write("b"), write("c"));
        let done = [&a, &b, &c].iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(done, 1, "{a:?} {b:?} {c:?}");
    }
}

/// A deletion tells whether there was something, and an id begins anew after it.
///
/// # Panics
/// When the promise is broken.
pub async fn a_deletion_needs_what_it_expects(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    let delete = |precondition| documents.delete(&acme(), "c", "id", precondition);
    assert_eq!(delete(Precondition::Any).await, Ok(false));
    assert_eq!(delete(Precondition::Absent).await, Ok(false));
    assert_eq!(delete(Precondition::At(1)).await, Err(DocumentError::Conflict));
    documents.write(&acme(), "c", new("id", "a")).await.expect("the store works");
    documents.write(&acme(), "c", new("id", "b")).await.expect("the store works");
    assert_eq!(delete(Precondition::At(1)).await, Err(DocumentError::Conflict));
    assert_eq!(delete(Precondition::Absent).await, Err(DocumentError::Conflict));
    assert_eq!(delete(Precondition::At(2)).await, Ok(true));
    assert_eq!(documents.get(&acme(), "c", "id").await, Ok(None));
    assert_eq!(documents.write(&acme(), "c", new("id", "c")).await, Ok(1), "an id that was deleted begins anew");
}

/// A page is bounded by prefix, place and limit, forwards and backwards.
///
/// # Panics
/// When the promise is broken.
pub async fn a_page_shows_what_was_asked_for_in_order(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    for id in ["b/2", "a", "b/1", "b", "b/3", "c"] {
        documents.write(&acme(), "c", new(id, id)).await.expect("the store works");
    }
    let all = query("c");
    let cases: [(DocumentQuery, &[&str]); 8] = [
        (all.clone(), &["a", "b", "b/1", "b/2", "b/3", "c"]),
        (DocumentQuery { reverse: true, ..all.clone() }, &["c", "b/3", "b/2", "b/1", "b", "a"]),
        (DocumentQuery { prefix: "b/".into(), ..all.clone() }, &["b/1", "b/2", "b/3"]),
        (DocumentQuery { prefix: "b/".into(), after: Some("b/1".into()), limit: 1, ..all.clone() }, &["b/2"]),
        (
            DocumentQuery { prefix: "b/".into(), after: Some("b/3".into()), reverse: true, ..all.clone() },
            &["b/2", "b/1"],
        ),
        (DocumentQuery { prefix: "b/".into(), after: Some("a".into()), ..all.clone() }, &["b/1", "b/2", "b/3"]),
        (DocumentQuery { after: Some("bb".into()), ..all.clone() }, &["c"]),
        (DocumentQuery { limit: 0, ..all.clone() }, &["a"]),
    ];
    for (query, expected) in cases {
        let found = documents.list(&acme(), query.clone()).await.expect("the store works");
        assert_eq!(found.iter().map(|document| document.id.as_str()).collect::<Vec<_>>(), expected, "{query:?}");
        assert!(found.iter().all(|document| document.body == document.id), "a list shows bodies");
    }
}

/// The order of ids is that of their bytes, whatever characters they have.
///
/// # Panics
/// When the promise is broken.
pub async fn ids_are_ordered_by_their_bytes(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    let mut ids = vec!["Z", "a", "é", "漢", "\u{10ffff}", "\u{10ffff}x", "a%b", "a_b", "a\u{0}b", "10", "9"];
    for id in &ids {
        documents.write(&acme(), "c", new(id, id)).await.expect("the store works");
    }
    ids.sort_unstable();
    let found = documents.list(&acme(), query("c")).await.expect("the store works");
    assert_eq!(found.iter().map(|document| document.id.as_str()).collect::<Vec<_>>(), ids);
    for (prefix, expected) in [("\u{10ffff}", 2), ("a%", 1), ("a_", 1), ("a", 4)] {
        let found = documents.list(&acme(), DocumentQuery { prefix: prefix.into(), ..query("c") }).await;
        assert_eq!(found.expect("the store works").len(), expected, "{prefix}");
    }
}

/// Nothing of another tenant or collection is read, written or removed, and `tenants` names who has something.
///
/// # Panics
/// When the promise is broken.
pub async fn tenants_and_collections_are_apart(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    let places = [(acme(), "c"), (other(), "c"), (acme(), "d"), (Tenant::from("zoo"), "cc")];
    for (tenant, collection) in &places {
        let body = format!("{tenant:?} {collection}");
        documents.write(tenant, collection, new("id", &body)).await.expect("the store works");
    }
    for (tenant, collection) in &places {
        let expected = format!("{tenant:?} {collection}");
        assert_eq!(read(&documents, tenant, collection, "id").await, Some(expected));
        assert_eq!(documents.list(tenant, query(collection)).await.map(|found| found.len()), Ok(1));
    }
    assert_eq!(documents.tenants("c").await, Ok(vec![acme(), other()]));
    assert_eq!(documents.tenants("d").await, Ok(vec![acme()]));
    assert_eq!(documents.tenants("nothing").await, Ok(Vec::new()));
    assert_eq!(documents.delete(&acme(), "c", "id", Precondition::Any).await, Ok(true));
    assert_eq!(documents.tenants("c").await, Ok(vec![other()]));
}

/// Deleting a person removes their documents in all collections and nothing else.
///
/// # Panics
/// When the promise is broken.
pub async fn a_deleted_person_leaves_no_document_and_takes_nobody_elses(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    for index in 0..230 {
        let of = if index % 2 == 0 { "c" } else { "d" };
        let mine = NewDocument { user: Some("ann".into()), ..new(&format!("{index}"), "x") };
        documents.write(&acme(), of, mine).await.expect("the store works");
    }
    let theirs = [(acme(), "bob", Some("bob".into())), (acme(), "nobody", None), (other(), "ann", Some("ann".into()))];
    for (tenant, id, user) in &theirs {
        let document = NewDocument { user: user.clone(), ..new(id, "x") };
        documents.write(tenant, "c", document).await.expect("the store works");
    }
    assert_eq!(documents.delete_user(&acme(), &"ann".into()).await, Ok(230));
    assert_eq!(documents.delete_user(&acme(), &"ann".into()).await, Ok(0));
    assert_eq!(documents.list(&acme(), query("d")).await, Ok(Vec::new()));
    for (tenant, id, _) in &theirs {
        assert!(documents.get(tenant, "c", id).await.expect("the store works").is_some(), "{id}");
    }
    let late = NewDocument { user: Some("ann".into()), precondition: Precondition::At(1), ..new("1", "late") };
    assert_eq!(documents.write(&acme(), "d", late).await, Err(DocumentError::Conflict), "work under way ends");
}

/// A name or body over its limit is refused and leaves nothing.
///
/// # Panics
/// When the promise is broken.
pub async fn what_is_too_large_is_refused(subject: Box<dyn Subject>) {
    let documents = subject.documents();
    let long = "n".repeat(MAX_DOCUMENT_NAME + 1);
    let fits = &long[1..];
    let big = Bytes::from(vec![0; MAX_DOCUMENT_BYTES + 1]);
    let refused = |outcome| matches!(outcome, Err(DocumentError::TooLarge { .. }));
    assert!(refused(documents.write(&acme(), &long, new("id", "")).await));
    assert!(refused(documents.write(&acme(), "c", new(&long, "")).await));
    assert!(refused(documents.write(&acme(), "c", NewDocument { body: big.clone(), ..new("id", "") }).await));
    assert_eq!(documents.list(&acme(), query("c")).await, Ok(Vec::new()));
    let largest = NewDocument { body: big.slice(1..), ..new(fits, "") };
    assert_eq!(documents.write(&acme(), fits, largest).await, Ok(1));
    let found = documents.get(&acme(), fits, fits).await.expect("the store works").expect("it was written");
    assert_eq!(found.body.len(), MAX_DOCUMENT_BYTES);
}

/// A write or deletion that returned is there after the process is gone.
///
/// # Panics
/// When the promise is broken.
pub async fn what_was_acknowledged_survives_the_process(mut subject: Box<dyn Subject>) {
    let documents = subject.documents();
    for id in ["a", "b"] {
        documents.write(&acme(), "c", new(id, id)).await.expect("the store works");
    }
    documents.delete(&acme(), "c", "a", Precondition::At(1)).await.expect("the store works");
    drop(documents);
    subject.reopen();
    let documents = subject.documents();
    let found = documents.list(&acme(), query("c")).await.expect("the store works");
    assert_eq!(found.iter().map(|document| (document.id.as_str(), document.revision)).collect::<Vec<_>>(), [("b", 1)]);
}

async fn read(documents: &Arc<dyn Documents>, tenant: &Tenant, collection: &str, id: &str) -> Option<String> {
    let found = documents.get(tenant, collection, id).await.expect("the store works");
    found.map(|document| String::from_utf8_lossy(&document.body).into_owned())
}

fn new(id: &str, body: &str) -> NewDocument {
    let body = Bytes::copy_from_slice(body.as_bytes());
    NewDocument { id: id.into(), user: None, body, precondition: Precondition::Any, at: Timestamp(1) }
}

fn query(collection: &str) -> DocumentQuery {
    DocumentQuery { collection: collection.into(), limit: 1_000, ..DocumentQuery::default() }
}

fn acme() -> Tenant {
    Tenant::from("acme")
}

fn other() -> Tenant {
    Tenant::from("other")
}
