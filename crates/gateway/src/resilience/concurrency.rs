//! How many calls a target gets at once: a limit that follows its latency, under a fixed most (the bulkhead).
//!
//! The latency that counts is that of the first token: the length of an answer says nothing about load. The limit
//! follows the gradient between the usual latency and that of now, and falls by a tenth whenever the target says that
//! it is overloaded.

use futures::channel::oneshot;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How a limit moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConcurrencyPolicy {
    /// Where it begins, if it moves; one that does not is always at its most.
    pub initial: u32,
    /// It never falls below this; at least 1.
    pub least: u32,
    /// It never rises above this: the bulkhead.
    pub most: u32,
    /// Whether it moves at all.
    pub adaptive: bool,
}

impl Default for ConcurrencyPolicy {
    fn default() -> Self {
        Self { initial: 64, least: 8, most: 100_000, adaptive: false }
    }
}

/// The limit of one target, and how much of it is in use.
#[derive(Debug)]
pub struct Concurrency {
    policy: ConcurrencyPolicy,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: u32,
    /// The latency in seconds, as usual and of late; 0 before the first.
    long: f64,
    short: f64,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// A place among a target's calls; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    /// None once it is nobody's.
    concurrency: Option<Arc<Concurrency>>,
}

/// What a call showed about its target's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// It answered, and this was the time until its first token.
    Answered(Duration),
    /// It said that it is overloaded, or did not answer in time.
    Overloaded,
}

impl Concurrency {
    /// Returns a limit with nothing in use.
    #[must_use]
    pub fn new(policy: ConcurrencyPolicy) -> Arc<Self> {
        let most = policy.most.max(1);
        let initial = if policy.adaptive { policy.initial.clamp(policy.least.clamp(1, most), most) } else { most };
        let state = State { limit: f64::from(initial), in_flight: 0, long: 0.0, short: 0.0, waiting: VecDeque::new() };
        Arc::new(Self { policy, state: Mutex::new(state) })
    }

