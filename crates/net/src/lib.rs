//! An HTTP client for what files of a project name: it reaches no private address but those that are named.
//!
//! Invariant: no name and no notation of an address leads inside; redirects are not followed.

mod address;
mod client;
mod secret;

pub use address::{Lookup, is_public, system_lookup};
pub use client::{Answer, Client, Failure, Limits, Opened, Outgoing};
pub use secret::{Secrets, percent_encoded};
