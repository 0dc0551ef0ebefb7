//! Everything between the command line and the disk, put together and driven from outside.

#![allow(clippy::print_stdout, reason = "tests tell what they skipped and counted")]

mod codes;
mod recorded;
mod serving;
