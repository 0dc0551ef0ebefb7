//! The Documents port over SQLite.

use super::{
    readers::Readers,
    writer::{StoreFailure, WriterHandle},
};
use crate::documents::{check, end_of, meets};
use bedplate_core::{
    id::{Tenant, UserId},
    port::{
        BoxFuture,
        documents::{
            Document, DocumentError, DocumentQuery, Documents, MAX_DOCUMENTS, NewDocument, Precondition, Revision,
        },
    },
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result, Row};
use std::sync::Arc;

/// The documents of a store.
pub(super) struct SqliteDocuments {
    pub(super) writer: Arc<WriterHandle>,
    pub(super) readers: Arc<Readers>,
}

/// How many documents of a person one transaction removes at most, so that others need not wait long.
const CHUNK: u64 = 100;

const COLUMNS: &str = "id, user, revision, at, body";

impl StoreFailure for DocumentError {
    fn store_failed(message: String) -> Self {
        Self::Store(message)
    }
}

impl Documents for SqliteDocuments {
    fn write(
        &self,
        tenant: &Tenant,
        collection: &str,
        document: NewDocument,
    ) -> BoxFuture<'static, Result<Revision, DocumentError>> {
        let (writer, tenant, collection) = (self.writer.clone(), tenant.clone(), collection.to_owned());
        Box::pin(async move {
            check(&collection, &document)?;
            writer.run(move |writer| store(&writer.conn, &tenant, &collection, &document)).await
        })
    }

    fn get(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
    ) -> BoxFuture<'static, Result<Option<Document>, DocumentError>> {
        let (readers, tenant) = (self.readers.clone(), tenant.clone());
        let (collection, id) = (collection.to_owned(), id.to_owned());
        Box::pin(async move {
            readers
                .run(move |conn| {
                    let sql =
                        format!("SELECT {COLUMNS} FROM document WHERE collection = ?1 AND tenant = ?2 AND id = ?3");
                    let place = (&collection, tenant.as_str(), &id);
                    conn.prepare_cached(&sql)?.query_row(place, from_row).optional().map(Ok)
                })
                .await
        })
    }

    fn list(&self, tenant: &Tenant, query: DocumentQuery) -> BoxFuture<'static, Result<Vec<Document>, DocumentError>> {
        let (readers, tenant) = (self.readers.clone(), tenant.clone());
        Box::pin(async move { readers.run(move |conn| page(conn, &tenant, &query).map(Ok)).await })
    }

    fn delete(
        &self,
        tenant: &Tenant,
        collection: &str,
        id: &str,
        precondition: Precondition,
    ) -> BoxFuture<'static, Result<bool, DocumentError>> {
        let (writer, tenant) = (self.writer.clone(), tenant.clone());
        let (collection, id) = (collection.to_owned(), id.to_owned());
        Box::pin(async move {
            writer
                .run(move |writer| {
                    let stored = stored(&writer.conn, &tenant, &collection, &id)?;
                    if let Err(conflict) = meets(precondition, stored.map(|(_, revision)| revision)) {
                        return Ok(Err(conflict));
                    }
                    let Some((key, _)) = stored else { return Ok(Ok(false)) };
                    writer.conn.prepare_cached("DELETE FROM document WHERE key = ?1")?.execute([key])?;
                    Ok(Ok(true))
                })
                .await
        })
    }

    fn delete_user(&self, tenant: &Tenant, user: &UserId) -> BoxFuture<'static, Result<u64, DocumentError>> {
        let (writer, tenant, user) = (self.writer.clone(), tenant.clone(), user.clone());
        Box::pin(async move {
            let mut removed = 0;
            loop {
                let (tenant, user) = (tenant.clone(), user.clone());
                let sql = "DELETE FROM document WHERE key IN
                           (SELECT key FROM document WHERE tenant = ?1 AND user = ?2 LIMIT ?3)";
                let some = move |conn: &Connection| {
                    conn.prepare_cached(sql)?.execute((tenant.as_str(), user.as_str(), CHUNK.cast_signed()))
                };
                let some: u64 =
                    writer.run(move |writer| Ok::<_, rusqlite::Error>(Ok(some(&writer.conn)? as u64))).await?;
                removed += some;
                if some < CHUNK {
                    return Ok(removed);
                }
            }
        })
    }

    fn tenants(&self, collection: &str) -> BoxFuture<'static, Result<Vec<Tenant>, DocumentError>> {
        let (readers, collection) = (self.readers.clone(), collection.to_owned());
        Box::pin(async move { readers.run(move |conn| tenants(conn, &collection).map(Ok)).await })
    }
}

