//! The Records port over SQLite.

use super::{rows, worker::Worker};
use crate::fold::{Figures, Fold, time_value};
use crate::pack;
use bedplate_core::{
    id::{RecordId, Tenant},
    port::{
        BoxFuture,
        records::{CallRecord, Costs, Dimension, MAX_RECORDS, Payload, RecordFilter, Records, RecordsError},
    },
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result, params_from_iter, types::Value};
use std::{fmt::Write, sync::Arc};

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
        let mut query = Query::new(tenant, &filter);
        if let Some(before) = before {
            query.and("id < ", Value::Blob(before.0.to_vec()));
        }
        let columns = rows::COLUMNS;
        let logged = "EXISTS (SELECT 1 FROM payload p WHERE p.tenant = call.tenant AND p.id = call.id)";
        let limit = limit.min(MAX_RECORDS);
        let sql = format!("SELECT {columns}, {logged} FROM call {} ORDER BY id DESC LIMIT {limit}", query.condition);
        let read = move |conn: &mut Connection| {
            let mut statement = conn.prepare_cached(&sql)?;
            let found = statement.query_map(params_from_iter(query.values), rows::read)?;
            found.collect::<Result<Vec<_>>>()
        };
        Box::pin(async move { reader.run(read).await.map_err(RecordsError::Store) })
    }

    fn costs(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        by: Vec<Dimension>,
    ) -> BoxFuture<'static, Result<Costs, RecordsError>> {
        let (reader, query) = (self.reader.clone(), Query::new(tenant, &filter));
        let read = move |conn: &mut Connection| costs(conn, query, &by);
        Box::pin(async move { reader.run(read).await.map_err(RecordsError::Store)? })
    }

    fn forget(&self, tenant: &Tenant, user: &str) -> BoxFuture<'static, Result<u64, RecordsError>> {
        let (writer, tenant, user) = (self.writer.clone(), tenant.clone(), user.to_owned());
        let work = move |conn: &mut Connection| {
            let tx = conn.transaction()?;
            let of_user = "DELETE FROM payload WHERE tenant = ?1
                           AND id IN (SELECT id FROM call WHERE tenant = ?1 AND user = ?2)";
            tx.execute(of_user, (tenant.as_str(), &user))?;
            // What a provider said may quote the request.
            let blank = "UPDATE call SET user = NULL, session = NULL, run = NULL, tags = NULL,
                         message = CASE WHEN message IS NULL THEN NULL ELSE '' END
                         WHERE tenant = ?1 AND user = ?2";
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
            let removed = tx.execute("DELETE FROM call WHERE id < ?1", [&least.0[..]])?;
            tx.commit()?;
            Ok(removed as u64)
        };
        Box::pin(async move { writer.run(work).await.map_err(RecordsError::Store) })
    }
}

fn append(conn: &mut Connection, records: &[CallRecord]) -> Result<()> {
    let tx = conn.transaction()?;
    {
        let mut insert = tx.prepare_cached(rows::INSERT)?;
        let mut log =
            tx.prepare_cached("INSERT OR IGNORE INTO payload (tenant, id, request, response) VALUES (?1, ?2, ?3, ?4)")?;
        for record in records {
            rows::insert(&mut insert, record)?;
            if let Some(payload) = &record.payload {
                let [request, response] = [&payload.request, &payload.response].map(|content| pack::shrink(content));
                log.execute((record.tenant.as_str(), &record.id.0[..], request, response))?;
            }
        }
    }
    tx.commit()
}

