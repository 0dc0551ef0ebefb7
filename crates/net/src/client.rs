//! Sending one request, and reading its answer within bounds.

use crate::address::{Lookup, NotPublic, Resolver, is_public};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{HOST, HeaderMap},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{sync::Arc, time::Duration};
use url::{Host, Url};

type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// The bounds of a client.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// The most bytes of a response that are read; what comes after is not.
    pub max_response_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), max_response_bytes: 2 * 1024 * 1024 }
    }
}

/// A request that is ready to go.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// The headers. The host is the address's own, whatever they say.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// `host:port`s that may be private addresses.
    pub allow_private: Vec<String>,
}

/// Sends requests. Clones share connections.
#[derive(Clone)]
pub struct Client {
    /// For every address but those that are named.
    public: HyperClient<Connector, Full<Bytes>>,
    /// For those.
    named: HyperClient<Connector, Full<Bytes>>,
    max_bytes: usize,
}

/// An attempt without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is not one that may be reached.
    #[error("the address is not public, and no file of the project names it")]
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
    #[must_use]
    pub const fn was_not_sent(&self) -> bool {
        matches!(self, Self::Refused | Self::Connect(_))
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
    /// Whether `body` is all of it.
    pub whole: bool,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Opened {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
}

impl Opened {
    /// Returns the next piece of the body; none at its end.
    ///
    /// # Errors
    /// [`Failure::Lost`] when the connection ends before the body does.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Failure::Lost(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads the body, up to `most` bytes of it.
    ///
    /// # Errors
    /// As [`Opened::next`].
    pub async fn read(mut self, most: usize) -> Result<Answer, Failure> {
        let mut body = Vec::new();
        let mut whole = true;
        while let Some(data) = self.next().await? {
            let room = most - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                whole = false;
                break;
            }
        }
        Ok(Answer { status: self.status, headers: self.headers, body, whole })
    }
}

impl Client {
    /// Returns a client within `limits` that looks names up with `lookup`.
    #[must_use]
    pub fn new(limits: &Limits, lookup: &Lookup) -> Self {
        let client = |private| {
            let mut http = HttpConnector::new_with_resolver(Resolver { lookup: Arc::clone(lookup), private });
            http.enforce_http(false);
            http.set_nodelay(true);
            http.set_connect_timeout(Some(limits.connect_timeout));
            let tls = HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(Arc::new(rustls::crypto::ring::default_provider()))
                .expect("the ring provider supports the default protocol versions");
            let connector = tls.https_or_http().enable_http1().enable_http2().wrap_connector(http);
            let mut builder = HyperClient::builder(TokioExecutor::new());
            builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
            builder.pool_idle_timeout(Duration::from_secs(30)).pool_max_idle_per_host(4).build(connector)
        };
        Self { public: client(false), named: client(true), max_bytes: limits.max_response_bytes }
    }

    /// Makes one attempt and reads the answer within the client's bounds. The caller bounds the time.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn send(&self, outgoing: &Outgoing) -> Result<Answer, Failure> {
        self.open(outgoing).await?.read(self.max_bytes).await
    }

    /// Makes one attempt and returns the head of the answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(&self, outgoing: &Outgoing) -> Result<Opened, Failure> {
        let client = if is_named(&outgoing.url, &outgoing.allow_private) {
            &self.named
        } else {
            // The resolver is not asked about an address that is written out, in whatever notation.
            let literal = match outgoing.url.host() {
                Some(Host::Ipv4(address)) => Some(address.into()),
                Some(Host::Ipv6(address)) => Some(address.into()),
                _ => None,
            };
            if literal.is_some_and(|address| !is_public(address)) {
                return Err(Failure::Refused);
            }
            &self.public
        };
        let response = client.request(request(outgoing)?).await.map_err(|error| describe(&error))?;
        let (head, body) = response.into_parts();
        Ok(Opened { status: head.status, headers: head.headers, body })
    }
}

fn request(outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() =
        outgoing.url.as_str().parse().map_err(|_| Failure::Connect("the address is not valid".to_owned()))?;
    *request.headers_mut() = outgoing.headers.clone();
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