/// Writes a document when its precondition is met.
fn store(
    conn: &Connection,
    tenant: &Tenant,
    collection: &str,
    document: &NewDocument,
) -> Result<Result<Revision, DocumentError>> {
    let stored = stored(conn, tenant, collection, &document.id)?;
    if let Err(conflict) = meets(document.precondition, stored.map(|(_, revision)| revision)) {
        return Ok(Err(conflict));
    }
    let user = document.user.as_ref().map(|user| user.as_str());
    let Some((key, revision)) = stored else {
        let sql = "INSERT INTO document (collection, tenant, id, user, revision, at, body)
                   VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)";
        let values = (collection, tenant.as_str(), &document.id, user, document.at.0, &document.body[..]);
        conn.prepare_cached(sql)?.execute(values)?;
        return Ok(Ok(1));
    };
    let revision = revision + 1;
    let sql = "UPDATE document SET user = ?2, revision = ?3, at = ?4, body = ?5 WHERE key = ?1";
    let values = (key, user, revision.cast_signed(), document.at.0, &document.body[..]);
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(Ok(revision))
}

/// Returns the key and the revision of a document.
fn stored(conn: &Connection, tenant: &Tenant, collection: &str, id: &str) -> Result<Option<(i64, Revision)>> {
    let sql = "SELECT key, revision FROM document WHERE collection = ?1 AND tenant = ?2 AND id = ?3";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
    conn.prepare_cached(sql)?.query_row((collection, tenant.as_str(), id), read).optional()
}

/// Returns a page; every bound is one of the index, so that a page reads its own rows only.
fn page(conn: &Connection, tenant: &Tenant, query: &DocumentQuery) -> Result<Vec<Document>> {
    let end = end_of(&query.prefix);
    // A bound that is not wanted is left out of the text and not of the values, so that the places stay the same.
    let below = if end.is_some() { "AND id < ?4" } else { "AND ?4 IS NULL" };
    let (after, order) = match (&query.after, query.reverse) {
        (Some(_), false) => ("AND id > ?5", "ASC"),
        (Some(_), true) => ("AND id < ?5", "DESC"),
        (None, false) => ("AND ?5 IS NULL", "ASC"),
        (None, true) => ("AND ?5 IS NULL", "DESC"),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM document WHERE collection = ?1 AND tenant = ?2 AND id >= ?3 {below} {after}
         ORDER BY id {order} LIMIT ?6"
    );
    let limit = i64::try_from(query.limit.clamp(1, MAX_DOCUMENTS)).unwrap_or(i64::MAX);
    let values = (&query.collection, tenant.as_str(), &query.prefix, &end, &query.after, limit);
    conn.prepare_cached(&sql)?.query_map(values, from_row)?.collect()
}

/// Returns the tenants of a collection, by one look into the index for each.
fn tenants(conn: &Connection, collection: &str) -> Result<Vec<Tenant>> {
    let sql = "WITH RECURSIVE found (tenant) AS (
                   SELECT min(tenant) FROM document WHERE collection = ?1
                   UNION ALL
                   SELECT (SELECT min(tenant) FROM document WHERE collection = ?1 AND tenant > found.tenant)
                   FROM found WHERE found.tenant IS NOT NULL)
               SELECT tenant FROM found WHERE tenant IS NOT NULL";
    let read = |row: &Row<'_>| row.get::<_, String>(0).map(Tenant::from);
    conn.prepare_cached(sql)?.query_map([collection], read)?.collect()
}

fn from_row(row: &Row<'_>) -> Result<Document> {
    Ok(Document {
        id: row.get(0)?,
        user: row.get::<_, Option<String>>(1)?.map(Into::into),
        revision: row.get::<_, i64>(2)?.cast_unsigned(),
        at: Timestamp(row.get(3)?),
        body: row.get::<_, Vec<u8>>(4)?.into(),
    })
}
