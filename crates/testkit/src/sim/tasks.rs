//! Tasks of a simulated world: slow, failing, hanging or answered by others, as their input says; and the receiver that
//! counts what was done under each idempotency key.

use crate::clock::{Rng, SimClock};
use bedplate_core::{
    port::{
        BoxFuture,
        clock::Clock,
        tasks::{ExecutionTask, TaskCall, TaskError, TaskPlan, TaskReply, Tasks},
    },
    time::Timestamp,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What was done in a world's tasks.
#[derive(Debug, Default)]
pub struct TaskLedger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    done: BTreeMap<String, TaskRecord>,
    /// Tokens that somebody will answer for, and when.
    tokens: Vec<(Timestamp, Arc<str>, Value)>,
}

/// What was done under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// The state.
    pub state: String,
    /// Whether it may be done again.
    pub repeatable: bool,
    /// How often it was done.
    pub times: u64,
}

impl TaskLedger {
    /// Returns what was done, by idempotency key.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, TaskRecord> {
        self.lock().done.clone()
    }

    /// Takes the tokens that are to be answered for by now, with the results.
    pub fn due(&self, now: Timestamp) -> Vec<(Arc<str>, Value)> {
        let mut inner = self.lock();
        let (due, rest) = std::mem::take(&mut inner.tokens).into_iter().partition(|(at, ..)| *at <= now);
        inner.tokens = rest;
        due.into_iter().map(|(_, token, value): (Timestamp, Arc<str>, Value)| (token, value)).collect()
    }

    /// Answers for a token later.
    pub fn answer_at(&self, at: Timestamp, token: Arc<str>, value: Value) {
        self.lock().tokens.push((at, token, value));
    }

    /// Returns when the next token is to be answered for.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.lock().tokens.iter().map(|(at, ..)| *at).min()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks of a simulated world. The input says what happens: `{"does": "ok" | "fails" | "hangs", "repeatable": …}`.
/// How long it takes is drawn from the world's seed and the key.
pub struct SimTasks {
    seed: u64,
    clock: SimClock,
    ledger: Arc<TaskLedger>,
}

impl SimTasks {
    /// Returns tasks that note in `ledger` what they do.
    #[must_use]
    pub const fn new(seed: u64, clock: SimClock, ledger: Arc<TaskLedger>) -> Self {
        Self { seed, clock, ledger }
    }
}

fn says(input: &Value, what: &str) -> bool {
    input.get("does").and_then(Value::as_str) == Some(what)
}

fn is_repeatable(input: &Value) -> bool {
    input.get("repeatable").and_then(Value::as_bool).unwrap_or(false)
}

impl Tasks for SimTasks {
    fn perform(&self, call: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        let mut rng = Rng::new(
            call.idempotency_key
                .bytes()
                .fold(self.seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))),
        );
        let takes = Duration::from_millis(rng.below(4) * rng.below(900));
        let answered_in = Duration::from_millis(rng.below(5_000));
        let (clock, ledger) = (self.clock.clone(), Arc::clone(&self.ledger));
        Box::pin(async move {
            {
                let mut inner = ledger.lock();
                let record = inner.done.entry(call.idempotency_key.clone()).or_insert_with(|| TaskRecord {
                    state: call.state.to_string(),
                    repeatable: is_repeatable(&call.input),
                    times: 0,
                });
                record.times += 1;
            }
            if says(&call.input, "hangs") {
                return pending().await;
            }
            if !takes.is_zero() {
                clock.sleep_until(clock.now().after(takes)).await;
            }
            if says(&call.input, "fails") {
                return Err(TaskError { error: Some("Custom".into()), cause: Some("as it was told".into()) });
            }
            let done = json!({"done": *call.state, "n": call.input.get("n").cloned().unwrap_or_default()});
            if call.resource.ends_with(".waitForTaskToken") {
                ledger.answer_at(clock.now().after(answered_in), Arc::clone(&call.token), done);
                return Ok(TaskReply::Submitted(json!({"accepted": true})));
            }
            Ok(TaskReply::Done(done))
        })
    }

    fn plan(&self, call: &TaskCall) -> Result<TaskPlan, TaskError> {
        match ExecutionTask::from_resource(&call.resource, &call.input) {
            Some(task) => task.map(TaskPlan::Execution),
            None if is_repeatable(&call.input) => Ok(TaskPlan::PerformAgain),
            None => Ok(TaskPlan::Perform),
        }
    }
}