fn get(conn: &Connection, tenant: &Tenant, id: RecordId) -> Result<Option<CallRecord>> {
    let sql = format!("SELECT {}, 0 FROM call WHERE tenant = ?1 AND id = ?2", rows::COLUMNS);
    let key = (tenant.as_str(), &id.0[..]);
    let Some(mut record) = conn.prepare_cached(&sql)?.query_row(key, rows::read).optional()? else { return Ok(None) };
    let sql = "SELECT request, response FROM payload WHERE tenant = ?1 AND id = ?2";
    let read = |row: &rusqlite::Row<'_>| Ok([row.get::<_, Vec<u8>>(0)?, row.get(1)?]);
    if let Some([request, response]) = conn.prepare_cached(sql)?.query_row(key, read).optional()? {
        let plain = |packed: Vec<u8>| pack::restore(&packed).map_err(rows::unreadable);
        record.payload = Some(Box::new(Payload { request: plain(request)?.into(), response: plain(response)?.into() }));
    }
    Ok(Some(record))
}

fn costs(conn: &Connection, query: Query, by: &[Dimension]) -> Result<Result<Costs, RecordsError>> {
    let mut sql = String::from(
        "SELECT at, outcome, cache, input, output, cache_read, cache_write, cost, saved, total_us, first_us",
    );
    let mut values = query.values;
    for dimension in by {
        match (rows::column(dimension), dimension) {
            (Some(column), _) => sql.extend([", ", column]),
            (None, Dimension::Tag(name)) => {
                values.push(Value::Text(name.clone()));
                let _ = write!(sql, ", tags ->> ?{}", values.len());
            }
            // A dimension of time is made from `at`.
            (None, _) => sql.push_str(", NULL"),
        }
    }
    sql.extend([" FROM call ", &query.condition]);
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut fold = Fold::new();
    while let Some(row) = rows.next()? {
        let at = Timestamp(row.get(0)?);
        let figures: Figures = rows::figures(row)?;
        let value = |(index, dimension): (usize, &Dimension)| match time_value(dimension, at) {
            Some(time) => Ok(Some(time)),
            None => row.get(11 + index),
        };
        let by = by.iter().enumerate().map(value).collect::<Result<Vec<_>>>()?;
        if let Err(error) = fold.add(by, &figures) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(fold.finish()))
}

/// A condition with its values.
struct Query {
    condition: String,
    values: Vec<Value>,
}

impl Query {
    fn new(tenant: &Tenant, filter: &RecordFilter) -> Self {
        let mut query = Self { condition: "WHERE tenant = ?1".into(), values: vec![Value::Text(tenant.to_string())] };
        if let Some(from) = filter.from {
            query.and("id >= ", Value::Blob(RecordId::least(from).0.to_vec()));
            query.and("at >= ", Value::Integer(from.0));
        }
        if let Some(to) = filter.to {
            query.and("id < ", Value::Blob(RecordId::least(to).0.to_vec()));
            query.and("at < ", Value::Integer(to.0));
        }
        if filter.failed {
            query.and("outcome = ", Value::Integer(rows::FAILED));
        }
        for (dimension, wanted) in &filter.equal {
            match (rows::column(dimension), dimension) {
                (Some(column), _) => query.and(&format!("{column} = "), Value::Text(wanted.clone())),
                (None, Dimension::Tag(name)) => {
                    query.values.push(Value::Text(name.clone()));
                    let name = query.values.len();
                    query.and(&format!("tags ->> ?{name} = "), Value::Text(wanted.clone()));
                }
                (None, time) => query.time(time, wanted),
            }
        }
        query
    }

    fn and(&mut self, left: &str, value: Value) {
        self.values.push(value);
        let _ = write!(self.condition, " AND {left}?{}", self.values.len());
    }

    /// Asks for one stretch of time, which a filter says by its beginning.
    fn time(&mut self, dimension: &Dimension, wanted: &str) {
        let length = match dimension {
            Dimension::Minute => 60_000,
            Dimension::Hour => 3_600_000,
            Dimension::Day => 86_400_000,
            _ => 0,
        };
        let start = wanted.parse().unwrap_or(i64::MAX);
        let end = if length > 0 {
            start.saturating_add(length)
        } else {
            let month = bedplate_core::port::ledger::Period::Month;
            month.end(start).map_or(start, |end| end.0)
        };
        self.and("at >= ", Value::Integer(start));
        self.and("at < ", Value::Integer(end));
    }
}
