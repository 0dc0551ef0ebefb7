//! The layer that keeps requests within their model's window and marks what the provider may cache.

use super::{fit::truncate, mark::mark};
use crate::{
    call::{Answering, Call, Serve, Stack},
    policy::Overflow,
    route::residency::Leg,
};
use bedplate_core::port::model::{ModelError, ModelErrorKind};
use std::sync::Arc;
use tower_layer::Layer;

/// Providers whose prompt cache is used by markers in the request; others cache on their own.
const MARKED: [&str; 2] = ["anthropic", "bedrock"];

/// Counts the tokens of a route's requests before they go on.
#[derive(Clone)]
pub(crate) struct TokenLayer {
    pub(crate) overflow: Overflow,
    pub(crate) prompt_cache: bool,
    pub(crate) legs: Arc<[Arc<Leg>]>,
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
        match self.layer.prepared(call) {
            Ok(call) => self.inner.serve(call),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl TokenLayer {
    /// Returns the call as it goes on: cut, marked, or as it was.
    fn prepared(&self, call: Call) -> Result<Call, ModelError> {
        let call = match self.window() {
            Some(window) if self.overflow != Overflow::Send => self.fitted(call, window)?,
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

    /// Returns how many tokens the largest of the models can read; none when that of one is not known.
    fn window(&self) -> Option<u64> {
        self.legs.iter().map(|leg| leg.context_tokens).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn fitted(&self, call: Call, window: u64) -> Result<Call, ModelError> {
        let request = call.core()?;
        let output = request.params.max_tokens.map_or(0, u64::from);
        let needed = super::estimate(request).saturating_add(output);
        if needed <= window {
            return Ok(call);
        }
        if self.overflow == Overflow::Truncate {
            let mut request = (**request).clone();
            if let Some(left_out) = truncate(&mut request, window) {
                let note = format!("the oldest {left_out} messages were left out");
                call.notes.note(|noted| noted.degraded = Some(note.into()));
                return Ok(call.with_core(request));
            }
        }
        let message = format!("the request needs about {needed} tokens with its reply, and the model reads {window}");
        Err(ModelError::new(ModelErrorKind::TooLarge, message))
    }
}
