//! The scheduler: takes up what is due, at once after a start and for as long as the process lives.

use crate::shared::Shared;
use bedplate_core::time::Timestamp;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

/// How many runs are claimed at once.
const CLAIMS: usize = 64;

/// How long it sleeps at most: another process may have left a signal.
const LONGEST: Duration = Duration::from_secs(1);

/// How long it leaves a store alone that fails.
const PAUSE: Duration = Duration::from_millis(250);

/// Claims what is due until the runtime stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    while !shared.is_stopping() {
        let now = shared.now();
        let next = match claim(&shared, now).await {
            Ok(true) => continue,
            Ok(false) => match shared.options.journal.next_due().await {
                Ok(due) => due.unwrap_or(Timestamp(i64::MAX)).min(now.after(LONGEST)),
                Err(error) => later(now, &error),
            },
            Err(error) => later(now, &error),
        };
        shared.next_look.store(next.0, Ordering::Release);
        rest(&shared, next).await;
        shared.next_look.store(i64::MIN, Ordering::Release);
    }
}

/// Claims a page of what is due and brings it into memory; returns whether there may be more.
async fn claim(shared: &Arc<Shared>, now: Timestamp) -> Result<bool, bedplate_core::port::journal::ReadError> {
    let claims = shared.claims.lock().await;
    let until = now.after(shared.options.lease);
    let heads = shared.options.journal.claim_due(now, until, CLAIMS).await?;
    let full = heads.len() == CLAIMS;
    let mut loaded = Vec::new();
    for head in heads {
        if shared.is_stopping() {
            return Ok(false);
        }
        loaded.extend(shared.spawn_claimed(head));
    }
    drop(claims);
    for (words, head) in loaded {
        shared.tell_claimed(words, head).await;
    }
    Ok(full)
}

fn later(now: Timestamp, error: &bedplate_core::port::journal::ReadError) -> Timestamp {
    tracing::warn!(%error, "failed to look for runs that are due; trying again");
    now.after(PAUSE)
}

/// Sleeps until `next`, or until somebody says that it is worth looking, or the runtime stops.
async fn rest(shared: &Shared, next: Timestamp) {
    let mut sleep = shared.options.clock.sleep_until(next);
    let mut look = pin!(shared.look.notified());
    let mut stopped = pin!(shared.stopped.notified());
    poll_fn(|cx| {
        let woken = sleep.as_mut().poll(cx).is_ready()
            || look.as_mut().poll(cx).is_ready()
            || stopped.as_mut().poll(cx).is_ready();
        if woken || shared.is_stopping() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
