//! `POST /v1/workflows/test`: one state on its own.

use super::{invoke::ErrorBody, workflows as definitions};
use crate::{
    ApiError, App,
    access::Identity,
    extract::JsonBody,
    trial::{self, Refused},
    workflows,
};
use axum::{Json, extract::State};
use bedplate_catalog::Scope;
use bedplate_core::workflow_event::Variables;
use bedplate_engine::workflow::trial::{
    Answer, Configuration, Inspection, Mock, Names, Strictness, TrialError, Wanted,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// A state with what it is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestRequest {
    /// The text of a state, or of a whole definition.
    definition: String,
    /// Which state of a whole definition.
    #[serde(default)]
    state: Option<String>,
    /// Default: `{}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    input: Option<Value>,
    /// The context object; default: one that is made up.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    context: Option<Value>,
    /// The variables that the state sees.
    #[serde(default)]
    #[schema(value_type = Object)]
    variables: BTreeMap<String, Value>,
    /// `INFO` (usual), `DEBUG` or `TRACE`: how much is told.
    #[serde(default)]
    inspection: Option<String>,
    /// What stands for the state's work; default: a task is performed.
    #[serde(default)]
    mock: Option<MockBody>,
    /// What has happened before.
    #[serde(default)]
    configuration: ConfigurationBody,
}

/// What stands for a state's work.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum MockBody {
    /// It gives this.
    #[schema(value_type = Object)]
    Result(Value),
    /// It fails.
    Error {
        #[serde(default)]
        error: Option<String>,
        #[serde(default)]
        cause: Option<String>,
    },
}

/// What has happened before.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct ConfigurationBody {
    /// How often the retrier that decides has tried.
    retrier_retry_count: Option<u32>,
    /// The state within the tested one that the mocked error comes from.
    error_caused_by_state: Option<String>,
    /// How many iterations of a Map failed.
    map_iteration_failure_count: Option<u64>,
    /// What a Map's reader reads.
    map_item_reader_data: Option<String>,
}

/// What the state made of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestBody {
    /// `SUCCEEDED`, `FAILED`, `RETRIABLE` or `CAUGHT_ERROR`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    output: Option<Arc<Value>>,
    error: Option<String>,
    cause: Option<String>,
    next_state: Option<String>,
    /// What was seen on the way, under the names of Step Functions; payloads are values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    inspection: Option<Map<String, Value>>,
}

/// Tests a state: with an input, variables, a context and perhaps a mock.
#[utoipa::path(post, path = "/v1/workflows/test", tag = "workflows", operation_id = "test_state", request_body = TestRequest,
    responses(
        (status = 200, description = "What the state made of it", body = TestBody),
        (status = "4XX", description = "The state cannot be tested so", body = ErrorBody),
    )
)]
pub(crate) async fn test(
    State(app): State<App>,
    identity: Identity,
    JsonBody(request): JsonBody<TestRequest>,
) -> Result<Json<TestBody>, ApiError> {
    definitions::check_owner(&identity)?;
    let told = match request.inspection.as_deref() {
        None | Some("INFO") => false,
        Some("DEBUG" | "TRACE") => true,
        Some(_) => return Err(ApiError::bad_request("invalid_inspection", "inspection is INFO, DEBUG or TRACE")),
    };
    let variables: Variables =
        request.variables.into_iter().map(|(name, value)| (name.into(), Arc::new(value))).collect();
    let before = request.configuration;
    let wanted = Wanted {
        definition: &request.definition,
        state: request.state.as_deref(),
        input: Arc::new(request.input.unwrap_or_else(|| json!({}))),
        variables,
        context: request.context.map(Arc::new),
        mock: request.mock.map(|mock| match mock {
            MockBody::Result(result) => Mock::Result(Arc::new(result)),
            MockBody::Error { error, cause } => {
                Mock::Error { error: error.map(Into::into), cause: cause.map(Into::into) }
            }
        }),
        strictness: Strictness::Present,
        configuration: Configuration {
            retries: before.retrier_retry_count,
            error_caused_by: before.error_caused_by_state,
            failed_iterations: before.map_iteration_failure_count,
            reader_data: before.map_item_reader_data.map(|data| Arc::new(data.into())),
        },
        names: names(&app),
        now: app.now(),
        entropy: app.0.options.entropy.bytes(),
    };
    let answer = trial::run(&app, &identity, wanted, true).await.map_err(refused)?;
    Ok(Json(shown(answer, told)))
}

fn names(app: &App) -> Names {
    let scope = Scope::default();
    let (machine, name) = (workflows::fresh(app), workflows::fresh(app));
    Names {
        execution: scope.express(&machine, &name, &workflows::fresh(app)).into(),
        name: name.into(),
        machine: scope.machine(&machine).into(),
        machine_name: machine.into(),
        role: "".into(),
    }
}

fn refused(refused: Refused) -> ApiError {
    match refused {
        Refused::Trial(TrialError::Definition(diagnostics)) => {
            let said = diagnostics
                .iter()
                .map(|one| format!("{} at {}", one.message, one.location.as_deref().unwrap_or("an unknown place")));
            let said: Vec<String> = said.collect();
            ApiError::bad_request("invalid_definition", format!("the state is not valid: {}", said.join("; ")))
        }
        Refused::Trial(error) => ApiError::bad_request("not_testable", error.to_string()),
        Refused::NoRole => ApiError::bad_request("not_testable", "a role is needed"),
    }
}

fn shown(answer: Answer, told: bool) -> TestBody {
    TestBody {
        status: trial::status(answer.status),
        output: answer.output,
        error: answer.error.as_deref().map(ToOwned::to_owned),
        cause: answer.cause.as_deref().map(ToOwned::to_owned),
        next_state: answer.next.as_deref().map(ToOwned::to_owned),
        inspection: told.then(|| inspection(&answer.inspection)),
    }
}

fn inspection(seen: &Inspection) -> Map<String, Value> {
    let mut said: Map<String, Value> =
        seen.payloads.iter().map(|(name, payload)| ((*name).to_owned(), Value::clone(payload))).collect();
    if !seen.variables.is_empty() {
        let all = seen.variables.iter().map(|(name, value)| (name.to_string(), Value::clone(value)));
        said.insert("variables".into(), Value::Object(all.collect()));
    }
    trial::numbers(seen, &mut said);
    said
}
