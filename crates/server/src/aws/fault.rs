//! Errors as Step Functions words them.

use super::CONTENT_TYPE;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedplate_catalog::{ArnError, NameError, StoreError};
use bedplate_engine::workflow::definition::Diagnostic;
use serde_json::json;
use std::fmt;

/// An error of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Fault {
    /// Returns an error that the caller can do something about.
    pub(crate) fn new(code: &'static str, message: impl fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.to_string() }
    }

    pub(crate) fn validation(message: impl fmt::Display) -> Self {
        Self::new("ValidationException", message)
    }

    /// Returns the error of a parameter that breaks a rule of the service's model.
    pub(crate) fn constraint(name: &str, value: impl fmt::Display, rule: impl fmt::Display) -> Self {
        Self::validation(format_args!(
            "1 validation error detected: {value} at '{name}' failed to satisfy constraint: {rule}"
        ))
    }

    pub(crate) fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "there is no such operation")
    }

    pub(crate) fn invalid_arn(message: impl fmt::Display) -> Self {
        Self::new("InvalidArn", format_args!("Invalid Arn: '{message}'"))
    }

    pub(crate) fn resource_not_found(arn: &str) -> Self {
        Self::new("ResourceNotFound", format_args!("Resource not found: '{arn}'"))
    }

    pub(crate) fn no_machine(arn: &str) -> Self {
        Self::new("StateMachineDoesNotExist", format_args!("State Machine Does Not Exist: '{arn}'"))
    }

    pub(crate) fn too_many_tags(arn: &str) -> Self {
        Self::new("TooManyTags", format_args!("Too many tags: '{arn}'"))
    }

    /// Returns the error of a definition that cannot be used: everything that is wrong, in one text.
    pub(crate) fn invalid_definition(diagnostics: &[Diagnostic]) -> Self {
        let said: Vec<String> = diagnostics
            .iter()
            .map(|one| match &one.location {
                Some(location) => format!("{}: {} at {location}", one.code.as_str(), one.message),
                None => format!("{}: {}", one.code.as_str(), one.message),
            })
            .collect();
        Self::new("InvalidDefinition", format_args!("Invalid State Machine Definition: '{}'", said.join(", ")))
    }

    /// Returns the error of a credential that may not do this.
    pub(crate) fn denied() -> Self {
        let message = "this credential may not do that";
        Self { status: StatusCode::FORBIDDEN, ..Self::new("AccessDeniedException", message) }
    }

    /// Returns the error of a server that stops.
    pub(crate) fn closing() -> Self {
        let message = "the server is shutting down";
        Self { status: StatusCode::SERVICE_UNAVAILABLE, ..Self::new("ServiceUnavailable", message) }
    }

    /// Returns the error of somebody else's change at the same time.
    pub(crate) fn conflict() -> Self {
        Self::new("ConflictException", "the resource changes at the same time; try again")
    }

    /// Returns the error of a store that failed; what it said goes to the log and not to the client.
    pub(crate) fn store(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "the store failed");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "ServiceUnavailable",
            message: "the store did not answer; try again".into(),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::store(&error)
    }
}

impl From<NameError> for Fault {
    fn from(error: NameError) -> Self {
        Self::new("InvalidName", error)
    }
}

impl From<ArnError> for Fault {
    fn from(error: ArnError) -> Self {
        Self::invalid_arn(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({ "__type": self.code, "message": self.message }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response();
        let kind = HeaderName::from_static("x-amzn-errortype");
        response.headers_mut().insert(kind, HeaderValue::from_static(self.code));
        response
    }
}
