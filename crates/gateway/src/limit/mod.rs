//! Usage plans and budgets: what a call will use is reserved before it goes on, and settled when it has ended.

mod charge;
mod embedding;
mod rules;
mod service;

pub(crate) use rules::{Rules, budget_prefix};
pub(crate) use service::{Fallbacks, LimitLayer};
