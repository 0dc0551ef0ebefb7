//! Budgets: how they stand, and alerts when they come near their end.

mod alert;
mod states;

pub(crate) use alert::{Alert, Alerts};
pub(crate) use states::states;
