//! A subscription: the journal from a position on, the partial message of the open call, then everything as it comes.

use crate::{
    api::Live,
    live::{Hub, Item, closed_model_call},
    shared::{RunKey, Shared},
};
use bedplate_core::{
    event::Entry,
    id::{CallId, Seq},
    port::{
        BoxFuture,
        journal::{ReadError, RunRef},
    },
};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

/// How many entries are read at once.
const PAGE: usize = 128;

/// What happens in a run, as it happens. Dropping it ends it.
pub struct Subscription {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    key: RunKey,
    run: RunRef,
    id: u64,
    /// The last position that was given.
    after: Seq,
    /// The last model call whose end was given: pieces of it that still wait are old.
    closed: CallId,
    phase: Phase,
    ready: VecDeque<Live>,
}

enum Phase {
    Reading(BoxFuture<'static, Result<Vec<Entry>, ReadError>>),
    Live,
    Ended,
}

impl Subscription {
    pub(crate) fn new(shared: Arc<Shared>, key: RunKey, run: RunRef, after: Seq) -> Self {
        // It subscribes before it reads, so that nothing falls between the two.
        let (hub, id) = shared.hub(&key);
        shared.counters.subscribers.fetch_add(1, Relaxed);
        let phase = Phase::Reading(shared.options.journal.read(run, after, PAGE));
        Self { shared, hub, key, run, id, after, closed: 0, phase, ready: VecDeque::new() }
    }

    fn read_on(&mut self) {
        self.phase = Phase::Reading(self.shared.options.journal.read(self.run, self.after, PAGE));
    }

    fn give(&mut self, entry: &Entry) {
        if entry.seq <= self.after {
            return;
        }
        self.after = entry.seq;
        if let Some(call) = closed_model_call(&entry.event) {
            self.closed = self.closed.max(call);
        }
        self.ready.push_back(Live::Entry(entry.clone()));
    }

    fn caught_up(&mut self) {
        let state = self.hub.catch_up(self.id);
        for batch in state.entries {
            if batch.first().is_some_and(|first| first.seq > self.after + 1) {
                // Another process appended in between: what is missing stands in the journal.
                return self.read_on();
            }
            for entry in batch.iter() {
                self.give(entry);
            }
        }
        self.phase = Phase::Live;
        if let Some((call, message)) = state.partial
            && call > self.closed
        {
            self.ready.push_back(Live::Partial { call, message });
        }
        self.ready.push_back(Live::CaughtUp);
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Entries(batch) if batch.first().is_some_and(|first| first.seq > self.after + 1) => self.read_on(),
            Item::Entries(batch) => {
                for entry in batch.iter() {
                    self.give(entry);
                }
            }
            Item::Delta(call, event) if call > self.closed => {
                let event = Arc::try_unwrap(event).unwrap_or_else(|shared| (*shared).clone());
                self.ready.push_back(Live::Delta { call, event });
            }
            Item::Restart(call) if call > self.closed => self.ready.push_back(Live::Restart { call }),
            Item::Delta(..) | Item::Restart(_) => {}
        }
    }
}

impl Stream for Subscription {
    type Item = Live;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Live>> {
        let this = &mut *self;
        loop {
            if let Some(live) = this.ready.pop_front() {
                if this.ready.is_empty() {
                    this.ready = VecDeque::new();
                }
                return Poll::Ready(Some(live));
            }
            match &mut this.phase {
                Phase::Reading(read) => match read.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(entries)) if entries.is_empty() => this.caught_up(),
                    Poll::Ready(Ok(entries)) => {
                        for entry in &entries {
                            this.give(entry);
                        }
                        this.read_on();
                    }
                    Poll::Ready(Err(error)) => {
                        tracing::warn!(run = %this.key.run, %error, "failed to read for a subscriber");
                        this.phase = Phase::Ended;
                        return Poll::Ready(Some(Live::Lagged { after: this.after }));
                    }
                },
                Phase::Live => match this.hub.poll_next(this.id, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(item)) => this.take(item),
                    Poll::Ready(Err(())) => {
                        this.phase = Phase::Ended;
                        return Poll::Ready(Some(Live::Lagged { after: this.after }));
                    }
                },
                Phase::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.counters.subscribers.fetch_sub(1, Relaxed);
        self.shared.release_hub(&self.key, &self.hub, self.id);
    }
}
