//! Step Functions as the AWS SDKs call it: `POST /` with `X-Amz-Target: AWSStepFunctions.<Operation>` and JSON.
//!
//! One file a resource; the list of operations is [`answer`]. Names, shapes and error codes are those of the service's
//! own model (botocore `stepfunctions/2016-11-23`).

mod activities;
mod aliases;
mod call;
mod definitions;
mod executions;
mod executions_input;
mod fault;
mod history;
mod map_runs;
mod mocks;
mod paging;
mod params;
mod state_machines;
mod tags;
mod task_tokens;
mod test_state;
mod validate;
mod versions;

pub(crate) use mocks::set as set_mocks;

use self::{call::Call, fault::Fault, params::Params};
use crate::{App, access::Identity, extract::RawBody};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// What every operation's target begins with.
const PREFIX: &str = "AWSStepFunctions.";

/// The content type of requests and replies.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

/// Answers a call of an AWS SDK.
pub(crate) async fn handle(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let Some(operation) = target.strip_prefix(PREFIX) else {
        return Fault::unknown_operation().into_response();
    };
    let call = Call::new(app, identity, &headers);
    let params = match Params::parse(&body) {
        Ok(params) => params,
        Err(fault) => return fault.into_response(),
    };
    match answer(operation, &call, &params).await {
        Ok(reply) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], reply.to_string()).into_response(),
        Err(fault) => fault.into_response(),
    }
}

/// The operations that change what others start.
const OWNERS: [&str; 13] = [
    "CreateStateMachine",
    "UpdateStateMachine",
    "DeleteStateMachine",
    "PublishStateMachineVersion",
    "DeleteStateMachineVersion",
    "CreateStateMachineAlias",
    "UpdateStateMachineAlias",
    "DeleteStateMachineAlias",
    "CreateActivity",
    "DeleteActivity",
    "TagResource",
    "UntagResource",
    "TestState",
];

/// Performs an operation.
async fn answer(operation: &str, call: &Call, params: &Params) -> Result<Value, Fault> {
    call.check(OWNERS.contains(&operation))?;
    match operation {
        "CreateStateMachine" => state_machines::create(call, params).await,
        "DescribeStateMachine" => state_machines::describe(call, params).await,
        "UpdateStateMachine" => state_machines::update(call, params).await,
        "DeleteStateMachine" => state_machines::delete(call, params).await,
        "ListStateMachines" => state_machines::list(call, params).await,
        "PublishStateMachineVersion" => versions::publish(call, params).await,
        "DeleteStateMachineVersion" => versions::delete(call, params).await,
        "ListStateMachineVersions" => versions::list(call, params).await,
        "CreateStateMachineAlias" => aliases::create(call, params).await,
        "DescribeStateMachineAlias" => aliases::describe(call, params).await,
        "UpdateStateMachineAlias" => aliases::update(call, params).await,
        "DeleteStateMachineAlias" => aliases::delete(call, params).await,
        "ListStateMachineAliases" => aliases::list(call, params).await,
        "CreateActivity" => activities::create(call, params).await,
        "DescribeActivity" => activities::describe(call, params).await,
        "DeleteActivity" => activities::delete(call, params).await,
        "ListActivities" => activities::list(call, params).await,
        "TagResource" => tags::tag(call, params).await,
        "UntagResource" => tags::untag(call, params).await,
        "ListTagsForResource" => tags::list(call, params).await,
        "StartExecution" => executions::start(call, params).await,
        "StartSyncExecution" => executions::start_sync(call, params).await,
        "DescribeExecution" => executions::describe(call, params).await,
        "ListExecutions" => executions::list(call, params).await,
        "StopExecution" => executions::stop(call, params).await,
        "RedriveExecution" => executions::redrive(call, params).await,
        "DescribeStateMachineForExecution" => executions::describe_machine(call, params).await,
        "GetExecutionHistory" => history::get(call, params).await,
        "GetActivityTask" => task_tokens::poll(call, params).await,
        "SendTaskSuccess" => task_tokens::success(call, params).await,
        "SendTaskFailure" => task_tokens::failure(call, params).await,
        "SendTaskHeartbeat" => task_tokens::heartbeat(call, params).await,
        "DescribeMapRun" => map_runs::describe(call, params).await,
        "ListMapRuns" => map_runs::list(call, params).await,
        "UpdateMapRun" => map_runs::update(call, params).await,
        "TestState" => test_state::test(call, params).await,
        "ValidateStateMachineDefinition" => validate::validate(params),
        _ => Err(Fault::unknown_operation()),
    }
}
