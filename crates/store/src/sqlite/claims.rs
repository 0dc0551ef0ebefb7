//! Claims, and which runs are due.

use super::{bundle, head, writer::Writer};
use crate::rules::{first_epoch, next_epoch};
use bedplate_core::{
    id::{RunId, Tenant},
    port::journal::Head,
    time::Timestamp,
};
use rusqlite::{Connection, Result};

/// Returns the runs that somebody was to look at when the last process ended, the most urgent first.
pub(super) fn orphans(conn: &Connection) -> Result<Vec<i64>> {
    conn.prepare("SELECT key FROM run WHERE wake_at IS NOT NULL ORDER BY wake_at")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Claims a tenant's run.
pub(super) fn claim(writer: &mut Writer, tenant: &Tenant, run: RunId, until: Timestamp) -> Result<Option<Head>> {
    let head = match head::load_row(&writer.conn, tenant, run)? {
        None if bundle::open_run(&writer.conn, tenant, run)? => head::load_row(&writer.conn, tenant, run)?,
        head => head,
    };
    head.map(|head| raise(writer, head, until)).transpose()
}

/// Claims what is due: first what an earlier process had claimed, then by time.
pub(super) fn claim_due(writer: &mut Writer, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Head>> {
    let mut claimed: Vec<Head> = Vec::new();
    while claimed.len() < limit
        && let Some(key) = writer.orphans.pop_front()
    {
        if let Some(head) = head::load_key(&writer.conn, key)?.filter(|head| is_orphan(head, writer.boot)) {
            claimed.push(raise(writer, head, until)?);
        }
    }
    let left = limit - claimed.len();
    if left > 0 {
        let sql = "SELECT key FROM run WHERE wake_at <= ?1 ORDER BY wake_at LIMIT ?2";
        // Those that were just claimed may be due again when the lease is in the past; once is enough.
        let bound = i64::try_from(limit).unwrap_or(i64::MAX);
        let keys: Vec<i64> =
            writer.conn.prepare_cached(sql)?.query_map((now.0, bound), |row| row.get(0))?.collect::<Result<_>>()?;
        let known: Vec<i64> = claimed.iter().map(|head| head.run.key).collect();
        for key in keys.into_iter().filter(|key| !known.contains(key)).take(left) {
            if let Some(head) = head::load_key(&writer.conn, key)? {
                claimed.push(raise(writer, head, until)?);
            }
        }
    }
    Ok(claimed)
}

/// Returns when the next run is due; the beginning of time while runs wait for recovery.
pub(super) fn next_due(writer: &mut Writer) -> Result<Option<Timestamp>> {
    while let Some(&key) = writer.orphans.front() {
        if head::load_key(&writer.conn, key)?.is_some_and(|head| is_orphan(&head, writer.boot)) {
            return Ok(Some(Timestamp(0)));
        }
        writer.orphans.pop_front();
    }
    let sql = "SELECT min(wake_at) FROM run WHERE wake_at IS NOT NULL";
    writer.conn.prepare_cached(sql)?.query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.map(Timestamp)))
}

fn is_orphan(head: &Head, boot: u64) -> bool {
    head.wake_at.is_some() && head.epoch < first_epoch(boot)
}

fn raise(writer: &Writer, mut head: Head, until: Timestamp) -> Result<Head> {
    head.epoch = next_epoch(head.epoch, writer.boot);
    head.wake_at = Some(until);
    let sql = "UPDATE run SET epoch = ?2, wake_at = ?3 WHERE key = ?1";
    writer.conn.prepare_cached(sql)?.execute((head.run.key, head.epoch.cast_signed(), until.0))?;
    Ok(head)
}
