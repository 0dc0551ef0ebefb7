//! The Records port in memory: every future is ready at once.

use crate::fold::{Figures, Fold, matches, value};
use bedplate_core::{
    id::{RecordId, Tenant},
    port::{
        BoxFuture,
        records::{CallRecord, Costs, Dimension, MAX_RECORDS, Outcome, RecordFilter, Records, RecordsError},
    },
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Records of one process, which end with it.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    records: Mutex<BTreeMap<(Tenant, RecordId), CallRecord>>,
}

impl MemoryRecords {
    /// Returns no records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Tenant, RecordId), CallRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: &Tenant, filter: &RecordFilter) -> Vec<CallRecord> {
        let records = self.lock();
        let of_tenant = records.iter().filter(|((of, _), record)| of == tenant && matches(filter, record));
        of_tenant.map(|(_, record)| listed(record)).collect()
    }

    fn fold(&self, tenant: &Tenant, filter: &RecordFilter, by: &[Dimension]) -> Result<Costs, RecordsError> {
        let mut fold = Fold::new();
        for record in self.of(tenant, filter) {
            let by = by.iter().map(|dimension| value(dimension, &record)).collect();
            fold.add(by, &Figures::of(&record))?;
        }
        Ok(fold.finish())
    }
}

/// Returns a record as a list shows it: that there is a payload, and not what it says.
fn listed(record: &CallRecord) -> CallRecord {
    let payload = record.payload.as_ref().map(|_| Box::default());
    CallRecord { payload, ..record.clone() }
}

impl Records for MemoryRecords {
    fn append(&self, records: Arc<[CallRecord]>) -> BoxFuture<'static, Result<(), RecordsError>> {
        let mut kept = self.lock();
        for record in records.iter() {
            kept.entry((record.tenant.clone(), record.id)).or_insert_with(|| record.clone());
        }
        Box::pin(ready(Ok(())))
    }

    fn get(&self, tenant: &Tenant, id: RecordId) -> BoxFuture<'static, Result<Option<CallRecord>, RecordsError>> {
        Box::pin(ready(Ok(self.lock().get(&(tenant.clone(), id)).cloned())))
    }

    fn list(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<CallRecord>, RecordsError>> {
        let mut found = self.of(tenant, &filter);
        found.retain(|record| before.is_none_or(|before| record.id < before));
        found.reverse();
        found.truncate(limit.min(MAX_RECORDS));
        Box::pin(ready(Ok(found)))
    }

    fn costs(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        by: Vec<Dimension>,
    ) -> BoxFuture<'static, Result<Costs, RecordsError>> {
        Box::pin(ready(self.fold(tenant, &filter, &by)))
    }

    fn forget(&self, tenant: &Tenant, user: &str) -> BoxFuture<'static, Result<u64, RecordsError>> {
        let mut changed = 0;
        for ((of, _), record) in self.lock().iter_mut() {
            if of == tenant && record.user.as_deref() == Some(user) {
                changed += 1;
                (record.user, record.session, record.run, record.payload) = (None, None, None, None);
                record.tags.clear();
                // What a provider said may quote the request.
                if let Outcome::Failed { message, .. } = &mut record.outcome {
                    *message = "".into();
                }
            }
        }
        Box::pin(ready(Ok(changed)))
    }

    fn expire(&self, before: Timestamp) -> BoxFuture<'static, Result<u64, RecordsError>> {
        let mut records = self.lock();
        let there = records.len();
        records.retain(|_, record| record.at >= before);
        let removed = there - records.len();
        Box::pin(ready(Ok(removed as u64)))
    }
}
