//! The Ledger port in memory: every future is ready at once.

use crate::book::Book;
use bedplate_core::{
    id::Tenant,
    port::{
        BoxFuture,
        ledger::{Account, Balance, Claim, Ledger, LedgerError, Reservation, ReserveError, Settled},
    },
    time::Timestamp,
};
use std::{
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A ledger for one process, which ends with it.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    book: Mutex<Book>,
}

impl MemoryLedger {
    /// Returns an empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // No operation leaves a book half changed.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for MemoryLedger {
    fn reserve(&self, now: Timestamp, claims: Vec<Claim>) -> BoxFuture<'static, Result<Reservation, ReserveError>> {
        Box::pin(ready(self.lock().reserve(now, claims)))
    }

    fn settle(
        &self,
        reservation: Reservation,
        spent: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Settled>, LedgerError>> {
        Box::pin(ready(Ok(self.lock().settle(&reservation, &spent))))
    }

    fn balances(
        &self,
        now: Timestamp,
        tenant: &Tenant,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<(Account, Balance)>, LedgerError>> {
        Box::pin(ready(Ok(self.lock().balances(now, tenant, prefix))))
    }
}
