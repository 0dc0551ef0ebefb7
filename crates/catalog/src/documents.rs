//! The catalog's documents: where each kind lies, read and written as what it says.

use crate::{Catalog, Scope, StoreError};
use bedplate_core::{
    id::Tenant,
    port::documents::{DocumentError, DocumentQuery, MAX_DOCUMENTS, Precondition, Revision},
    time::Timestamp,
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// State machines by scope and name.
pub(crate) const MACHINES: &str = "states.machines";
/// Versions by scope, name and number.
pub(crate) const VERSIONS: &str = "states.versions";
/// Aliases by scope, state machine and name.
pub(crate) const ALIASES: &str = "states.aliases";
/// Activities by scope and name.
pub(crate) const ACTIVITIES: &str = "states.activities";
/// Texts of definitions by their hash.
pub(crate) const DEFINITIONS: &str = "states.definitions";

/// How often a change is tried again when somebody else was faster.
pub(crate) const ATTEMPTS: usize = 16;

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// What the page before ended with.
    pub after: Option<String>,
    /// How many at most; 0 means the usual number, 100.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What it shows.
    pub items: Vec<T>,
    /// What the next page begins after; none at the end.
    pub next: Option<String>,
}

/// Returns the id of something of a scope. The parts have no slash: names may not.
pub(crate) fn id(scope: &Scope, parts: &[&str]) -> String {
    let mut id = format!("{}/{}", scope.region, scope.account);
    for part in parts {
        id.push('/');
        id.push_str(part);
    }
    id
}

/// Returns the last part of an id.
fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or_default()
}

impl Catalog {
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Reads a document; none when there is none.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
    ) -> Result<Option<(T, Revision)>, StoreError> {
        match self.0.documents.get(tenant, collection, id).await? {
            Some(document) => Ok(Some((parse(&document.body)?, document.revision))),
            None => Ok(None),
        }
    }

    /// Writes a document; returns whether it was as the writer expected.
    pub(crate) async fn write<T: Serialize>(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
        value: &T,
        precondition: Precondition,
    ) -> Result<bool, StoreError> {
        let body = serde_json::to_vec(value).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        match self.0.documents.put(tenant, collection, id, Bytes::from(body), precondition, self.now()).await {
            Ok(_) => Ok(true),
            Err(DocumentError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a document, whatever it says.
    pub(crate) async fn remove(&self, tenant: &Tenant, collection: &str, id: &str) -> Result<bool, StoreError> {
        Ok(self.0.documents.delete(tenant, collection, id, Precondition::Any).await?)
    }

    /// Reads a page of documents whose ids begin with `prefix`.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        tenant: &Tenant,
        collection: &str,
        prefix: &str,
        query: &PageQuery,
        reverse: bool,
    ) -> Result<Page<T>, StoreError> {
        let limit = if query.limit == 0 { 100 } else { query.limit.min(MAX_DOCUMENTS - 1) };
        let ask = DocumentQuery {
            collection: collection.to_owned(),
            prefix: prefix.to_owned(),
            after: query.after.as_ref().map(|after| format!("{prefix}{after}")),
            reverse,
            limit: limit + 1,
        };
        let mut found = self.0.documents.list(tenant, ask).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|document| last(&document.id).to_owned());
        let items = found.iter().map(|document| parse(&document.body)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// Removes all documents whose ids begin with `prefix`.
    pub(crate) async fn clear(&self, tenant: &Tenant, collection: &str, prefix: &str) -> Result<(), StoreError> {
        loop {
            let ask = DocumentQuery {
                collection: collection.to_owned(),
                prefix: prefix.to_owned(),
                limit: MAX_DOCUMENTS,
                ..DocumentQuery::default()
            };
            let found = self.0.documents.list(tenant, ask).await?;
            for document in &found {
                self.remove(tenant, collection, &document.id).await?;
            }
            if found.len() < MAX_DOCUMENTS {
                return Ok(());
            }
        }
    }
}

/// Reads what a document says.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body).map_err(|error| StoreError::Unreadable(error.to_string()))
}
