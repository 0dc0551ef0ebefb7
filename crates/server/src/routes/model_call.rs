//! Calls of a model without an agent: what the APIs of OpenAI, Anthropic and Bedrock share behind their own shapes.

use super::passing;
use crate::{ApiError, App, access::Identity};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedplate_core::{
    id::RunId,
    port::{
        BoxFuture, BoxStream,
        model::{
            Answered, Events, ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelInfo, ModelReply, ModelRequest,
            Noted, Notes,
        },
    },
};
use bedplate_dialects::{DecodeError, Envelope};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream::ReadyChunks};
use std::{convert::Infallible, future::Future, mem, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How often an idle stream says that it lives; also how long the status waits for the reply to begin.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How much of a field's name, and of all of them, stands in a header; in bytes.
const MAX_NAME: usize = 64;
const MAX_LIST: usize = 1_000;

/// How many events that are there already go out in one piece.
const PIECE: usize = 64;

/// Words a model's events for a client, in the form of one API.
pub(crate) trait Writer: Send + 'static {
    /// The stream's media type.
    const CONTENT_TYPE: &'static str;
    /// What keeps an idle stream alive; empty where the form knows nothing of the kind.
    const HEARTBEAT: &'static [u8];

    /// Appends what a client gets for `event`.
    fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>);

    /// Appends a failure, which ends the stream.
    fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>);

    /// Returns whether the reply or a failure ended the stream.
    fn is_over(&self) -> bool;

    /// Returns what is to be done before a client sees that the stream is over.
    fn before_the_end(&mut self) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// What a client is told of a call besides the reply.
pub(crate) struct About {
    /// The model as the client calls it.
    asked: String,
    /// What became known of the call.
    notes: Arc<Notes>,
    /// What is told besides.
    told: Vec<(&'static str, String)>,
}

/// Finds the route of a request, whose `model` is what the client calls it: a route, or an id that the project maps to
/// one.
pub(crate) fn prepare(
    app: &App,
    identity: &Identity,
    mut request: ModelRequest,
) -> Result<(About, ModelCall), ApiError> {
    identity.check_models()?;
    let route = route(app, &request.model)?;
    let about = About::of(mem::replace(&mut request.model, route));
    Ok((about, ModelCall::new(identity.caller()?, request)))
}

/// Returns the route that serves what a client calls a model.
pub(crate) fn route(app: &App, asked: &str) -> Result<String, ApiError> {
    if let Some(route) = app.definitions().route_of_model_id(asked) {
        return Ok(route);
    }
    if app.model().has_route(asked) {
        return Ok(asked.to_owned());
    }
    let shown: String = asked.chars().filter(|c| !c.is_control()).take(128).collect();
    Err(ApiError::not_found(
        "model_not_found",
        format!("no route serves the model id `{shown}`; name it in [model_ids], or call a route by its name"),
    ))
}

impl About {
    /// Returns what is told of a call whose notes say the rest.
    pub(crate) fn of(asked: String) -> Self {
        Self { asked, notes: Arc::default(), told: Vec::new() }
    }

