//! Executions: StartExecution, StartSyncExecution, DescribeExecution, ListExecutions, StopExecution, RedriveExecution,
//! DescribeStateMachineForExecution.

use super::{
    Call, Fault, Params,
    call::{seconds, wrong_kind},
    definitions, executions_input, paging, state_machines,
};
use crate::{extract::identifier, workflows};
use bedplate_catalog::{Arn, Kind, Machine, MachineError, Target, check_name};
use bedplate_core::{
    id::RunId,
    port::{
        journal::{RunQuery, RunStatus},
        workflows::{PinnedWorkflow, ResolveError},
    },
};
use bedplate_runtime::{ExecutionView, RedriveError, RunError, StartExecution, StartExecutionError, StartedExecution};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const LIST: &str = "ListExecutions";

/// The states of an execution, in the order in which the service names them.
const STATUSES: [&str; 6] = ["SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING"];

/// The largest page that is looked through at a time.
const PAGE: usize = 200;

pub(super) async fn start(call: &Call, params: &Params) -> Result<Value, Fault> {
    let wanted = wanted(call, params).await?;
    let started = begin(call, wanted).await?;
    Ok(json!({ "executionArn": &*started.execution, "startDate": seconds(started.started_at) }))
}

pub(super) async fn start_sync(call: &Call, params: &Params) -> Result<Value, Fault> {
    let with_data = state_machines::with_data(params)?;
    let wanted = wanted(call, params).await?;
    if !wanted.workflow.express {
        return Err(unsupported());
    }
    let started = begin(call, wanted).await?;
    let view = call.app.runtime().wait_execution(call.tenant(), started.run).await;
    let view = view.map_err(|error| run_fault(&error, &started.execution))?;
    let stopped = view.stopped_at.unwrap_or(view.started_at);
    let mut reply = Map::new();
    describe_common(&view, with_data, &mut reply);
    let millis = stopped.since(view.started_at).as_millis();
    reply.insert(
        "billingDetails".into(),
        json!({
            "billedMemoryUsedInMB": 64,
            "billedDurationInMilliseconds": u64::try_from(millis.div_ceil(100).max(1) * 100).unwrap_or(u64::MAX),
        }),
    );
    Ok(reply.into())
}

/// Reads what is to be started.
async fn wanted(call: &Call, params: &Params) -> Result<StartExecution, Fault> {
    let said = params.arn("stateMachineArn")?;
    let arn = call.machine_arn(params, "stateMachineArn")?;
    let input = executions_input::parse(params.text("input", 0..=usize::MAX)?.unwrap_or("{}"))?;
    let name = match params.text("name", 1..=usize::MAX)? {
        Some(name) => {
            check_name(name)?;
            name.to_owned()
        }
        None => workflows::fresh(&call.app),
    };
    let user = call.identity.user(None).map_err(|_| Fault::denied())?;
    let workflow = pin(call, &arn, said).await?;
    Ok(StartExecution {
        tenant: call.tenant().clone(),
        user,
        execution: workflows::execution_arn(&call.app, &arn.scope, &workflow, &name).into(),
        name: name.into(),
        workflow,
        input: Arc::new(input),
        trace_header: params.text("traceHeader", 0..=256)?.map(Into::into),
    })
}

async fn pin(call: &Call, arn: &Arn, said: &str) -> Result<PinnedWorkflow, Fault> {
    let pinned = call.catalog().pin(call.tenant(), arn, call.app.0.options.entropy.bytes()).await;
    pinned.map_err(|error| match error {
        ResolveError::NotFound(_) => Fault::no_machine(said),
        ResolveError::Store(error) => Fault::store(&error),
    })
}

async fn begin(call: &Call, wanted: StartExecution) -> Result<StartedExecution, Fault> {
    let arn = Arc::clone(&wanted.execution);
    call.app.runtime().start_execution(wanted).await.map_err(|error| match error {
        StartExecutionError::AlreadyExists { .. } | StartExecutionError::Deleted => {
            Fault::new("ExecutionAlreadyExists", format_args!("Execution Already Exists: '{arn}'"))
        }
        StartExecutionError::Definition(invalid) => Fault::invalid_definition(&invalid.diagnostics),
        StartExecutionError::InputTooLarge { limit } => Fault::new(
            "InvalidExecutionInput",
            format_args!("Invalid State Machine Execution Input: 'the input has more than {limit} bytes'"),
        ),
        StartExecutionError::Store(error) => Fault::store(&error),
        StartExecutionError::ShuttingDown => Fault::closing(),
    })
}

