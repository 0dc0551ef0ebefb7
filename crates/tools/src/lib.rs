//! Built-in, HTTP and SQLite tools behind the Tools port.
