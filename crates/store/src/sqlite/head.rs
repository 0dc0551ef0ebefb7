//! Head rows: their columns, and how they become a [`Head`].

use super::bundle::{self, Recent};
use bedplate_core::{
    event::RunKind,
    id::{RunId, Tenant},
    port::journal::{Head, RunRef, RunStatus},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, types::Type};

/// The columns that [`from_row`] reads.
pub(super) const COLUMNS: &str =
    "key, id, tenant, seq, epoch, wake_at, status, kind, name, user, session, parent, title, created_at, touched_at";

/// Returns the head of a tenant's run.
pub(super) fn load(conn: &Connection, tenant: &Tenant, run: RunId, recent: &Recent) -> Result<Option<Head>> {
    match load_row(conn, tenant, run)? {
        Some(head) => Ok(Some(head)),
        None => bundle::load(conn, tenant, run, recent),
    }
}

/// Returns the head of a tenant's run that is in no bundle.
pub(super) fn load_row(conn: &Connection, tenant: &Tenant, run: RunId) -> Result<Option<Head>> {
    let sql = const_format(" WHERE tenant = ?1 AND id = ?2");
    conn.prepare_cached(&sql)?.query_row((tenant.as_str(), &run.0[..]), from_row).optional()
}

/// Returns the head of the run with a key.
pub(super) fn load_key(conn: &Connection, key: i64) -> Result<Option<Head>> {
    conn.prepare_cached(&const_format(" WHERE key = ?1"))?.query_row([key], from_row).optional()
}

/// Returns the key of a tenant's run that is in no bundle.
pub(super) fn key(conn: &Connection, tenant: &Tenant, run: RunId) -> Result<Option<i64>> {
    let sql = "SELECT key FROM run WHERE tenant = ?1 AND id = ?2";
    conn.prepare_cached(sql)?.query_row((tenant.as_str(), &run.0[..]), |row| row.get(0)).optional()
}

/// Returns whether the run that a reference names still exists.
pub(super) fn exists(conn: &Connection, run: RunRef) -> Result<bool> {
    let sql = "SELECT 1 FROM run WHERE key = ?1 AND id = ?2";
    conn.prepare_cached(sql)?.exists((run.key, &run.id.0[..]))
}

/// Reads the columns of [`COLUMNS`].
pub(super) fn from_row(row: &Row<'_>) -> Result<Head> {
    Ok(Head {
        run: RunRef { key: row.get(0)?, id: RunId(row.get(1)?) },
        tenant: text(row, 2)?.into(),
        seq: row.get::<_, i64>(3)?.cast_unsigned(),
        epoch: row.get::<_, i64>(4)?.cast_unsigned(),
        wake_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        status: status(row, 6)?,
        kind: kind(row, 7)?,
        name: row.get(8)?,
        user: text(row, 9)?.into(),
        session: row.get(10)?,
        parent: row.get::<_, Option<[u8; 16]>>(11)?.map(RunId),
        title: row.get(12)?,
        created_at: Timestamp(row.get(13)?),
        touched_at: Timestamp(row.get(14)?),
    })
}

/// Returns a status as it is stored.
pub(super) fn status_number(status: RunStatus) -> i64 {
    match status {
        RunStatus::Idle => 0,
        RunStatus::Running => 1,
        RunStatus::Waiting => 2,
        RunStatus::Succeeded => 3,
        RunStatus::Failed => 4,
        RunStatus::TimedOut => 5,
        RunStatus::Aborted => 6,
    }
}

/// Returns a kind as it is stored.
pub(super) fn kind_word(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Agent => "agent",
        RunKind::Workflow => "workflow",
    }
}

/// Returns the status that is stored as a number.
pub(super) fn status_of(number: i64) -> Option<RunStatus> {
    match number {
        0 => Some(RunStatus::Idle),
        1 => Some(RunStatus::Running),
        2 => Some(RunStatus::Waiting),
        3 => Some(RunStatus::Succeeded),
        4 => Some(RunStatus::Failed),
        5 => Some(RunStatus::TimedOut),
        6 => Some(RunStatus::Aborted),
        _ => None,
    }
}

fn status(row: &Row<'_>, column: usize) -> Result<RunStatus> {
    let number = row.get(column)?;
    status_of(number).ok_or_else(|| unknown(column, Type::Integer, format!("{number} is no status")))
}

/// Reads a kind as it is stored.
pub(super) fn kind(row: &Row<'_>, column: usize) -> Result<RunKind> {
    match text(row, column)? {
        "agent" => Ok(RunKind::Agent),
        "workflow" => Ok(RunKind::Workflow),
        other => Err(unknown(column, Type::Text, format!("{other} is no kind of run"))),
    }
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn unknown(column: usize, kind: Type, message: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, message.into())
}

fn const_format(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM run{condition}")
}
