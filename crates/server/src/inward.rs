//! The server as it calls itself: a request on somebody's behalf, through the same routes as everybody's.

use crate::{ApiError, App, access::Identity, routes::shutting_down};
use axum::{
    body::Body,
    http::{Request, header, request::Builder},
    response::Response,
};
use tower::ServiceExt;

/// An identity that needs no credential, in the extensions of such a request.
#[derive(Clone)]
pub(crate) struct Acting(pub(crate) Identity);

/// Returns the beginning of a request whose body is JSON.
pub(crate) fn request(method: &str, path: &str, identity: Identity) -> Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(Acting(identity))
}

/// Makes a request.
///
/// # Errors
/// When the server does not serve yet.
pub(crate) async fn ask(app: &App, request: Request<Body>) -> Result<Response, ApiError> {
    let server = app.server().ok_or_else(shutting_down)?;
    // A router never fails; it answers.
    match server.oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
