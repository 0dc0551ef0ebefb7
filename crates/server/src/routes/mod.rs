//! The routes: one file a resource, one line each in the list below.

pub(crate) mod agent;
mod agent_model;
pub(crate) mod agents;
pub(crate) mod anthropic;
mod approvals;
pub(crate) mod bedrock;
pub(crate) mod chat_completions;
mod children;
mod converse;
mod costs;
mod embeddings;
mod estimate;
pub(crate) mod event_stream;
mod events;
mod execution_forks;
mod execution_history;
mod execution_states;
mod execution_tasks;
mod executions;
mod health;
mod info;
pub(crate) mod invoke;
mod keys;
mod map_runs;
mod messages;
pub(crate) mod model_call;
mod models;
mod openapi;
pub(crate) mod passing;
mod records;
mod responses;
pub(crate) mod runs;
mod sessions;
mod stored_response;
mod targets;
pub(crate) mod turn_stream;
mod users;
mod workflow_test;
mod workflows;

pub(crate) use self::invoke::shutting_down;

use crate::{App, agentcore, aws, bulk, page, request, ws};
use axum::{
    Router, middleware,
    routing::{get, post},
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(OpenApi)]
#[openapi(
    info(title = "Bedplate", description = "An agent platform in one binary.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    security((), ("key" = []), ("bearer" = [])),
    modifiers(&Security),
    tags(
        (name = "contract", description = "The documents' HTTP contract"),
        (name = "agents", description = "Agents and their turns"),
        (name = "sessions", description = "Conversations"),
        (name = "runs", description = "Journals: view, stream, cancel, answer, fork, replay"),
        (name = "workflows", description = "Workflows in the States Language, and their executions"),
        (name = "models", description = "Models without an agent"),
        (name = "agentcore", description = "Agents as AgentCore has them"),
        (name = "bulk", description = "Files, batches and jobs: work that nobody waits for"),
        (name = "server", description = "The server itself"),
    )
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))));
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// Returns the documented routes with their OpenAPI description.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(agent::ask))
        .routes(routes!(agent::ask_prod))
        .routes(routes!(agents::list))
        .routes(routes!(agents::show))
        .routes(routes!(invoke::invoke))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::show, sessions::delete))
        .routes(routes!(messages::list))
        .routes(routes!(users::delete))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(events::events))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::answer))
        .routes(routes!(runs::model_request))
        .routes(routes!(runs::fork))
        .routes(routes!(runs::replay))
        .routes(routes!(children::list))
        .routes(routes!(approvals::list))
        .routes(routes!(workflows::list))
        .routes(routes!(workflows::show, workflows::put, workflows::delete))
        .routes(routes!(workflows::validate))
        .routes(routes!(workflow_test::test))
        .routes(routes!(executions::start))
        .routes(routes!(executions::list))
        .routes(routes!(executions::show))
        .routes(routes!(execution_history::history))
        .routes(routes!(executions::stop))
        .routes(routes!(executions::redrive))
        .routes(routes!(execution_forks::fork))
        .routes(routes!(execution_forks::replay))
        .routes(routes!(execution_tasks::task))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(models::list))
        .routes(routes!(models::show))
        .routes(routes!(targets::list))
        .routes(routes!(embeddings::create))
        .routes(routes!(bedrock::invoke_model))
        .routes(routes!(bedrock::count_tokens))
        .routes(routes!(converse::invoke_stream))
        .routes(routes!(converse::converse))
        .routes(routes!(converse::converse_stream))
        .routes(routes!(chat_completions::create))
        .routes(routes!(responses::create))
        .routes(routes!(responses::show, responses::delete))
        .routes(routes!(responses::input_items))
        .routes(routes!(responses::input_tokens))
        .routes(routes!(anthropic::create))
        .routes(routes!(anthropic::count_tokens))
        .routes(routes!(bulk::upload_file, bulk::list_files))
        .routes(routes!(bulk::show_file, bulk::delete_file))
        .routes(routes!(bulk::file_content))
        .routes(routes!(bulk::create_batch, bulk::list_batches))
        .routes(routes!(bulk::show_batch))
        .routes(routes!(bulk::cancel_batch))
        .routes(routes!(bulk::create_message_batch, bulk::list_message_batches))
        .routes(routes!(bulk::show_message_batch, bulk::delete_message_batch))
        .routes(routes!(bulk::cancel_message_batch))
        .routes(routes!(bulk::message_batch_results))
        .routes(routes!(bulk::create_job, bulk::list_jobs))
        .routes(routes!(bulk::show_job))
        .routes(routes!(bulk::cancel_job))
        .routes(routes!(bulk::start_invocation, bulk::list_invocations))
        .routes(routes!(bulk::show_invocation))
        .routes(routes!(agentcore::invocations))
        .routes(routes!(agentcore::ping))
        .routes(routes!(agentcore::invoke_runtime))
        .routes(routes!(agentcore::stop_session))
        .routes(routes!(agentcore::invoke_harness))
        .routes(routes!(costs::costs))
        .routes(routes!(costs::budgets))
        .routes(routes!(records::list))
        .routes(routes!(records::show))
        .routes(routes!(info::info))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

/// Returns the OpenAPI document; the same that is committed as `docs/reference/openapi.json`.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    api().into_openapi()
}

/// Returns the whole server as a router.
pub fn router(app: App) -> Router {
    let (router, document) = api().split_for_parts();
    let document: std::sync::Arc<str> = document.to_pretty_json().unwrap_or_default().into();
    let mut router = router
        .route("/", post(aws::handle))
        // The same journal under the name that people look for it by.
        .route("/v1/executions/{run}/events", get(events::events))
        .route("/v1/ws", get(ws::native))
        .route("/ws", get(ws::container))
        .route("/openapi.json", get(move || openapi::json(document.clone())))
        .route("/docs", get(openapi::docs))
        .route("/assets/{*path}", get(page::asset))
        .route("/favicon.svg", get(page::asset));
    if app.0.options.task_mocks.is_some() {
        router = router.route("/dev/task-mocks", post(aws::set_mocks));
    }
    for view in page::VIEWS {
        router = router.route(view, get(page::document));
    }
    router
        // One layer for all that is done around a handler: each further one costs every request a service of its own.
        .layer(middleware::from_fn_with_state(app.clone(), request::wrap))
        .with_state(app)
}
