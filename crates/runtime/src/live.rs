//! Live views of runs: who watches, and the partial message of each open model call.
//!
//! A hub is small, and it outlives the loaded run: five thousand people may wait on sessions of which none is in
//! memory. Nothing here is durable; a subscriber that comes late reads the journal first.

use crate::partial::Partial;
use bedplate_core::{
    event::{Entry, Event},
    id::{CallId, Epoch, Seq},
    message::Message,
    port::model::ModelEvent,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// How many pieces wait for a subscriber at most; one that falls further behind is told so and dropped.
const MAX_QUEUED: usize = 1_024;

/// The subscribers of one run, and what its open model call said so far.
#[derive(Default)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    subscribers: Vec<Subscriber>,
    partial: Option<(CallId, Partial)>,
    next_id: u64,
    /// The latest claim that this process's scheduler made on a run that was loaded all along, and where it found it.
    claimed: (Epoch, Seq),
}

struct Subscriber {
    id: u64,
    queue: VecDeque<Item>,
    waker: Option<Waker>,
    lagged: bool,
}

/// What waits for a subscriber; kept small because a queue holds many.
#[derive(Clone)]
pub(crate) enum Item {
    Entries(Arc<[Entry]>),
    Delta(CallId, Arc<ModelEvent>),
    Restart(CallId),
}

/// What a subscriber finds when it has read the journal to its end.
pub(crate) struct CaughtUp {
    pub entries: Vec<Arc<[Entry]>>,
    pub partial: Option<(CallId, Message)>,
}

impl Hub {
    pub(crate) fn subscribe(&self) -> u64 {
        let mut inner = self.lock();
        inner.next_id += 1;
        let id = inner.next_id;
        inner.subscribers.push(Subscriber { id, queue: VecDeque::new(), waker: None, lagged: false });
        id
    }

    /// Returns whether nobody is left.
    pub(crate) fn unsubscribe(&self, id: u64) -> bool {
        let mut inner = self.lock();
        inner.subscribers.retain(|subscriber| subscriber.id != id);
        inner.subscribers.shrink_to_fit();
        inner.subscribers.is_empty()
    }

    pub(crate) fn is_watched(&self) -> bool {
        !self.lock().subscribers.is_empty()
    }

    /// Shows committed entries to everybody, and forgets the partial message that they complete.
    pub(crate) fn publish(&self, entries: &Arc<[Entry]>) {
        let mut inner = self.lock();
        if let Some((call, _)) = inner.partial
            && entries.iter().any(|entry| closed_model_call(&entry.event).is_some_and(|closed| closed >= call))
        {
            inner.partial = None;
        }
        inner.send(&Item::Entries(Arc::clone(entries)));
    }

    /// Keeps and shows a piece of a reply.
    pub(crate) fn delta(&self, call: CallId, event: ModelEvent) {
        let mut inner = self.lock();
        if inner.partial.as_ref().is_none_or(|(open, _)| *open != call) {
            inner.partial = Some((call, Partial::default()));
        }
        if let Some((_, partial)) = &mut inner.partial {
            partial.push(&event);
        }
        if inner.subscribers.is_empty() {
            return;
        }
        match event {
            ModelEvent::Restart => inner.send(&Item::Restart(call)),
            event => inner.send(&Item::Delta(call, Arc::new(event))),
        }
    }

    /// Returns what the model said so far in `call`.
    pub(crate) fn partial(&self, call: CallId) -> Option<Message> {
        self.lock().partial.as_ref().filter(|(open, _)| *open == call).map(|(_, partial)| partial.message())
    }

    /// Forgets the partial message: its run is no longer driven here, or nobody is left to complete it.
    pub(crate) fn forget_partial(&self) {
        self.lock().partial = None;
    }

    /// Takes what waits, and the partial message that stands for all deltas up to now.
    pub(crate) fn catch_up(&self, id: u64) -> CaughtUp {
        let mut inner = self.lock();
        let mut entries = Vec::new();
        if let Some(subscriber) = inner.subscribers.iter_mut().find(|subscriber| subscriber.id == id) {
            for item in std::mem::take(&mut subscriber.queue) {
                if let Item::Entries(batch) = item {
                    entries.push(batch);
                }
            }
        }
        let partial = inner.partial.as_ref().map(|(call, partial)| (*call, partial.message()));
        CaughtUp { entries, partial }
    }

    /// Returns the next piece for a subscriber; `Err` once it was too slow.
    pub(crate) fn poll_next(&self, id: u64, cx: &mut Context<'_>) -> Poll<Result<Item, ()>> {
        let mut inner = self.lock();
        let Some(subscriber) = inner.subscribers.iter_mut().find(|subscriber| subscriber.id == id) else {
            return Poll::Ready(Err(()));
        };
        if subscriber.lagged {
            return Poll::Ready(Err(()));
        }
        match subscriber.queue.pop_front() {
            Some(item) => {
                if subscriber.queue.is_empty() {
                    subscriber.queue = VecDeque::new();
                }
                Poll::Ready(Ok(item))
            }
            None => {
                match &mut subscriber.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Notes a claim that this process itself made, so that the loaded run does not take it for another's.
    pub(crate) fn note_claim(&self, epoch: Epoch, seq: Seq) {
        let mut inner = self.lock();
        inner.claimed = inner.claimed.max((epoch, seq));
    }

    pub(crate) fn noted_claim(&self) -> (Epoch, Seq) {
        self.lock().claimed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn send(&mut self, item: &Item) {
        for subscriber in &mut self.subscribers {
            if subscriber.queue.len() >= MAX_QUEUED {
                subscriber.queue = VecDeque::new();
                subscriber.lagged = true;
            }
            if !subscriber.lagged {
                subscriber.queue.push_back(item.clone());
            }
            if let Some(waker) = subscriber.waker.take() {
                waker.wake();
            }
        }
    }
}

/// Returns the model call that `event` closes.
pub(crate) fn closed_model_call(event: &Event) -> Option<Seq> {
    match event {
        Event::ModelReplied(replied) => Some(replied.call),
        Event::ModelFailed(failed) => Some(failed.call),
        _ => None,
    }
}