    /// Returns what is told of a call of an agent: the model behind it, what of the request it will not see, and more.
    pub(crate) fn of_agent(
        asked: String,
        info: Option<Arc<ModelInfo>>,
        untranslated: Vec<String>,
        told: Vec<(&'static str, String)>,
    ) -> Self {
        let noted = Noted { info, untranslated, ..Noted::default() };
        Self { asked, notes: Arc::new(Notes::of(noted)), told }
    }

    /// Returns where it stands what became known of the call.
    pub(crate) fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// Tells one thing more.
    pub(crate) fn tell(&mut self, header: &'static str, value: String) {
        self.told.push((header, value));
    }

    /// Returns the outer part of the reply; its id begins with `prefix`.
    pub(crate) fn envelope(&self, app: &App, prefix: &str) -> Envelope {
        Envelope {
            id: format!("{prefix}{}", RunId(app.0.options.entropy.bytes())),
            created: app.now().0 / 1000,
            model: self.asked.clone(),
        }
    }

    /// Returns a whole reply as a response.
    pub(crate) fn json(&self, body: Vec<u8>, cost: Option<u64>) -> Response {
        let mut response = body.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.marked(response, cost)
    }

    /// Returns the response with the headers that say what was done with the call.
    pub(crate) fn marked(&self, mut response: Response, cost: Option<u64>) -> Response {
        passing::mark(response.headers_mut(), &self.notes.read(), cost);
        for (name, value) in &self.told {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// Returns the names of fields as a header may have them: a client chose them, so they are cut and bounded.
pub(crate) fn listed(names: &[String]) -> String {
    let mut list = String::new();
    for name in names {
        let name: String = name.chars().filter(char::is_ascii_graphic).take(MAX_NAME).collect();
        if list.len() + name.len() > MAX_LIST {
            list.push_str(", and more");
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&name);
    }
    list
}

/// Reads a reply's events to the end.
pub(crate) async fn whole_events(mut stream: Events) -> Result<ModelReply, ApiError> {
    while let Some(event) = stream.next().await {
        if let ModelEvent::End(reply) = event.map_err(model_error)? {
            return Ok(*reply);
        }
    }
    Err(model_error(cut()))
}

/// Answers with a stream of events. What fails before the reply began is an error with its own status; if that takes long
/// the stream begins all the same, and keeps its client by heartbeats. A client that hangs up drops the stream, which
/// cancels the call upstream.
pub(crate) async fn streamed_events<W: Writer>(app: &App, events: Events, writer: W) -> Result<Response, ApiError> {
    let mut events = events.ready_chunks(PIECE);
    let first = match timeout(HEARTBEAT, events.next()).await {
        Ok(Some(mut first)) => match first.first_mut() {
            Some(Err(_)) => return Err(first.swap_remove(0).map_or_else(model_error, |_| model_error(cut()))),
            _ => first,
        },
        Ok(None) => return Err(model_error(cut())),
        Err(_) => Vec::new(),
    };
    let body = Body::from_stream(pieces(first, events, writer, app.closed()).map(Ok::<_, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, W::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-cache"),
        // A proxy that collects a stream before it passes it on would make it none.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

/// Calls the model with a core request; what becomes known of the call is told with `about`.
pub(crate) async fn events(app: &App, call: ModelCall, about: &mut About) -> Result<Events, ApiError> {
    let Answered { answer, notes } = app.model().call(call).await.map_err(model_error)?;
    about.notes = notes;
    answer.into_events().map_err(model_error)
}

type Event = Result<ModelEvent, ModelError>;

fn pieces<W: Writer>(
    first: Vec<Event>,
    mut events: ReadyChunks<BoxStream<'static, Event>>,
    mut writer: W,
    closed: impl Future<Output = ()> + Send,
) -> impl Stream<Item = Bytes> + Send {
    async_stream::stream! {
        let mut closed = std::pin::pin!(closed);
        let mut next = first;
        let mut out = Vec::new();
        loop {
            for event in next {
                match event {
                    Ok(event) => writer.event(&event, &mut out),
                    Err(error) => writer.fail(&error, &mut out),
                }
            }
            if writer.is_over()
                && let Some(last) = writer.before_the_end()
            {
                last.await;
            }
            if !out.is_empty() {
                yield Bytes::from(mem::take(&mut out));
            }
            if writer.is_over() {
                return;
            }
            next = tokio::select! {
                biased;
                () = &mut closed => vec![Err(ModelError::new(ModelErrorKind::Unavailable, "the server is shutting down"))],
                more = timeout(HEARTBEAT, events.next()) => match more {
                    Ok(Some(more)) => more,
                    Ok(None) => vec![Err(cut())],
                    Err(_) => {
                        out.extend_from_slice(W::HEARTBEAT);
                        Vec::new()
                    }
                },
            };
        }
    }
}

pub(crate) fn cut() -> ModelError {
    ModelError::new(ModelErrorKind::BrokenStream, "the model's stream ended before its reply was whole")
}

/// Returns the error of a request that its dialect cannot read.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn invalid(error: DecodeError) -> ApiError {
    ApiError::bad_request("invalid_request", error.to_string())
}

pub(crate) fn model_error(error: ModelError) -> ApiError {
    let status = match error.kind {
        ModelErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
        ModelErrorKind::NotFound => StatusCode::NOT_FOUND,
        ModelErrorKind::Unauthorized => StatusCode::FORBIDDEN,
        ModelErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ModelErrorKind::RateLimited | ModelErrorKind::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
        ModelErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ModelErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ModelErrorKind::BrokenStream | ModelErrorKind::InvalidReply => StatusCode::BAD_GATEWAY,
    };
    ApiError {
        retry_after: error.retry_after,
        limits: error.limits,
        ..ApiError::new(status, error.kind.code(), error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, stream};
    use std::{future::pending, pin::pin, sync::Arc};

    /// Says each text as it is, and a failure by its kind.
    #[derive(Default)]
    struct Plain(bool);

    impl Writer for Plain {
        const CONTENT_TYPE: &'static str = "text/plain";
        const HEARTBEAT: &'static [u8] = b"~";

        fn event(&mut self, event: &ModelEvent, out: &mut Vec<u8>) {
            if let ModelEvent::TextDelta { text, .. } = event {
                out.extend_from_slice(text.as_bytes());
            }
        }

        fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>) {
            self.0 = true;
            out.extend_from_slice(format!("[{}]", error.kind.code()).as_bytes());
        }

        fn is_over(&self) -> bool {
            self.0
        }
    }

    fn text(text: &str) -> Event {
        Ok(ModelEvent::TextDelta { index: 0, text: text.into() })
    }

    fn chunks(events: impl Stream<Item = Event> + Send + 'static) -> ReadyChunks<BoxStream<'static, Event>> {
        let events: BoxStream<'static, Event> = Box::pin(events);
        events.ready_chunks(PIECE)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_is_kept_alive_and_one_that_is_cut_says_so() {
        let late = stream::once(async {
            tokio::time::sleep(HEARTBEAT * 2 + HEARTBEAT / 2).await;
            text("b")
        });
        let said = pieces(vec![text("a")], chunks(late), Plain::default(), pending());
        let said: Vec<Bytes> = said.collect().await;
        assert_eq!(said, ["a", "~", "~", "b", "[model_broken_stream]"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_ends_the_stream_with_an_error() {
        let closed = tokio::time::sleep(HEARTBEAT / 2);
        let said = pieces(vec![text("a")], chunks(stream::pending()), Plain::default(), closed);
        assert_eq!(said.collect::<Vec<_>>().await, ["a", "[model_unavailable]"]);
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_drops_the_call_upstream() {
        let upstream = Arc::new(());
        let held = Arc::clone(&upstream);
        let endless = stream::pending().map(move |event| {
            let _ = &held;
            event
        });
        {
            let mut said = pin!(pieces(vec![text("a")], chunks(endless), Plain::default(), pending()));
            assert!(said.next().await.is_some() && said.next().now_or_never().is_none());
            assert_eq!(Arc::strong_count(&upstream), 2);
        }
        assert_eq!(Arc::strong_count(&upstream), 1);
    }
}
