//! `/openapi.json` and `/docs`: the description of the API, offline.

use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// Serves the OpenAPI document.
pub(crate) async fn json(document: Arc<str>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document.to_string())
}

/// Serves the page that draws it.
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    crate::page::docs(&headers)
}
