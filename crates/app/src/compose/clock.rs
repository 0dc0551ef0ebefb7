//! A clock that runs faster than time, for tests of workflows that wait.

use bedplate_core::{
    port::{BoxFuture, clock::Clock},
    time::Timestamp,
};
use bedplate_runtime::system::SystemClock;

/// A clock on which `speed` seconds pass in each. It starts right.
pub struct FastClock {
    origin: Timestamp,
    speed: i64,
}

impl FastClock {
    /// Returns the clock that runs `speed` times as fast.
    pub fn new(speed: u32) -> Self {
        Self { origin: SystemClock.now(), speed: i64::from(speed.max(1)) }
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let passed = SystemClock.now().0.saturating_sub(self.origin.0);
        Timestamp(self.origin.0.saturating_add(passed.saturating_mul(self.speed)))
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let left = until.0.saturating_sub(self.origin.0);
        // Rounded up, so that it is never early.
        SystemClock
            .sleep_until(Timestamp(self.origin.0.saturating_add(left.saturating_add(self.speed - 1) / self.speed)))
    }
}
