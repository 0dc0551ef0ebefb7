//! The Ledger port over a book in memory that is written behind.
//!
//! One process has the folder, so the book in memory is the truth while it runs; the file is what the next process begins
//! with. Days, months and runs are written within 50 ms of a change; a kill loses that much at most. The windows of
//! minutes begin anew with the process.

use super::worker::Worker;
use crate::book::{Book, REST};
use bedplate_core::{
    id::Tenant,
    port::{
        BoxFuture,
        ledger::{Account, Balance, Claim, Ledger, LedgerError, Period, Reservation, ReserveError, Settled},
    },
    time::Timestamp,
};
use rusqlite::{Connection, Result};
use std::{
    collections::BTreeSet,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a change waits for others before it is written.
const WAIT: Duration = Duration::from_millis(50);

/// The ledger of a store.
pub(super) struct SqliteLedger {
    state: Arc<Mutex<State>>,
    writer: Arc<Worker>,
}

#[derive(Default)]
struct State {
    book: Book,
    /// Buckets that changed since they were written.
    dirty: BTreeSet<(Account, i64)>,
    /// The time of the newest change.
    now: Timestamp,
    /// Why the last writing failed.
    failure: Option<String>,
}

impl SqliteLedger {
    pub(super) fn new(book: Book, writer: Arc<Worker>) -> Self {
        Self { state: Arc::new(Mutex::new(State { book, ..State::default() })), writer }
    }

    /// Writes what changed, before the file is closed.
    pub(super) fn flush(&self) {
        let state = self.state.clone();
        self.writer.soon(Duration::ZERO, move |conn| write(conn, &state));
    }

    fn changed(&self, mut state: MutexGuard<'_, State>, holds: impl Iterator<Item = (Account, i64)>) {
        let was_clean = state.dirty.is_empty();
        state.dirty.extend(holds.filter(|(account, _)| account.period != Period::Minute));
        let is_dirty = !state.dirty.is_empty();
        drop(state);
        if was_clean && is_dirty {
            let state = self.state.clone();
            self.writer.soon(WAIT, move |conn| write(conn, &state));
        }
    }
}

impl Ledger for SqliteLedger {
    fn reserve(&self, now: Timestamp, claims: Vec<Claim>) -> BoxFuture<'static, Result<Reservation, ReserveError>> {
        let mut state = lock(&self.state);
        let reserved = state.book.reserve(now, claims);
        if let Ok(reserved) = &reserved {
            state.now = state.now.max(now);
            let holds: Vec<_> = reserved.holds.iter().map(|it| (it.claim.account.clone(), it.bucket)).collect();
            self.changed(state, holds.into_iter());
        }
        Box::pin(ready(reserved))
    }

    fn settle(
        &self,
        reservation: Reservation,
        spent: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Settled>, LedgerError>> {
        let mut state = lock(&self.state);
        let settled = state.book.settle(&reservation, &spent);
        let failure = state.failure.take();
        self.changed(state, reservation.holds.into_iter().map(|it| (it.claim.account, it.bucket)));
        Box::pin(ready(failure.map_or(Ok(settled), |failure| Err(LedgerError(failure)))))
    }

    fn balances(
        &self,
        now: Timestamp,
        tenant: &Tenant,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<(Account, Balance)>, LedgerError>> {
        Box::pin(ready(Ok(lock(&self.state).book.balances(now, tenant, prefix))))
    }
}

/// Reads what earlier processes counted.
pub(super) fn load(conn: &Connection) -> Result<Book> {
    let mut book = Book::default();
    let mut statement = conn.prepare("SELECT tenant, name, period, bucket, amount, touched_at FROM ledger")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let period: String = row.get(2)?;
        // A word of a newer program counts nothing here.
        let Some(period) = Period::of(&period) else { continue };
        let account =
            Account { tenant: row.get::<_, String>(0)?.into(), name: row.get::<_, String>(1)?.into(), period };
        book.load(account, row.get(3)?, row.get::<_, i64>(4)?.cast_unsigned(), Timestamp(row.get(5)?));
    }
    Ok(book)
}

/// Writes the buckets that changed; they stay marked as changed when that fails.
fn write(conn: &mut Connection, state: &Mutex<State>) {
    let (dirty, amounts, now) = {
        let mut state = lock(state);
        let dirty = std::mem::take(&mut state.dirty);
        let amounts: Vec<u64> = dirty.iter().map(|(account, bucket)| state.book.amount(account, *bucket)).collect();
        (dirty, amounts, state.now)
    };
    if let Err(error) = write_all(conn, &dirty, &amounts, now) {
        let mut state = lock(state);
        state.dirty.extend(dirty);
        state.failure = Some(error.to_string());
    }
}

fn write_all(conn: &mut Connection, dirty: &BTreeSet<(Account, i64)>, amounts: &[u64], now: Timestamp) -> Result<()> {
    let tx = conn.transaction()?;
    let sql = "INSERT INTO ledger (tenant, name, period, bucket, amount, touched_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET amount = excluded.amount, touched_at = excluded.touched_at";
    {
        let mut statement = tx.prepare_cached(sql)?;
        for ((account, bucket), amount) in dirty.iter().zip(amounts) {
            let tenant = account.tenant.as_str();
            let period = account.period.as_str();
            statement.execute((tenant, &*account.name, period, bucket, amount.cast_signed(), now.0))?;
        }
    }
    // What ended long ago is of no use; a few rows for each writing, so that none of them takes long.
    let old = "DELETE FROM ledger WHERE (tenant, name, period, bucket) IN
               (SELECT tenant, name, period, bucket FROM ledger WHERE touched_at < ?1 LIMIT 100)";
    let keep = Duration::from_secs(62 * 86_400).max(REST);
    tx.prepare_cached(old)?.execute([now.0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))])?;
    tx.commit()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // No operation leaves a book half changed.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
