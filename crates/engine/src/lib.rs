//! The machines of Bedplate: pure interpreters over a journal.

pub mod machine;