/// An execution that a call names.
pub(super) struct Named<'p> {
    pub(super) said: &'p str,
    pub(super) run: RunId,
}

/// Reads the name of a durable execution.
pub(super) fn named<'p>(call: &Call, params: &'p Params) -> Result<Named<'p>, Fault> {
    let said = params.arn("executionArn")?;
    match Arn::parse(said)?.target {
        Target::Execution(..) => Ok(Named { said, run: RunId::execution(call.tenant(), said) }),
        other => Err(wrong_kind(&other)),
    }
}

/// Returns an execution that the credential may see.
pub(super) async fn view(call: &Call, named: &Named<'_>) -> Result<ExecutionView, Fault> {
    let view = call.app.runtime().execution(call.tenant(), named.run).await;
    let view = view.map_err(|error| run_fault(&error, named.said))?;
    if call.identity.sees(&view.user, &view.machine_name) { Ok(view) } else { Err(no_execution(named.said)) }
}

pub(super) async fn describe(call: &Call, params: &Params) -> Result<Value, Fault> {
    let with_data = state_machines::with_data(params)?;
    let view = view(call, &named(call, params)?).await?;
    let mut reply = Map::new();
    describe_common(&view, with_data, &mut reply);
    redrive_fields(&view, &mut reply);
    match &view.redrivable {
        Ok(()) => drop(reply.insert("redriveStatus".into(), "REDRIVABLE".into())),
        Err(reason) => {
            reply.insert("redriveStatus".into(), "NOT_REDRIVABLE".into());
            reply.insert("redriveStatusReason".into(), (*reason).into());
        }
    }
    Ok(reply.into())
}

/// Says what DescribeExecution and StartSyncExecution have in common.
fn describe_common(view: &ExecutionView, with_data: bool, reply: &mut Map<String, Value>) {
    summary(view, reply);
    let included = json!({ "included": with_data });
    if with_data {
        reply.insert("input".into(), view.input.to_string().into());
        if let Some(output) = &view.output {
            reply.insert("output".into(), output.to_string().into());
        }
    }
    reply.insert("inputDetails".into(), included.clone());
    if view.output.is_some() || view.express {
        reply.insert("outputDetails".into(), included);
    }
    for (name, said) in [("error", &view.error), ("cause", &view.cause), ("traceHeader", &view.trace_header)] {
        if let Some(said) = said {
            reply.insert(name.into(), (**said).into());
        }
    }
}

/// Says what a list says of an execution.
fn summary(view: &ExecutionView, reply: &mut Map<String, Value>) {
    reply.insert("executionArn".into(), (*view.execution).into());
    reply.insert("stateMachineArn".into(), (*view.machine).into());
    reply.insert("name".into(), (*view.name).into());
    reply.insert("status".into(), view.status.word().into());
    reply.insert("startDate".into(), seconds(view.started_at));
    if let Some(stopped) = view.stopped_at {
        reply.insert("stopDate".into(), seconds(stopped));
    }
    if let Some(run) = &view.map_run {
        reply.insert("mapRunArn".into(), (**run).into());
    }
    if view.express {
        return;
    }
    if let Some(version) = &view.version {
        reply.insert("stateMachineVersionArn".into(), (**version).into());
    }
    if let Some(alias) = view.qualified.as_ref().filter(|qualified| Some(*qualified) != view.version.as_ref()) {
        reply.insert("stateMachineAliasArn".into(), (**alias).into());
    }
}

fn redrive_fields(view: &ExecutionView, reply: &mut Map<String, Value>) {
    reply.insert("redriveCount".into(), view.redrive_count.into());
    if let Some(at) = view.redriven_at {
        reply.insert("redriveDate".into(), seconds(at));
    }
}

