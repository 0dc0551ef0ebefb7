//! A deterministic stand-in for a foundation model.
