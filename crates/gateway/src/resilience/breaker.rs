//! A circuit breaker: a target that fails too often gets no calls for a while, then a few probes.
//!
//! It has two thresholds. Above the first, calls go elsewhere as long as there is an elsewhere. Above the second the
//! target counts as down, and a call that has no other place to go fails at once instead of waiting for it.

use bedplate_core::time::Timestamp;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// How many of the last calls are looked at.
    pub window: usize,
    /// How many there must be before anything is concluded.
    pub least: usize,
    /// The part of them that must fail for calls to go elsewhere, 0 to 1.
    pub shift_at: f64,
    /// The part of them that must fail for the target to count as down, 0 to 1.
    pub down_at: f64,
    /// How long it stays open the first time; each time that its probes fail it is doubled…
    pub cooldown: Duration,
    /// …up to this.
    pub longest: Duration,
    /// How many probes in a row must succeed for it to close.
    pub probes: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            window: 50,
            least: 10,
            shift_at: 0.2,
            down_at: 0.6,
            cooldown: Duration::from_secs(5),
            longest: Duration::from_secs(120),
            probes: 3,
        }
    }
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// It may, and its outcome decides whether the breaker closes.
    Probe,
    /// It may not; it could after this time.
    No {
        /// How long until a probe is let through.
        after: Duration,
    },
}

/// Where a breaker stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Calls go through.
    Closed,
    /// Calls go elsewhere.
    Open,
    /// A few calls go through as probes.
    HalfOpen,
}

/// How a call ended, as far as the target's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should, also when it refused a wrong request.
    Success,
    /// It failed.
    Failure,
    /// Nothing can be said: the caller hung up.
    Unknown,
}

/// The breaker of one target.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: VecDeque<bool>,
    failed: usize,
    phase: Inner,
    /// How often in a row it has opened without closing in between.
    opened: u32,
}

#[derive(Debug)]
enum Inner {
    Closed,
    Open { until: Timestamp, down: bool },
    HalfOpen { running: u32, succeeded: u32, down: bool },
}

impl Breaker {
    /// Returns a closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        let state = State { last: VecDeque::with_capacity(policy.window), failed: 0, phase: Inner::Closed, opened: 0 };
        Self { policy, state: Mutex::new(state) }
    }

    /// Returns whether a call may go at `now`. With `last_resort` there is no other target, and only one that is down
    /// is not called. What was admitted must be reported with [`Breaker::report`].
    #[must_use]
    pub fn admit(&self, now: Timestamp, last_resort: bool) -> Admission {
        let mut state = self.lock();
        if let Inner::Open { until, down } = state.phase
            && now >= until
        {
            state.phase = Inner::HalfOpen { running: 0, succeeded: 0, down };
        }
        match &mut state.phase {
            Inner::Closed => Admission::Yes,
            Inner::Open { down: false, .. } if last_resort => Admission::Yes,
            Inner::Open { until, .. } => Admission::No { after: until.since(now) },
            Inner::HalfOpen { running, succeeded, .. } if *running + *succeeded < self.policy.probes => {
                *running += 1;
                Admission::Probe
            }
            Inner::HalfOpen { down: false, .. } if last_resort => Admission::Yes,
            Inner::HalfOpen { .. } => Admission::No { after: HALF_OPEN_WAIT },
        }
    }

    /// Notes how a call that `admitted` let through ended.
    pub fn report(&self, now: Timestamp, admitted: Admission, outcome: Outcome) {
        let mut state = self.lock();
        let probe = admitted == Admission::Probe;
        match (&mut state.phase, outcome) {
            (Inner::HalfOpen { running, .. }, Outcome::Unknown) if probe => *running = running.saturating_sub(1),
            (Inner::HalfOpen { running, succeeded, .. }, Outcome::Success) if probe => {
                *running = running.saturating_sub(1);
                *succeeded += 1;
                if *succeeded >= self.policy.probes {
                    state.close();
                }
            }
            (Inner::HalfOpen { down, .. }, Outcome::Failure) if probe => {
                let down = *down;
                self.open(&mut state, now, down);
            }
            // What a call of before the opening, or of last resort, says is no probe's word.
            (Inner::Open { .. } | Inner::HalfOpen { .. }, _) | (Inner::Closed, Outcome::Unknown) => {}
            (Inner::Closed, Outcome::Success | Outcome::Failure) => {
                self.note(&mut state, outcome == Outcome::Failure);
                let (count, failed) = (state.last.len(), state.failed);
                if count >= self.policy.least && at_least(failed, count, self.policy.shift_at) {
                    let down = at_least(failed, count, self.policy.down_at);
                    self.open(&mut state, now, down);
                } else if count >= self.policy.window {
                    state.opened = 0;
                }
            }
        }
    }

    /// Returns where the breaker stands at `now`.
    #[must_use]
    pub fn phase(&self, now: Timestamp) -> Phase {
        match self.lock().phase {
            Inner::Closed => Phase::Closed,
            Inner::Open { until, .. } if now < until => Phase::Open,
            Inner::Open { .. } | Inner::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// Returns how long an open breaker lets nothing through yet; none when it is not open.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        match self.lock().phase {
            Inner::Open { until, .. } if now < until => Some(until.since(now)),
            Inner::Open { .. } | Inner::Closed | Inner::HalfOpen { .. } => None,
        }
    }

    fn note(&self, state: &mut State, failed: bool) {
        if state.last.len() == self.policy.window && state.last.pop_front() == Some(true) {
            state.failed -= 1;
        }
        state.last.push_back(failed);
        state.failed += usize::from(failed);
    }

    fn open(&self, state: &mut State, now: Timestamp, down: bool) {
        let doubled = self.policy.cooldown.saturating_mul(1_u32.checked_shl(state.opened).unwrap_or(u32::MAX));
        state.opened = state.opened.saturating_add(1);
        state.phase = Inner::Open { until: now.after(doubled.min(self.policy.longest)), down };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes; what was before counts no more. How often it opened is forgotten only with a full new window: a target
    /// that is well for three probes and ill again has not recovered.
    fn close(&mut self) {
        self.phase = Inner::Closed;
        self.last.clear();
        self.failed = 0;
    }
}

