//! What is known of a target from its last calls: latency, errors, load, and what it said is left of a quota.

use bedplate_core::time::Timestamp;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The measurements of one target; a strategy by metrics chooses by them.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Seconds until the first token: a peak that decays.
    latency: f64,
    at: Timestamp,
    /// The part of calls that fail, averaged.
    errors: f64,
    outstanding: u32,
    outstanding_tokens: u64,
    /// Until when the target asked to be left alone.
    quota_back: Timestamp,
}

/// What [`Health`] says at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Seconds until the first token, expected; 0 for a target that was never called.
    pub latency: f64,
    /// The part of calls that fail, 0 to 1.
    pub errors: f64,
    /// Calls under way.
    pub outstanding: u32,
    /// Input tokens of the calls under way, estimated.
    pub outstanding_tokens: u64,
    /// Whether it has said that its quota is used up, for now.
    pub exhausted: bool,
}

/// How fast a peak is forgotten.
const DECAY: Duration = Duration::from_secs(10);

impl Health {
    /// Notes that a call with about `tokens` of input begins.
    pub fn begin(&self, tokens: u64) {
        let mut state = self.lock();
        state.outstanding += 1;
        state.outstanding_tokens += tokens;
    }

    /// Notes that it is over, however it ended.
    pub fn end(&self, tokens: u64) {
        let mut state = self.lock();
        state.outstanding = state.outstanding.saturating_sub(1);
        state.outstanding_tokens = state.outstanding_tokens.saturating_sub(tokens);
    }

    /// Notes the time until the first token: a slower one counts at once, a faster one bit by bit.
    pub fn answered(&self, now: Timestamp, latency: Duration) {
        let mut state = self.lock();
        let latency = latency.as_secs_f64();
        let kept = decay(now.since(state.at));
        state.latency = if latency > state.latency { latency } else { state.latency * kept + latency * (1.0 - kept) };
        state.at = now;
    }

    /// Notes whether a call failed.
    pub fn outcome(&self, failed: bool) {
        let mut state = self.lock();
        state.errors += (f64::from(u8::from(failed)) - state.errors) * 0.05;
    }

    /// Notes that the target wants no calls before `until`.
    pub fn exhausted(&self, until: Timestamp) {
        let mut state = self.lock();
        state.quota_back = state.quota_back.max(until);
    }

    /// Returns how long the target still wants no calls; none when it takes them.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let wait = self.lock().quota_back.since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Returns what is known at `now`.
    #[must_use]
    pub fn read(&self, now: Timestamp) -> Reading {
        let state = self.lock();
        Reading {
            latency: state.latency,
            errors: state.errors,
            outstanding: state.outstanding,
            outstanding_tokens: state.outstanding_tokens,
            exhausted: state.quota_back > now,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// Returns the cost of one more call by peak-EWMA: the expected latency times the calls that are ahead of it. A
    /// target that was never called costs least, so that it is tried.
    #[must_use]
    pub fn peak_ewma(&self) -> f64 {
        self.latency * (f64::from(self.outstanding) + 1.0)
    }
}

fn decay(passed: Duration) -> f64 {
    (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp().min(0.9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten_slowly() {
        let health = Health::default();
        health.answered(Timestamp(0), Duration::from_millis(100));
        health.answered(Timestamp(10), Duration::from_secs(2));
        assert!((health.read(Timestamp(10)).latency - 2.0).abs() < 1e-9);
        health.answered(Timestamp(1_010), Duration::from_millis(100));
        let after_one = health.read(Timestamp(1_010)).latency;
        assert!(after_one > 1.5 && after_one < 2.0, "{after_one}");
        for second in 2..60 {
            health.answered(Timestamp(second * 1_000), Duration::from_millis(100));
        }
        assert!(health.read(Timestamp(60_000)).latency < 0.2);
    }

    #[test]
    fn outstanding_work_makes_a_target_dearer() {
        let health = Health::default();
        health.answered(Timestamp(0), Duration::from_secs(1));
        let idle = health.read(Timestamp(0)).peak_ewma();
        health.begin(500);
        health.begin(700);
        let busy = health.read(Timestamp(0));
        assert!(busy.peak_ewma() > 2.9 * idle);
        assert_eq!(busy.outstanding_tokens, 1_200);
        health.end(500);
        health.end(700);
        assert_eq!(health.read(Timestamp(0)).outstanding, 0);
    }

    #[test]
    fn a_quota_that_is_used_up_comes_back() {
        let health = Health::default();
        health.exhausted(Timestamp(5_000));
        assert_eq!(health.wait(Timestamp(3_000)), Some(Duration::from_secs(2)));
        assert_eq!(health.wait(Timestamp(5_000)), None);
    }
}
