//! Replies that are given again: to the very same request, and to one of the same meaning.
//!
//! Invariant: a reply never leaves its tenant, nor its user unless the project says so, nor the jurisdiction that it was
//! made for; an error or a cut reply is never kept.

mod key;
mod replay;
mod semantic;
mod service;
mod shelf;

pub(crate) use service::CacheLayer;
pub(crate) use shelf::Shelf;
