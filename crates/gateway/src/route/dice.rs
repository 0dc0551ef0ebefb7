//! Numbers that spread choices and pauses. They need not be secret, only different.

use super::pick::mix;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// A source of such numbers, shared by all calls.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// Returns a source that differs from process to process.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(RandomState::new().build_hasher().finish()))
    }

    /// Returns the next number.
    pub(crate) fn roll(&self) -> u64 {
        mix(self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
    }
}
