//! The gateway against scripts and against upstreams that behave well, badly, and not at all.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod control;
mod discovery;
mod embeddings;
mod passing;
mod providers;
mod routes;
mod scripts;
mod strategies;
mod support;
mod upstreams;
mod windows;
