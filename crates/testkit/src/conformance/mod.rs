//! Conformance suites: what every adapter of a port must keep, one function for each promise.

pub mod documents;
pub mod journal;
pub mod keys;
pub mod ledger;
pub mod records;
