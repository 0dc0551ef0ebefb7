//! How many calls a route takes at once, and who waits: interactive before batch, tenants in turn; who would wait too
//! long is turned away at once and told when to come back.

use super::{
    config::AdmissionConfig,
    queue::{Class, FairQueue},
};
use crate::call::{Answering, Call, Serve, Stack};
use bedplate_core::port::{
    Priority,
    clock::Clock,
    model::{Answer, ModelError, ModelErrorKind, RawBody, RawReply},
};
use futures::{
    StreamExt,
    channel::oneshot,
    future::{Either, select},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tower_layer::Layer;

/// Lets so many calls through at once.
#[derive(Clone)]
pub(crate) struct AdmissionLayer(Arc<Gate>);

/// See [`AdmissionLayer`].
pub(crate) struct Admission {
    gate: Arc<Gate>,
    inner: Stack,
}

struct Gate {
    config: AdmissionConfig,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: FairQueue<oneshot::Sender<Place>>,
    /// Seconds that a call keeps its place, averaged; 0 before the first.
    seconds: f64,
}

/// A place among the calls of a route; dropping it gives it to who waits next.
struct Place {
    /// None once it is nobody's.
    gate: Option<Arc<Gate>>,
    since: bedplate_core::time::Timestamp,
}

impl AdmissionLayer {
    /// Returns a layer with all its places free.
    pub(crate) fn new(config: AdmissionConfig, clock: Arc<dyn Clock>) -> Self {
        let state = State { free: config.concurrent.max(1), waiting: FairQueue::default(), seconds: 0.0 };
        Self(Arc::new(Gate { config, clock, state: Mutex::new(state) }))
    }
}

impl Layer<Stack> for AdmissionLayer {
    type Service = Admission;

    fn layer(&self, inner: Stack) -> Admission {
        Admission { gate: Arc::clone(&self.0), inner }
    }
}

impl Serve for Admission {
    fn serve(&self, call: Call) -> Answering {
        let (gate, inner) = (Arc::clone(&self.gate), self.inner.clone());
        Box::pin(async move {
            let place = gate.enter(&call).await?;
            Ok(kept(inner.serve(call).await?, place))
        })
    }
}

impl Gate {
    async fn enter(self: &Arc<Self>, call: &Call) -> Result<Place, ModelError> {
        let class = match call.caller.priority {
            Priority::Interactive => Class::Interactive,
            Priority::Batch => Class::Batch,
        };
        let tenant = &call.caller.tenant;
        let now = self.clock.now();
        let longest = match call.deadline {
            Some(deadline) => self.config.wait.min(deadline.since(now)),
            None => self.config.wait,
        };
        let (id, place) = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(self.place());
            }
            let expected = state.expected(state.waiting.ahead(class, tenant), self.config.concurrent);
            // To turn away at once is kinder than to do it after the wait.
            if state.waiting.len() >= self.config.queue || expected > longest {
                return Err(full(expected));
            }
            let (give, place) = oneshot::channel();
            (state.waiting.push(class, tenant, give), place)
        };
        // A caller who hangs up while it waits leaves its entry; who frees a place finds the other end gone and goes on.
        match select(place, self.clock.sleep_until(now.after(longest))).await {
            Either::Left((Ok(place), _)) => Ok(place),
            Either::Left((Err(oneshot::Canceled), _)) => Err(full(self.config.wait)),
            Either::Right(((), mut place)) => {
                let mut state = self.lock();
                if !state.waiting.remove(class, tenant, id) {
                    // It was given a place in this very moment.
                    drop(state);
                    if let Ok(Some(place)) = place.try_recv() {
                        return Ok(place);
                    }
                    state = self.lock();
                }
                let expected = state.expected(state.waiting.ahead(class, tenant), self.config.concurrent);
                Err(full(expected))
            }
        }
    }

    fn place(self: &Arc<Self>) -> Place {
        Place { gate: Some(Arc::clone(self)), since: self.clock.now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns how long somebody with so many ahead will wait, by what calls took of late.
    #[expect(clippy::cast_precision_loss, reason = "queues are short")]
    fn expected(&self, ahead: usize, places: usize) -> Duration {
        Duration::from_secs_f64(self.seconds * (ahead as f64 + 1.0) / (places.max(1) as f64))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        let now = gate.clock.now();
        let took = now.since(self.since).as_secs_f64();
        loop {
            let next = {
                let mut state = gate.lock();
                state.seconds = if state.seconds == 0.0 { took } else { state.seconds * 0.9 + took * 0.1 };
                match state.waiting.pop() {
                    None => {
                        state.free += 1;
                        return;
                    }
                    Some(next) => next,
                }
            };
            match next.send(gate.place()) {
                Ok(()) => return,
                // Who waited is gone, and the next is asked; the place must not go through this again on its own.
                Err(mut place) => place.gate = None,
            }
        }
    }
}

fn full(expected: Duration) -> ModelError {
    let retry_after = Some(expected.max(Duration::from_secs(1)));
    ModelError { retry_after, ..ModelError::new(ModelErrorKind::RateLimited, "the route is busy; come back later") }
}

/// Returns `answer` such that the place is given back at its end.
fn kept(answer: Answer, place: Place) -> Answer {
    match answer {
        Answer::Events(events) => Answer::Events(Box::pin(events.map(move |event| {
            let _ = &place;
            event
        }))),
        Answer::Raw(RawReply { content_type, body: RawBody::Stream(pieces) }) => {
            let pieces = pieces.map(move |piece| {
                let _ = &place;
                piece
            });
            Answer::Raw(RawReply { content_type, body: RawBody::Stream(Box::pin(pieces)) })
        }
        Answer::Raw(whole) => Answer::Raw(whole),
    }
}
