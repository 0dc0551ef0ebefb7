//! The binary `bedplate`.

fn main() {}
