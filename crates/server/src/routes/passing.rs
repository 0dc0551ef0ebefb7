//! Calls of a model in a client's own dialect: what is read of the request, and how the answer gets out, whichever form
//! it comes in.

use super::model_call::{self, About, HEARTBEAT, Writer};
use crate::{ApiError, App, access::Identity};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bedplate_core::{
    message::Usage,
    port::{
        BoxFuture, BoxStream,
        model::{
            Answer, Answered, Asked, ModelCall, ModelError, ModelErrorKind, ModelReply, Noted, RawBody, RawPiece,
            RawReply, RawRequest,
        },
    },
};
use bedplate_dialects::raw::{self, Head};
use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep, sleep, timeout};

/// A client's request, as far as it is read here.
pub(crate) struct Inbound {
    pub(crate) about: About,
    pub(crate) call: ModelCall,
    pub(crate) head: Head,
}

/// Reads what must be known of a request of `dialect` and finds its route. `model` is what the path says; absent, the
/// body says it.
pub(crate) fn read(
    app: &App,
    identity: &Identity,
    dialect: &'static str,
    model: Option<&str>,
    body: Bytes,
    headers: Vec<(&'static str, String)>,
) -> Result<Inbound, ApiError> {
    let head = head(&body)?;
    read_on(app, identity, dialect, model, head, body, headers)
}

/// Reads what must be known of a request of any dialect.
pub(crate) fn head(body: &[u8]) -> Result<Head, ApiError> {
    raw::head(body).map_err(model_call::invalid)
}

/// Does what [`read`] does with a request whose head is read already.
pub(crate) fn read_on(
    app: &App,
    identity: &Identity,
    dialect: &'static str,
    model: Option<&str>,
    mut head: Head,
    body: Bytes,
    headers: Vec<(&'static str, String)>,
) -> Result<Inbound, ApiError> {
    identity.check_models()?;
    let asked = match model {
        Some(model) => {
            head.model_at = 0..0;
            model.to_owned()
        }
        None => match head.model.take() {
            Some(model) => model,
            None => return Err(ApiError::bad_request("invalid_request", "missing field `model`")),
        },
    };
    let route = model_call::route(app, &asked)?;
    let request = RawRequest { dialect, model: route, body, model_at: head.model_at.clone(), headers };
    let call =
        ModelCall { caller: identity.caller()?, asked: Asked::Raw(request), stream: head.stream, deadline: None };
    Ok(Inbound { about: About::of(asked), call, head })
}

/// Returns those of a request's headers that providers of its dialect take.
pub(crate) fn taken(headers: &HeaderMap, names: &[&'static str]) -> Vec<(&'static str, String)> {
    let text = |name: &&'static str| Some((*name, headers.get(*name)?.to_str().ok()?.to_owned()));
    names.iter().filter_map(text).collect()
}

/// A whole reply as a response.
pub(crate) struct Whole {
    pub(crate) response: Response,
    pub(crate) usage: Usage,
}

/// Calls the model and answers with its whole reply, as its provider said it, or as `encode` says it.
pub(crate) async fn whole(
    app: &App,
    call: ModelCall,
    encode: impl FnOnce(&ModelReply) -> Vec<u8>,
) -> Result<Whole, ApiError> {
    let Answered { answer, notes } = app.model().call(call).await.map_err(model_call::model_error)?;
    let (body, content_type, usage, cost) = match answer {
        Answer::Raw(RawReply { content_type, body: RawBody::Whole(bytes, end) }) => {
            (bytes, content_type, end.usage, end.cost)
        }
        Answer::Raw(RawReply { body: RawBody::Stream(_), .. }) => {
            let message = "the provider streams a reply that was to be whole";
            return Err(model_call::model_error(ModelError::new(ModelErrorKind::InvalidReply, message)));
        }
        Answer::Events(events) => {
            let reply = model_call::whole_events(events).await?;
            (encode(&reply).into(), "application/json".to_owned(), reply.usage, reply.cost)
        }
    };
    let mut response = body.into_response();
    if let Ok(value) = HeaderValue::from_str(&content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    mark(response.headers_mut(), &notes.read(), cost);
    Ok(Whole { response, usage })
}

/// Calls the model and answers with its stream; see [`model_call::streamed_events`]. The writer says events and failures.
pub(crate) async fn streamed<W: Writer + Unpin>(app: &App, call: ModelCall, writer: W) -> Result<Response, ApiError> {
    let Answered { answer, notes } = app.model().call(call).await.map_err(model_call::model_error)?;
    let mut response = match answer {
        Answer::Events(events) => model_call::streamed_events(app, events, writer).await?,
        Answer::Raw(RawReply { content_type, body: RawBody::Whole(bytes, _) }) => {
            ([(header::CONTENT_TYPE, content_type)], bytes).into_response()
        }
        Answer::Raw(RawReply { content_type, body: RawBody::Stream(mut pieces) }) => {
            let first = match timeout(HEARTBEAT, pieces.next()).await {
                Ok(Some(Ok(piece))) => Some(piece),
                Ok(Some(Err(error))) => return Err(model_call::model_error(error)),
                Ok(None) => return Err(model_call::model_error(model_call::cut())),
                Err(_) => None,
            };
            let passing = Passing::new(first, pieces, writer, app.closed().boxed());
            let mut response = Body::from_stream(passing.map(Ok::<_, Infallible>)).into_response();
            let headers = response.headers_mut();
            if let Ok(value) = HeaderValue::from_str(&content_type) {
                headers.insert(header::CONTENT_TYPE, value);
            }
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            // A proxy that collects a stream before it passes it on would make it none.
            headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
            response
        }
    };
    mark(response.headers_mut(), &notes.read(), None);
    Ok(response)
}

/// Adds the headers that say what was done with a call.
pub(crate) fn mark(headers: &mut HeaderMap, noted: &Noted, cost: Option<u64>) {
    let mut add = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let info = noted.info.as_ref();
    add("x-bedplate-model", info.map(|info| format!("{}; foundation_model={}", info.model, info.foundation_model)));
    add("x-bedplate-route", noted.route.as_ref().map(ToString::to_string));
    add("x-bedplate-attempts", (noted.attempts > 0).then(|| noted.attempts.to_string()));
    add("x-bedplate-cache", noted.cache.map(ToString::to_string));
    add("x-bedplate-degraded", noted.degraded.as_ref().map(ToString::to_string));
    add("x-bedplate-cost-usd", cost.map(|micros| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)));
    let untranslated = &noted.untranslated;
    add("x-bedplate-untranslated", (!untranslated.is_empty()).then(|| model_call::listed(untranslated)));
    if let Some(limits) = &noted.limits {
        crate::rate_headers::add(headers, limits);
    }
}

/// A raw stream on its way to a client: kept alive while it is silent, and ended by an error where it breaks.
struct Passing<W> {
    first: Option<RawPiece>,
    pieces: BoxStream<'static, Result<RawPiece, ModelError>>,
    writer: W,
    closed: BoxFuture<'static, ()>,
    heartbeat: Pin<Box<Sleep>>,
    /// When the client last got something.
    last: Instant,
    over: bool,
}

impl<W: Writer> Passing<W> {
    fn new(
        first: Option<RawPiece>,
        pieces: BoxStream<'static, Result<RawPiece, ModelError>>,
        writer: W,
        closed: BoxFuture<'static, ()>,
    ) -> Self {
        let (heartbeat, last) = (Box::pin(sleep(HEARTBEAT)), Instant::now());
        Self { first, pieces, writer, closed, heartbeat, last, over: false }
    }

    fn fail(&mut self, error: &ModelError) -> Poll<Option<Bytes>> {
        self.over = true;
        let mut out = Vec::new();
        self.writer.fail(error, &mut out);
        Poll::Ready(Some(out.into()))
    }

    /// Waits for the time of the next sign of life.
    fn poll_heartbeat(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.heartbeat.poll_unpin(context).is_ready() {
            let due = self.last + HEARTBEAT;
            if due <= self.heartbeat.deadline() {
                self.last = Instant::now();
                let next = self.last + HEARTBEAT;
                self.heartbeat.as_mut().reset(next);
                return Poll::Ready(());
            }
            self.heartbeat.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<W: Writer + Unpin> Stream for Passing<W> {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        if this.closed.poll_unpin(context).is_ready() {
            return this.fail(&ModelError::new(ModelErrorKind::Unavailable, "the server is shutting down"));
        }
        let next = match this.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => this.pieces.poll_next_unpin(context),
        };
        match next {
            Poll::Ready(Some(Ok(RawPiece::Bytes(bytes)))) => {
                this.last = Instant::now();
                Poll::Ready(Some(bytes))
            }
            Poll::Ready(Some(Ok(RawPiece::End(_)))) => {
                this.over = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => this.fail(&error),
            Poll::Ready(None) => this.fail(&model_call::cut()),
            Poll::Pending if W::HEARTBEAT.is_empty() => Poll::Pending,
            Poll::Pending => this.poll_heartbeat(context).map(|()| Some(Bytes::from_static(W::HEARTBEAT))),
        }
    }
}
