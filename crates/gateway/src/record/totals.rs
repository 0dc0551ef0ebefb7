//! What the calls since the process began came to, by route and target: counted from their records, off the hot path.

use bedplate_core::port::records::{CallRecord, CallTotals, Outcome};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts records. Clones share the counts.
#[derive(Clone, Default)]
pub(super) struct Totals(Arc<Mutex<HashMap<Key, CallTotals>>>);

/// A route and its target; both are names of the project, so there are not many.
type Key = (Arc<str>, Option<Arc<str>>);

impl Totals {
    pub(super) fn add(&self, records: &[CallRecord]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            let key = (Arc::clone(&record.route), record.target.clone());
            let totals = all.entry(key).or_insert_with(|| CallTotals {
                route: Arc::clone(&record.route),
                target: record.target.clone(),
                ..CallTotals::default()
            });
            totals.provider.clone_from(&record.provider);
            let outcome: Arc<str> = match &record.outcome {
                Outcome::Ok => "ok".into(),
                Outcome::Cancelled => "cancelled".into(),
                Outcome::Failed { kind, .. } => Arc::clone(kind),
            };
            *totals.outcomes.entry(outcome).or_default() += 1;
            let usage = record.usage;
            totals.attempts += u64::from(record.attempts);
            totals.input_tokens += usage.input + usage.cache_read + usage.cache_write;
            totals.output_tokens += usage.output;
            totals.cost += record.cost.unwrap_or(0);
            totals.total.add(record.total);
            if let Some(first) = record.first_token {
                totals.first_token.add(first);
            }
        }
    }

    /// Returns them, sorted.
    pub(super) fn read(&self) -> Vec<CallTotals> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut totals: Vec<_> = all.values().cloned().collect();
        totals.sort_by(|a, b| (&a.route, &a.target).cmp(&(&b.route, &b.target)));
        totals
    }
}
