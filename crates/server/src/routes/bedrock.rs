//! `POST /model/{id}/invoke` and `/count-tokens`: Bedrock's InvokeModel and CountTokens, as the AWS SDKs send them.

use super::{
    embeddings, estimate, model_call,
    passing::{self, Inbound, Whole},
};
use crate::{ApiError, App, access::Identity, extract::RawBody};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bedplate_core::port::model::{ModelCall, ModelReply, ModelRequest};
use bedplate_dialects::{
    anthropic_messages, bedrock_converse,
    bedrock_invoke::{self, Family, nova, titan},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Calls a model with a body of its family and returns its reply in the same form.
#[utoipa::path(post, path = "/model/{id}/invoke", tag = "models",
    params(("id" = String, Path, description = "A model id that the project maps to a route, or a route")),
    request_body(content = Object, description = "Anthropic's body with `anthropic_version`, Nova's with `schemaVersion`, or Titan's for an embedding with `inputText`"),
    responses(
        (status = 200, description = "A reply in the form of the body", body = Object),
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
    // A model that is not there is said before anything about the body, whose form hangs on the model.
    identity.check_models()?;
    model_call::route(&app, &id)?;
    let family = bedrock_invoke::family(&body, &id).map_err(model_call::invalid)?;
    let Whole { mut response, usage } = match family {
        Family::Titan => return embedding(&app, &identity, &id, &body).await,
        Family::Anthropic => {
            let dialect = anthropic_messages::INVOKE_NAME;
            let Inbound { about, call, .. } = passing::read(&app, &identity, dialect, Some(&id), body, Vec::new())?;
            let envelope = about.envelope(&app, "msg_bdrk_");
            let encode = |reply: &ModelReply| anthropic_messages::encode_reply(reply, &envelope).to_json();
            passing::whole(&app, ModelCall { stream: false, ..call }, encode).await?
        }
        Family::Nova => {
            let request = nova::decode_request(&body, &id).map_err(model_call::invalid)?;
            let (_, call) = model_call::prepare(&app, &identity, request)?;
            let encode = |reply: &ModelReply| nova::encode_reply(reply).to_string().into_bytes();
            passing::whole(&app, ModelCall { stream: false, ..call }, encode).await?
        }
    };
    count(&mut response, usage.input, usage.output);
    Ok(response)
}

async fn embedding(app: &App, identity: &Identity, id: &str, body: &[u8]) -> Result<Response, ApiError> {
    let request = titan::decode_request(body).map_err(model_call::invalid)?;
    let inputs = vec![request.input_text.clone()];
    let (embeddings, about) = embeddings::embed(app, identity, id, inputs, request.dimensions).await?;
    let tokens = embeddings.usage.input;
    let Some(vector) = embeddings.vectors.into_iter().next() else {
        return Err(ApiError::store(&"a model gave no vector for a text"));
    };
    let response = Json(titan::encode_reply(&request, vector, tokens)).into_response();
    let mut response = about.marked(response, embeddings.cost);
    count(&mut response, tokens, 0);
    Ok(response)
}

fn count(response: &mut Response, input: u64, output: u64) {
    for (name, tokens) in [("x-amzn-bedrock-input-token-count", input), ("x-amzn-bedrock-output-token-count", output)] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(tokens));
    }
}

/// What is to be counted.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CountRequest {
    input: CountInput,
}

/// A body of either operation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum CountInput {
    /// A body of InvokeModel.
    InvokeModel {
        /// Its bytes, base64.
        body: String,
    },
    /// Messages, instructions and tools of Converse.
    #[schema(value_type = Object)]
    Converse(Value),
}

/// How large a request is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CountBody {
    /// The estimated tokens of the input.
    input_tokens: u64,
}

/// Estimates the input tokens of a body of Converse or InvokeModel, as `/v1/messages/count_tokens` does.
#[utoipa::path(post, path = "/model/{id}/count-tokens", tag = "models", operation_id = "bedrock_count_tokens",
    params(("id" = String, Path, description = "A model id that the project maps to a route, or a route")),
    request_body = CountRequest,
    responses(
        (status = 200, description = "The estimate; `x-bedplate-estimate` names the rule", body = CountBody),
        (status = "4XX", description = "The request is wrong, in AWS's form", body = AwsError),
    )
)]
pub(crate) async fn count_tokens(
    State(app): State<App>,
    _: Identity,
    Path(id): Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    model_call::route(&app, &id)?;
    let request: CountRequest = crate::extract::parse(&body)?;
    let request: ModelRequest = match request.input {
        CountInput::Converse(body) => {
            bedrock_converse::decode_request(body.to_string().as_bytes(), &id).map_err(model_call::invalid)?
        }
        CountInput::InvokeModel { body } => {
            let body = STANDARD.decode(&body).map_err(|error| {
                ApiError::bad_request("invalid_request", format!("input.invokeModel.body: not base64: {error}"))
            })?;
            let request = match bedrock_invoke::family(&body, &id).map_err(model_call::invalid)? {
                Family::Anthropic => anthropic_messages::decode_invoke(&body, &id),
                Family::Nova => nova::decode_request(&body, &id),
                Family::Titan => {
                    return Err(ApiError::bad_request("invalid_request", "the tokens of an embedding are not counted"));
                }
            };
            request.map_err(model_call::invalid)?
        }
    };
    let tokens = CountBody { input_tokens: estimate::tokens(&request) };
    Ok((estimate::header(), Json(tokens)).into_response())
}

/// An error in AWS's form; its type stands in the header `x-amzn-errortype`.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct AwsError {
    /// What is wrong.
    message: String,
}
