//! The append: again and again until it is known that a batch is written, or never will be.

use super::{Actor, Leave, Loaded, Plan};
use crate::{api::RunError, driven::Driven, stats::add};
use bedplate_core::{
    event::{Entry, Event},
    id::Seq,
    port::journal::{AppendError, Batch, Expected, NewRun},
};
use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

/// How long a store that fails is left alone at first and at most.
pub(crate) const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// After so many failures of the store, whoever waits for the append is told.
const PATIENCE: u32 = 3;

impl<M: Driven> Actor<M> {
    /// Appends until it is known that the batch is written or never will be; returns its events. A store that fails
    /// loses nothing: the results wait here.
    pub(super) async fn append(
        &mut self,
        loaded: &mut Loaded<M>,
        plan: &mut Plan<M>,
        batch: Batch,
    ) -> Result<Vec<Event>, Leave> {
        let mut pause = BACKOFF.0;
        let mut failures = 0_u32;
        loop {
            let attempt = self.try_append(loaded, batch.clone()).await;
            let error = match attempt {
                Ok(seq) => {
                    loaded.seq = seq;
                    loaded.exists = true;
                    return Ok(Arc::unwrap_or_clone(batch.events));
                }
                Err(error) => error,
            };
            match error {
                AppendError::Conflict if !loaded.exists => return Err(Leave::Quiet),
                AppendError::Conflict => {
                    if failures > 0 && self.is_written(loaded, &batch).await {
                        loaded.seq += batch.events.len() as u64;
                        return Ok(Arc::unwrap_or_clone(batch.events));
                    }
                    if self.adopt_own_claim(loaded).await {
                        continue;
                    }
                    add(&self.shared.counters.conflicts, 1);
                    return Err(Leave::Fenced);
                }
                AppendError::NotFound => {
                    plan.fail(&RunError::NotFound);
                    return Err(Leave::Quiet);
                }
                AppendError::TooLarge { .. } | AppendError::Invalid(_) => {
                    tracing::error!(run = %self.key.run, %error, "the store refuses a batch for good");
                    plan.fail(&RunError::Store(error.to_string()));
                    return Err(Leave::Quiet);
                }
                AppendError::Store(message) => {
                    failures += 1;
                    add(&self.shared.counters.store_errors, 1);
                    tracing::warn!(run = %self.key.run, message, failures, "failed to append; trying again");
                    if failures >= PATIENCE || !loaded.exists || self.shared.is_stopping() {
                        plan.fail(&RunError::Store(message));
                    }
                    if !loaded.exists || self.shared.is_stopping() {
                        return Err(Leave::Quiet);
                    }
                    pause = self.back_off(pause).await;
                }
            }
        }
    }

    /// Calls under way go on while the store writes.
    async fn try_append(&self, loaded: &mut Loaded<M>, batch: Batch) -> Result<Seq, AppendError> {
        let journal = &self.shared.options.journal;
        if !loaded.exists {
            let run = NewRun {
                id: self.key.run,
                tenant: self.key.tenant.clone(),
                kind: M::KIND,
                name: loaded.name.clone(),
                user: loaded.user.clone(),
                session: loaded.session.clone(),
                parent: loaded.parent,
            };
            let head = journal.create(run, batch).await?;
            loaded.run = head.run;
            loaded.epoch = head.epoch;
            return Ok(head.seq);
        }
        let expected = Expected { seq: loaded.seq, epoch: loaded.epoch };
        let mut append = journal.append(loaded.run, expected, batch);
        let clock = &*self.shared.options.clock;
        poll_fn(|cx| {
            if let Poll::Ready(result) = append.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            let mut at = 0;
            while at < loaded.in_flight.len() {
                match loaded.in_flight[at].poll(cx, clock) {
                    Poll::Ready(input) => {
                        let call = &loaded.in_flight[at];
                        loaded.arrived.push((call.call, input));
                        if call.is_over() {
                            loaded.in_flight.remove(at);
                        }
                    }
                    Poll::Pending => at += 1,
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Returns whether a batch of which the store did not say so is in the journal. The events themselves are compared:
    /// a claim may have been taken over and back, so positions and epochs alone prove nothing.
    async fn is_written(&self, loaded: &mut Loaded<M>, batch: &Batch) -> bool {
        let mut pause = BACKOFF.0;
        loop {
            match self.shared.options.journal.read(loaded.run, loaded.seq, batch.events.len().max(1)).await {
                Ok(entries) => {
                    let ours = |(entry, event): (&Entry, &Event)| entry.at == batch.at && entry.event == *event;
                    return entries.len() >= batch.events.len() && entries.iter().zip(&*batch.events).all(ours);
                }
                Err(_) if self.shared.is_stopping() => return false,
                Err(_) => pause = self.back_off(pause).await,
            }
        }
    }

    /// Returns whether the claim that stands in the way is one of this process and found the run where it stands here;
    /// it then is used.
    async fn adopt_own_claim(&self, loaded: &mut Loaded<M>) -> bool {
        let _claims = self.shared.claims.lock().await;
        let (epoch, seq) = self.hub.noted_claim();
        let adopted = epoch > loaded.epoch && seq == loaded.seq;
        if adopted {
            loaded.epoch = epoch;
        }
        adopted
    }

    pub(crate) async fn back_off(&self, pause: Duration) -> Duration {
        let clock = &self.shared.options.clock;
        clock.sleep_until(clock.now().after(pause)).await;
        (pause * 2).min(BACKOFF.1)
    }
}
