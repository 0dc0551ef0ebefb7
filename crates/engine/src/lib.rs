//! The machines of Bedplate: pure interpreters over a journal.

pub mod agent;
pub mod definition;
pub mod machine;
pub mod workflow;
