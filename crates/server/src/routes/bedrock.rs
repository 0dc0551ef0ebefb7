//! `POST /model/{id}/invoke`: Bedrock's InvokeModel with an Anthropic body, as the AWS SDKs send it.

use super::passing::{self, Inbound, Whole};
use crate::{ApiError, App, access::Identity, extract::RawBody};
use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue},
    response::Response,
};
use bedplate_core::port::model::{ModelCall, ModelReply};
use bedplate_dialects::anthropic_messages;

/// Calls a model with an Anthropic Messages body and returns its reply in the same form.
#[utoipa::path(post, path = "/model/{id}/invoke", tag = "models",
    params(("id" = String, Path, description = "A model id that the project maps to a route, or a route")),
    request_body(content = Object, description = "An Anthropic Messages body with `anthropic_version`"),
    responses(
        (status = 200, description = "An Anthropic Messages reply", body = Object),
        (status = "4XX", description = "The request is wrong, in AWS's form", body = AwsError),
        (status = "5XX", description = "The model failed, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn invoke_model(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let dialect = anthropic_messages::INVOKE_NAME;
    let Inbound { about, call, .. } = passing::read(&app, &identity, dialect, Some(&id), body, Vec::new())?;
    let envelope = about.envelope(&app, "msg_bdrk_");
    let encode = |reply: &ModelReply| anthropic_messages::encode_reply(reply, &envelope).to_json();
    let call = ModelCall { stream: false, ..call };
    let Whole { mut response, usage } = passing::whole(&app, call, encode).await?;
    let usage =
        [("x-amzn-bedrock-input-token-count", usage.input), ("x-amzn-bedrock-output-token-count", usage.output)];
    for (name, tokens) in usage {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(tokens));
    }
    Ok(response)
}

/// An error in AWS's form; its type stands in the header `x-amzn-errortype`.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct AwsError {
    /// What is wrong.
    message: String,
}
