//! Everything between the command line and the disk, put together and driven from outside.

mod recorded;
