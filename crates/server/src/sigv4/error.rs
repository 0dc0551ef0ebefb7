//! Why a signature is not accepted, in AWS's names and words: its SDKs and its users know them.

use crate::ApiError;
use axum::http::StatusCode;

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A part of what a signature needs is missing or cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// No key has that id, or it was revoked.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The key has expired.
    #[error("The security token included in the request is expired")]
    ExpiredKey,
    /// The signature is another than the one that the key makes of this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// The body is not the one that was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    Payload,
    /// The scope or the time of the signature is not acceptable.
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    /// Returns the name of AWS's exception.
    pub(super) fn exception(&self) -> &'static str {
        match self {
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::ExpiredKey => "ExpiredTokenException",
            Self::Mismatch | Self::Payload | Self::Invalid(_) => "InvalidSignatureException",
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Incomplete(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        };
        Self::new(status, "invalid_signature", refusal.to_string()).aws(refusal.exception())
    }
}
