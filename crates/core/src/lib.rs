//! The vocabulary of Bedplate: ids, messages, journal events, limits, and the ports with their errors.
//!
//! Invariant: nothing here does I/O, reads a clock, draws randomness, or knows a wire format, a runtime or a vendor.

pub mod agent;
pub mod event;
pub mod id;
pub mod items;
pub mod message;
pub mod port;
pub mod size;
pub mod time;
pub mod tool;
pub mod workflow_event;
