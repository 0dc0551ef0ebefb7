//! The rehearsal model, seen from outside: conversations in, replies out.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod bfcl;
mod conversations;
mod counter;
mod output;
mod properties;
mod shop;
mod support;
mod till;
