//! The embedded stand-in for a foundation model, as a provider: its reply comes in words, like that of a real one.

use super::{Dialect, PassCall, Provider, ProviderCall, ProviderEmbed, scripted::in_words};
use bedplate_core::{
    message::Usage,
    port::{
        BoxFuture,
        clock::Clock,
        model::{Answer, Embeddings, Events, ModelError},
    },
};
use futures::stream;
use std::sync::Arc;

pub(crate) struct Rehearsal {
    pub(crate) clock: Arc<dyn Clock>,
}

impl Provider for Rehearsal {
    fn dialect(&self) -> Dialect {
        ""
    }

    fn pass(&self, _: PassCall<'_>) -> Option<BoxFuture<'static, Result<Answer, ModelError>>> {
        None
    }

    fn call(&self, mut call: ProviderCall) -> BoxFuture<'static, Result<Events, ModelError>> {
        let reply = bedplate_rehearsal::reply(call.outgoing(), self.clock.now());
        let events: Events = Box::pin(stream::iter(in_words(reply).into_iter().map(Ok)));
        Box::pin(std::future::ready(Ok(events)))
    }

    fn embed(&self, call: ProviderEmbed) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let dimensions = call.dimensions.map_or(bedplate_rehearsal::DIMENSIONS, |wanted| wanted as usize);
        let vectors = call.inputs.iter().map(|text| bedplate_rehearsal::embed(text, dimensions)).collect();
        let input = call.inputs.iter().map(|text| (text.chars().count() as u64).div_ceil(4)).sum();
        let usage = Usage { input, ..Usage::default() };
        let (model, provider) = (bedplate_rehearsal::MODEL.to_owned(), bedplate_rehearsal::PROVIDER.to_owned());
        Box::pin(std::future::ready(Ok(Embeddings { vectors, usage, cost: Some(0), model, provider })))
    }
}