    /// Returns a place, or none when all are taken.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.lock();
        state.has_room().then(|| {
            state.in_flight += 1;
            self.permit()
        })
    }

    /// Returns what will be a place, in the order of asking; none when too many wait.
    #[must_use]
    pub fn wait(self: &Arc<Self>) -> Option<oneshot::Receiver<Permit>> {
        let mut state = self.lock();
        state.waiting.retain(|waiter| !waiter.is_canceled());
        let full = state.waiting.len() >= MOST_WAITING;
        let (give, place) = oneshot::channel();
        if state.has_room() {
            state.in_flight += 1;
            // The other end is in this very function.
            let _ = give.send(self.permit());
        } else if full {
            return None;
        } else {
            state.waiting.push_back(give);
        }
        Some(place)
    }

    fn permit(self: &Arc<Self>) -> Permit {
        Permit { concurrency: Some(Arc::clone(self)) }
    }

    /// Returns how many calls are under way, and how many may be.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the limit is at most `most`")]
    pub fn level(&self) -> (u32, u32) {
        let state = self.lock();
        (state.in_flight, state.limit as u32)
    }

    fn note(&self, sample: Sample) {
        if !self.policy.adaptive {
            return;
        }
        let mut state = self.lock();
        match sample {
            Sample::Overloaded => state.limit *= 0.9,
            Sample::Answered(latency) => {
                let latency = latency.as_secs_f64().max(1e-6);
                if state.long == 0.0 {
                    (state.long, state.short) = (latency, latency);
                }
                state.short += (latency - state.short) * 0.2;
                // The usual latency falls readily and rises hardly: a queue that lasts must not become the usual.
                state.long += (latency - state.long) * if latency < state.long { 0.1 } else { 0.0001 };
                // A limit that is not used says nothing about the target.
                if f64::from(state.in_flight) < state.limit / 2.0 {
                    return;
                }
                let gradient = (TOLERANCE * (state.long + NOISE) / (state.short + NOISE)).clamp(0.5, 1.0);
                let wanted = state.limit * gradient + state.limit.sqrt();
                state.limit += (wanted - state.limit) * 0.2;
            }
        }
        state.limit = state.limit.clamp(f64::from(self.policy.least.max(1)), f64::from(self.policy.most.max(1)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much slower than usual a target may be before it gets fewer calls.
const TOLERANCE: f64 = 1.5;

/// How many wait for a place at one target. How long they do is bounded by whoever waits.
const MOST_WAITING: usize = 1_000;

/// Differences of some hundredths of a second say nothing about load.
const NOISE: f64 = 0.05;

impl State {
    fn has_room(&self) -> bool {
        f64::from(self.in_flight) + 1.0 <= self.limit.max(1.0)
    }
}

impl Permit {
    /// Notes what the call showed.
    pub fn note(&self, sample: Sample) {
        if let Some(concurrency) = &self.concurrency {
            concurrency.note(sample);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(concurrency) = self.concurrency.take() else { return };
        loop {
            let next = {
                let mut state = concurrency.lock();
                // A limit that has shrunk takes places back as they come free.
                let next = if f64::from(state.in_flight) <= state.limit { state.waiting.pop_front() } else { None };
                if next.is_none() {
                    state.in_flight = state.in_flight.saturating_sub(1);
                }
                next
            };
            match next.map(|next| next.send(concurrency.permit())) {
                None | Some(Ok(())) => return,
                // Who waited is gone, and the next is asked; the place must not go through this again on its own.
                Some(Err(mut permit)) => permit.concurrency = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers `capacity` calls in `base` and queues the rest: the latency at `load`.
    fn latency(load: u32, capacity: u32, base: Duration) -> Duration {
        base.mul_f64((f64::from(load) / f64::from(capacity)).max(1.0))
    }

    fn drive(limit: &Arc<Concurrency>, rounds: usize, capacity: u32) -> u32 {
        for _ in 0..rounds {
            let permits: Vec<_> = std::iter::from_fn(|| limit.enter()).collect();
            let load = u32::try_from(permits.len()).unwrap();
            for permit in permits {
                permit.note(Sample::Answered(latency(load, capacity, Duration::from_millis(100))));
            }
        }
        limit.level().1
    }

    #[test]
    fn the_limit_settles_near_what_the_target_can_do() {
        let policy = ConcurrencyPolicy { initial: 4, least: 2, most: 1_000, adaptive: true };
        let limit = Concurrency::new(policy);
        // Warm with light load, so that the long average knows the unloaded latency.
        let settled = drive(&limit, 300, 50);
        assert!((40..=250).contains(&settled), "{settled}");
    }

    #[test]
    fn overload_shrinks_it_to_its_least_and_recovery_lets_it_grow() {
        let policy = ConcurrencyPolicy { initial: 100, least: 4, most: 1_000, adaptive: true };
        let limit = Concurrency::new(policy);
        for _ in 0..100 {
            limit.enter().unwrap().note(Sample::Overloaded);
        }
        assert_eq!(limit.level(), (0, 4));
        assert!(drive(&limit, 50, 1_000) > 20);
    }

    #[test]
    fn a_bulkhead_holds_and_places_come_back() {
        let policy = ConcurrencyPolicy { initial: 2, least: 1, most: 2, adaptive: false };
        let limit = Concurrency::new(policy);
        let (first, second) = (limit.enter().unwrap(), limit.enter().unwrap());
        assert!(limit.enter().is_none());
        drop(first);
        assert!(limit.enter().is_some());
        drop(second);
        assert_eq!(limit.level(), (0, 2));
    }

    #[test]
    fn who_waits_gets_the_next_place_and_who_gave_up_gets_none() {
        let policy = ConcurrencyPolicy { initial: 1, least: 1, most: 1, adaptive: false };
        let limit = Concurrency::new(policy);
        let held = limit.enter().unwrap();
        drop(limit.wait().unwrap());
        let mut waiting = limit.wait().unwrap();
        let queue: Vec<_> = std::iter::from_fn(|| limit.wait()).collect();
        assert_eq!(queue.len(), MOST_WAITING - 1, "the queue has an end");
        drop(queue);
        drop(held);
        let place = waiting.try_recv().unwrap().unwrap();
        assert!(limit.enter().is_none());
        drop(place);
        assert_eq!(limit.level(), (0, 1));
    }
}
