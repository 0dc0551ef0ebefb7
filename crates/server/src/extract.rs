//! Reading of bodies, queries and identifiers, with errors that say where the fault is.

use crate::{App, error::ApiError};
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, de::DeserializeOwned};
use std::borrow::Cow;

/// The largest body that is read, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The longest identifier that a client chooses (a user, a session), in bytes.
pub(crate) const MAX_IDENTIFIER_BYTES: usize = 128;

/// A body of JSON, whatever its `content-type` says: the documents' clients send several.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let bytes = read(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

/// The bytes of a body, within the limit.
pub(crate) struct RawBody(pub(crate) Bytes);

impl FromRequest<App> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        read(request.into_body()).await.map(Self)
    }
}

/// The parameters of a query string.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, app).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::bad_request("invalid_query", rejection.body_text())),
        }
    }
}

/// Reads a body, within the limit.
pub(crate) async fn read(body: Body) -> Result<Bytes, ApiError> {
    read_within(body, MAX_BODY_BYTES).await
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_within(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {limit} bytes"),
        )),
        Err(error) if is_timeout(&*error) => {
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body paused for too long"))
        }
        Err(_) => Err(ApiError::bad_request("body_incomplete", "the body ended before it was whole")),
    }
}

/// Returns whether `error` comes of the bound on a body's pauses; the framework wraps it on its way here.
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| cause.is::<tower_http::timeout::TimeoutError>())
}

/// Parses JSON; the error says line, column and what was expected.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ApiError> {
    let bytes: &'a [u8] = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { "invalid_body" } else { "invalid_json" };
        ApiError::bad_request(code, format!("the body is not what this address takes: {error}"))
    })
}

/// Returns `text` when it can name a user, session or key: 1 to 128 bytes, no control character, and neither `.` nor
/// `..`, which no client can say in an address.
pub(crate) fn identifier<'a>(what: &'static str, text: &'a str) -> Result<&'a str, ApiError> {
    if matches!(text, "." | "..") {
        return Err(ApiError::bad_request("invalid_identifier", format!("{what} cannot be `.` or `..`")));
    }
    if text.is_empty() || text.len() > MAX_IDENTIFIER_BYTES || text.chars().any(char::is_control) {
        let message = format!("{what} must have 1 to {MAX_IDENTIFIER_BYTES} bytes and no control character");
        return Err(ApiError::bad_request("invalid_identifier", Cow::<'static, str>::Owned(message)));
    }
    Ok(text)
}

/// Returns how many items a page holds: `asked`, or `default`; 1 to 200.
pub(crate) fn page_size(asked: Option<usize>, default: usize) -> Result<usize, ApiError> {
    page_size_to(200, asked, default)
}

/// Returns how many items a page holds: `asked`, or `default`; 1 to `most`.
pub(crate) fn page_size_to(most: usize, asked: Option<usize>, default: usize) -> Result<usize, ApiError> {
    match asked {
        None => Ok(default),
        Some(size) if (1..=most).contains(&size) => Ok(size),
        Some(_) => Err(ApiError::bad_request("invalid_limit", format!("limit must be 1 to {most}"))),
    }
}
