//! `POST /v1/embeddings`: texts as vectors, as OpenAI's clients ask for them.

use super::{
    chat_completions::OpenAiError,
    model_call::{self, About},
};
use crate::{ApiError, App, access::Identity, extract::RawBody};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bedplate_core::port::model::{EmbedCall, Embeddings};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How many texts one request may have, and the longest vector that may be asked for.
const MAX_INPUTS: usize = 2_048;
const MAX_DIMENSIONS: u32 = 16_384;

/// Texts that are to become vectors.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EmbeddingsRequest {
    /// A route, or a model id of the project.
    model: String,
    /// A text, or up to 2,048 of them.
    #[schema(value_type = Object)]
    input: Input,
    /// `float` (default), or `base64` of little-endian 32-bit floats.
    #[serde(default)]
    encoding_format: Option<Encoding>,
    /// The length of each vector; absent: the model's own.
    #[serde(default)]
    dimensions: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    /// Numbers of a tokeniser that only the client knows.
    Other(serde::de::IgnoredAny),
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Float,
    Base64,
}

/// Vectors, one for each text in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingsBody {
    /// Always `list`.
    object: &'static str,
    data: Vec<EmbeddingBody>,
    /// The model as it was asked for.
    model: String,
    usage: EmbeddingUsage,
}

/// A vector.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingBody {
    /// Always `embedding`.
    object: &'static str,
    /// Which text it is of.
    index: usize,
    /// The numbers, or their base64.
    #[schema(value_type = Object)]
    embedding: Vector,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

/// Tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Turns texts into vectors.
#[utoipa::path(post, path = "/v1/embeddings", tag = "models", operation_id = "embeddings",
    request_body = EmbeddingsRequest,
    responses(
        (status = 200, description = "The vectors", body = EmbeddingsBody),
        (status = "4XX", description = "The request is wrong, in OpenAI's form", body = OpenAiError),
        (status = "5XX", description = "The model failed, in OpenAI's form", body = OpenAiError),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    identity: Identity,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let request: EmbeddingsRequest = crate::extract::parse(&body)?;
    let inputs = match request.input {
        Input::Text(text) => vec![text],
        Input::Texts(texts) => texts,
        Input::Other(_) => {
            return Err(ApiError::bad_request(
                "invalid_request",
                "input: send a text or a list of texts, not token numbers",
            ));
        }
    };
    if inputs.is_empty() || inputs.len() > MAX_INPUTS || inputs.iter().any(String::is_empty) {
        return Err(ApiError::bad_request(
            "invalid_request",
            format!("input: 1 to {MAX_INPUTS} texts are needed, none of them empty"),
        ));
    }
    if request.dimensions.is_some_and(|dimensions| !(1..=MAX_DIMENSIONS).contains(&dimensions)) {
        return Err(ApiError::bad_request("invalid_request", format!("dimensions: 1 to {MAX_DIMENSIONS}")));
    }
    let (embeddings, about) = embed(&app, &identity, &request.model, inputs, request.dimensions).await?;
    let vector = |(index, vector): (usize, Vec<f32>)| EmbeddingBody {
        object: "embedding",
        index,
        embedding: match request.encoding_format {
            None | Some(Encoding::Float) => Vector::Float(vector),
            Some(Encoding::Base64) => {
                let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
                Vector::Base64(STANDARD.encode(bytes))
            }
        },
    };
    let tokens = embeddings.usage.input;
    let cost = embeddings.cost;
    let body = EmbeddingsBody {
        object: "list",
        data: embeddings.vectors.into_iter().enumerate().map(vector).collect(),
        model: request.model,
        usage: EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens },
    };
    Ok(about.marked(Json(body).into_response(), cost))
}

/// Asks the route that serves `asked` for the embeddings of texts. Returned with them is what the client is told besides.
pub(crate) async fn embed(
    app: &App,
    identity: &Identity,
    asked: &str,
    inputs: Vec<String>,
    dimensions: Option<u32>,
) -> Result<(Embeddings, About), ApiError> {
    identity.check_models()?;
    let model = model_call::route(app, asked)?;
    let about = About::of(asked.to_owned());
    let notes = Arc::clone(about.notes());
    let call = EmbedCall { caller: identity.caller()?, model, inputs, dimensions, deadline: None, notes };
    Ok((app.model().embed(call).await.map_err(model_call::model_error)?, about))
}
