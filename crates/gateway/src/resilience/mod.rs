//! What keeps a call alive where targets fail: one file for each means, each without a clock or randomness of its own.

pub(crate) mod breaker;
pub(crate) mod concurrency;
pub(crate) mod deadline;
pub(crate) mod health;
pub(crate) mod retry;
