//! The inner contract: what goes through the layers of a route, and what a layer is.
//!
//! A layer is a [`tower_layer::Layer`] over a [`Stack`] whose service is a [`Serve`]: it takes a [`Call`] and returns an
//! [`Answer`]. It is always ready: whatever it waits for, it waits for in its future.

use bedplate_core::{
    port::{
        BoxFuture, Caller,
        model::{Answer, Asked, ModelError, ModelErrorKind, ModelRequest, Notes, RawRequest},
    },
    time::Timestamp,
};
use bedplate_dialects::DecodeError;
use std::{
    fmt::Display,
    sync::{Arc, OnceLock},
};
use tower_layer::Layer;

/// A call on its way through the layers. A clone costs some counters and is what a second attempt is made of.
#[derive(Clone)]
pub(crate) struct Call {
    /// On whose behalf.
    pub(crate) caller: Arc<Caller>,
    /// The route or model that the client asked for.
    pub(crate) route: Arc<str>,
    /// What is asked; see [`Call::core`] and [`Call::raw`].
    asked: Form,
    /// Whether the reply is wanted piece by piece.
    pub(crate) stream: bool,
    /// When the caller stops waiting.
    pub(crate) deadline: Option<Timestamp>,
    /// What is noted for the record and the reply's headers; one for all attempts.
    pub(crate) notes: Arc<Notes>,
    /// The jurisdictions that routes have bound the call to, besides the caller's own.
    pub(crate) within: Arc<[Arc<str>]>,
}

#[derive(Clone)]
enum Form {
    Core(Arc<ModelRequest>),
    Raw(Arc<RawForm>),
}

struct RawForm {
    request: RawRequest,
    /// The core form, made when somebody first needs it.
    core: OnceLock<Result<Arc<ModelRequest>, DecodeError>>,
}

impl Form {
    fn of(asked: Asked) -> Self {
        match asked {
            Asked::Core(request) => Self::Core(Arc::new(request)),
            Asked::Raw(request) => Self::Raw(Arc::new(RawForm { request, core: OnceLock::new() })),
        }
    }
}

impl Call {
    /// Returns the call of a client.
    pub(crate) fn new(
        caller: Caller,
        route: Arc<str>,
        asked: Asked,
        stream: bool,
        deadline: Option<Timestamp>,
        notes: Arc<Notes>,
    ) -> Self {
        let (caller, asked) = (Arc::new(caller), Form::of(asked));
        Self { caller, route, asked, stream, deadline, notes, within: Arc::default() }
    }

    /// Returns the request in core form; a raw one is decoded once.
    ///
    /// # Errors
    /// [`ModelErrorKind::InvalidRequest`] when a raw request is not what its dialect allows.
    pub(crate) fn core(&self) -> Result<&Arc<ModelRequest>, ModelError> {
        match &self.asked {
            Form::Core(request) => Ok(request),
            Form::Raw(raw) => raw
                .core
                .get_or_init(|| {
                    let request = &raw.request;
                    bedplate_dialects::decode(request.dialect, &request.body, &request.model).map(Arc::new)
                })
                .as_ref()
                .map_err(invalid),
        }
    }

    /// Returns the request as the client sent it; none where it came in core form or was changed on its way.
    pub(crate) fn raw(&self) -> Option<&RawRequest> {
        match &self.asked {
            Form::Core(_) => None,
            Form::Raw(raw) => Some(&raw.request),
        }
    }

    /// Returns the call with another request. It is in core form from here on, so no provider passes it through.
    pub(crate) fn with_core(self, request: ModelRequest) -> Self {
        Self { asked: Form::Core(Arc::new(request)), ..self }
    }

    /// Returns the call with another request.
    pub(crate) fn with_asked(self, asked: Asked) -> Self {
        Self { asked: Form::of(asked), ..self }
    }
}

/// Returns the error of a request that cannot be read, or be said to a provider.
pub(crate) fn invalid(error: impl Display) -> ModelError {
    ModelError::new(ModelErrorKind::InvalidRequest, error.to_string())
}

/// What a service of a stack returns.
pub(crate) type Answering = BoxFuture<'static, Result<Answer, ModelError>>;

/// Layers over a target, built once for each configuration. A clone costs a counter.
#[derive(Clone)]
pub(crate) struct Stack(Arc<dyn Serve>);

impl Stack {
    /// Returns a stack of `service` alone.
    pub(crate) fn new(service: impl Serve + 'static) -> Self {
        Self(Arc::new(service))
    }

    /// Returns the stack with `layer` around it.
    pub(crate) fn layer(self, layer: &impl Layer<Self, Service: Serve + 'static>) -> Self {
        Self::new(layer.layer(self))
    }

    /// Serves a call.
    pub(crate) fn serve(&self, call: Call) -> Answering {
        self.0.serve(call)
    }
}

/// A service that many call at once.
pub(crate) trait Serve: Send + Sync {
    /// Serves a call.
    fn serve(&self, call: Call) -> Answering;
}
