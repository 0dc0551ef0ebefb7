//! One attempt at a request, and what its answer means.

use super::{
    HttpLimits,
    address::{Lookup, NotPublic, Resolver, is_public},
    request::Prepared,
    secret::Secrets,
};
use bedplate_core::{message::ToolResultContent, tool::ToolOutput};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    header::{CONTENT_TYPE, HOST, HeaderMap, LOCATION, RETRY_AFTER},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{sync::Arc, time::Duration};
use url::{Host, Url};

/// The most bytes of an error's body that the model reads.
const MAX_ERROR_BYTES: usize = 2_000;

type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// Sends requests. Clones share connections.
#[derive(Clone)]
pub struct Sender {
    /// For every address but those that a tool's file names.
    public: Client<Connector, Full<Bytes>>,
    /// For those.
    named: Client<Connector, Full<Bytes>>,
    max_bytes: usize,
}

/// An attempt without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is not one that the tool may reach.
    #[error("the address is not public, and the tool's file does not name it")]
    Refused,
    /// There is no connection; nothing was sent.
    #[error("the server cannot be reached: {0}")]
    Connect(String),
    /// The connection ended before the answer did.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The time of the attempt is up.
    #[error("the server did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

impl Failure {
    /// Returns whether the server cannot have seen the request.
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Refused | Self::Connect(_))
    }
}

impl Sender {
    /// Returns a sender within `limits` that looks names up with `lookup`.
    pub fn new(limits: HttpLimits, lookup: Lookup) -> Self {
        let client = |private| {
            let mut http = HttpConnector::new_with_resolver(Resolver { lookup: Arc::clone(&lookup), private });
            http.enforce_http(false);
            http.set_nodelay(true);
            http.set_connect_timeout(Some(limits.connect_timeout));
            let tls = HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(Arc::new(rustls::crypto::ring::default_provider()))
                .expect("the ring provider supports the default protocol versions");
            let connector = tls.https_or_http().enable_http1().enable_http2().wrap_connector(http);
            let mut builder = Client::builder(TokioExecutor::new());
            builder.timer(hyper_util::rt::TokioTimer::new()).pool_timer(hyper_util::rt::TokioTimer::new());
            builder.pool_idle_timeout(Duration::from_secs(30)).pool_max_idle_per_host(4).build(connector)
        };
        Self { public: client(false), named: client(true), max_bytes: limits.max_response_bytes }
    }

    /// Makes one attempt. Redirects are not followed.
    pub async fn send(&self, prepared: &Prepared) -> Result<Answer, Failure> {
        let client = if is_named(&prepared.url, &prepared.allow_private) {
            &self.named
        } else {
            // The resolver is not asked about an address that is written out, in whatever notation.
            let literal = match prepared.url.host() {
                Some(Host::Ipv4(address)) => Some(address.into()),
                Some(Host::Ipv6(address)) => Some(address.into()),
                _ => None,
            };
            if literal.is_some_and(|address| !is_public(address)) {
                return Err(Failure::Refused);
            }
            &self.public
        };
        let response = client.request(request(prepared)?).await.map_err(|error| describe(&error))?;
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let mut whole = true;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Lost(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            let room = self.max_bytes - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                whole = false;
                break;
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: bytes, whole })
    }
}

fn request(prepared: &Prepared) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::new(Full::new(prepared.body.clone()));
    *request.method_mut() = prepared.method.clone();
    *request.uri_mut() =
        prepared.url.as_str().parse().map_err(|_| Failure::Connect("the address is not valid".to_owned()))?;
    *request.headers_mut() = prepared.headers.clone();
    // The server is the one that was checked, whatever a file's headers say.
    request.headers_mut().remove(HOST);
    Ok(request)
}

fn is_named(url: &Url, named: &[String]) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let address = format!("{host}:{port}");
    named.iter().any(|named| named.eq_ignore_ascii_case(&address))
}

fn describe(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let mut last = String::new();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return Failure::Refused;
        }
        last = error.to_string();
        cause = error.source();
    }
    if error.is_connect() { Failure::Connect(last) } else { Failure::Lost(last) }
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Whether `body` is all of it.
    whole: bool,
}

impl Answer {
    /// Returns whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error()
    }

    /// Returns how long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        // The date's own clock is the server's, as far as it tells it.
        let now =
            self.headers.get("date").and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok())?.timestamp();
        u64::try_from(until.as_second() - now.as_second()).ok().map(Duration::from_secs)
    }

    /// Returns what the model reads: JSON or text; for a failure the status and the beginning of the body. Secrets go
    /// before anything is cut, so that no half of one is left.
    pub fn output(&self, secrets: &Secrets) -> ToolOutput {
        let text = secrets.redact(&String::from_utf8_lossy(&self.body));
        let name = self.status.canonical_reason().unwrap_or_default();
        if self.status.is_redirection() {
            let place =
                self.headers.get(LOCATION).and_then(|place| place.to_str().ok()).unwrap_or("an unknown address");
            let place = secrets.redact(place);
            let place = &place[..place.floor_char_boundary(300.min(place.len()))];
            return ToolOutput::error(format!(
                "HTTP {} {name}: the server points to {place:?}; redirects are not followed",
                self.status.as_u16()
            ));
        }
        if !self.status.is_success() {
            let shown = &text[..text.floor_char_boundary(MAX_ERROR_BYTES.min(text.len()))];
            let more = if shown.len() < text.len() || !self.whole { " …" } else { "" };
            return ToolOutput::error(format!("HTTP {} {name}: {shown}{more}", self.status.as_u16()));
        }
        if self.body.is_empty() {
            return ToolOutput::text(format!("HTTP {} {name}, without a body.", self.status.as_u16()));
        }
        if !self.whole {
            let mut output = ToolOutput::text(text);
            output.content.push(ToolResultContent::text("[The response was longer; the rest was not read.]"));
            return output;
        }
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let json =
            (media == "application/json" || media.ends_with("+json")).then(|| serde_json::from_slice(&self.body).ok());
        match json.flatten() {
            Some(json) => {
                let output = ToolOutput { content: vec![ToolResultContent::Json { json }], is_error: false };
                secrets.redact_output(output)
            }
            None if std::str::from_utf8(&self.body).is_err() && !media.starts_with("text/") => ToolOutput::error(
                format!("the server answered with {} bytes of {media:?}, which is no text", self.body.len()),
            ),
            None => ToolOutput::text(text),
        }
    }
}
