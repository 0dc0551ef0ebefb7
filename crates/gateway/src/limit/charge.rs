//! What is held for a call, until it is known what the call came to.

use super::rules::{Demand, Measure, Source};
use crate::{
    budget::{Alert, Alerts},
    call::Call,
    watch::{End, Guess, Watcher},
};
use bedplate_core::{
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

/// Settles what is held when the call ends, in whichever way it does.
pub(super) struct Charge {
    held: Option<Held>,
    guess: Guess,
}

struct Held {
    ledger: Arc<dyn Ledger>,
    alerts: Alerts,
    reservation: Reservation,
    demands: Vec<Demand>,
    call: Call,
}

impl Charge {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        alerts: Alerts,
        reservation: Reservation,
        demands: Vec<Demand>,
        call: Call,
    ) -> Self {
        Self { held: Some(Held { ledger, alerts, reservation, demands, call }), guess: Guess::default() }
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
        let Some(Held { ledger, alerts, reservation, demands, call }) = self.held.take() else { return };
        let noted = call.notes.read();
        let Some((usage, money)) = charged(&call, &noted, &end, self.guess) else {
            finish(async move {
                if let Err(error) = ledger.release(reservation).await {
                    tracing::warn!(%error, "a reservation could not be given back");
                }
            });
            return;
        };
        let input = usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write);
        let spent = demands.iter().map(|demand| match demand.measure {
            Measure::Requests => 1,
            Measure::InputTokens => input,
            Measure::OutputTokens => usage.output,
            Measure::Tokens => usage.total(),
            Measure::Money => money,
        });
        let spent = spent.collect();
        let tenant = call.caller.tenant.clone();
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
