//! Pursues an answer over candidates: one after the other as long as they fail before their first token, again after a
//! pause where that helps, and a second one beside the first where it is slow.

use super::{
    dice::Dice,
    guard::Visit,
    hold::{Terms, first_token},
    residency::Candidate,
    spent::Spent,
};
use crate::{
    call::Call,
    resilience::{
        deadline::Waits,
        retry::{RetryBudget, RetryPolicy, other_target_may_help},
    },
    target::deadline_passed,
};
use bedplate_core::{
    message::Usage,
    port::{
        BoxFuture,
        clock::Clock,
        model::{Answer, ModelError, ModelErrorKind},
    },
    time::Timestamp,
};
use futures::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use std::{sync::Arc, time::Duration};

/// How the calls of one route are pursued.
pub(crate) struct Pursuit {
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) waits: Waits,
    /// After how long without a first token a second target is asked, too.
    pub(crate) hedge: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<Dice>,
}

/// An answer, and who gives it.
pub(crate) struct Found {
    pub(crate) answer: Answer,
    /// The place in the order that was pursued.
    pub(crate) at: usize,
    /// What those who failed before had cost.
    pub(crate) spent: Spent,
}

/// Why a round over the candidates found nothing.
struct Miss {
    error: Option<ModelError>,
    /// How many requests were sent.
    sent: usize,
    /// The soonest time at which somebody wants to be asked again.
    retry_after: Option<Duration>,
    /// Whether no other target can do better.
    last_word: bool,
}

type Attempt<'a> = BoxFuture<'a, (usize, Result<Answer, ModelError>)>;

impl Pursuit {
    /// Returns the first answer that begins. `order` is not empty; `tokens` is about the input's length.
    ///
    /// # Errors
    /// What the last of them said, with what all of them had cost.
    pub(crate) async fn run(&self, order: &[Candidate], call: &Call, tokens: u64) -> Result<Found, ModelError> {
        self.budget.called();
        let mut spent = Spent::default();
        let mut next = 2;
        loop {
            let mut missed = match self.round(order, call, tokens, false, &mut spent).await {
                Ok((at, answer)) => return Ok(Found { answer, at, spent }),
                Err(missed) => missed,
            };
            // Where every breaker stands open, the least ill is better than none.
            if missed.sent == 0 && !missed.last_word {
                missed = match self.round(order, call, tokens, true, &mut spent).await {
                    Ok((at, answer)) => return Ok(Found { answer, at, spent }),
                    Err(missed) => missed,
                };
            }
            let sent = missed.sent;
            let error = missed.into_error();
            let fail = |error| Err(spent.onto_error(error));
            let Some(pause) = self.retry.pause(&error, next, self.dice.roll()).filter(|_| sent > 0) else {
                return fail(error);
            };
            let until = self.clock.now().after(pause);
            if call.deadline.is_some_and(|deadline| until >= deadline) || !self.budget.take() {
                return fail(error);
            }
            self.clock.sleep_until(until).await;
            next += 1;
        }
    }

    async fn round(
        &self,
        order: &[Candidate],
        call: &Call,
        tokens: u64,
        last_resort: bool,
        spent: &mut Spent,
    ) -> Result<(usize, Answer), Miss> {
        let mut missed = Miss { error: None, sent: 0, retry_after: None, last_word: false };
        let mut running: FuturesUnordered<Attempt<'_>> = FuturesUnordered::new();
        let mut rest = order.iter().enumerate();
        loop {
            if running.is_empty() {
                match self.start(&mut rest, call, tokens, last_resort, &mut missed).await {
                    Some(attempt) => running.push(attempt),
                    None => return Err(missed),
                }
            }
            // With one under way, and another to ask, waiting may be cut short.
            let slow = self.hedge.filter(|_| running.len() == 1 && rest.len() > 0);
            let ended = match slow {
                None => running.next().await,
                Some(wait) => {
                    match select(running.next(), self.clock.sleep_until(self.clock.now().after(wait))).await {
                        Either::Left((ended, _)) => ended,
                        Either::Right(((), _)) => {
                            if self.budget.take()
                                && let Some(second) = self.start(&mut rest, call, tokens, false, &mut missed).await
                            {
                                running.push(second);
                            }
                            running.next().await
                        }
                    }
                }
            };
            match ended {
                // The others are dropped with `running`, which cancels them.
                Some((at, Ok(answer))) => return Ok((at, answer)),
                Some((at, Err(error))) => {
                    spent.failed(&order[at], &error);
                    // What it cost is in the sum now, which the last error gets whole.
                    missed.failed(ModelError { usage: Usage::default(), ..error });
                    if missed.last_word {
                        return Err(missed);
                    }
                }
                None => {}
            }
        }
    }

