//! One exchange with a provider over HTTP, whatever its dialect: send, wait with time-outs, decode, fail well.

use crate::{
    config::{ConfigError, Timeouts},
    http::HttpClient,
    secret::Secret,
};
use bedplate_core::port::{
    clock::Clock,
    model::{Events, ModelError, ModelErrorKind, ModelEvent, ModelReply},
};
use bedplate_dialects::{DecodeError, NameMap, StreamDecoder, StreamError, UpstreamFault, events_of};
use bytes::Bytes;
use futures::{FutureExt, stream};
use http_body_util::BodyExt;
use hyper::{
    Method, Response, Uri,
    body::Incoming,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout_at};

/// The greatest reply that is read, in bytes.
const MAX_REPLY: usize = 64 << 20;

/// How much of an error answer is read, in bytes…
const MAX_ERROR: usize = 64 << 10;

/// …and how much of its text is shown, in characters.
const MAX_ERROR_TEXT: usize = 500;

/// A provider's address and credential.
pub(crate) struct Upstream {
    http: HttpClient,
    clock: Arc<dyn Clock>,
    uri: Uri,
    headers: HeaderMap,
    secret: Option<Secret>,
}

/// What one exchange sends, and how its answer is read.
pub(crate) struct Exchange {
    pub(crate) body: Vec<u8>,
    pub(crate) decoder: Box<dyn StreamDecoder>,
    /// Reads a whole reply, from servers that do not stream although they were asked to.
    pub(crate) whole: fn(&[u8], &NameMap) -> Result<ModelReply, DecodeError>,
    pub(crate) names: NameMap,
}

impl Upstream {
    pub(crate) fn new(http: &HttpClient, clock: Arc<dyn Clock>, uri: Uri, secret: Option<Secret>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("bedplate/", env!("CARGO_PKG_VERSION"))));
        Self { http: http.clone(), clock, uri, headers, secret }
    }

    /// Adds a header to every request; `secret` hides its value from debug output.
    pub(crate) fn header(mut self, name: &'static str, value: &str, secret: bool) -> Result<Self, ConfigError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| ConfigError::BadKey)?;
        value.set_sensitive(secret);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Sends the request and returns the stream of its reply as soon as the provider has accepted it.
    pub(crate) async fn exchange(self: Arc<Self>, exchange: Exchange) -> Result<Events, ModelError> {
        let timeouts = self.http.timeouts;
        let first_byte = Instant::now() + timeouts.first_byte;
        let sending = self.http.send(Method::POST, self.uri.clone(), self.headers.clone(), exchange.body);
        let response = timeout_at(first_byte, sending).await.map_err(|_| no_answer())??;
        if !response.status().is_success() {
            return Err(self.refusal(response, first_byte).await);
        }
        let streamed = !is_json(response.headers());
        let mut reading = Reading {
            upstream: Arc::clone(&self),
            body: response.into_body(),
            decoder: exchange.decoder,
            events: VecDeque::new(),
            pending: Vec::new(),
            read: 0,
            until: first_byte,
            timeouts,
            over: false,
        };
        if streamed {
            return Ok(Box::pin(stream::unfold(reading, |mut reading| async move {
                reading.next().await.map(|item| (item, reading))
            })));
        }
        let body = reading.whole().await?;
        let reply = (exchange.whole)(&body, &exchange.names).map_err(|error| {
            self.error(ModelErrorKind::InvalidReply, &format!("the provider's reply cannot be understood: {error}"))
        })?;
        Ok(Box::pin(stream::iter(events_of(reply).into_iter().map(Ok))))
    }

    /// Reads an answer that is not a success.
    async fn refusal(&self, response: Response<Incoming>, until: Instant) -> ModelError {
        let status = response.status().as_u16();
        let retry_after = self.retry_after(response.headers());
        let mut body = response.into_body();
        let mut text = Vec::new();
        // What can be had of the body in time is enough; a body that breaks off does not hide the status.
        while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
            if let Ok(data) = frame.into_data() {
                text.extend_from_slice(&data[..data.len().min(MAX_ERROR - text.len())]);
            }
            if text.len() == MAX_ERROR {
                break;
            }
        }
        let fault = UpstreamFault::of_response(status, &text);
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

    /// Makes an error whose text may come from the provider: cut, and without secrets.
    fn error(&self, kind: ModelErrorKind, text: &str) -> ModelError {
        // Cleaned before it is cut, so that no half of a key is left at the end.
        let clean = Secret::redact(self.secret.as_ref(), text);
        let shown = match clean.char_indices().nth(MAX_ERROR_TEXT) {
            Some((end, _)) => format!("{}…", &clean[..end]),
            None => clean,
        };
        ModelError::new(kind, shown)
    }
}

