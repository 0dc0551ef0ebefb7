//! The Records port over SQLite.

use super::{rows, worker::Worker};
use crate::fold::{Figures, Fold, matches, value};
use crate::pack;
use bedplate_core::{
    id::{RecordId, Tenant},
    port::{
        BoxFuture,
        records::{CallRecord, Costs, Dimension, MAX_RECORDS, Payload, RecordFilter, Records, RecordsError},
    },
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result};
use std::sync::Arc;

/// The records of a store.
pub(super) struct SqliteRecords {
    pub(super) writer: Arc<Worker>,
    pub(super) reader: Arc<Worker>,
}

impl Records for SqliteRecords {
    fn append(&self, records: Arc<[CallRecord]>) -> BoxFuture<'static, Result<(), RecordsError>> {
        let writer = self.writer.clone();
        Box::pin(async move { writer.run(move |conn| append(conn, &records)).await.map_err(RecordsError::Store) })
    }

    fn get(&self, tenant: &Tenant, id: RecordId) -> BoxFuture<'static, Result<Option<CallRecord>, RecordsError>> {
        let (reader, tenant) = (self.reader.clone(), tenant.clone());
        Box::pin(async move { reader.run(move |conn| get(conn, &tenant, id)).await.map_err(RecordsError::Store) })
    }

    fn list(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<CallRecord>, RecordsError>> {
        let reader = self.reader.clone();
        let (tenant, limit) = (tenant.clone(), limit.min(MAX_RECORDS));
        let read = move |conn: &mut Connection| {
            let mut found = Vec::new();
            each(conn, &tenant, &filter, before, "DESC", |record| {
                if found.len() < limit {
                    found.push(record);
                }
                found.len() < limit
            })?;
            Ok(found)
        };
        Box::pin(async move { reader.run(read).await.map_err(RecordsError::Store) })
    }

    fn costs(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        by: Vec<Dimension>,
    ) -> BoxFuture<'static, Result<Costs, RecordsError>> {
        let (reader, tenant) = (self.reader.clone(), tenant.clone());
        let read = move |conn: &mut Connection| costs(conn, &tenant, &filter, &by);
        Box::pin(async move { reader.run(read).await.map_err(RecordsError::Store)? })
    }

    fn forget(&self, tenant: &Tenant, user: &str) -> BoxFuture<'static, Result<u64, RecordsError>> {
        let (writer, tenant, user) = (self.writer.clone(), tenant.clone(), user.to_owned());
        let work = move |conn: &mut Connection| {
            let tx = conn.transaction()?;
            let of_user = "DELETE FROM payload WHERE tenant = ?1
                           AND id IN (SELECT id FROM record WHERE tenant = ?1 AND body ->> 'user' = ?2)";
            tx.execute(of_user, (tenant.as_str(), &user))?;
            // What a provider said may quote the request.
            let blank = "UPDATE record SET body = json_replace(
                             json_remove(body, '$.user', '$.session', '$.run', '$.tags'), '$.message', '')
                         WHERE tenant = ?1 AND body ->> 'user' = ?2";
            let changed = tx.execute(blank, (tenant.as_str(), &user))?;
            tx.commit()?;
            Ok(changed as u64)
        };
        Box::pin(async move { writer.run(work).await.map_err(RecordsError::Store) })
    }

    fn expire(&self, before: Timestamp) -> BoxFuture<'static, Result<u64, RecordsError>> {
        let writer = self.writer.clone();
        let work = move |conn: &mut Connection| {
            let tx = conn.transaction()?;
            let least = RecordId::least(before);
            tx.execute("DELETE FROM payload WHERE id < ?1", [&least.0[..]])?;
            let removed = tx.execute("DELETE FROM record WHERE id < ?1", [&least.0[..]])?;
            tx.commit()?;
            Ok(removed as u64)
        };
        Box::pin(async move { writer.run(work).await.map_err(RecordsError::Store) })
    }
}

fn append(conn: &mut Connection, records: &[CallRecord]) -> Result<()> {
    let tx = conn.transaction()?;
    {
        let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO record (tenant, id, body) VALUES (?1, ?2, ?3)")?;
        let mut log =
            tx.prepare_cached("INSERT OR IGNORE INTO payload (tenant, id, request, response) VALUES (?1, ?2, ?3, ?4)")?;
        for record in records {
            insert.execute((record.tenant.as_str(), &record.id.0[..], rows::body(record)?))?;
            if let Some(payload) = &record.payload {
                let [request, response] = [&payload.request, &payload.response].map(|content| pack::shrink(content));
                log.execute((record.tenant.as_str(), &record.id.0[..], request, response))?;
            }
        }
    }
    tx.commit()
}

fn get(conn: &Connection, tenant: &Tenant, id: RecordId) -> Result<Option<CallRecord>> {
    let key = (tenant.as_str(), &id.0[..]);
    let record = conn
        .prepare_cached("SELECT id, body, 0 FROM record WHERE tenant = ?1 AND id = ?2")?
        .query_row(key, |row| rows::read(tenant, row))
        .optional()?;
    let Some(mut record) = record else { return Ok(None) };
    let sql = "SELECT request, response FROM payload WHERE tenant = ?1 AND id = ?2";
    let read = |row: &rusqlite::Row<'_>| Ok([row.get::<_, Vec<u8>>(0)?, row.get(1)?]);
    if let Some([request, response]) = conn.prepare_cached(sql)?.query_row(key, read).optional()? {
        let plain = |packed: Vec<u8>| pack::restore(&packed).map_err(rows::unreadable);
        record.payload = Some(Box::new(Payload { request: plain(request)?.into(), response: plain(response)?.into() }));
    }
    Ok(Some(record))
}

fn costs(
    conn: &Connection,
    tenant: &Tenant,
    filter: &RecordFilter,
    by: &[Dimension],
) -> Result<Result<Costs, RecordsError>> {
    let (mut fold, mut added) = (Fold::new(), Ok(()));
    each(conn, tenant, filter, None, "ASC", |record| {
        added = fold.add(by.iter().map(|dimension| value(dimension, &record)).collect(), &Figures::of(&record));
        added.is_ok()
    })?;
    Ok(added.map(|()| fold.finish()))
}

/// Hands the records of a tenant that `filter` means to `take`, in the order of their ids, until it says that it has
/// enough. A payload that there is, is empty.
fn each(
    conn: &Connection,
    tenant: &Tenant,
    filter: &RecordFilter,
    before: Option<RecordId>,
    order: &str,
    mut take: impl FnMut(CallRecord) -> bool,
) -> Result<()> {
    // An id begins with the time of its call.
    let from = filter.from.map_or([0; 16], |from| RecordId::least(from).0);
    let to = filter.to.map_or([u8::MAX; 16], |to| RecordId::least(to).0);
    let to = before.map_or(to, |before| before.0.min(to));
    let logged = "EXISTS (SELECT 1 FROM payload p WHERE p.tenant = record.tenant AND p.id = record.id)";
    let sql =
        format!("SELECT id, body, {logged} FROM record WHERE tenant = ?1 AND id >= ?2 AND id < ?3 ORDER BY id {order}");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query((tenant.as_str(), &from[..], &to[..]))?;
    while let Some(row) = rows.next()? {
        let record = rows::read(tenant, row)?;
        if matches(filter, &record) && !take(record) {
            break;
        }
    }
    Ok(())
}
