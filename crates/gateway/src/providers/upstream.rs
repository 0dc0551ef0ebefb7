//! One exchange with a provider over HTTP, whatever its dialect: sign, send, wait with time-outs, fail well.

use super::{
    aws::Signer,
    reading::{Body, EventReading, RawReading},
};
use crate::{
    config::ConfigError,
    http::{HttpClient, Incoming},
    secret::Secret,
};
use bedplate_core::port::{
    clock::Clock,
    model::{Answer, Events, ModelError, ModelErrorKind, ModelEvent, ModelReply, RawBody, RawEnd, RawReply},
};
use bedplate_dialects::{DecodeError, StreamDecoder, UpstreamFault, events_of, raw};
use bytes::Bytes;
use futures::stream;
use hyper::{
    Method, Response, Uri,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout_at};

/// How much of an error answer is read, in bytes…
const MAX_ERROR: usize = 64 << 10;

/// …and how much of its text is shown, in characters.
const MAX_ERROR_TEXT: usize = 500;

/// A provider's credential and what all requests to it have in common.
pub(crate) struct Upstream {
    http: HttpClient,
    clock: Arc<dyn Clock>,
    headers: HeaderMap,
    secret: Option<Secret>,
    signer: Option<Signer>,
}

/// A request to a provider.
pub(crate) struct Sending {
    pub(crate) uri: Uri,
    pub(crate) body: Bytes,
    /// Whether the reply is asked for as a stream.
    pub(crate) stream: bool,
    /// Headers of the client that the provider takes.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// How a reply is read into core form.
pub(crate) struct Reader {
    pub(crate) decoder: Box<dyn StreamDecoder>,
    /// Reads a whole reply, also of servers that do not stream although they were asked to.
    pub(crate) whole: ReadWhole,
}

/// Reads a whole reply.
pub(crate) type ReadWhole = Box<dyn FnOnce(&[u8]) -> Result<ModelReply, DecodeError> + Send>;

/// How a reply passes.
pub(crate) struct Passing {
    pub(crate) dialect: &'static str,
    pub(crate) watch: Box<dyn raw::RawWatch>,
    /// Reads a reply that comes in the other form than was asked for.
    pub(crate) reader: fn() -> Reader,
    /// The media type of what passes where it is not that of what comes.
    pub(crate) content_type: Option<&'static str>,
}

impl Upstream {
    pub(crate) fn new(http: &HttpClient, clock: Arc<dyn Clock>, secret: Option<Secret>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("bedplate/", env!("CARGO_PKG_VERSION"))));
        Self { http: http.clone(), clock, headers, secret, signer: None }
    }

    /// Adds a header to every request; `secret` hides its value from debug output.
    pub(crate) fn header(mut self, name: &'static str, value: &str, secret: bool) -> Result<Self, ConfigError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| ConfigError::BadKey)?;
        value.set_sensitive(secret);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Signs every request.
    pub(crate) fn signed(self, signer: Option<Signer>) -> Self {
        Self { signer, ..self }
    }

    /// Sends a request and returns the events of its reply as soon as the provider has accepted it.
    pub(crate) async fn events(self: Arc<Self>, sending: Sending, reader: Reader) -> Result<Events, ModelError> {
        let stream = sending.stream;
        let (response, until) = self.send(sending).await?;
        let is_json = is_json(response.headers());
        let body = Body::new(response.into_body(), until, self.http.timeouts);
        self.read(body, reader, is_json, stream).await
    }

    /// Sends a request and returns its reply as it is, as soon as the provider has accepted it.
    pub(crate) async fn pass(self: Arc<Self>, sending: Sending, passing: Passing) -> Result<Answer, ModelError> {
        let stream = sending.stream;
        let (response, until) = self.send(sending).await?;
        let (head, body) = response.into_parts();
        let body = Body::new(body, until, self.http.timeouts);
        let is_json = is_json(&head.headers);
        if stream == is_json {
            let events = self.read(body, (passing.reader)(), is_json, stream).await?;
            return Ok(Answer::Events(events));
        }
        let said = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = passing.content_type.or(said).unwrap_or("application/json").to_owned();
        let body = if is_json {
            let bytes = body.whole().await?;
            let mut usage = raw::usage_of_reply(passing.dialect, &bytes);
            let count = |name: &str| head.headers.get(name)?.to_str().ok()?.parse().ok();
            if usage.total() == 0 {
                usage.input = count("x-amzn-bedrock-input-token-count").unwrap_or(0);
                usage.output = count("x-amzn-bedrock-output-token-count").unwrap_or(0);
            }
            RawBody::Whole(bytes, RawEnd { usage, cost: None })
        } else {
            RawBody::Stream(Box::pin(RawReading::new(self, body, passing.watch)))
        };
        Ok(Answer::Raw(RawReply { content_type, body }))
    }

    /// Sends a request and returns the whole body of its reply.
    pub(crate) async fn whole(&self, sending: Sending) -> Result<Bytes, ModelError> {
        let (response, until) = self.send(sending).await?;
        Body::new(response.into_body(), until, self.http.timeouts).whole().await
    }

    async fn read(
        self: Arc<Self>,
        body: Body,
        reader: Reader,
        is_json: bool,
        stream: bool,
    ) -> Result<Events, ModelError> {
        if !is_json {
            return Ok(Box::pin(EventReading::new(self, body, reader.decoder)));
        }
        let body = body.whole().await?;
        let reply = (reader.whole)(&body).map_err(|error| self.invalid(&error))?;
        if stream {
            return Ok(Box::pin(stream::iter(events_of(reply).into_iter().map(Ok))));
        }
        // Nobody waits for pieces, so the end says it all.
        Ok(Box::pin(stream::iter([Ok(ModelEvent::End(Box::new(reply)))])))
    }

    /// Sends a request; returns an answer that is a success, and until when its first byte is waited for.
    async fn send(&self, sending: Sending) -> Result<(Response<Incoming>, Instant), ModelError> {
        let timeouts = self.http.timeouts;
        let until = Instant::now() + if sending.stream { timeouts.first_byte } else { timeouts.whole };
        let mut headers = self.headers.clone();
        let accept = if sending.stream { "text/event-stream" } else { "application/json" };
        if self.signer.is_none() {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        for (name, value) in &sending.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(signer) = &self.signer {
            signer.sign(&sending.uri, &mut headers, &sending.body, self.clock.now())?;
        }
        let waiting = self.http.send(Method::POST, sending.uri, headers, sending.body);
        let response = timeout_at(until, waiting).await.map_err(|_| no_answer())??;
        if response.status().is_success() { Ok((response, until)) } else { Err(self.refusal(response, until).await) }
    }

    /// Reads an answer that is not a success.
    async fn refusal(&self, response: Response<Incoming>, until: Instant) -> ModelError {
        let status = response.status().as_u16();
        let retry_after = self.retry_after(response.headers());
        let aws = response.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let text = Body::new(response.into_body(), until, self.http.timeouts).beginning(MAX_ERROR).await;
        let fault = UpstreamFault::of_response(status, &text);
        let fault = match aws {
            Some(kind) => fault.of_aws(&kind),
            None => fault,
        };
        ModelError { retry_after, ..self.error(fault.kind, &fault.message) }
    }

    /// Reads when the provider wants to be called again: milliseconds, seconds, or a date.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let number = |text: &str, unit: f64| {
            text.parse::<f64>().ok().and_then(|count| Duration::try_from_secs_f64(count * unit).ok())
        };
        if let Some(wait) = text(HeaderName::from_static("retry-after-ms")).and_then(|text| number(text, 0.001)) {
            return Some(wait);
        }
        let text = text(RETRY_AFTER)?;
        number(text, 1.0).or_else(|| {
            let at = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let now = Duration::from_millis(u64::try_from(self.clock.now().0).unwrap_or(0));
            Some(at.saturating_sub(now))
        })
    }

    /// Returns the error of a reply that nobody can read.
    pub(crate) fn invalid(&self, error: &DecodeError) -> ModelError {
        self.error(ModelErrorKind::InvalidReply, &format!("the provider's reply cannot be understood: {error}"))
    }

    /// Makes an error whose text may come from the provider: cut, and without secrets.
    pub(crate) fn error(&self, kind: ModelErrorKind, text: &str) -> ModelError {
        // Cleaned before it is cut, so that no half of a key is left at the end.
        let clean = Secret::redact(self.secret.as_ref(), text);
        let shown = match clean.char_indices().nth(MAX_ERROR_TEXT) {
            Some((end, _)) => format!("{}…", &clean[..end]),
            None => clean,
        };
        ModelError::new(kind, shown)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    const JSON: &[u8] = b"application/json";
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default().trim_ascii_start();
    kind.get(..JSON.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(JSON))
}

pub(crate) fn no_answer() -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, "the provider did not begin to answer in time")
}
