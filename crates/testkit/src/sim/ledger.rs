//! The receiver of effects: it counts what happens under each idempotency key, whatever the platform believes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// What came in under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The tool.
    pub tool: String,
    /// How often it was run.
    pub executions: u32,
    /// How often that changed something here. An idempotent receiver changes something once.
    pub effects: u32,
}

/// The receiver.
#[derive(Debug, Default)]
pub struct Ledger {
    records: Mutex<BTreeMap<String, Record>>,
}

impl Ledger {
    /// Notes that a call of `tool` arrived.
    pub fn executed(&self, key: &str, tool: &str) {
        self.change(key, |record| {
            tool.clone_into(&mut record.tool);
            record.executions += 1;
        });
    }

    /// Notes that it had its effect; an idempotent tool has it once.
    pub fn effect(&self, key: &str, idempotent: bool) {
        self.change(key, |record| {
            if !(idempotent && record.effects > 0) {
                record.effects += 1;
            }
        });
    }

    /// Returns everything that came in, by key.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Record)) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        change(records.entry(key.to_owned()).or_default());
    }
}
