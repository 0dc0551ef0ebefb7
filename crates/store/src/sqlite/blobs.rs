//! Blobs by content, and which runs refer to them.

use crate::rules::BLOB_GRACE;
use bedplate_core::{
    id::{ContentHash, Tenant},
    time::Timestamp,
};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result};

/// Returns the key of a tenant's blob.
pub(super) fn find(conn: &Connection, tenant: &Tenant, hash: ContentHash) -> Result<Option<i64>> {
    let sql = "SELECT key FROM blob WHERE tenant = ?1 AND hash = ?2";
    conn.prepare_cached(sql)?.query_row((tenant.as_str(), &hash.0[..]), |row| row.get(0)).optional()
}

/// Returns the content of a tenant's blob.
pub(super) fn load(conn: &Connection, tenant: &Tenant, hash: ContentHash) -> Result<Option<Bytes>> {
    let sql = "SELECT content FROM blob WHERE tenant = ?1 AND hash = ?2";
    let read = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0).map(Bytes::from);
    conn.prepare_cached(sql)?.query_row((tenant.as_str(), &hash.0[..]), read).optional()
}

/// Inserts a blob that is not stored yet; returns its key.
pub(super) fn insert(
    conn: &Connection,
    tenant: &Tenant,
    hash: ContentHash,
    content: &[u8],
    put_at: Option<Timestamp>,
) -> Result<i64> {
    let sql = "INSERT INTO blob (tenant, hash, put_at, content) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?.insert((tenant.as_str(), &hash.0[..], put_at.map(|at| at.0), content))
}

/// Stores a blob, or notes that it was put once more.
pub(super) fn put(conn: &Connection, tenant: &Tenant, hash: ContentHash, content: &[u8], at: Timestamp) -> Result<()> {
    match find(conn, tenant, hash)? {
        Some(blob) => {
            conn.prepare_cached("UPDATE blob SET put_at = ?2 WHERE key = ?1")?.execute((blob, at.0)).map(drop)
        }
        None => insert(conn, tenant, hash, content, Some(at)).map(drop),
    }
}

/// Notes that a run refers to a blob from position `first` on.
pub(super) fn refer(conn: &Connection, run: i64, blob: i64, first: u64) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO reference (run, blob, first) VALUES (?1, ?2, ?3)";
    conn.prepare_cached(sql)?.execute((run, blob, first.cast_signed()))?;
    let sql = "UPDATE blob SET put_at = NULL WHERE key = ?1 AND put_at IS NOT NULL";
    conn.prepare_cached(sql)?.execute([blob]).map(drop)
}

/// Drops a run's references and removes the blobs that nothing refers to any more, except one that was put again since;
/// returns how many.
pub(super) fn release(conn: &Connection, run: i64) -> Result<u64> {
    let sql = "SELECT blob FROM reference WHERE run = ?1";
    let blobs: Vec<i64> = conn.prepare_cached(sql)?.query_map([run], |row| row.get(0))?.collect::<Result<_>>()?;
    conn.prepare_cached("DELETE FROM reference WHERE run = ?1")?.execute([run])?;
    let sql = "DELETE FROM blob WHERE key = ?1 AND put_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM reference WHERE blob = ?1)";
    let mut removed = 0;
    for blob in blobs {
        removed += conn.prepare_cached(sql)?.execute([blob])? as u64;
    }
    Ok(removed)
}

/// Removes blobs that were put long ago and that no run refers to; returns how many.
pub(super) fn collect(conn: &Connection, now: Timestamp) -> Result<u64> {
    let before = now.0.saturating_sub(i64::try_from(BLOB_GRACE.as_millis()).unwrap_or(i64::MAX));
    let sql = "DELETE FROM blob WHERE put_at < ?1 AND NOT EXISTS (SELECT 1 FROM reference WHERE blob = blob.key)";
    Ok(conn.prepare_cached(sql)?.execute([before])? as u64)
}
