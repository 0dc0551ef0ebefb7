//! The layer that keeps requests within their model's window and marks what the provider may cache.

use super::{count::Counter, fit::truncate, mark::mark};
use crate::{
    call::{Answering, Call, Serve, Stack},
    policy::Overflow,
    route::residency::Leg,
};
use bedplate_core::port::model::{ModelError, ModelErrorKind};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower_layer::Layer;

/// Providers whose prompt cache is used by markers in the request; others cache on their own.
const MARKED: [&str; 2] = ["anthropic", "bedrock"];

/// A request with more bytes of text for each token of the window is too long without being counted: the longest words of
/// a vocabulary are longer, but nobody writes in them.
const MOST_BYTES: u64 = 16;

/// Counts the tokens of a route's requests before they go on.
#[derive(Clone)]
pub(crate) struct TokenLayer {
    pub(crate) overflow: Overflow,
    pub(crate) prompt_cache: bool,
    pub(crate) legs: Arc<[Arc<Leg>]>,
    /// Room for those that are counted by a vocabulary at once: each keeps a core busy.
    pub(crate) counting: Arc<Semaphore>,
}

impl Layer<Stack> for TokenLayer {
    type Service = TokenService;

    fn layer(&self, inner: Stack) -> TokenService {
        TokenService { layer: self.clone(), inner }
    }
}

pub(crate) struct TokenService {
    layer: TokenLayer,
    inner: Stack,
}

impl Serve for TokenService {
    fn serve(&self, call: Call) -> Answering {
        let counter = self.layer.counter(&call);
        if counter == Counter::Estimate {
            return match self.layer.prepared(call, counter) {
                Ok(call) => self.inner.serve(call),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            };
        }
        let (layer, inner) = (self.layer.clone(), self.inner.clone());
        Box::pin(async move { inner.serve(layer.counted(call, counter).await?).await })
    }
}

impl TokenLayer {
    /// Returns how the tokens of a call have to be counted. No token is shorter than a byte, so most calls fit without
    /// being counted.
    fn counter(&self, call: &Call) -> Counter {
        if self.overflow == Overflow::Send {
            return Counter::Estimate;
        }
        let (Some((window, leg)), Ok(request)) = (self.window(), call.core()) else { return Counter::Estimate };
        let bytes = u64::try_from(super::bytes(request)).unwrap_or(u64::MAX);
        let output = request.params.max_tokens.map_or(0, u64::from);
        if bytes.saturating_add(output) <= window || bytes > window.saturating_mul(MOST_BYTES) {
            return Counter::Estimate;
        }
        Counter::of(&leg.info().model)
    }

    /// Does what [`TokenLayer::prepared`] does where nobody waits for the processor.
    async fn counted(&self, call: Call, counter: Counter) -> Result<Call, ModelError> {
        // It is never closed.
        let _turn = self.counting.acquire().await;
        let (layer, counted) = (self.clone(), call.clone());
        let done = tokio::task::spawn_blocking(move || layer.prepared(counted, counter)).await;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "a request could not be counted, and is estimated");
            self.prepared(call, Counter::Estimate)
        })
    }

    /// Returns the call as it goes on: cut, marked, or as it was.
    fn prepared(&self, call: Call, counter: Counter) -> Result<Call, ModelError> {
        let call = match self.window() {
            Some((window, _)) if self.overflow != Overflow::Send => self.fitted(call, window, counter)?,
            _ => call,
        };
        if !self.prompt_cache || !self.legs.iter().any(|leg| MARKED.contains(&leg.info().provider.as_str())) {
            return Ok(call);
        }
        let mut request = (**call.core()?).clone();
        let markers = mark(&mut request);
        if markers == 0 {
            return Ok(call);
        }
        call.notes.note(|noted| noted.prompt_cache_markers = markers);
        Ok(call.with_core(request))
    }

    /// Returns how many tokens the largest of the models can read, and which that is; none when that of one is not known.
    fn window(&self) -> Option<(u64, &Leg)> {
        let windows = self.legs.iter().map(|leg| Some((leg.context_tokens?, &**leg)));
        windows.collect::<Option<Vec<_>>>()?.into_iter().max_by_key(|(window, _)| *window)
    }

    fn fitted(&self, call: Call, window: u64, counter: Counter) -> Result<Call, ModelError> {
        let request = call.core()?;
        let output = request.params.max_tokens.map_or(0, u64::from);
        let needed = counter.request(request).saturating_add(output);
        if needed <= window {
            return Ok(call);
        }
        if self.overflow == Overflow::Truncate {
            let mut request = (**request).clone();
            if let Some(left_out) = truncate(&mut request, window, counter) {
                let note = format!("the oldest {left_out} messages were left out");
                call.notes.note(|noted| noted.degraded = Some(note.into()));
                return Ok(call.with_core(request));
            }
        }
        let message = format!("the request needs about {needed} tokens with its reply, and the model reads {window}");
        Err(ModelError::new(ModelErrorKind::TooLarge, message))
    }
}
