//! `POST /model/{id}/invoke`: Bedrock's InvokeModel with an Anthropic body, as the AWS SDKs send it.

use crate::{ApiError, App, access::Identity, extract::RawBody};
use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedplate_core::{
    id::RunId,
    port::{
        Caller,
        model::{ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelReply},
    },
};
use bedplate_dialects::{Envelope, anthropic_messages};
use futures::StreamExt;

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
    identity.check_models()?;
    let route = app.definitions().route_of_model_id(&id).ok_or_else(|| {
        let shown: String = id.chars().take(128).collect();
        ApiError::not_found(
            "model_not_found",
            format!("no route serves the model id `{shown}`; name it in [model_ids]"),
        )
    })?;
    let request = anthropic_messages::decode_invoke(&body, &route)
        .map_err(|error| ApiError::bad_request("invalid_request", error.to_string()))?;
    let caller = Caller { tenant: identity.tenant.clone(), user: identity.user(None)?, run: None };
    let reply = whole_reply(&app, ModelCall { caller, request, deadline: None }).await.map_err(model_error)?;
    let foundation = app.model().describe(&route).is_some_and(|info| info.foundation_model);
    let envelope = Envelope {
        id: format!("msg_bdrk_{}", RunId(app.0.options.entropy.bytes())),
        created: app.now().0 / 1000,
        model: id,
    };
    let mut response = anthropic_messages::encode_reply(&reply, &envelope).to_json().into_response();
    let usage = [
        ("x-amzn-bedrock-input-token-count", reply.usage.input.to_string()),
        ("x-amzn-bedrock-output-token-count", reply.usage.output.to_string()),
        ("x-bedplate-model", format!("{}; foundation_model={foundation}", reply.model)),
    ];
    for (name, value) in usage {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An error in AWS's form; its type stands in the header `x-amzn-errortype`.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct AwsError {
    /// What is wrong.
    message: String,
}

/// Calls the model and reads its stream to the end.
async fn whole_reply(app: &App, call: ModelCall) -> Result<ModelReply, ModelError> {
    let mut stream = app.model().call(call).await?;
    while let Some(event) = stream.next().await {
        if let ModelEvent::End(reply) = event? {
            return Ok(*reply);
        }
    }
    Err(ModelError::new(ModelErrorKind::BrokenStream, "the model's stream ended before its reply was whole"))
}

fn model_error(error: ModelError) -> ApiError {
    let status = match error.kind {
        ModelErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
        ModelErrorKind::NotFound => StatusCode::NOT_FOUND,
        ModelErrorKind::Unauthorized => StatusCode::FORBIDDEN,
        ModelErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ModelErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ModelErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ModelErrorKind::Timeout => StatusCode::REQUEST_TIMEOUT,
        ModelErrorKind::BrokenStream | ModelErrorKind::InvalidReply => StatusCode::FAILED_DEPENDENCY,
    };
    ApiError { retry_after: error.retry_after, ..ApiError::new(status, error.kind.code(), error.message) }
}
