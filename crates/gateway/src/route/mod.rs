//! Routes: which model answers a call, and what is done when it does not.
//!
//! A route is a stack: bind to a jurisdiction, admit, degrade, and innermost the strategy, which is a service over legs.
//! A leg is a model or another route, and [`residency`] holds the only way to it.

mod admission;
pub(crate) mod bind;
pub(crate) mod build;
mod cascade;
mod check;
mod choose;
mod collect;
pub(crate) mod config;
mod degrade;
pub(crate) mod dice;
mod ensemble;
pub(crate) mod experience;
pub(crate) mod facts;
pub(crate) mod file;
pub(crate) mod guard;
mod hold;
pub(crate) mod learned;
mod logprobs;
pub(crate) mod pick;
mod pursue;
mod queue;
pub(crate) mod residency;
mod resume;
mod routed;
mod spent;
