//! The schema: numbered migrations, and how a file is brought to the newest.

use rusqlite::{Connection, OptionalExtension, Result};

/// The migrations; the first makes version 1 of an empty file. Append only.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
];

/// What a file says about itself.
pub(super) enum Version {
    /// It is, or was brought to, the version of this program.
    Current,
    /// It was written by a newer program.
    Newer(i64),
}

/// The version that this program writes.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Brings a file to the newest version, in one transaction.
pub(super) fn migrate(conn: &mut Connection) -> Result<Version> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    if found > NEWEST {
        return Ok(Version::Newer(found));
    }
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number > found {
            tx.execute_batch(migration)?;
            tx.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('schema_version', ?1)", [number])?;
        }
    }
    tx.commit()?;
    Ok(Version::Current)
}

/// Counts this opening of the file and returns the count, from 1.
pub(super) fn count_boot(conn: &Connection) -> Result<u64> {
    let sql = "INSERT INTO meta (name, value) VALUES ('boot', 1)
               ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value";
    conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

fn version(conn: &Connection) -> Result<i64> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'";
    if conn.query_row(exists, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let version = "SELECT value FROM meta WHERE name = 'schema_version'";
    conn.query_row(version, [], |row| row.get(0)).optional().map(Option::unwrap_or_default)
}
