//! Waiting: for words, results and time, all in the run's own task.

use super::{Actor, Command, Leave, Loaded, Woken};
use crate::{driven::Driven, perform::input_bytes};
use bedplate_core::time::Timestamp;
use bedplate_engine::machine::Input;
use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

/// How much the inputs of one batch weigh at most, in bytes of content. An event of more than 32 KiB becomes a blob,
/// so one input weighs at most that in a batch of 256 KiB, whatever its encoding does to it.
const MAX_WEIGHT: usize = 128 * 1024;

/// A wake-up that led to nothing is tried again after this, so that a rule that contradicts itself costs no processor.
pub(super) const HOLD_OFF: Duration = Duration::from_secs(1);

impl<M: Driven> Actor<M> {
    /// Returns what woke the run, everything that is ready at once, up to what fits into a batch.
    pub(super) async fn wait(&mut self, loaded: &mut Loaded<M>) -> Result<Woken<M>, Leave> {
        loop {
            let mut woken = Woken::default();
            let renew = poll_fn(|cx| self.poll_woken(loaded, &mut woken, cx)).await;
            if !woken.words.is_empty() || !woken.inputs.is_empty() || woken.signals {
                loaded.touched = self.shared.now();
                self.expire(loaded, &mut woken);
                return Ok(woken);
            }
            if !renew {
                continue;
            }
            let now = self.shared.now();
            self.expire(loaded, &mut woken);
            if !woken.inputs.is_empty() || machine_wake(loaded).is_some_and(|at| at <= now) {
                return Ok(woken);
            }
            if loaded.is_busy() {
                if lease_half(loaded.wake_at, self.shared.options.lease).is_none_or(|half| half <= now) {
                    self.renew(loaded).await?;
                }
            } else if self.idle_at(loaded).is_some_and(|at| at <= now) && self.leave_memory() {
                return Err(Leave::Quiet);
            }
        }
    }

    /// Collects what is ready. Resolves to whether the timer fired.
    fn poll_woken(&mut self, loaded: &mut Loaded<M>, woken: &mut Woken<M>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut weight = 0;
        while weight < MAX_WEIGHT {
            match self.inbox.poll_recv(cx) {
                Poll::Ready(Some(Command::Claimed(head))) => {
                    woken.signals = true;
                    woken.claimed = Some(head);
                }
                Poll::Ready(Some(command)) => {
                    weight += command_weight(&command);
                    woken.words.push(command);
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        while weight < MAX_WEIGHT && !loaded.arrived.is_empty() {
            let (_, input) = loaded.arrived.remove(0);
            weight += input_weight(&input);
            woken.inputs.push(input);
        }
        let mut at = 0;
        while weight < MAX_WEIGHT && at < loaded.in_flight.len() {
            match loaded.in_flight[at].poll::<M::Signal>(cx, &*self.shared.options.clock) {
                Poll::Ready(input) => {
                    if loaded.in_flight[at].is_over() {
                        loaded.in_flight.remove(at);
                    }
                    weight += input_weight(&input);
                    woken.inputs.push(input);
                }
                Poll::Pending => at += 1,
            }
        }
        if weight > 0 || woken.signals {
            return Poll::Ready(false);
        }
        self.poll_timer(loaded, cx)
    }

    fn poll_timer(&mut self, loaded: &mut Loaded<M>, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(target) = self.next_timer(loaded) else {
            return Poll::Pending;
        };
        // A sleep that ends too early only makes us look again; a new one for each step would cost more.
        if loaded.timer.as_ref().is_none_or(|(at, _)| *at > target) {
            loaded.timer = Some((target, self.shared.options.clock.sleep_until(target)));
        }
        let Some((_, sleep)) = &mut loaded.timer else {
            return Poll::Pending;
        };
        let poll = sleep.as_mut().poll(cx);
        if poll.is_ready() {
            loaded.timer = None;
        }
        poll.map(|()| true)
    }

    fn next_timer(&self, loaded: &Loaded<M>) -> Option<Timestamp> {
        let deadlines = loaded.in_flight.iter().map(|call| call.deadline).min();
        let held =
            if loaded.is_busy() { lease_half(loaded.wake_at, self.shared.options.lease) } else { self.idle_at(loaded) };
        [machine_wake(loaded), deadlines, held].into_iter().flatten().min()
    }

    /// Gives up the calls whose deadline has passed.
    fn expire(&self, loaded: &mut Loaded<M>, woken: &mut Woken<M>) {
        let now = self.shared.now();
        let mut at = 0;
        while at < loaded.in_flight.len() {
            if loaded.in_flight[at].deadline <= now {
                let call = loaded.in_flight.remove(at);
                woken.inputs.push(call.timed_out(now));
            } else {
                at += 1;
            }
        }
    }

    fn idle_at(&self, loaded: &Loaded<M>) -> Option<Timestamp> {
        if M::is_over(&loaded.state) {
            return Some(loaded.touched);
        }
        (!M::is_awaited(&loaded.local)).then(|| loaded.touched.after(self.shared.options.idle))
    }

    /// Returns whether the run is out of the registry: nobody has sent it a word meanwhile.
    fn leave_memory(&mut self) -> bool {
        let inbox = &self.inbox;
        self.shared.release_actor(&self.key, self.serial, || !inbox.is_empty())
    }

    /// Extends the claim of a run whose calls take long.
    async fn renew(&mut self, loaded: &mut Loaded<M>) -> Result<(), Leave> {
        let until = self.shared.now().after(self.shared.options.lease);
        let _claims = self.shared.claims.lock().await;
        match self.shared.options.journal.claim(&self.key.tenant, self.key.run, until).await {
            Ok(Some(head)) if head.seq == loaded.seq => {
                loaded.epoch = head.epoch;
                loaded.wake_at = head.wake_at;
                Ok(())
            }
            Ok(Some(head)) => Err(Leave::Again(Box::new(head))),
            Ok(None) => Err(Leave::Quiet),
            Err(error) => {
                // The claim may run out; if somebody takes over, the next append says so.
                tracing::warn!(run = %loaded.run.id, %error, "failed to renew a claim");
                loaded.wake_at = Some(until);
                Ok(())
            }
        }
    }
}

impl<M: Driven> Loaded<M> {
    /// Returns whether calls are under way, so that a claim must be held.
    pub(super) fn is_busy(&self) -> bool {
        !self.in_flight.is_empty() || !self.arrived.is_empty()
    }
}

/// Returns when a claim that ends at `wake_at` must be renewed.
pub(super) fn lease_half(wake_at: Option<Timestamp>, lease: Duration) -> Option<Timestamp> {
    let half = i64::try_from(lease.as_millis() / 2).unwrap_or(i64::MAX);
    wake_at.map(|end| Timestamp(end.0.saturating_sub(half)))
}

/// Returns when the machine wants to be asked again.
fn machine_wake<M: Driven>(loaded: &Loaded<M>) -> Option<Timestamp> {
    let at = M::wake_at(&loaded.state)?;
    Some(at.max(loaded.hold_off))
}

fn command_weight<M: Driven>(command: &Command<M>) -> usize {
    match command {
        Command::Say(word) => M::weight(word),
        Command::Claimed(_) | Command::Leave { .. } | Command::LeaveIfOf { .. } => 1_024,
    }
}

/// Returns what an input weighs in a batch: escaping may make a small one six times larger.
fn input_weight<S>(input: &Input<S>) -> usize {
    1_024 + (input_bytes(input) * 6).min(32 * 1024)
}
