//! Tests of the workflow machine.
#![expect(clippy::print_stdout, reason = "the tables of the recorded cases are the point of running them")]

mod cases;
mod compare;
mod driver;
mod hostile;
mod jsonata;
mod machine;
mod table;
