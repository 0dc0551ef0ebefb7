//! What watches over one model, whichever routes lead to it: its breaker, its places, and what is known of it.

use crate::resilience::{
    breaker::{Admission, Breaker, BreakerPolicy, Outcome, Phase},
    concurrency::{Concurrency, ConcurrencyPolicy, Permit, Sample},
    health::Health,
};
use bedplate_core::{
    port::{
        clock::Clock,
        health::ModelHealth,
        model::{ModelError, ModelErrorKind, ModelInfo},
    },
    time::Timestamp,
};
use futures::{
    channel::oneshot,
    future::{Either, select},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How a model is watched over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GuardPolicy {
    /// When calls stop going to it.
    pub breaker: BreakerPolicy,
    /// How many go at once.
    pub concurrency: ConcurrencyPolicy,
}

/// See the module.
pub(crate) struct Guard {
    pub(crate) policy: GuardPolicy,
    pub(crate) breaker: Breaker,
    pub(crate) concurrency: Arc<Concurrency>,
    pub(crate) health: Health,
    /// What kind of failure was the last. Its words stay with the caller who met it.
    last_failure: Mutex<Option<ModelErrorKind>>,
    /// Calls since the process began, and those that failed by the code of their error.
    attempts: AtomicU64,
    failures: Mutex<BTreeMap<&'static str, u64>>,
}

/// A call that a guard let through. It is over when this is dropped; what came of it is said before.
pub(crate) struct Visit {
    guard: Arc<Guard>,
    clock: Arc<dyn Clock>,
    admission: Admission,
    permit: Permit,
    tokens: u64,
    begun: Timestamp,
    outcome: Outcome,
}

/// The longest that a target's word keeps calls away from it.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How long a call waits for a place at a model; a route's own queue is for more.
const PATIENCE: Duration = Duration::from_secs(5);

impl Guard {
    /// Returns a guard that knows nothing yet.
    pub(crate) fn new(policy: GuardPolicy) -> Arc<Self> {
        Arc::new(Self {
            policy,
            breaker: Breaker::new(policy.breaker),
            concurrency: Concurrency::new(policy.concurrency),
            health: Health::default(),
            last_failure: Mutex::default(),
            attempts: AtomicU64::new(0),
            failures: Mutex::default(),
        })
    }

    /// Returns how the model `name` does at `now`.
    pub(crate) fn describe(&self, name: &str, info: ModelInfo, now: Timestamp) -> ModelHealth {
        let (in_flight, limit) = self.concurrency.level();
        let reading = self.health.read(now);
        let breaker = match self.breaker.phase(now) {
            Phase::Closed => "closed",
            Phase::Open => "open",
            Phase::HalfOpen => "half_open",
        };
        ModelHealth {
            name: name.to_owned(),
            info,
            breaker,
            wait: self.breaker.wait(now).max(self.health.wait(now)),
            last_failure: self.last_failure(),
            in_flight,
            limit,
            latency: reading.latency,
            errors: reading.errors,
            attempts: self.attempts.load(Ordering::Relaxed),
            failures: self.failed().iter().map(|(code, count)| (*code, *count)).collect(),
        }
    }

    fn failed(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_failure(&self) -> Option<ModelErrorKind> {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call of about `tokens` of input through.
    ///
    /// # Errors
    /// Why it does not, with the time after which it may.
    pub(crate) fn enter(self: &Arc<Self>, clock: &Arc<dyn Clock>, tokens: u64) -> Result<Visit, ModelError> {
        let now = clock.now();
        self.asked_for_pause(now)?;
        let permit = self.concurrency.enter().ok_or_else(|| self.full(now))?;
        self.visit(clock, tokens, permit, false)
    }

    /// Lets a call through that has no other place to go: it waits for a place, at most until `until`, and only a
    /// model that is down is not called.
    ///
    /// # Errors
    /// See [`Guard::enter`].
    pub(crate) async fn enter_late(
        self: &Arc<Self>,
        clock: &Arc<dyn Clock>,
        tokens: u64,
        until: Option<Timestamp>,
    ) -> Result<Visit, ModelError> {
        let now = clock.now();
        self.asked_for_pause(now)?;
        let permit = match self.concurrency.enter() {
            Some(permit) => permit,
            None => {
                let place = self.concurrency.wait().ok_or_else(|| self.full(now))?;
                let patience = now.after(PATIENCE);
                let until = until.map_or(patience, |until| until.min(patience));
                match select(place, clock.sleep_until(until)).await {
                    Either::Left((Ok(permit), _)) => permit,
                    Either::Left((Err(oneshot::Canceled), _)) | Either::Right(_) => return Err(self.full(clock.now())),
                }
            }
        };
        self.visit(clock, tokens, permit, true)
    }

    fn asked_for_pause(&self, now: Timestamp) -> Result<(), ModelError> {
        match self.health.wait(now) {
            None => Ok(()),
            Some(wait) => Err(later(ModelErrorKind::RateLimited, "the model's provider asked for a pause", wait)),
        }
    }

    fn full(&self, now: Timestamp) -> ModelError {
        let wait = Duration::from_secs_f64(self.health.read(now).latency.clamp(0.1, 10.0));
        later(ModelErrorKind::RateLimited, "the model has as many calls as it can take", wait)
    }

    fn visit(
        self: &Arc<Self>,
        clock: &Arc<dyn Clock>,
        tokens: u64,
        permit: Permit,
        last_resort: bool,
    ) -> Result<Visit, ModelError> {
        let now = clock.now();
        let admission = self.breaker.admit(now, last_resort);
        if let Admission::No { after } = admission {
            let last = self.last_failure().map_or("unknown", ModelErrorKind::code);
            let message =
                format!("the model has failed too often of late (last: {last}) and is left alone for a while");
            return Err(later(ModelErrorKind::Unavailable, &message, after));
        }
        self.health.begin(tokens);
        self.attempts.fetch_add(1, Ordering::Relaxed);
        Ok(Visit {
            guard: Arc::clone(self),
            clock: Arc::clone(clock),
            admission,
            permit,
            tokens,
            begun: now,
            outcome: Outcome::Unknown,
        })
    }
}

impl Visit {
    /// Notes that the first token came.
    pub(crate) fn answered(&self) {
        let now = self.clock.now();
        let latency = now.since(self.begun);
        self.guard.health.answered(now, latency);
        self.permit.note(Sample::Answered(latency));
    }

    /// Notes that the call ended well.
    pub(crate) fn succeeded(mut self) -> Self {
        self.outcome = Outcome::Success;
        self.guard.health.outcome(false);
        self
    }

    /// Notes that it failed. `impatient` means that the caller's own deadline ended it.
    pub(crate) fn failed(mut self, error: &ModelError, impatient: bool) -> Self {
        let now = self.clock.now();
        *self.guard.failed().entry(error.kind.code()).or_default() += 1;
        self.outcome = match error.kind {
            ModelErrorKind::InvalidRequest | ModelErrorKind::TooLarge | ModelErrorKind::LimitExceeded => {
                Outcome::Success
            }
            // A caller who hardly waits must not be able to close a model for everybody else.
            ModelErrorKind::Timeout if impatient && !self.is_late(now) => Outcome::Unknown,
            ModelErrorKind::Timeout
            | ModelErrorKind::NotFound
            | ModelErrorKind::Unauthorized
            | ModelErrorKind::RateLimited
            | ModelErrorKind::Unavailable
            | ModelErrorKind::BrokenStream
            | ModelErrorKind::InvalidReply => Outcome::Failure,
        };
        let failed = self.outcome == Outcome::Failure;
        self.guard.health.outcome(failed);
        if failed {
            *self.guard.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.kind);
        }
        if matches!(error.kind, ModelErrorKind::RateLimited | ModelErrorKind::Unavailable) {
            self.permit.note(Sample::Overloaded);
            if let Some(wait) = error.retry_after {
                self.guard.health.exhausted(now.after(wait.min(LONGEST_WAIT)));
            }
        }
        self
    }

    /// Returns whether the target takes much longer than it usually does.
    fn is_late(&self, now: Timestamp) -> bool {
        let usual = self.guard.health.read(now).latency;
        usual > 0.0 && now.since(self.begun).as_secs_f64() > usual * 3.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.guard.health.end(self.tokens);
        self.guard.breaker.report(self.clock.now(), self.admission, self.outcome);
    }
}

fn later(kind: ModelErrorKind, message: &str, wait: Duration) -> ModelError {
    ModelError { retry_after: Some(wait), ..ModelError::new(kind, message) }
}
