//! The Documents port: small named records that are no run: state machines, batches, jobs, files, call records.

use super::BoxFuture;
use crate::{
    id::{Tenant, UserId},
    time::Timestamp,
};
use bytes::Bytes;

/// The largest body of a document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// The longest name of a collection or document, in bytes.
pub const MAX_DOCUMENT_NAME: usize = 512;

/// How many documents a page holds at most.
pub const MAX_DOCUMENTS: usize = 1_000;

/// How often a document was written; the first write gives 1.
pub type Revision = u64;

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name within the collection.
    pub id: String,
    /// The person whose it is; it goes when they are deleted.
    pub user: Option<UserId>,
    /// How often it was written.
    pub revision: Revision,
    /// When it was last written.
    pub at: Timestamp,
    /// What it says; whoever owns the collection knows the form.
    pub body: Bytes,
}

/// A document as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDocument {
    /// Its name within the collection, at most [`MAX_DOCUMENT_NAME`] bytes.
    pub id: String,
    /// The person whose it is: set wherever the body says who asked, or holds what they said.
    pub user: Option<UserId>,
    /// What it says, at most [`MAX_DOCUMENT_BYTES`].
    pub body: Bytes,
    /// What must be true for the write to happen.
    pub precondition: Precondition,
    /// The time of the write.
    pub at: Timestamp,
}

/// What must be true of the stored document for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    Any,
    /// There is none.
    Absent,
    /// It is at this revision.
    At(Revision),
}

/// Which documents a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentQuery {
    /// The collection.
    pub collection: String,
    /// Only ids that begin with this.
    pub prefix: String,
    /// Only ids after this one (in the page's order).
    pub after: Option<String>,
    /// Whether the largest id comes first.
    pub reverse: bool,
    /// How many at most, 1 to [`MAX_DOCUMENTS`].
    pub limit: usize,
}

/// Keeps documents by tenant, collection and id.
///
/// Promise: a write that returned is durable and visible to every later read; of two writes under the same
/// [`Precondition::At`] or [`Precondition::Absent`] one succeeds. Ids are ordered by their bytes. An id that was deleted
/// begins again at revision 1. No tombstone keeps the documents of a deleted person away: whoever goes on working on one
/// writes under [`Precondition::At`], and a [`DocumentError::Conflict`] ends the work.
pub trait Documents: Send + Sync {
    /// Writes a document; returns its new revision.
    ///
    /// # Errors
    /// [`DocumentError`].
    fn write(
        &self,
        tenant: &Tenant,
        collection: &str,
        document: NewDocument,
    ) -> BoxFuture<'static, Result<Revision, DocumentError>>;

    /// Writes a document that is nobody's; returns its new revision.
    ///
    /// # Errors
    /// [`DocumentError`].
    fn put(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
        body: Bytes,
        precondition: Precondition,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Revision, DocumentError>> {
        self.write(tenant, collection, NewDocument { id: id.to_owned(), user: None, body, precondition, at })
    }

    /// Returns a document; none when there is none.
    ///
    /// # Errors
    /// [`DocumentError::Store`].
    fn get(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
    ) -> BoxFuture<'static, Result<Option<Document>, DocumentError>>;

    /// Returns a page of documents in the order of their ids.
    ///
    /// # Errors
    /// [`DocumentError::Store`].
    fn list(&self, tenant: &Tenant, query: DocumentQuery) -> BoxFuture<'static, Result<Vec<Document>, DocumentError>>;

    /// Removes a document; returns whether there was one.
    ///
    /// # Errors
    /// [`DocumentError`].
    fn delete(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
        precondition: Precondition,
    ) -> BoxFuture<'static, Result<bool, DocumentError>>;

    /// Removes all documents of a person, in every collection; returns how many.
    ///
    /// # Errors
    /// [`DocumentError::Store`].
    fn delete_user(&self, tenant: &Tenant, user: &UserId) -> BoxFuture<'static, Result<u64, DocumentError>>;

    /// Returns the tenants that have documents in a collection, sorted: for work that is taken up after a start.
    ///
    /// # Errors
    /// [`DocumentError::Store`].
    fn tenants(&self, collection: &str) -> BoxFuture<'static, Result<Vec<Tenant>, DocumentError>>;
}

/// A document that was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The stored document is not as the writer expected. Terminal for this write; read again and decide anew.
    #[error("failed to write a document: it has changed meanwhile")]
    Conflict,
    /// The body or a name passes its limit. Terminal.
    #[error("failed to write a document: {what} has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The store failed; whether it wrote is not known. Retryable.
    #[error("failed to reach the documents: the store failed: {0}")]
    Store(String),
}