/// A reply that is being read. Dropping it closes the connection, which ends the work upstream.
struct Reading {
    upstream: Arc<Upstream>,
    body: Incoming,
    decoder: Box<dyn StreamDecoder>,
    events: VecDeque<ModelEvent>,
    pending: Vec<ModelEvent>,
    read: usize,
    until: Instant,
    timeouts: Timeouts,
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<ModelEvent, ModelError>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if self.over || self.decoder.is_done() {
                return None;
            }
            let decoded = match self.data().await {
                Ok(Some(data)) => self.decoder.feed(&data, &mut self.pending),
                Ok(None) => {
                    self.over = true;
                    self.decoder.finish(&mut self.pending)
                }
                Err(error) => return Some(Err(self.fail(error))),
            };
            self.events.extend(self.pending.drain(..));
            if self.decoder.is_done() {
                self.drain();
            }
            if let Err(error) = decoded {
                let error = self.stream_error(error);
                // What came before the fault was shown or is void either way; the error alone counts.
                self.events.clear();
                return Some(Err(self.fail(error)));
            }
        }
    }

    async fn whole(&mut self) -> Result<Vec<u8>, ModelError> {
        let mut whole = Vec::new();
        while let Some(data) = self.data().await? {
            whole.extend_from_slice(&data);
        }
        Ok(whole)
    }

    /// Returns the next bytes of the body; none at its end.
    async fn data(&mut self) -> Result<Option<Bytes>, ModelError> {
        loop {
            let frame = match timeout_at(self.until, self.body.frame()).await {
                Err(_) if self.read == 0 => return Err(no_answer()),
                Err(_) => {
                    return Err(ModelError::new(
                        ModelErrorKind::Timeout,
                        "the provider stopped in the middle of its reply",
                    ));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "a provider's reply broke off");
                    return Err(ModelError::new(
                        ModelErrorKind::BrokenStream,
                        "the connection broke in the middle of the reply",
                    ));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            self.until = Instant::now() + self.timeouts.idle;
            if let Ok(data) = frame.into_data() {
                self.read += data.len();
                if self.read > MAX_REPLY {
                    return Err(ModelError::new(
                        ModelErrorKind::InvalidReply,
                        "the provider's reply is larger than 64 MiB",
                    ));
                }
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
        }
    }

    /// Takes what is at hand of the body after the reply's end, so that the connection can serve the next call.
    fn drain(&mut self) {
        while let Some(Some(Ok(_))) = self.body.frame().now_or_never() {}
    }

    fn stream_error(&self, error: StreamError) -> ModelError {
        match error {
            StreamError::Upstream(fault) => self.upstream.error(fault.kind, &fault.message),
            StreamError::Decode(_) | StreamError::Cut => {
                self.upstream.error(ModelErrorKind::BrokenStream, &error.to_string())
            }
        }
    }

    fn fail(&mut self, error: ModelError) -> ModelError {
        self.over = true;
        ModelError { usage: self.decoder.usage(), ..error }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/json")
}

fn no_answer() -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, "the provider did not begin to answer in time")
}
