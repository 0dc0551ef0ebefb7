//! When a failed call is tried again: full jitter, a hint obeyed, and a budget that a storm cannot pass.

use bedplate_core::port::model::{ModelError, ModelErrorKind};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How often and how late a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts at one target, the first included; 1 to 10.
    pub attempts: u32,
    /// The longest pause before the second attempt; it doubles with each further one.
    pub base: Duration,
    /// The longest pause of all. A provider that asks for more is not called again within this call.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 2, base: Duration::from_millis(200), cap: Duration::from_secs(20) }
    }
}

impl RetryPolicy {
    /// Returns how long to wait before attempt `next` (2 is the first repeat); none when the call must not be repeated
    /// at this target. `random` is any number.
    ///
    /// A provider's `Retry-After` is the least that is waited; up to a tenth of it is added, so that the callers whom
    /// one answer turned away do not come back together.
    #[must_use]
    pub fn pause(&self, error: &ModelError, next: u32, random: u64) -> Option<Duration> {
        if next > self.attempts || !error.kind.retryable() {
            return None;
        }
        match error.retry_after {
            Some(asked) if asked > self.cap => None,
            Some(asked) => Some(asked + part(asked / 10, random)),
            None => {
                let doubled = self.base.saturating_mul(1_u32.checked_shl(next.saturating_sub(2)).unwrap_or(u32::MAX));
                Some(part(doubled.min(self.cap), random))
            }
        }
    }
}

/// Returns whether another target may succeed where this error came from.
#[must_use]
pub fn other_target_may_help(kind: ModelErrorKind) -> bool {
    match kind {
        ModelErrorKind::RateLimited
        | ModelErrorKind::Unavailable
        | ModelErrorKind::Timeout
        | ModelErrorKind::BrokenStream
        | ModelErrorKind::InvalidReply
        // Another provider has another credential, other models, and another limit on the length.
        | ModelErrorKind::Unauthorized
        | ModelErrorKind::NotFound
        | ModelErrorKind::TooLarge => true,
        // The caller's own limit is the same everywhere.
        ModelErrorKind::InvalidRequest | ModelErrorKind::LimitExceeded => false,
    }
}

/// Returns the `random`-th part of `most`: evenly spread from zero to all of it.
fn part(most: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random % nanos.saturating_add(1).max(1))
}

/// How many repeats calls have earned: every call puts in a tenth of a token, a repeat takes a whole one. So repeats
/// are at most a tenth of all calls, however many of those fail, besides a small reserve for quiet times.
#[derive(Debug)]
pub struct RetryBudget {
    // In thousandths, so that tenths add up exactly.
    tokens: Mutex<u64>,
    earned: u64,
    most: u64,
}

const TOKEN: u64 = 1_000;

impl RetryBudget {
    /// Returns a full budget. `percent` of calls may be repeated; `reserve` repeats are there from the start, and no
    /// more are ever saved up.
    #[must_use]
    pub fn new(percent: u32, reserve: u32) -> Self {
        let most = u64::from(reserve) * TOKEN;
        Self { tokens: Mutex::new(most), earned: u64::from(percent) * TOKEN / 100, most }
    }

    /// Notes a call that is no repeat.
    pub fn called(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = (*tokens + self.earned).min(self.most.max(TOKEN));
    }

    /// Takes a repeat out; returns whether there was one.
    #[must_use]
    pub fn take(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let there = *tokens >= TOKEN;
        if there {
            *tokens -= TOKEN;
        }
        there
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(10, 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ModelErrorKind, retry_after: Option<u64>) -> ModelError {
        ModelError { retry_after: retry_after.map(Duration::from_millis), ..ModelError::new(kind, "") }
    }

    #[test]
    fn a_storm_of_failures_adds_a_tenth_of_calls_and_no_more() {
        let budget = RetryBudget::new(10, 10);
        let mut repeats = 0;
        for _ in 0..10_000 {
            budget.called();
            // Every call fails, and asks for as many repeats as it can get.
            while budget.take() {
                repeats += 1;
            }
        }
        assert!((1_000..=1_010).contains(&repeats), "{repeats}");
    }

    #[test]
    fn pain_25_a_retry_after_is_never_cut_short() {
        let policy = RetryPolicy::default();
        for random in [0, 1, 7_777_777_777, u64::MAX] {
            let pause = policy.pause(&error(ModelErrorKind::RateLimited, Some(5_000)), 2, random).unwrap();
            assert!((5_000..=5_500).contains(&pause.as_millis()), "{pause:?}");
        }
        let long = error(ModelErrorKind::RateLimited, Some(60_000));
        assert_eq!(policy.pause(&long, 2, 0), None, "the caller is told instead of kept waiting");
    }

    #[test]
    fn jitter_spreads_over_the_whole_pause_which_doubles() {
        let policy = RetryPolicy { attempts: 10, base: Duration::from_millis(100), cap: Duration::from_millis(350) };
        let failed = error(ModelErrorKind::Unavailable, None);
        for (next, most) in [(2, 100), (3, 200), (4, 350), (9, 350)] {
            let pauses: Vec<_> = (0..1000_u64)
                .map(|n| policy.pause(&failed, next, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap().as_millis())
                .collect();
            let (least, greatest) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
            assert!(least < most / 10 && greatest > most * 9 / 10 && greatest <= most, "{next}: {least} to {greatest}");
        }
        assert_eq!(policy.pause(&failed, 11, 0), None);
    }

    #[test]
    fn what_can_never_succeed_is_not_repeated() {
        let policy = RetryPolicy::default();
        for kind in [ModelErrorKind::InvalidRequest, ModelErrorKind::Unauthorized, ModelErrorKind::TooLarge] {
            assert_eq!(policy.pause(&error(kind, None), 2, 0), None);
        }
        assert!(!other_target_may_help(ModelErrorKind::InvalidRequest));
    }
}