/// What is said to wait while probes are under way; they take about as long as a call.
const HALF_OPEN_WAIT: Duration = Duration::from_secs(1);

#[expect(clippy::cast_precision_loss, reason = "a window holds far fewer calls than 2^52")]
fn at_least(part: usize, whole: usize, ratio: f64) -> bool {
    part > 0 && part as f64 >= whole as f64 * ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerPolicy { window: 20, ..BreakerPolicy::default() })
    }

    /// Makes `count` calls, of which every `nth` fails.
    fn calls(breaker: &Breaker, now: i64, count: usize, nth: usize) -> usize {
        (0..count)
            .filter(|n| {
                let admitted = breaker.admit(Timestamp(now), false);
                let went = !matches!(admitted, Admission::No { .. });
                if went {
                    let outcome = if n % nth == 0 { Outcome::Failure } else { Outcome::Success };
                    breaker.report(Timestamp(now), admitted, outcome);
                }
                went
            })
            .count()
    }

    #[test]
    fn a_target_that_fails_a_third_of_its_calls_loses_them_to_others_but_is_still_the_last_resort() {
        let breaker = breaker();
        assert!(calls(&breaker, 0, 1000, 3) <= 20, "the breaker moves the traffic");
        assert_eq!(breaker.phase(Timestamp(0)), Phase::Open);
        assert_eq!(breaker.admit(Timestamp(1), true), Admission::Yes);
    }

    #[test]
    fn a_target_that_is_down_is_not_even_the_last_resort_and_says_when_to_ask_again() {
        let breaker = breaker();
        calls(&breaker, 0, 20, 1);
        assert_eq!(breaker.admit(Timestamp(2_000), true), Admission::No { after: Duration::from_secs(3) });
        assert_eq!(breaker.wait(Timestamp(2_000)), Some(Duration::from_secs(3)));
        assert_eq!(breaker.wait(Timestamp(5_000)), None);
    }

    #[test]
    fn one_bad_call_among_many_good_ones_opens_nothing() {
        let breaker = breaker();
        assert_eq!(calls(&breaker, 0, 1000, 10), 1000);
    }

    #[test]
    fn probes_close_it_and_a_failed_one_opens_it_for_twice_as_long() {
        let breaker = breaker();
        calls(&breaker, 0, 20, 1);
        let probe = breaker.admit(Timestamp(5_000), false);
        assert_eq!(probe, Admission::Probe);
        breaker.report(Timestamp(5_000), probe, Outcome::Failure);
        assert_eq!(breaker.admit(Timestamp(5_000), false), Admission::No { after: Duration::from_secs(10) });
        for _ in 0..3 {
            let probe = breaker.admit(Timestamp(15_000), false);
            assert_eq!(probe, Admission::Probe);
            breaker.report(Timestamp(15_000), probe, Outcome::Success);
        }
        assert_eq!(breaker.phase(Timestamp(15_000)), Phase::Closed);
    }

    #[test]
    fn no_more_calls_than_probes_go_to_a_target_that_may_be_ill() {
        let breaker = breaker();
        calls(&breaker, 0, 20, 1);
        let admitted: Vec<_> = (0..10).map(|_| breaker.admit(Timestamp(6_000), false)).collect();
        assert_eq!(admitted.iter().filter(|it| **it == Admission::Probe).count(), 3);
        breaker.report(Timestamp(6_000), Admission::Probe, Outcome::Unknown);
        assert_eq!(breaker.admit(Timestamp(6_000), false), Admission::Probe, "a probe that hung up frees its place");
    }

    #[test]
    fn a_late_answer_from_before_the_opening_closes_nothing() {
        let breaker = breaker();
        let early = breaker.admit(Timestamp(0), false);
        calls(&breaker, 0, 20, 1);
        for _ in 0..100 {
            breaker.report(Timestamp(1), early, Outcome::Success);
        }
        assert_eq!(breaker.phase(Timestamp(1)), Phase::Open);
    }
}
