//! `/healthz`, `/readyz`, `/metrics`: for whoever watches the process.

use crate::{ApiError, App, access::Identity, routes::invoke::ErrorBody};
use axum::{extract::State, http::header, response::IntoResponse};

/// Answers while the process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, description = "It lives", body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Answers when the store answers, and no more once the server stops.
#[utoipa::path(get, path = "/readyz", tag = "server", responses(
    (status = 200, description = "It is ready", body = String),
    (status = 503, description = "The store does not answer, or the server stops", body = ErrorBody),
))]
pub(crate) async fn readyz(State(app): State<App>) -> Result<&'static str, ApiError> {
    if app.is_closing() {
        return Err(super::invoke::shutting_down());
    }
    app.keys().any(app.now()).await.map_err(|error| ApiError::store(&error))?;
    Ok("ready\n")
}

/// Tells what was counted, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
    (status = "4XX", description = "A key is needed, without a user and without agents", body = ErrorBody),
))]
pub(crate) async fn metrics(State(app): State<App>, identity: Identity) -> Result<impl IntoResponse, ApiError> {
    identity.check_watcher()?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let options = &app.0.options;
    let text = app.0.metrics.render(&options.live.totals(), &options.health.models());
    Ok(([(header::CONTENT_TYPE, kind)], text))
}
