//! Both adapters keep every promise of their ports; SQLite also across versions, crashes and processes.

mod conformance;
mod crash;
mod faults;
mod files;
