//! Signing a request again and comparing: over the headers that were signed, the path as it was sent, the region and
//! service of the scope, and the time that the request says.

use super::{
    claim::{Claim, Form},
    error::Refusal,
};
use crate::key::hex;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use axum::http::{HeaderMap, header, request::Parts};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

/// What of the body is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Its hash.
    Hash(String),
    /// That it is not signed.
    Unsigned,
    /// That it is not signed and comes in chunks.
    UnsignedChunks,
}

impl Payload {
    /// Returns what the request says of its body, after that was compared with the body.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let computed = || hex(&Sha256::digest(body));
        let Some(said) = headers.get("x-amz-content-sha256") else { return Ok(Self::Hash(computed())) };
        match said.as_bytes() {
            b"UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::UnsignedChunks),
            said if said.starts_with(b"STREAMING-") => Err(Refusal::Invalid(
                "Bodies that are signed in chunks are not supported; sign the whole body, or send it unsigned.".into(),
            )),
            said => {
                let computed = computed();
                if said.eq_ignore_ascii_case(computed.as_bytes()) {
                    Ok(Self::Hash(computed))
                } else {
                    Err(Refusal::Payload)
                }
            }
        }
    }

    pub(super) fn is_chunked(&self) -> bool {
        *self == Self::UnsignedChunks
    }

    fn signable(&self) -> SignableBody<'static> {
        match self {
            Self::Hash(hash) => SignableBody::Precomputed(hash.clone()),
            Self::Unsigned => SignableBody::UnsignedPayload,
            Self::UnsignedChunks => SignableBody::StreamingUnsignedPayloadTrailer,
        }
    }
}

/// Refuses a request whose signature is not the one that `secret` makes of it.
pub(super) fn check(claim: &Claim, secret: &str, parts: &Parts, payload: &Payload) -> Result<(), Refusal> {
    let made = signature(claim, secret, parts, payload)?;
    // Comparing hashes takes the same time wherever two signatures differ.
    if blake3::hash(made.as_bytes()) == blake3::hash(claim.signature.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::Mismatch)
    }
}

fn signature(claim: &Claim, secret: &str, parts: &Parts, payload: &Payload) -> Result<String, Refusal> {
    let mut settings = SigningSettings::default();
    // The client chose what it signs.
    settings.excluded_headers = None;
    if let Form::Query { expires } = claim.form {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(expires.unsigned_abs()));
    }
    let identity = Credentials::new(&claim.key_id, secret, None, None, "bedplate").into();
    let time = SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(u64::try_from(claim.at.0).map_err(|_| Refusal::Mismatch)?))
        .ok_or(Refusal::Mismatch)?;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&claim.region)
        .name(&claim.service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|_| Refusal::Mismatch)?
        .into();
    let headers = signed_headers(claim, parts)?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    // The host is among the headers; the signer wants an address that has one too.
    let mut address = format!("http://host{}", parts.uri.path());
    let query = claim.signed_query(parts.uri.query().unwrap_or_default());
    if !query.is_empty() {
        address = format!("{address}?{query}");
    }
    let request = SignableRequest::new(parts.method.as_str(), address, headers, payload.signable());
    let signed = request.and_then(|request| sign(request, &params)).map_err(|_| Refusal::Mismatch)?;
    Ok(signed.signature().to_owned())
}

/// Returns the headers that were signed, but for the time, which the signer adds.
fn signed_headers(claim: &Claim, parts: &Parts) -> Result<Vec<(String, String)>, Refusal> {
    let mut headers = Vec::with_capacity(claim.signed_headers.len());
    for name in claim.signed_headers.iter().filter(|name| claim.form != Form::Header || *name != "x-amz-date") {
        let mut values = parts.headers.get_all(name.as_str()).iter().peekable();
        if values.peek().is_none() {
            // HTTP/2 says the host in the address.
            let authority = parts.uri.authority().filter(|_| name == header::HOST.as_str());
            let authority = authority.ok_or(Refusal::Mismatch)?;
            headers.push((name.clone(), authority.as_str().to_owned()));
        }
        for value in values {
            let value = std::str::from_utf8(value.as_bytes()).map_err(|_| Refusal::Mismatch)?;
            headers.push((name.clone(), value.to_owned()));
        }
    }
    Ok(headers)
}