pub(super) async fn list(call: &Call, params: &Params) -> Result<Value, Fault> {
    let status = params.word("statusFilter", &STATUSES)?;
    let redriven = params.word("redriveFilter", &["REDRIVEN", "NOT_REDRIVEN"])?.map(|word| word == "REDRIVEN");
    let limit = paging::limit(params)?;
    let scan = Scan::of(call, params).await?;
    let mut cursor = params.text("nextToken", 1..=3096)?.map(|token| paging::open(token, LIST)).transpose()?;
    let mut executions = Vec::new();
    loop {
        let query = RunQuery {
            tenant: call.tenant().clone(),
            user: call.identity.user_filter(None).map_err(|_| Fault::denied())?,
            name: Some(scan.name.clone()),
            status: status.and_then(run_status),
            cursor: cursor.take(),
            limit: (limit - executions.len()).min(PAGE),
            ..RunQuery::default()
        };
        // Nothing is ever pending in this server: a redrive begins at once.
        if status == Some("PENDING_REDRIVE") {
            return Ok(paging::reply("executions", Vec::new(), LIST, None));
        }
        let page = call.app.runtime().list_executions(query).await.map_err(|error| run_fault(&error, &scan.said))?;
        for found in page.executions {
            let view = match call.app.runtime().execution(call.tenant(), found.run).await {
                Ok(view) => view,
                // It was deleted between the two looks.
                Err(RunError::NotFound) => continue,
                Err(error) => return Err(run_fault(&error, &scan.said)),
            };
            if scan.holds(&view) && redriven.is_none_or(|redriven| redriven == (view.redrive_count > 0)) {
                let mut said = Map::new();
                summary(&view, &mut said);
                redrive_fields(&view, &mut said);
                executions.push(Value::Object(said));
            }
        }
        cursor = page.cursor;
        if cursor.is_none() || executions.len() >= limit {
            return Ok(paging::reply("executions", executions, LIST, cursor.as_deref()));
        }
    }
}

/// Which executions a list is of.
struct Scan {
    /// As the caller says it.
    said: String,
    /// What the heads of its executions are named.
    name: String,
    of: Of,
}

enum Of {
    Machine(String, bedplate_core::time::Timestamp),
    Version(String),
    Alias(String),
    MapRun(String),
}

impl Scan {
    async fn of(call: &Call, params: &Params) -> Result<Self, Fault> {
        match (params.text("stateMachineArn", 1..=256)?, params.text("mapRunArn", 1..=2000)?) {
            (Some(said), None) => {
                let arn = Arn::parse(said)?;
                let (name, is_machine) = match &arn.target {
                    Target::Machine(name) => (name, true),
                    Target::Version(name, _) | Target::Alias(name, _) => (name, false),
                    other => return Err(wrong_kind(other)),
                };
                let machine = machine(call, &arn, name, said).await?;
                if machine.kind == Kind::Express {
                    return Err(unsupported());
                }
                let of = match &arn.target {
                    Target::Version(..) => Of::Version(said.to_owned()),
                    _ if is_machine => Of::Machine(said.to_owned(), machine.created_at),
                    _ => Of::Alias(said.to_owned()),
                };
                Ok(Self { said: said.to_owned(), name: name.clone(), of })
            }
            (None, Some(said)) => match Arn::parse(said)?.target {
                Target::MapRun(..) => {
                    Ok(Self { said: said.to_owned(), name: said.to_owned(), of: Of::MapRun(said.to_owned()) })
                }
                other => Err(wrong_kind(&other)),
            },
            _ => Err(Fault::validation("Must provide a value for one of: [stateMachineArn, mapRunArn].")),
        }
    }

    /// Returns whether an execution belongs to the list. One of a state machine that was removed and made anew under
    /// the same name does not.
    fn holds(&self, view: &ExecutionView) -> bool {
        match &self.of {
            Of::Machine(arn, made) => *view.machine == **arn && view.started_at >= *made,
            Of::Version(arn) => view.version.as_deref() == Some(arn),
            Of::Alias(arn) => view.qualified.as_deref() == Some(arn),
            Of::MapRun(arn) => view.map_run.as_deref() == Some(arn),
        }
    }
}

async fn machine(call: &Call, arn: &Arn, name: &str, said: &str) -> Result<Machine, Fault> {
    let found = call.catalog().machine(call.tenant(), &arn.scope, name).await;
    found.map_err(|error| state_machines::machine_fault(error, said))
}

pub(super) async fn stop(call: &Call, params: &Params) -> Result<Value, Fault> {
    let named = named(call, params)?;
    let error = params.text("error", 0..=256)?.map(Into::into);
    let cause = params.text("cause", 0..=32_768)?.map(Into::into);
    view(call, &named).await?;
    let stopped = call.app.runtime().stop_execution(call.tenant(), named.run, error, cause).await;
    Ok(json!({ "stopDate": seconds(stopped.map_err(|error| run_fault(&error, named.said))?) }))
}

