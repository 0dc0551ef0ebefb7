//! Ports for deterministic simulation: a model and tools that misbehave as a seed says, a journal that dies at a chosen
//! append, and the receiver that counts effects.

mod journal;
mod ledger;
mod model;
mod tasks;
mod tools;

pub use journal::{Crash, Fate, Moment, SimJournal};
pub use ledger::{Ledger, Record};
pub use model::SimModel;
pub use tasks::{SimTasks, TaskLedger, TaskRecord};
pub use tools::{SimTools, sim_tools};
