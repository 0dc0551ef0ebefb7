//! The embedded stand-in for a foundation model, as a provider: its reply comes in words, like that of a real one.

use super::{Events, Provider, ProviderCall, scripted::in_words};
use bedplate_core::port::{BoxFuture, clock::Clock, model::ModelError};
use futures::stream;
use std::sync::Arc;

pub(crate) struct Rehearsal {
    pub(crate) clock: Arc<dyn Clock>,
}

impl Provider for Rehearsal {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let reply = bedplate_rehearsal::reply(&call.request, self.clock.now());
        let events: Events = Box::pin(stream::iter(in_words(reply).into_iter().map(Ok)));
        Box::pin(std::future::ready(Ok(events)))
    }
}
