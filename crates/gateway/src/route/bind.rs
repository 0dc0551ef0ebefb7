//! A route that is bound to a jurisdiction: all its calls are, and those of routes below it.

use crate::call::{Answering, Call, Stack};
use bedplate_core::port::model::{Answer, ModelError};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Binds calls to a jurisdiction besides those that they are bound to already.
#[derive(Clone)]
pub(crate) struct BindLayer(Arc<str>);

/// See [`BindLayer`].
#[derive(Clone)]
pub(crate) struct Bind {
    jurisdiction: Arc<str>,
    inner: Stack,
}

impl BindLayer {
    pub(crate) fn new(jurisdiction: &str) -> Self {
        Self(jurisdiction.into())
    }
}

impl Layer<Stack> for BindLayer {
    type Service = Bind;

    fn layer(&self, inner: Stack) -> Bind {
        Bind { jurisdiction: Arc::clone(&self.0), inner }
    }
}

impl Service<Call> for Bind {
    type Response = Answer;
    type Error = ModelError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ModelError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> Answering {
        if !call.within.contains(&self.jurisdiction) {
            call.within = call.within.iter().cloned().chain([Arc::clone(&self.jurisdiction)]).collect();
        }
        self.inner.serve(call)
    }
}
