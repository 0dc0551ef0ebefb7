//! Failures as HTTP says them: to clients in the shape of their dialect, and from upstream.

use crate::json;
use bedplate_core::port::model::{ModelError, ModelErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};

/// A failure that a client is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request is wrong.
    InvalidRequest,
    /// No credential, or a wrong one.
    Unauthenticated,
    /// The credential does not allow it.
    Forbidden,
    /// No such model or route.
    NotFound,
    /// The request is too large.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// A failure on this side.
    Internal,
    /// The upstream failed or said what nobody can read.
    BadUpstream,
    /// The upstream is overloaded or not ready.
    Overloaded,
    /// A deadline passed.
    Timeout,
}

impl From<ModelErrorKind> for Fault {
    fn from(kind: ModelErrorKind) -> Self {
        match kind {
            ModelErrorKind::InvalidRequest => Self::InvalidRequest,
            ModelErrorKind::NotFound => Self::NotFound,
            ModelErrorKind::Unauthorized => Self::Forbidden,
            ModelErrorKind::TooLarge => Self::TooLarge,
            ModelErrorKind::RateLimited | ModelErrorKind::LimitExceeded => Self::RateLimited,
            ModelErrorKind::Unavailable => Self::Overloaded,
            ModelErrorKind::Timeout => Self::Timeout,
            ModelErrorKind::BrokenStream | ModelErrorKind::InvalidReply => Self::BadUpstream,
        }
    }
}

/// An error answer: status, body, and a header where the dialect keeps the kind in one.
#[derive(Clone, Debug, PartialEq)]
pub struct WireError {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// A header that goes with it.
    pub header: Option<(&'static str, &'static str)>,
}

/// Returns the answer of Bedrock's runtime for a fault: the kind in `x-amzn-errortype`, the message in the body.
#[must_use]
pub fn bedrock_error(fault: Fault, message: &str) -> WireError {
    let (status, kind) = match fault {
        Fault::InvalidRequest | Fault::TooLarge => (400, "ValidationException"),
        Fault::Unauthenticated => (403, "UnrecognizedClientException"),
        Fault::Forbidden => (403, "AccessDeniedException"),
        Fault::NotFound => (404, "ResourceNotFoundException"),
        Fault::RateLimited => (429, "ThrottlingException"),
        Fault::Internal => (500, "InternalServerException"),
        Fault::BadUpstream => (424, "ModelErrorException"),
        Fault::Overloaded => (503, "ServiceUnavailableException"),
        Fault::Timeout => (408, "ModelTimeoutException"),
    };
    WireError { status, body: json!({ "message": message }), header: Some(("x-amzn-errortype", kind)) }
}

/// A failure that an upstream reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFault {
    /// What kind.
    pub kind: ModelErrorKind,
    /// What the upstream says; not yet cut or cleaned of secrets.
    pub message: String,
}

impl UpstreamFault {
    /// Reads an error answer. The dialects' bodies are alike enough for one reader; a body that is none of them is
    /// taken as text.
    #[must_use]
    pub fn of_response(status: u16, body: &[u8]) -> Self {
        match json::from_slice::<ErrorDocument>(body).ok().and_then(ErrorDocument::detail) {
            Some(detail) => detail.into_fault(Some(status)),
            None => {
                let text = String::from_utf8_lossy(body);
                let text = text.trim();
                let message = if text.is_empty() || text.starts_with('<') {
                    format!("the provider answered with status {status}")
                } else {
                    text.to_owned()
                };
                Self { kind: kind_of_status(status), message }
            }
        }
    }
}

impl UpstreamFault {
    /// Returns the fault with the kind that AWS names (`x-amzn-errortype`), which says more than the status does.
    #[must_use]
    pub fn of_aws(self, error_type: &str) -> Self {
        // It may be followed by a colon and an address, or preceded by a namespace and a hash.
        let name = error_type.split(':').next().unwrap_or_default();
        let name = name.rsplit('#').next().unwrap_or_default();
        let kind = match name {
            "ThrottlingException" | "ServiceQuotaExceededException" | "TooManyRequestsException" => {
                ModelErrorKind::RateLimited
            }
            "ModelTimeoutException" => ModelErrorKind::Timeout,
            "ModelErrorException"
            | "ModelNotReadyException"
            | "ServiceUnavailableException"
            | "InternalServerException"
            | "ModelStreamErrorException" => ModelErrorKind::Unavailable,
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "ExpiredTokenException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException" => ModelErrorKind::Unauthorized,
            "ResourceNotFoundException" => ModelErrorKind::NotFound,
            "ValidationException" => ModelErrorKind::InvalidRequest,
            _ => return self,
        };
        Self { kind, ..self }
    }
}

impl From<UpstreamFault> for ModelError {
    fn from(fault: UpstreamFault) -> Self {
        Self::new(fault.kind, fault.message)
    }
}

/// An error document of any dialect: `{"error": {"message"}}`, `{"error": "text"}` or `{"message"}`.
#[derive(Deserialize)]
struct ErrorDocument {
    error: Option<ErrorField>,
    #[serde(default, alias = "Message", alias = "detail")]
    message: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorField {
    Detail(ErrorDetail),
    Text(String),
}

/// The inner part of an error document, also as it stands in a stream.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ErrorDetail {
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    code: Option<Value>,
}

