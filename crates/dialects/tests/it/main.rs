//! What the dialects make of real shapes, and what holds for all of them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod converse;
mod golden;
mod pains;
mod properties;
mod recorded;
mod support;
