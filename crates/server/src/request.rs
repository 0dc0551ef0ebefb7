//! What is done around every handler: request ids, host and origin checks, CORS, signatures, rendering of errors,
//! counting; a body that pauses and a handler that panics end with an error.

use crate::{
    App,
    error::{self, ApiError, Shape},
    sigv4,
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};
use tower_http::timeout::TimeoutBody;

/// How long the body of a request may pause.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps every request: gives it an id, refuses foreign hosts and origins, answers preflights, renders errors in the
/// shape of the API that was called, and counts the outcome.
pub(crate) async fn wrap(
    State(app): State<App>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let shape = Shape::of_path(request.uri().path());
    let id = request_id(&app, request.headers());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let method = request.method().clone();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();

    let response = match app.0.options.access.check_source(&method, request.headers(), request.uri()) {
        Err(error) => error.into_response(),
        Ok(()) if method == Method::OPTIONS && origin.is_some() => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => handled(&app, request, next).await,
    };
    let mut response = rendered(response, shape, &id);
    decorate(&app, response.headers_mut(), origin, &id);
    app.0.metrics.count_request(&method, &route, response.status(), started.elapsed());
    response
}

async fn handled(app: &App, request: Request, next: Next) -> Response {
    let request = request.map(|body| Body::new(TimeoutBody::new(BODY_TIMEOUT, body)));
    let handling = async {
        match sigv4::verified(app, request).await {
            Ok(request) => next.run(request).await,
            Err(error) => error.into_response(),
        }
    };
    AssertUnwindSafe(handling).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a handler panicked; this is a fault of ours, please report it");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// Returns the client's own request id when it is a plain one, else a new one.
fn request_id(app: &App, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    match given {
        Some(id) if (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            id.to_owned()
        }
        _ => bedplate_core::id::RunId(app.0.options.entropy.bytes()).to_string(),
    }
}

fn rendered(response: Response, shape: Shape, id: &str) -> Response {
    let status = response.status();
    if let Some(error) = response.extensions().get::<ApiError>() {
        return error::render(error, shape, id);
    }
    // A plain text is what the framework says of a path or method that it cannot read.
    let ours =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
    if (status.is_client_error() || status.is_server_error()) && !ours {
        let mut rendered = error::render(&error::of_status(status), shape, id);
        if let Some(allow) = response.headers().get(header::ALLOW) {
            rendered.headers_mut().insert(header::ALLOW, allow.clone());
        }
        return rendered;
    }
    response
}

/// Adds the headers that every response carries, errors included.
fn decorate(app: &App, headers: &mut HeaderMap, origin: Option<HeaderValue>, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin.filter(|origin| app.0.options.access.allows_origin(origin)) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE, OPTIONS"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "content-type, x-api-key, authorization, idempotency-key, last-event-id, x-request-id",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, retry-after"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
