//! Errors as clients get them: one type, rendered in the shape of the API that was called.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedplate_core::port::model::RateLimits;
use bedplate_dialects::{Fault, WireError, anthropic_messages, openai_chat};
use serde_json::json;
use std::{borrow::Cow, time::Duration};

/// An error that a client meets. The code is stable; the message is for people and holds no secret, no path of the
/// server and no internal address.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    pub(crate) hint: Option<Cow<'static, str>>,
    pub(crate) retry_after: Option<Duration>,
    /// How the limits stand that refused a call.
    pub(crate) limits: Option<Box<RateLimits>>,
    /// What else the native form says, under a name beside `error`.
    pub(crate) details: Option<Box<(&'static str, serde_json::Value)>>,
    /// The exception of AWS that says it best; none: the one that goes with the status.
    pub(crate) aws: Option<&'static str>,
}

impl ApiError {
    /// Returns an error with this status, stable code and message.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            retry_after: None,
            limits: None,
            details: None,
            aws: None,
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// Returns the error of a failed store; what it said goes to the log and not to the client.
    pub(crate) fn store(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "the store failed");
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the store did not answer; try again")
        }
    }

    /// Names the exception that clients of AWS get.
    #[must_use]
    pub(crate) fn aws(mut self, exception: &'static str) -> Self {
        self.aws = Some(exception);
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The shape in which an API words its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"error": {"code", "message", …}}`.
    Native,
    /// `{"error": "…", "code", …}`, the documents' contract.
    Flat,
    /// `{"message"}` with `x-amzn-errortype`, as the AWS SDKs read it.
    Aws,
    /// `{"__type", "message"}`, as the AWS SDKs read it where the operation is named by a header.
    AwsJson,
    /// `{"error": {"message", "type", "param", "code"}}`, as OpenAI's clients read it.
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}}`, as Anthropic's clients read it.
    Anthropic,
}

impl Shape {
    /// Returns the shape that clients of `path` expect.
    pub(crate) fn of_path(path: &str) -> Self {
        match path {
            "/agent" | "/prod/agent" => Self::Flat,
            "/" => Self::AwsJson,
            "/v1/chat/completions" | "/v1/responses" | "/v1/embeddings" => Self::OpenAi,
            _ if ["/v1/files", "/v1/batches"].iter().any(|face| path.starts_with(face)) => Self::OpenAi,
            "/v1/messages" => Self::Anthropic,
            _ if path.starts_with("/v1/messages/") => Self::Anthropic,
            _ if ["/model/", "/async-invoke", "/runtimes/", "/harnesses/"]
                .iter()
                .any(|face| path.starts_with(face)) =>
            {
                Self::Aws
            }
            _ if path.starts_with("/v1/responses/") || path.starts_with("/v1/models/") => Self::OpenAi,
            _ => Self::Native,
        }
    }
}

impl IntoResponse for ApiError {
    /// Returns a response without a body that carries the error; the outermost layer renders it, because only that
    /// layer knows the request's id and the API that was called.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Renders `error` for a client of an API with this shape.
pub(crate) fn render(error: &ApiError, shape: Shape, request_id: &str) -> Response {
    let message = &*error.message;
    let mut status = error.status;
    let body = match shape {
        Shape::Native => {
            let mut inner = json!({ "code": error.code, "message": message, "request_id": request_id });
            if let Some(hint) = &error.hint {
                inner["hint"] = json!(hint);
            }
            let mut body = json!({ "error": inner });
            if let Some((name, details)) = error.details.as_deref() {
                body[*name] = details.clone();
            }
            body
        }
        Shape::Flat => json!({ "error": message, "code": error.code, "request_id": request_id }),
        Shape::Aws => {
            status = aws_status(status);
            json!({ "message": message })
        }
        Shape::AwsJson => {
            let name = error.aws.unwrap_or_else(|| aws_error_type(status));
            status = aws_status(status);
            json!({ "__type": name, "message": message })
        }
        Shape::OpenAi | Shape::Anthropic => {
            let WireError { status: of_dialect, mut body, .. } = dialect_error(error, shape);
            // What a client did wrong keeps its status; what failed behind us has the one that the dialect knows.
            if status.is_server_error() {
                status = StatusCode::from_u16(of_dialect).unwrap_or(status);
            }
            if shape == Shape::Anthropic {
                body["request_id"] = json!(request_id);
            }
            body
        }
    };
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    if let (Shape::Anthropic, Ok(id)) = (shape, HeaderValue::from_str(request_id)) {
        headers.insert(HeaderName::from_static("request-id"), id);
    }
    if matches!(shape, Shape::Aws | Shape::AwsJson) {
        headers.insert(
            HeaderName::from_static("x-amzn-errortype"),
            HeaderValue::from_static(error.aws.unwrap_or_else(|| aws_error_type(error.status))),
        );
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
        }
    }
    if let Some(wait) = error.retry_after {
        // Rounded up: whoever comes a moment too early is refused once more.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if let Some(limits) = &error.limits {
        crate::rate_headers::add(headers, limits);
    }
    if error.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Returns the answer of the dialect that was spoken. Its clients know no hint, so that is part of the message.
fn dialect_error(error: &ApiError, shape: Shape) -> WireError {
    let fault = match error.status {
        StatusCode::UNAUTHORIZED => Fault::Unauthenticated,
        StatusCode::FORBIDDEN => Fault::Forbidden,
        StatusCode::NOT_FOUND => Fault::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => Fault::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => Fault::RateLimited,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Fault::Timeout,
        StatusCode::BAD_GATEWAY => Fault::BadUpstream,
        StatusCode::SERVICE_UNAVAILABLE => Fault::Overloaded,
        status if status.is_client_error() => Fault::InvalidRequest,
        _ => Fault::Internal,
    };
    let message = match &error.hint {
        Some(hint) => format!("{}: {hint}", error.message),
        None => error.message.to_string(),
    };
    match shape {
        Shape::Anthropic => anthropic_messages::error_body(fault, &message),
        _ => openai_chat::error_body(fault, &message),
    }
}

/// Returns the status under which Bedrock Runtime knows a failure behind it.
fn aws_status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::GATEWAY_TIMEOUT => StatusCode::REQUEST_TIMEOUT,
        StatusCode::BAD_GATEWAY => StatusCode::FAILED_DEPENDENCY,
        StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
        status => status,
    }
}

/// Returns the exception name of Bedrock Runtime that goes with a status.
fn aws_error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "AccessDeniedException",
        StatusCode::NOT_FOUND => "ResourceNotFoundException",
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "ModelTimeoutException",
        StatusCode::TOO_MANY_REQUESTS => "ThrottlingException",
        StatusCode::FAILED_DEPENDENCY | StatusCode::BAD_GATEWAY => "ModelErrorException",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailableException",
        status if status.is_client_error() => "ValidationException",
        _ => "InternalServerException",
    }
}

/// Returns the error that a bare status means, for responses that no handler of ours made (an unknown path, a wrong
/// method, a caught panic).
pub(crate) fn of_status(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::not_found("not_found", "there is nothing at this address")
            .hint("GET /openapi.json lists what there is"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::new(status, "method_not_allowed", "this address does not take that method")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(status, "body_too_large", "the body is too large"),
        StatusCode::REQUEST_TIMEOUT => ApiError::new(status, "request_timeout", "the request did not arrive in time"),
        status if status.is_client_error() => {
            ApiError::new(status, "bad_request", "the address or a header could not be read")
        }
        status => ApiError::new(status, "internal_error", "something failed on our side; the log has the request's id"),
    }
}
