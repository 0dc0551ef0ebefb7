//! `GET /v1/costs` and `GET /v1/budgets`: what model calls cost, by whatever they have in common.

use crate::{
    ApiError, App,
    access::Identity,
    extract::Params,
    routes::invoke::ErrorBody,
    usage_query::{Asked, dimension, dimension_name, time_text, window},
    wire::{dollars, rfc3339},
};
use axum::{Json, extract::State};
use bedplate_core::port::{
    ledger::{BudgetState, Period},
    records::{CostSum, Dimension, Quantiles, RecordsError},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use utoipa::ToSchema;

/// By how many things a table is made at most.
const MAX_BY: usize = 3;

/// How far back costs are looked at when nobody says.
const DEFAULT_WINDOW: Duration = Duration::from_secs(30 * 86_400);

/// What model calls cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostsBody {
    /// From this time on.
    from: String,
    /// Before this time.
    to: String,
    /// What the rows are by.
    by: Vec<String>,
    /// The day of the price table.
    prices_as_of: String,
    /// One object for each row: what its calls have in common, and their sums.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Value>,
    /// The sums of all calls.
    #[schema(value_type = Object)]
    total: Value,
}

/// Returns what model calls cost, by day unless asked otherwise.
#[utoipa::path(get, path = "/v1/costs", tag = "usage", params(Asked), responses(
    (status = 200, description = "The costs", body = CostsBody),
    (status = "4XX", description = "The question cannot be understood, or its answer is too large", body = ErrorBody),
))]
pub(crate) async fn costs(
    State(app): State<App>,
    identity: Identity,
    Params(asked): Params<Asked>,
) -> Result<Json<CostsBody>, ApiError> {
    identity.check_models()?;
    let by = by(asked.by.as_deref().unwrap_or("day"))?;
    let (from, to) = window(&app, &asked, DEFAULT_WINDOW)?;
    let mut filter = asked.filter(&identity)?;
    (filter.from, filter.to) = (Some(from), Some(to));
    let found = app.0.options.records.costs(&identity.tenant, filter, by.clone()).await;
    let found = found.map_err(|error| match error {
        RecordsError::TooManyRows => {
            ApiError::bad_request("too_many_rows", error.to_string()).hint("ask for a shorter time, or by less")
        }
        RecordsError::Store(_) => ApiError::store(&error),
    })?;
    let mut rows = found.rows;
    if !by.iter().any(is_time) {
        rows.sort_by(|a, b| b.sum.cost.cmp(&a.sum.cost).then_with(|| b.sum.calls.cmp(&a.sum.calls)));
    }
    let row = |row: &bedplate_core::port::records::CostRow| {
        let mut body = Map::new();
        for (dimension, value) in by.iter().zip(&row.by) {
            let value = value.as_ref().map(|value| time_text(dimension, value).unwrap_or_else(|| value.clone()));
            body.insert(dimension_name(dimension), json!(value));
        }
        body.extend(sum(&row.sum));
        Value::Object(body)
    };
    Ok(Json(CostsBody {
        from: rfc3339(from),
        to: rfc3339(to),
        by: by.iter().map(dimension_name).collect(),
        prices_as_of: app.0.options.budgets.prices_as_of(),
        rows: rows.iter().map(row).collect(),
        total: Value::Object(sum(&found.total)),
    }))
}

/// The budgets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetsBody {
    budgets: Vec<BudgetBody>,
}

/// How a budget stands for one of those whom it counts for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetBody {
    /// Its name.
    name: String,
    /// For what it counts.
    r#for: String,
    /// For which of them.
    who: Option<String>,
    /// `day`, `month` or `run`.
    period: &'static str,
    limit_usd: f64,
    spent_usd: f64,
    /// What calls under way may come to.
    reserved_usd: f64,
    /// Spent and reserved as a part of the limit, 0 to 1 and above.
    used: f64,
    /// The parts of the limit at which an alert was given.
    alerted: Vec<f64>,
    /// `block`, `degrade` or `allow`.
    action: &'static str,
    /// When the period ends.
    resets_at: Option<String>,
}

/// Returns how the budgets stand.
#[utoipa::path(get, path = "/v1/budgets", tag = "usage", responses(
    (status = 200, description = "The budgets", body = BudgetsBody),
    (status = "4XX", description = "The key may not see it", body = ErrorBody),
))]
pub(crate) async fn budgets(State(app): State<App>, identity: Identity) -> Result<Json<BudgetsBody>, ApiError> {
    identity.check_models()?;
    let states = app.0.options.budgets.states(&identity.tenant).await.map_err(|error| ApiError::store(&error))?;
    let now = app.now();
    // Whoever speaks for one user sees what is that user's or everybody's.
    let sees = |state: &BudgetState| match (&identity.user, state.of.as_str()) {
        (None, _) | (Some(_), "tenant" | "model") => true,
        (Some(user), "user") => state.who.as_deref().is_none_or(|who| who == user.as_str()),
        (Some(_), _) => state.who.is_none(),
    };
    let body = |state: &BudgetState| {
        let end = state.period.end(state.period.bucket(now));
        let counted = state.balance.used.saturating_add(state.balance.held);
        BudgetBody {
            name: state.name.clone(),
            r#for: state.of.clone(),
            who: state.who.clone(),
            period: if state.period == Period::Ever { "run" } else { state.period.as_str() },
            limit_usd: dollars(state.limit),
            spent_usd: dollars(state.balance.used),
            reserved_usd: dollars(state.balance.held),
            used: if state.limit == 0 { 1.0 } else { dollars(counted) / dollars(state.limit) },
            alerted: state.alerted.iter().map(|percent| f64::from(*percent) / 100.0).collect(),
            action: state.action,
            resets_at: end.map(rfc3339),
        }
    };
    Ok(Json(BudgetsBody { budgets: states.iter().filter(|state| sees(state)).map(body).collect() }))
}

fn by(text: &str) -> Result<Vec<Dimension>, ApiError> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let by = words.map(dimension).collect::<Result<Vec<_>, _>>()?;
    if by.len() > MAX_BY {
        return Err(ApiError::bad_request("invalid_query", format!("`by` names at most {MAX_BY} things")));
    }
    Ok(by)
}

fn is_time(dimension: &Dimension) -> bool {
    matches!(dimension, Dimension::Minute | Dimension::Hour | Dimension::Day | Dimension::Month)
}

fn sum(sum: &CostSum) -> Map<String, Value> {
    let body = json!({
        "calls": sum.calls, "errors": sum.errors, "cancelled": sum.cancelled, "cache_hits": sum.cache_hits,
        "input_tokens": sum.usage.input, "output_tokens": sum.usage.output,
        "cache_read_tokens": sum.usage.cache_read, "cache_write_tokens": sum.usage.cache_write,
        "cost_usd": dollars(sum.cost), "saved_usd": dollars(sum.saved), "unpriced_calls": sum.unpriced,
        "latency_ms": sum.latency.map(quantiles), "first_token_ms": sum.first_token.map(quantiles),
    });
    match body {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}

fn quantiles(quantiles: Quantiles) -> Value {
    let millis = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    json!({ "p50": millis(quantiles.p50), "p95": millis(quantiles.p95), "p99": millis(quantiles.p99) })
}
