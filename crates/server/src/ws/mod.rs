//! `/v1/ws`: what the native API and its streams carry, over one WebSocket; and `/ws` of AgentCore's containers.
//!
//! A message stands for a request to the server's own routes, so it is checked, counted and answered as that is. The
//! credential is looked at again with each message: a key that was revoked opens nothing more.

mod connection;
mod message;

pub use self::message::{Call, Said};

use crate::{ApiError, App, access::Identity};
use axum::{
    extract::{
        FromRequestParts, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, Request, header},
    response::Response,
};

/// The largest message that is read, in bytes.
const MAX_MESSAGE: usize = 1024 * 1024;

/// The protocol that is spoken.
const PROTOCOL: &str = "bedplate";

/// How the protocol begins in which a page says its key: it can set no header.
const KEY_PROTOCOL: &str = "bedplate.key.";

/// Opens a WebSocket to the native API.
pub(crate) async fn native(
    State(app): State<App>,
    identity: Result<Identity, ApiError>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|error| no_upgrade(&error))?;
    let protocols =
        headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = protocols.split(',').find_map(|protocol| protocol.trim().strip_prefix(KEY_PROTOCOL));
    let who = match (identity, key) {
        (_, Some(key)) => Some(Who::of_key(&app, key).await?),
        (Ok(identity), None) => Some(Who { headers: credentials(&headers), identity }),
        // Whoever says nothing now says it in the first message.
        (Err(_), None) if credentials(&headers).is_empty() => None,
        (Err(error), None) => return Err(error),
    };
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).protocols([PROTOCOL]);
    Ok(upgrade.on_upgrade(move |socket| connection::serve(app, socket, who)))
}

/// Opens a WebSocket as AgentCore does to a container: each message is a prompt, each event of its answer one back.
pub(crate) async fn container(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|error| no_upgrade(&error))?;
    let session = headers.get(&crate::agentcore::SESSION).cloned();
    let who = Who { headers: credentials(&headers), identity };
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| connection::serve_container(app, socket, who, session)))
}

fn no_upgrade(error: &WebSocketUpgradeRejection) -> ApiError {
    let status = error.status();
    let error = ApiError::bad_request("websocket_expected", error.body_text());
    ApiError { status, ..error }
}

/// Returns the headers that say who a client is.
fn credentials(headers: &HeaderMap) -> HeaderMap {
    let kept = [header::AUTHORIZATION.as_str(), "x-api-key", "x-bedplate-user"];
    headers
        .iter()
        .filter(|(name, _)| kept.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Who a client is, and how it said so.
#[derive(Clone)]
struct Who {
    headers: HeaderMap,
    identity: Identity,
}

impl Who {
    async fn of_key(app: &App, key: &str) -> Result<Self, ApiError> {
        let value = HeaderValue::from_str(key);
        let value =
            value.map_err(|_| ApiError::bad_request("invalid_header", "the key has characters that no key has"))?;
        let headers = HeaderMap::from_iter([(header::HeaderName::from_static("x-api-key"), value)]);
        Ok(Self { identity: identity(app, &headers).await?, headers })
    }

    /// Returns the identity as it is now. A signature is good for the connection that it opened.
    async fn now(&self, app: &App) -> Result<Identity, ApiError> {
        let signed =
            self.headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
        if signed || (self.headers.is_empty() && self.identity.key.is_some()) {
            return Ok(self.identity.clone());
        }
        identity(app, &self.headers).await
    }
}

async fn identity(app: &App, headers: &HeaderMap) -> Result<Identity, ApiError> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers = headers.clone();
    Identity::from_request_parts(&mut parts, app).await
}
