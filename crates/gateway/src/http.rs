//! The HTTP client that all providers share: pooled connections, TLS, and time-outs for connecting only.

use crate::{
    config::{ConfigError, Timeouts},
    http1,
};
use bedplate_core::port::model::{ModelError, ModelErrorKind};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, Uri,
    body::{Body, Frame, SizeHint},
    header::HeaderMap,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A client; clones share its connections.
#[derive(Clone)]
pub(crate) struct HttpClient {
    /// For `https`.
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// For `http`.
    plain: http1::Client,
    pub(crate) timeouts: Timeouts,
}

/// The body of an answer. Dropping it before its end closes the connection, or the stream in it.
pub(crate) enum Incoming {
    Shared(hyper::body::Incoming),
    Plain(http1::Body),
}

impl HttpClient {
    pub(crate) fn new(timeouts: Timeouts, extra_roots: &[u8]) -> Self {
        let mut tcp = HttpConnector::new();
        // Without it the last piece of a request waits for the acknowledgement of the one before: 40 ms.
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(timeouts.connect));
        let plain = http1::Client::new(tcp.clone());
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(extra_roots))
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client =
            Client::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE).pool_timer(TokioTimer::new()).build(tls);
        Self { client, plain, timeouts }
    }

    /// Sends a request and returns the head of the answer. The caller bounds the time.
    pub(crate) async fn send(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, ModelError> {
        if uri.scheme_str() == Some("http") {
            let answer = self.plain.send(&method, &uri, &headers, &body).await;
            let unreached = |failure: &http1::Failure| matches!(failure, http1::Failure::Connect(_));
            return answer.map(|answer| answer.map(Incoming::Plain)).map_err(|error| failed(unreached(&error), &error));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let answer = self.client.request(request).await.map_err(|error| failed(error.is_connect(), &error))?;
        Ok(answer.map(Incoming::Shared))
    }
}

fn failed(unreached: bool, error: &(dyn std::error::Error + 'static)) -> ModelError {
    // The error's own words may hold an internal address, so they go to the log alone.
    tracing::debug!(error = %Causes(error), "a request to a provider failed");
    let message = if unreached {
        "no connection to the provider could be made"
    } else {
        "the connection to the provider broke before it answered"
    };
    ModelError::new(ModelErrorKind::Unavailable, message)
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Shared(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Plain(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Shared(body) => body.is_end_stream(),
            Self::Plain(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Shared(body) => body.size_hint(),
            Self::Plain(body) => body.size_hint(),
        }
    }
}

/// Returns what is trusted: the public roots that are compiled in, and `extra` as PEM.
fn tls_config(extra: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let (added, ignored) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(extra).flatten());
    if !extra.is_empty() {
        tracing::debug!(added, ignored, "read additional certificates");
    }
    // The provider is named, because a process that links two of them has no default one.
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

const POOL_IDLE: Duration = Duration::from_secs(60);

/// Returns the address of `path` under `base`.
///
/// # Errors
/// [`ConfigError::BadAddress`].
pub(crate) fn address(base: &str, path: &str) -> Result<Uri, ConfigError> {
    let bad = || ConfigError::BadAddress(base.to_owned());
    let uri: Uri = format!("{}{path}", base.trim_end_matches('/')).parse().map_err(|_| bad())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    if known && uri.host().is_some_and(|host| !host.is_empty()) { Ok(uri) } else { Err(bad()) }
}

/// Returns the address of `path` in the API at `base`; a base without any path means version 1 of it.
///
/// # Errors
/// [`ConfigError::BadAddress`].
pub(crate) fn api_address(base: &str, path: &str) -> Result<Uri, ConfigError> {
    let bare = matches!(address(base, "")?.path(), "" | "/");
    address(base, &if bare { format!("/v1{path}") } else { path.to_owned() })
}

/// An error with everything that caused it, for the log.
struct Causes<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |error| error.source()).try_for_each(|error| write!(f, ": {error}"))
    }
}