pub(super) async fn redrive(call: &Call, params: &Params) -> Result<Value, Fault> {
    let named = named(call, params)?;
    let key = params.text("clientToken", 1..=64)?;
    if let Some(key) = key {
        identifier("clientToken", key).map_err(|_| Fault::validation("the client token has a control character"))?;
    }
    view(call, &named).await?;
    let redriven = call.app.runtime().redrive_execution(call.tenant(), named.run, key.map(ToOwned::to_owned)).await;
    let at = redriven.map_err(|error| match error {
        RedriveError::NotRedrivable(reason) => Fault::new("ExecutionNotRedrivable", reason),
        RedriveError::Run(error) => run_fault(&error, named.said),
    })?;
    Ok(json!({ "redriveDate": seconds(at) }))
}

pub(super) async fn describe_machine(call: &Call, params: &Params) -> Result<Value, Fault> {
    let with_data = state_machines::with_data(params)?;
    let view = view(call, &named(call, params)?).await?;
    let text = call.app.runtime().definition_text(call.tenant(), view.definition).await;
    let text = text.map_err(|error| run_fault(&error, &view.execution))?.unwrap_or_default();
    let machine = machine_of(call, &view).await?;
    let mut reply = definitions::setup(&machine, with_data.then_some(&*text));
    reply.insert("stateMachineArn".into(), (*view.machine).into());
    reply.insert("updateDate".into(), seconds(machine.updated_at));
    if !with_data {
        // The model says that it is always there.
        reply.insert("definition".into(), "".into());
    }
    if let Some(run) = &view.map_run {
        reply.insert("mapRunArn".into(), (**run).into());
    }
    Ok(reply.into())
}

/// Returns the state machine as the execution has it: the version, or the present one where that is the same.
async fn machine_of(call: &Call, view: &ExecutionView) -> Result<Machine, Fault> {
    let version = view.version.as_deref().and_then(|arn| Arn::parse(arn).ok());
    if let Some(Arn { scope, target: Target::Version(name, number) }) = version
        && let Ok(version) = call.catalog().version(call.tenant(), &scope, &name, number).await
    {
        return Ok(Machine { updated_at: version.created_at, ..version.machine });
    }
    let scope = Arn::parse(&view.machine).map_or_else(|_| call.scope.clone(), |arn| arn.scope);
    let present = match call.catalog().machine(call.tenant(), &scope, &view.machine_name).await {
        Ok(machine) => Some(machine),
        Err(MachineError::NotFound | MachineError::OfProject) => None,
        Err(MachineError::Store(error)) => return Err(error.into()),
    };
    Ok(match present {
        Some(machine) if machine.definition == view.definition => machine,
        // It was changed or removed since; what is left of it is what the execution knows.
        _ => Machine {
            name: view.machine_name.to_string(),
            kind: if view.express { Kind::Express } else { Kind::Standard },
            definition: view.definition,
            role: view.role.to_string(),
            logging: bedplate_catalog::Logging::default(),
            tracing: false,
            encryption: None,
            tags: Vec::new(),
            revision: None,
            versions: 0,
            created_at: view.started_at,
            updated_at: view.started_at,
            origin: bedplate_catalog::Origin::Api,
        },
    })
}

fn run_status(word: &str) -> Option<RunStatus> {
    match word {
        "RUNNING" => Some(RunStatus::Running),
        "SUCCEEDED" => Some(RunStatus::Succeeded),
        "FAILED" => Some(RunStatus::Failed),
        "TIMED_OUT" => Some(RunStatus::TimedOut),
        "ABORTED" => Some(RunStatus::Aborted),
        _ => None,
    }
}

fn unsupported() -> Fault {
    Fault::new("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")
}

pub(super) fn no_execution(arn: &str) -> Fault {
    Fault::new("ExecutionDoesNotExist", format_args!("Execution Does Not Exist: '{arn}'"))
}

/// Returns the error of a run that was not found or could not be asked.
pub(super) fn run_fault(error: &RunError, arn: &str) -> Fault {
    match error {
        RunError::NotFound => no_execution(arn),
        RunError::ShuttingDown => Fault::closing(),
        error => Fault::store(error),
    }
}
