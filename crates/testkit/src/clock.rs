//! A clock that stands still until a test moves it, and randomness that a seed decides.

use bedplate_core::{
    port::{
        BoxFuture,
        clock::{Clock, Entropy},
    },
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Virtual time. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    next_id: u64,
}

impl SimClock {
    /// Returns a clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { now, ..Inner::default() })) }
    }

    /// Returns when the next sleeper wants to wake.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.lock().sleepers.first_key_value().map(|((until, _), _)| *until)
    }

    /// Moves time to `to`, if that is later, and wakes everybody whose time has come.
    pub fn advance_to(&self, to: Timestamp) {
        let mut inner = self.lock();
        inner.now = inner.now.max(to);
        let now = inner.now;
        let later = inner.sleepers.split_off(&(Timestamp(now.0.saturating_add(1)), 0));
        let due = std::mem::replace(&mut inner.sleepers, later);
        drop(inner);
        for waker in due.into_values() {
            waker.wake();
        }
    }

    /// Moves time on by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.advance_to(self.now().after(duration));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { clock: self.clone(), until, id: None })
    }
}

struct Sleep {
    clock: SimClock,
    until: Timestamp,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let id = {
            let mut inner = self.clock.lock();
            if inner.now >= until {
                if let Some(id) = self.id {
                    inner.sleepers.remove(&(until, id));
                }
                return Poll::Ready(());
            }
            let id = self.id.unwrap_or_else(|| {
                inner.next_id += 1;
                inner.next_id
            });
            inner.sleepers.insert((until, id), cx.waker().clone());
            id
        };
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.lock().sleepers.remove(&(self.until, id));
        }
    }
}

/// A generator of pseudo-random numbers (SplitMix64): the same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Returns the generator of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Returns the next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which is above 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    /// Returns yes in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Randomness that a seed decides.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Rng>);

impl SimEntropy {
    /// Returns the randomness of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Rng::new(seed)))
    }
}

impl Entropy for SimEntropy {
    fn bytes(&self) -> [u8; 16] {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&rng.draw().to_le_bytes());
        bytes[8..].copy_from_slice(&rng.draw().to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_sleeper_wakes_at_its_time_and_never_before() {
        let clock = SimClock::at(Timestamp(10));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let mut sleep = clock.sleep_until(Timestamp(20));
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        clock.advance_to(Timestamp(19));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        clock.advance_to(Timestamp(20));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn a_dropped_sleeper_holds_nothing_up() {
        let clock = SimClock::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut sleep = clock.sleep_until(Timestamp(5));
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        assert_eq!(clock.next_wake(), Some(Timestamp(5)));
        drop(sleep);
        assert_eq!(clock.next_wake(), None);
    }
}
