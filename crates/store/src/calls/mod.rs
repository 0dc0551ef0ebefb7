//! Call records and the ledger in a SQLite file of their own, `calls.db`.
//!
//! They are apart from the journals because they come with every model call, many more than a run has steps, and because
//! a bill that lacks the last moment before a power cut is no broken promise: this file is written without waiting for
//! the disk (`synchronous = NORMAL`), so a killed process loses nothing that was written, and a power cut a moment.

mod ledger;
mod records;
mod rows;
mod worker;

use bedplate_core::port::{ledger::Ledger, records::Records};
use ledger::SqliteLedger;
use records::SqliteRecords;
use rusqlite::{Connection, OpenFlags, Result};
use std::{path::Path, sync::Arc, time::Duration};
use worker::Worker;

/// The name of the file in the data folder.
pub(crate) const FILE: &str = "calls.db";

/// The versions of the file; the first makes version 1 of an empty one. Append only.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql"), include_str!("schema_2.sql")];

/// Why the file could not be opened.
pub(crate) enum CallsError {
    /// What SQLite or the system said.
    Failed(String),
    /// A newer program wrote it: the version found, and the newest that is known here.
    Newer(i64, i64),
}

/// The open file. Dropping it writes what is to be written and closes it.
pub(crate) struct Calls {
    ledger: Arc<SqliteLedger>,
    records: Arc<SqliteRecords>,
    writer: Arc<Worker>,
    reader: Arc<Worker>,
}

impl Calls {
    pub(crate) fn open(folder: &Path) -> std::result::Result<Self, CallsError> {
        let failed = |error: rusqlite::Error| CallsError::Failed(error.to_string());
        let thread = |error: std::io::Error| CallsError::Failed(error.to_string());
        let path = folder.join(FILE);
        let mut writing =
            connection(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).map_err(failed)?;
        prepare(&writing).map_err(failed)?;
        let found = migrate(&mut writing).map_err(failed)?;
        let newest = MIGRATIONS.len() as i64;
        if found > newest {
            return Err(CallsError::Newer(found, newest));
        }
        let book = ledger::load(&writing).map_err(failed)?;
        let reading = connection(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let writer = Arc::new(Worker::start("calls-writer", writing).map_err(thread)?);
        let reader = Arc::new(Worker::start("calls-reader", reading).map_err(thread)?);
        let records = Arc::new(SqliteRecords { writer: writer.clone(), reader: reader.clone() });
        Ok(Self { ledger: Arc::new(SqliteLedger::new(book, writer.clone())), records, writer, reader })
    }

    pub(crate) fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    pub(crate) fn records(&self) -> Arc<dyn Records> {
        self.records.clone()
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.ledger.flush();
        self.writer.close();
        self.reader.close();
    }
}

fn connection(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.pragma_update(None, "cache_size", -2_048)?;
    conn.set_prepared_statement_cache_capacity(32);
    Ok(conn)
}

fn prepare(conn: &Connection) -> Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    // Deleting a person overwrites what was deleted.
    conn.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", 16_777_216, |_| Ok(()))
}

/// Brings the file to the newest version and returns the version that it has; one of the future is left as it is.
fn migrate(conn: &mut Connection) -> Result<i64> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut version: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number > version {
            tx.execute_batch(migration)?;
            tx.pragma_update(None, "user_version", number)?;
            version = number;
        }
    }
    tx.commit()?;
    Ok(version)
}
