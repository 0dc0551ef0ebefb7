//! Time and randomness, so that tests own them.

use super::BoxFuture;
use crate::time::Timestamp;

/// The clock that the runtime reads and sleeps on.
pub trait Clock: Send + Sync {
    /// Returns the present time.
    fn now(&self) -> Timestamp;

    /// Returns when `until` is reached; at once when it has passed. Never early.
    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()>;
}

/// A source of unpredictable bytes for ids and jitter.
pub trait Entropy: Send + Sync {
    /// Returns 16 bytes that no caller can guess, and that never repeat in practice.
    fn bytes(&self) -> [u8; 16];
}