impl ErrorDocument {
    fn detail(self) -> Option<ErrorDetail> {
        match (self.error, self.message) {
            (Some(ErrorField::Detail(detail)), _) => Some(detail),
            (Some(ErrorField::Text(text)), _) => Some(ErrorDetail::of_message(text)),
            (None, Some(Value::String(text))) => Some(ErrorDetail::of_message(text)),
            (None, Some(other)) => Some(ErrorDetail::of_message(other.to_string())),
            (None, None) => None,
        }
    }
}

impl ErrorDetail {
    pub(crate) fn of_message(message: String) -> Self {
        Self { message: Some(message), ..Self::default() }
    }

    pub(crate) fn of_code(message: String, code: &str) -> Self {
        Self { message: Some(message), kind: None, code: Some(Value::String(code.to_owned())) }
    }

    /// Returns the fault; without a status (in a stream) the kind comes from the words.
    pub(crate) fn into_fault(self, status: Option<u16>) -> UpstreamFault {
        let code = match &self.code {
            Some(Value::String(code)) => code.clone(),
            Some(Value::Number(code)) => code.to_string(),
            _ => String::new(),
        };
        let words = [self.kind.as_deref().unwrap_or_default(), code.as_str()];
        let by_status = status.or_else(|| code.parse().ok()).map(kind_of_status);
        let kind = words
            .iter()
            .find_map(|word| decisive(word))
            .or(by_status)
            .or_else(|| words.iter().find_map(|word| kind_of_word(word)))
            .unwrap_or(ModelErrorKind::Unavailable);
        let message = self.message.filter(|text| !text.is_empty()).unwrap_or_else(|| {
            let word = words.iter().find(|word| !word.is_empty()).copied().unwrap_or("no reason given");
            format!("the provider failed: {word}")
        });
        UpstreamFault { kind, message }
    }
}

/// Returns the kind of words that say more than the status does: an empty account answers 429 for ever.
fn decisive(word: &str) -> Option<ModelErrorKind> {
    match word {
        "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" => Some(ModelErrorKind::Unauthorized),
        "context_length_exceeded" | "request_too_large" => Some(ModelErrorKind::TooLarge),
        "overloaded_error" => Some(ModelErrorKind::Unavailable),
        _ => None,
    }
}

fn kind_of_word(word: &str) -> Option<ModelErrorKind> {
    match word {
        "invalid_request_error" => Some(ModelErrorKind::InvalidRequest),
        "authentication_error" | "permission_error" | "invalid_api_key" => Some(ModelErrorKind::Unauthorized),
        "not_found_error" | "model_not_found" => Some(ModelErrorKind::NotFound),
        "rate_limit_error" | "rate_limit_exceeded" | "requests" | "tokens" => Some(ModelErrorKind::RateLimited),
        "timeout_error" => Some(ModelErrorKind::Timeout),
        "api_error" | "server_error" => Some(ModelErrorKind::Unavailable),
        _ => None,
    }
}

fn kind_of_status(status: u16) -> ModelErrorKind {
    match status {
        401..=403 => ModelErrorKind::Unauthorized,
        404 => ModelErrorKind::NotFound,
        408 | 504 => ModelErrorKind::Timeout,
        413 => ModelErrorKind::TooLarge,
        429 => ModelErrorKind::RateLimited,
        409 | 425 => ModelErrorKind::Unavailable,
        // A redirect leads somewhere else for ever: the address is wrong.
        300..=499 => ModelErrorKind::InvalidRequest,
        _ => ModelErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_errors_keep_their_kind_and_words() {
        use ModelErrorKind::{InvalidRequest, RateLimited, TooLarge, Unauthorized, Unavailable};
        let cases: [(u16, &str, ModelErrorKind, &str); 9] = [
            (
                429,
                r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#,
                RateLimited,
                "slow down",
            ),
            (
                429,
                r#"{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Unauthorized,
                "pay",
            ),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Unavailable,
                "Overloaded",
            ),
            (
                400,
                r#"{"error":{"message":"long","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
                TooLarge,
                "long",
            ),
            (400, r#"{"error":"model does not support tools"}"#, InvalidRequest, "model does not support tools"),
            (422, r#"{"detail":[{"loc":["body"]}]}"#, InvalidRequest, r#"[{"loc":["body"]}]"#),
            (502, "<html>bad gateway</html>", Unavailable, "the provider answered with status 502"),
            (500, "", Unavailable, "the provider answered with status 500"),
            (403, r#"{"message":"no access"}"#, Unauthorized, "no access"),
        ];
        for (status, body, kind, message) in cases {
            let fault = UpstreamFault::of_response(status, body.as_bytes());
            assert_eq!((fault.kind, fault.message.as_str()), (kind, message), "{body}");
        }
    }

    #[test]
    fn a_client_of_bedrock_finds_the_kind_in_the_header() {
        let error = bedrock_error(Fault::NotFound, "no such model");
        assert_eq!((error.status, error.header), (404, Some(("x-amzn-errortype", "ResourceNotFoundException"))));
    }
}
