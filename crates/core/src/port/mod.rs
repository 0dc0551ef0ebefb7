//! The ports: everything that the runtime and the server need from outside, as small object-safe traits.
//!
//! Each port says its promise in its doc comment; its errors say whether the same call may succeed later
//! (`retryable`) or never will. Every port has a conformance suite in `testkit` that all its adapters pass.

pub mod caller;
pub mod clock;
pub mod definitions;
pub mod documents;
pub mod health;
pub mod journal;
pub mod keys;
pub mod ledger;
pub mod model;
pub mod records;
pub mod tasks;
pub mod tools;
pub mod webhooks;
pub mod workflows;

pub use caller::{CacheControl, Caller, Priority};
use std::{future::Future, pin::Pin};

/// A boxed future, as object-safe asynchronous ports return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream, as object-safe streaming ports return it.
pub type BoxStream<'a, T> = Pin<Box<dyn futures_core::Stream<Item = T> + Send + 'a>>;
