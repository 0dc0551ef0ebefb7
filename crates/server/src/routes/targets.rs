//! `GET /v1/targets`: the models of the project, and how each of them does.

use crate::{ApiError, App, access::Identity, routes::invoke::ErrorBody};
use axum::{Json, extract::State};
use bedplate_core::port::{health::ModelHealth, model::ModelErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

/// All models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TargetsBody {
    targets: Vec<TargetBody>,
}

/// A model and how it does. The figures are of this server since it was started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TargetBody {
    /// Its name in the project.
    name: String,
    provider: String,
    /// The model as its provider names it.
    model: String,
    /// Whether it is a real foundation model.
    foundation_model: bool,
    /// `closed`: calls go to it; `open`: they go elsewhere; `half_open`: a few do, as probes.
    breaker: &'static str,
    /// How long it gets no calls yet, in milliseconds: its breaker is open, or its provider asked for a pause.
    wait_ms: Option<f64>,
    /// What kind of failure was the last.
    last_error: Option<&'static str>,
    /// Calls under way.
    in_flight: u32,
    /// How many may be.
    limit: u32,
    /// Milliseconds until the first token, expected; none: it was not called.
    first_token_ms: Option<f64>,
    /// The part of calls that fail, 0 to 1; the last ones count most.
    error_rate: f64,
}

/// Lists the models of the project, and how each of them does.
#[utoipa::path(get, path = "/v1/targets", tag = "models", operation_id = "targets", responses(
    (status = 200, description = "The models", body = TargetsBody),
    (status = "4XX", description = "The key may not see it", body = ErrorBody),
))]
pub(crate) async fn list(State(app): State<App>, identity: Identity) -> Result<Json<TargetsBody>, ApiError> {
    identity.check_models()?;
    let body = |model: ModelHealth| TargetBody {
        name: model.name,
        provider: model.info.provider,
        model: model.info.model,
        foundation_model: model.info.foundation_model,
        breaker: model.breaker,
        wait_ms: model.wait.map(|wait| wait.as_secs_f64() * 1_000.0),
        last_error: model.last_failure.map(ModelErrorKind::code),
        in_flight: model.in_flight,
        limit: model.limit,
        first_token_ms: (model.latency > 0.0).then_some(model.latency * 1_000.0),
        error_rate: model.errors,
    };
    Ok(Json(TargetsBody { targets: app.0.options.health.models().into_iter().map(body).collect() }))
}
