//! Activities: tasks that wait for a worker of somebody else's.
//!
//! The queues are in memory and nothing of them is durable: an execution offers its task as long as it is loaded, and
//! offers it again after a restart. A task is taken when its execution has committed that.

use bedplate_core::id::Tenant;
use bedplate_engine::machine::TaskReport;
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::Notify;

/// The queues of all activities.
#[derive(Clone, Default)]
pub(crate) struct Activities {
    queues: Arc<Mutex<Queues>>,
}

/// By tenant and ARN.
type Queues = HashMap<(Tenant, Arc<str>), Queue>;

#[derive(Default)]
struct Queue {
    offers: VecDeque<Offer>,
    /// Told of each offer; one worker wakes for one offer.
    news: Arc<Notify>,
    /// How many workers wait.
    workers: usize,
}

/// A task that waits for a worker.
#[derive(Clone)]
pub(crate) struct Offer {
    pub token: Arc<str>,
    pub input: Arc<Value>,
}

impl Activities {
    /// Offers a task until the returned future is dropped. It never ends by itself: the result comes under the token.
    pub(crate) fn offer(&self, tenant: &Tenant, activity: &Arc<str>, offer: Offer) -> Offered {
        let key = (tenant.clone(), Arc::clone(activity));
        let token = Arc::clone(&offer.token);
        let mut queues = self.lock();
        let queue = queues.entry(key.clone()).or_default();
        queue.offers.push_back(offer);
        queue.news.notify_one();
        Offered { activities: self.clone(), key, token }
    }

    /// Returns the oldest offer, which others do not see any more, or what tells of the next one.
    pub(crate) fn take(&self, key: &(Tenant, Arc<str>)) -> Result<Held, Arc<Notify>> {
        let mut queues = self.lock();
        let queue = queues.entry(key.clone()).or_default();
        match queue.offers.pop_front() {
            Some(offer) => Ok(Held { activities: self.clone(), key: key.clone(), offer: Some(offer) }),
            None => Err(Arc::clone(&queue.news)),
        }
    }

    fn put_back(&self, key: &(Tenant, Arc<str>), offer: Offer) {
        let mut queues = self.lock();
        let queue = queues.entry(key.clone()).or_default();
        queue.offers.push_front(offer);
        queue.news.notify_one();
    }

    /// Counts a worker in or out; a queue that nobody uses is forgotten.
    pub(crate) fn waits(&self, key: &(Tenant, Arc<str>)) -> Waiting {
        self.lock().entry(key.clone()).or_default().workers += 1;
        Waiting { activities: self.clone(), key: key.clone() }
    }

    fn withdraw(&self, key: &(Tenant, Arc<str>), token: &str) {
        let mut queues = self.lock();
        if let Some(queue) = queues.get_mut(key) {
            queue.offers.retain(|offer| &*offer.token != token);
            if queue.offers.is_empty() && queue.workers == 0 {
                queues.remove(key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Tenant, Arc<str>), Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that is offered; dropping it withdraws the offer.
pub(crate) struct Offered {
    activities: Activities,
    key: (Tenant, Arc<str>),
    token: Arc<str>,
}

impl Future for Offered {
    type Output = TaskReport;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TaskReport> {
        Poll::Pending
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        self.activities.withdraw(&self.key, &self.token);
    }
}

/// An offer that a worker is about to take; dropping it puts it back.
pub(crate) struct Held {
    activities: Activities,
    key: (Tenant, Arc<str>),
    offer: Option<Offer>,
}

impl Held {
    /// Returns what is offered.
    pub(crate) fn offer(&self) -> &Offer {
        self.offer.as_ref().expect("it is there until the value is gone")
    }

    /// Does not put it back: it was taken, or is over.
    pub(crate) fn keep(mut self) {
        self.offer = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(offer) = self.offer.take() {
            self.activities.put_back(&self.key, offer);
        }
    }
}

/// A worker that waits.
pub(crate) struct Waiting {
    activities: Activities,
    key: (Tenant, Arc<str>),
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queues = self.activities.lock();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.workers -= 1;
            if queue.offers.is_empty() && queue.workers == 0 {
                queues.remove(&self.key);
            }
        }
    }
}
