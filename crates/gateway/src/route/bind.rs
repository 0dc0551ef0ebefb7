//! A route that is bound to a jurisdiction: all its calls are, and those of routes below it.

use crate::call::{Answering, Call, Serve, Stack};
use std::sync::Arc;
use tower_layer::Layer;

/// Binds calls to a jurisdiction besides those that they are bound to already.
#[derive(Clone)]
pub(crate) struct BindLayer(Arc<str>);

/// See [`BindLayer`].
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

impl Serve for Bind {
    fn serve(&self, mut call: Call) -> Answering {
        if !call.within.contains(&self.jurisdiction) {
            call.within = call.within.iter().cloned().chain([Arc::clone(&self.jurisdiction)]).collect();
        }
        self.inner.serve(call)
    }
}
