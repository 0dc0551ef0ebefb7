//! Removing runs, with everything that is theirs.

use super::{blobs, bundle, head, pieces, place};
use bedplate_core::{
    id::{RunId, Tenant, UserId},
    port::journal::{Deleted, RunStatus},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Result};

/// How many runs one transaction removes at most, so that a large removal does not keep others waiting.
pub(super) const CHUNK: usize = 32;

/// Returns the key of a tenant's run, which is in no bundle then.
pub(super) fn key(conn: &Connection, tenant: &Tenant, run: RunId) -> Result<Option<i64>> {
    match head::key(conn, tenant, run)? {
        None if bundle::open_run(conn, tenant, run)? => head::key(conn, tenant, run),
        key => Ok(key),
    }
}

/// Removes a run and leaves a tombstone; removes nothing when it does not exist.
pub(super) fn run(conn: &Connection, key: i64, at: Timestamp) -> Result<Deleted> {
    let sql = "SELECT tail FROM run WHERE key = ?1";
    let tail = conn.prepare_cached(sql)?.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    let Some(tail) = tail else { return Ok(Deleted::default()) };
    for place in place::find(conn, key, &tail, 0, u64::MAX)? {
        pieces::remove(conn, place.pos)?;
    }
    let blobs = blobs::release(conn, key)?;
    let sql = "INSERT OR IGNORE INTO tombstone (tenant, id, at) SELECT tenant, id, ?2 FROM run WHERE key = ?1";
    conn.prepare_cached(sql)?.execute((key, at.0))?;
    for sql in [
        "DELETE FROM segment WHERE run = ?1",
        "DELETE FROM inbox WHERE run = ?1",
        "DELETE FROM signal_key WHERE run = ?1",
        "DELETE FROM snapshot WHERE run = ?1",
        "DELETE FROM lineage WHERE run = ?1",
        "DELETE FROM run WHERE key = ?1",
    ] {
        conn.prepare_cached(sql)?.execute([key])?;
    }
    Ok(Deleted { runs: 1, blobs })
}

/// Removes some runs of a user and forks of them; none left when it removes none.
pub(super) fn some_of_user(conn: &Connection, tenant: &Tenant, user: &UserId, at: Timestamp) -> Result<Deleted> {
    if let Some(key) = bundle::one_of_user(conn, tenant, user)? {
        return bundle::remove(conn, key, at);
    }
    let sql = "SELECT key FROM run WHERE tenant = ?1 AND user = ?2
               UNION SELECT run FROM lineage WHERE tenant = ?1 AND user = ?2 LIMIT ?3";
    let keys: Vec<i64> = conn
        .prepare_cached(sql)?
        .query_map((tenant.as_str(), user.as_str(), CHUNK as i64), |row| row.get(0))?
        .collect::<Result<_>>()?;
    keys.into_iter().try_fold(Deleted::default(), |sum, key| Ok(add(sum, run(conn, key, at)?)))
}

/// Returns the runs at rest that were last touched before a time, the oldest first.
pub(super) fn stale(conn: &Connection, before: Timestamp, limit: usize) -> Result<Vec<i64>> {
    let sql = "SELECT key FROM run WHERE status NOT IN (?1, ?2) AND inbox = 0 AND touched_at < ?3
               ORDER BY touched_at, key LIMIT ?4";
    let [running, waiting] = [RunStatus::Running, RunStatus::Waiting].map(head::status_number);
    let values = (running, waiting, before.0, i64::try_from(limit).unwrap_or(i64::MAX));
    conn.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect()
}

/// Removes those of `keys` that are still idle and untouched since `before`.
pub(super) fn if_stale(conn: &Connection, keys: &[i64], before: Timestamp, at: Timestamp) -> Result<Deleted> {
    let sql = "SELECT 1 FROM run WHERE key = ?1 AND status NOT IN (?2, ?3) AND inbox = 0 AND touched_at < ?4";
    let [running, waiting] = [RunStatus::Running, RunStatus::Waiting].map(head::status_number);
    let mut sum = Deleted::default();
    for key in keys {
        if conn.prepare_cached(sql)?.exists((key, running, waiting, before.0))? {
            sum = add(sum, run(conn, *key, at)?);
        }
    }
    Ok(sum)
}

/// Adds two counts.
pub(super) fn add(a: Deleted, b: Deleted) -> Deleted {
    Deleted { runs: a.runs + b.runs, blobs: a.blobs + b.blobs }
}
