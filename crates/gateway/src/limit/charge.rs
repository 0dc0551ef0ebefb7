//! What is held for a call, until it is known what the call came to.

use super::rules::{Demand, Source};
use crate::{
    budget::{Alert, Alerts},
    call::Call,
    watch::{End, Guess, Watcher},
};
use bedplate_core::{
    id::Tenant,
    message::Usage,
    port::{
        ledger::{Ledger, Reservation},
        model::Noted,
        records::CacheUse,
    },
};
use bytes::Bytes;
use futures::FutureExt;
use std::sync::Arc;

/// What is held for one call.
pub(super) struct Held {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) alerts: Alerts,
    pub(super) reservation: Reservation,
    pub(super) demands: Vec<Demand>,
    pub(super) tenant: Tenant,
}

impl Held {
    /// Counts what the call came to, and gives the alerts of budgets that it brought past a mark.
    pub(super) fn settle(self, usage: &Usage, money: u64) {
        let Self { ledger, alerts, reservation, demands, tenant } = self;
        let spent = demands.iter().map(|demand| demand.measure.of(usage, money)).collect();
        finish(async move {
            let settled = match ledger.settle(reservation, spent).await {
                Ok(settled) => settled,
                Err(error) => return tracing::warn!(%error, "what a call came to could not be settled"),
            };
            for (demand, settled) in demands.iter().zip(settled) {
                if let Source::Budget { name, budget, who } = &demand.source {
                    alerts.give(Alert::crossed(&tenant, name, budget, who, settled));
                }
            }
        });
    }

    /// Gives everything back.
    pub(super) fn release(self) {
        let Self { ledger, reservation, .. } = self;
        finish(async move {
            if let Err(error) = ledger.release(reservation).await {
                tracing::warn!(%error, "a reservation could not be given back");
            }
        });
    }
}

/// Settles what is held when the call ends, in whichever way it does.
pub(super) struct Charge {
    held: Option<(Held, Call)>,
    guess: Guess,
}

impl Charge {
    pub(super) fn new(held: Held, call: Call) -> Self {
        Self { held: Some((held, call)), guess: Guess::default() }
    }
}

impl Watcher for Charge {
    fn first(&mut self) {}

    fn piece(&mut self, text: usize) {
        self.guess.text(text);
    }

    fn raw(&mut self, bytes: &Bytes) {
        self.guess.raw(bytes);
    }

    fn end(&mut self, end: End<'_>) {
        let Some((held, call)) = self.held.take() else { return };
        match charged(&call, &call.notes.read(), &end, self.guess) {
            Some((usage, money)) => held.settle(&usage, money),
            None => held.release(),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}

/// Returns tokens and money of a call that ended; none when it never reached a model and shall not count.
fn charged(call: &Call, noted: &Noted, end: &End<'_>, guess: Guess) -> Option<(Usage, u64)> {
    if noted.cache.and_then(CacheUse::of).is_some_and(CacheUse::is_hit) {
        return Some((Usage::default(), 0));
    }
    if noted.attempts == 0 && !matches!(end, End::Reply(_) | End::Raw(_)) {
        return None;
    }
    let price = noted.info.as_ref().and_then(|info| info.price);
    let (usage, cost) = end.spent().unwrap_or_else(|| {
        // Whoever hangs up is charged for what the model was asked and has said so far.
        let input = call.core().map_or(0, |request| crate::tokens::estimate(request));
        (Usage { input, output: guess.output(), ..Usage::default() }, None)
    });
    let money = cost.or_else(|| price.map(|price| price.cost(&usage)));
    Some((usage, money.unwrap_or(0)))
}

/// Does what a ledger in this process does at once; waits for one elsewhere on a task of its own, because a call may end
/// where nobody can wait.
fn finish(work: impl Future<Output = ()> + Send + 'static) {
    let mut work = Box::pin(work);
    if work.as_mut().now_or_never().is_some() {
        return;
    }
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(work)),
        Err(_) => tracing::warn!("a call ended after the runtime: what it reserved counts as spent"),
    }
}
