//! A project folder: load, check, hash, watch.
