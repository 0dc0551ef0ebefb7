//! Signatures of callers (AWS Signature Version 4): code written for AWS proves with an access key who it is.
//!
//! The verifier stands before all routes. Whichever AWS face is called, its handlers ask for an
//! [`Identity`](crate::access::Identity) as with every other credential. A request without such a signature passes by
//! untouched; so does one to a server that lets everybody in.

mod chunked;
mod claim;
mod error;
mod verify;

pub use self::{
    chunked::decode as decode_chunked,
    claim::{Claim, Form},
};

use self::error::Refusal;
use crate::{ApiError, App, extract, key};
use axum::{body::Body, extract::Request, http::request::Parts};
use bedplate_core::port::keys::ApiKey;
use bytes::Bytes;

/// The key with which a request was signed, in its extensions once that is verified.
#[derive(Clone)]
pub(crate) struct Signed(pub(crate) ApiKey);

/// Verifies the signature of a request that has one and returns the request as handlers read it. An API key beside it
/// goes before it: the clients that cannot leave their signature out send one so.
pub(crate) async fn verified(app: &App, request: Request) -> Result<Request, ApiError> {
    let claim = match Claim::of(request.uri().query(), request.headers()) {
        Some(claim) if !request.headers().contains_key("x-api-key") => claim,
        _ => return Ok(request),
    };
    if lets_everybody_in(app).await? {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let (key, body) = signed(app, claim, &parts, body).await?;
    parts.extensions.insert(Signed(key));
    Ok(Request::from_parts(parts, Body::from(body)))
}

async fn lets_everybody_in(app: &App) -> Result<bool, ApiError> {
    if !app.0.options.access.open_without_keys {
        return Ok(false);
    }
    app.keys().any(app.now()).await.map(|any| !any).map_err(|error| ApiError::store(&error))
}

/// Returns the key that signed the request, and its body as handlers read it.
async fn signed(
    app: &App,
    claim: Result<Claim, Refusal>,
    parts: &Parts,
    body: Body,
) -> Result<(ApiKey, Bytes), ApiError> {
    let claim = claim?;
    // What needs no body comes first: a stranger does not have it read.
    claim.check_time(app.now())?;
    let (key, secret) = find(app, &claim.key_id).await?;
    let body = extract::read(body).await?;
    let payload = verify::Payload::of(&parts.headers, &body)?;
    verify::check(&claim, &secret, parts, &payload)?;
    let body = if payload.is_chunked() { chunked::decode(&body).ok_or(Refusal::Payload)? } else { body };
    Ok((key, body))
}

async fn find(app: &App, id: &str) -> Result<(ApiKey, String), ApiError> {
    if !key::is_aws(id) {
        return Err(Refusal::UnknownKey.into());
    }
    let found = app.keys().get(id).await.map_err(|error| ApiError::store(&error))?;
    let pepper = &app.0.options.pepper;
    let secret = pepper.aws_secret(id);
    let Some((key, _)) = found.filter(|(_, hash)| pepper.matches(&secret, hash)) else {
        return Err(Refusal::UnknownKey.into());
    };
    if key.revoked_at.is_some() {
        return Err(Refusal::UnknownKey.into());
    }
    if key.expires_at.is_some_and(|end| end <= app.now()) {
        return Err(Refusal::ExpiredKey.into());
    }
    Ok((key, secret))
}