    /// Begins an attempt at the next candidate that lets it through.
    async fn start<'a>(
        &'a self,
        rest: &mut std::iter::Enumerate<std::slice::Iter<'a, Candidate>>,
        call: &Call,
        tokens: u64,
        last_resort: bool,
        missed: &mut Miss,
    ) -> Option<Attempt<'a>> {
        while let Some((at, candidate)) = rest.next() {
            let visit = match &candidate.leg().guard {
                None => None,
                Some(guard) => {
                    let entered = if last_resort {
                        guard.enter_late(&self.clock, tokens, call.deadline).await
                    } else {
                        guard.enter(&self.clock, tokens)
                    };
                    match entered {
                        Ok(visit) => Some(visit),
                        Err(error) => {
                            missed.refused(error);
                            continue;
                        }
                    }
                }
            };
            missed.sent += 1;
            let (call, others) = (call.clone(), rest.len() > 0);
            return Some(Box::pin(async move { (at, self.attempt(candidate, visit, call, others).await) }));
        }
        None
    }

    async fn attempt(
        &self,
        candidate: &Candidate,
        visit: Option<Visit>,
        call: Call,
        others: bool,
    ) -> Result<Answer, ModelError> {
        let now = self.clock.now();
        // Somebody else must still have time to answer when this one does not.
        let share = call.deadline.map(|deadline| {
            let left = deadline.since(now);
            now.after(if others { left / 2 } else { left })
        });
        // A whole answer begins when it is made; how long that takes is for the call's deadline to say.
        let until = if call.stream { self.waits.of_first_token(now, share) } else { share };
        let notes = Arc::clone(&call.notes);
        let terms = Terms { until, idle: self.waits.idle, whole: !call.stream };
        let opened = match until {
            None => candidate.serve(call).await,
            Some(until) => match select(candidate.serve(call), self.clock.sleep_until(until)).await {
                Either::Left((opened, _)) => opened,
                Either::Right(((), _)) => Err(deadline_passed()),
            },
        };
        let held = match opened {
            Ok(answer) => first_token(answer, visit, &self.clock, terms).await,
            Err(error) => Err((error, visit)),
        };
        match held {
            Ok(answer) => {
                // A second attempt beside it may have noted itself in between.
                let leg = candidate.leg();
                if leg.guard.is_some() {
                    let info = leg.info();
                    notes.note(|noted| {
                        noted.target = Some(Arc::clone(&leg.name));
                        noted.info = Some(info);
                    });
                }
                Ok(answer)
            }
            Err((error, visit)) => {
                let impatient = share.is_some_and(|share| reached(self.clock.now(), share));
                drop(visit.map(|visit| visit.failed(&error, impatient)));
                tracing::debug!(target_name = %candidate.leg().name, kind = error.kind.code(), "an attempt failed");
                Err(error)
            }
        }
    }
}

fn reached(now: Timestamp, then: Timestamp) -> bool {
    now >= then
}

impl Miss {
    fn refused(&mut self, error: ModelError) {
        self.soonest(&error);
        if self.sent == 0 {
            self.error = Some(error);
        }
    }

    fn failed(&mut self, error: ModelError) {
        self.soonest(&error);
        self.last_word = !other_target_may_help(error.kind);
        self.error = Some(error);
    }

    fn soonest(&mut self, error: &ModelError) {
        self.retry_after = match (self.retry_after, error.retry_after) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn into_error(self) -> ModelError {
        let error = self.error.unwrap_or_else(|| {
            ModelError::new(ModelErrorKind::Unavailable, "the route has no model that can be asked")
        });
        let retry_after = if error.kind.retryable() { self.retry_after } else { None };
        let message = if self.sent > 1 {
            format!("{} models failed; the last said: {}", self.sent, error.message)
        } else {
            error.message
        };
        ModelError { retry_after, message, ..error }
    }
}
