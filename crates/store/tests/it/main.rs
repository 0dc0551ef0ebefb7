//! Both adapters keep every promise of their ports; SQLite also across versions, crashes and processes.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod conformance;
mod crash;
mod faults;
mod files;
mod ledger;
mod ledger_redis;
mod records;
