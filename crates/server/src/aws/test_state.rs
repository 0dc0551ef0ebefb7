//! TestState: one state on its own.

use super::{Call, Fault, Params};
use crate::{
    trial::{self, Refused},
    workflows,
};
use bedplate_core::workflow_event::Variables;
use bedplate_engine::workflow::trial::{
    Answer, Configuration, Inspection, Mock, Names, Strictness, TrialError, Wanted,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The longest payload, in characters.
const MAX_PAYLOAD: usize = 262_144;

/// How much a reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// The outcome.
    Info,
    /// And what was seen on the way.
    Debug,
}

pub(super) async fn test(call: &Call, params: &Params) -> Result<Value, Fault> {
    let level = match params.word("inspectionLevel", &["INFO", "DEBUG", "TRACE"])? {
        None | Some("INFO") => Level::Info,
        // TRACE shows the request of an HTTP task besides, which the port of tasks does not tell.
        Some(_) => Level::Debug,
    };
    let role = params.text("roleArn", 1..=256)?;
    let wanted = Wanted {
        definition: params.required("definition", 1..=1_048_576)?,
        state: params.text("stateName", 1..=80)?,
        input: input(params)?,
        variables: variables(params)?,
        context: payload(params, "context")?.map(Arc::new),
        mock: mock(params)?,
        strictness: strictness(params)?,
        configuration: configuration(params)?,
        names: names(call, role),
        now: call.app.now(),
        entropy: call.app.0.options.entropy.bytes(),
    };
    let answer = trial::run(&call.app, &call.identity, wanted, role.is_some()).await.map_err(refused)?;
    Ok(shown(&answer, level))
}

fn refused(refused: Refused) -> Fault {
    match refused {
        Refused::Trial(TrialError::Definition(diagnostics)) => Fault::invalid_definition(&diagnostics),
        Refused::Trial(error @ (TrialError::NeedsMock | TrialError::TaskNeedsMock)) => {
            Fault::new("InvalidDefinition", error)
        }
        Refused::Trial(error) => Fault::validation(error),
        Refused::NoRole => Fault::validation("RoleArn must be specified when testing a Task state"),
    }
}

/// Returns how the execution of a trial is called; the role is part of it when one is named.
fn names(call: &Call, role: Option<&str>) -> Names {
    let fresh = || workflows::fresh(&call.app);
    let (machine, name) = (fresh(), fresh());
    Names {
        execution: call.scope.express(&machine, &name, &fresh()).into(),
        name: name.into(),
        machine: call.scope.machine(&machine).into(),
        machine_name: machine.into(),
        role: role.unwrap_or_default().into(),
    }
}

fn input(params: &Params) -> Result<Arc<Value>, Fault> {
    let text = params.text("input", 0..=MAX_PAYLOAD)?.unwrap_or("{}");
    super::executions_input::parse(text).map(Arc::new)
}

fn payload(params: &Params, name: &str) -> Result<Option<Value>, Fault> {
    let Some(text) = params.text(name, 0..=MAX_PAYLOAD)? else { return Ok(None) };
    let parsed = serde_json::from_str(text);
    parsed.map(Some).map_err(|_| Fault::validation(format_args!("'{name}' must be valid JSON")))
}

fn variables(params: &Params) -> Result<Variables, Fault> {
    match payload(params, "variables")? {
        None => Ok(Variables::new()),
        Some(Value::Object(fields)) => {
            Ok(fields.into_iter().map(|(name, value)| (name.into(), Arc::new(value))).collect())
        }
        Some(_) => Err(Fault::validation("'variables' must be a JSON object")),
    }
}

fn mock(params: &Params) -> Result<Option<Mock>, Fault> {
    let Some(mock) = params.object("mock")? else { return Ok(None) };
    let result = mock.text("result", 0..=MAX_PAYLOAD)?;
    let error = mock.object("errorOutput")?;
    match (result, error) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Fault::validation("A test mock should have only one of the following fields: [result, errorOutput]."))
        }
        (Some(result), None) => match serde_json::from_str(result) {
            Ok(result) => Ok(Some(Mock::Result(Arc::new(result)))),
            Err(_) => Err(Fault::validation("Mocked result must be valid JSON")),
        },
        (None, Some(said)) => Ok(Some(Mock::Error {
            error: said.text("error", 0..=256)?.map(Into::into),
            cause: said.text("cause", 0..=32_768)?.map(Into::into),
        })),
    }
}

fn strictness(params: &Params) -> Result<Strictness, Fault> {
    let Some(mock) = params.object("mock")? else { return Ok(Strictness::default()) };
    Ok(match mock.word("fieldValidationMode", &["STRICT", "PRESENT", "NONE"])? {
        None | Some("STRICT") => Strictness::Strict,
        Some("PRESENT") => Strictness::Present,
        Some(_) => Strictness::None,
    })
}

fn configuration(params: &Params) -> Result<Configuration, Fault> {
    let Some(said) = params.object("stateConfiguration")? else { return Ok(Configuration::default()) };
    let count = |name: &str| said.number(name, 0..=i64::from(u32::MAX));
    Ok(Configuration {
        retries: count("retrierRetryCount")?.and_then(|count| u32::try_from(count).ok()),
        error_caused_by: said.text("errorCausedByState", 1..=80)?.map(ToOwned::to_owned),
        failed_iterations: count("mapIterationFailureCount")?.and_then(|count| u64::try_from(count).ok()),
        reader_data: said.text("mapItemReaderData", 0..=MAX_PAYLOAD)?.map(|data| Arc::new(data.into())),
    })
}

/// Returns an answer as the service tells it: payloads are texts of JSON.
fn shown(answer: &Answer, level: Level) -> Value {
    let mut reply = Map::new();
    reply.insert("status".into(), trial::status(answer.status).into());
    if let Some(output) = &answer.output {
        reply.insert("output".into(), output.to_string().into());
    }
    for (name, said) in [("error", &answer.error), ("cause", &answer.cause), ("nextState", &answer.next)] {
        if let Some(said) = said {
            reply.insert(name.into(), (**said).into());
        }
    }
    if level == Level::Debug {
        reply.insert("inspectionData".into(), inspection(&answer.inspection));
    }
    reply.into()
}

fn inspection(seen: &Inspection) -> Value {
    let mut said = Map::new();
    for (name, payload) in &seen.payloads {
        said.insert((*name).into(), payload.to_string().into());
    }
    if !seen.variables.is_empty() {
        let all: Map<String, Value> =
            seen.variables.iter().map(|(name, value)| (name.to_string(), Value::clone(value))).collect();
        said.insert("variables".into(), Value::Object(all).to_string().into());
    }
    trial::numbers(seen, &mut said);
    said.into()
}
