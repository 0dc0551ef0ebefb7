//! Documents of one collection as values: JSON with its revision.

use crate::{ApiError, access::Identity};
use bedplate_core::{
    id::{Tenant, UserId},
    port::documents::{Document, DocumentError, DocumentQuery, Documents, NewDocument, Precondition, Revision},
    time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, sync::Arc};

/// A value of a shelf, and whose it is.
pub(super) trait Kept: Serialize + DeserializeOwned {
    /// The collection.
    const COLLECTION: &'static str;

    /// Returns its id.
    fn id(&self) -> &str;

    /// Returns whose it is.
    fn user(&self) -> &UserId;
}

/// Where a page of a list that has the latest first begins.
pub(super) enum Cursor {
    /// After this one, with what is older; none: at the latest.
    After(Option<String>),
    /// It ends before this one, with what is newer.
    Before(String),
}

/// The values of one kind of a tenant.
pub(super) struct Shelf<T> {
    documents: Arc<dyn Documents>,
    tenant: Tenant,
    kind: PhantomData<fn() -> T>,
}

impl<T: Kept> Shelf<T> {
    pub(super) fn new(documents: &Arc<dyn Documents>, tenant: &Tenant) -> Self {
        Self { documents: Arc::clone(documents), tenant: tenant.clone(), kind: PhantomData }
    }

    pub(super) async fn get(&self, id: &str) -> Result<Option<(T, Revision)>, DocumentError> {
        self.documents.get(&self.tenant, T::COLLECTION, id).await?.map(read).transpose()
    }

    /// Returns a value that `identity` may see; to anybody else it does not exist.
    pub(super) async fn find(&self, id: &str, identity: &Identity) -> Result<Option<(T, Revision)>, ApiError> {
        let found = self.get(id).await.map_err(failed)?;
        Ok(found.filter(|(value, _)| identity.sees_user(value.user())))
    }

    /// Writes a value; returns its new revision.
    pub(super) async fn put(&self, value: &T, when: Precondition, at: Timestamp) -> Result<Revision, DocumentError> {
        let body = serde_json::to_vec(value).map_err(|error| DocumentError::Store(error.to_string()))?;
        let (id, user) = (value.id().to_owned(), Some(value.user().clone()));
        let document = NewDocument { id, user, body: body.into(), precondition: when, at };
        self.documents.write(&self.tenant, T::COLLECTION, document).await
    }

    pub(super) async fn delete(&self, id: &str) -> Result<bool, DocumentError> {
        self.documents.delete(&self.tenant, T::COLLECTION, id, Precondition::Any).await
    }

    /// Returns a page, the latest first, of those whose ids begin with `prefix` and that `identity` may see, and whether
    /// there is more in the cursor's direction.
    pub(super) async fn page(
        &self,
        prefix: &str,
        identity: &Identity,
        cursor: Cursor,
        limit: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<(Vec<T>, bool), ApiError> {
        let (mut after, reverse) = match cursor {
            Cursor::After(id) => (id, true),
            Cursor::Before(id) => (Some(id), false),
        };
        let mut found = Vec::new();
        let latest_first = |mut found: Vec<T>| {
            if !reverse {
                found.reverse();
            }
            found
        };
        loop {
            let query = DocumentQuery {
                collection: T::COLLECTION.to_owned(),
                prefix: prefix.to_owned(),
                after,
                reverse,
                limit: 100,
            };
            let page = self.documents.list(&self.tenant, query).await.map_err(failed)?;
            let Some(last) = page.last() else { return Ok((latest_first(found), false)) };
            after = Some(last.id.clone());
            for document in page {
                let (value, _) = read::<T>(document).map_err(failed)?;
                if identity.sees_user(value.user()) && keep(&value) {
                    if found.len() == limit {
                        return Ok((latest_first(found), true));
                    }
                    found.push(value);
                }
            }
        }
    }
}

fn read<T: DeserializeOwned>(document: Document) -> Result<(T, Revision), DocumentError> {
    let value = serde_json::from_slice(&document.body).map_err(|error| DocumentError::Store(error.to_string()))?;
    Ok((value, document.revision))
}

/// Returns the error of a document that was not read or written, for a client.
pub(super) fn failed(error: DocumentError) -> ApiError {
    match error {
        DocumentError::Conflict => ApiError::conflict("changed_meanwhile", "it has changed meanwhile; try again"),
        DocumentError::TooLarge { .. } => {
            ApiError::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", error.to_string())
        }
        DocumentError::Store(message) => ApiError::store(&message),
    }
}
