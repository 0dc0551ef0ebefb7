//! Map runs: DescribeMapRun, ListMapRuns, UpdateMapRun.

use super::{
    Call, Fault, Params,
    call::{seconds, wrong_kind},
    executions, paging,
};
use bedplate_catalog::{Arn, Target};
use bedplate_core::workflow_event::MapRunChanged;
use bedplate_engine::workflow::{MapRunNow, MapRunStatus};
use bedplate_runtime::{MapRunView, RunError};
use serde_json::{Value, json};

const LIST: &str = "ListMapRuns";

pub(super) async fn describe(call: &Call, params: &Params) -> Result<Value, Fault> {
    let run = find(call, named(params)?).await?;
    let now = &run.now;
    let mut reply = json!({
        "mapRunArn": &*now.arn,
        "executionArn": &*run.execution,
        "status": status(now.status),
        "startDate": seconds(now.started_at),
        "maxConcurrency": now.concurrency,
        "toleratedFailurePercentage": now.tolerated.percentage.unwrap_or(0.0),
        "toleratedFailureCount": now.tolerated.count.unwrap_or(0),
        "itemCounts": counts(now, now.items),
        "executionCounts": counts(now, now.total),
        "redriveCount": now.redrives,
    });
    if let Some(stopped) = now.stopped_at {
        reply["stopDate"] = seconds(stopped);
    }
    Ok(reply)
}

/// Returns how the items or child executions stand; `total` is how many there are of them.
fn counts(now: &MapRunNow, total: u64) -> Value {
    json!({
        "pending": now.pending(),
        "running": now.running,
        "succeeded": now.succeeded,
        "failed": now.failed,
        "timedOut": now.timed_out,
        "aborted": now.aborted,
        "total": total,
        "resultsWritten": now.results_written,
        "failuresNotRedrivable": 0,
        "pendingRedrive": 0,
    })
}

pub(super) async fn list(call: &Call, params: &Params) -> Result<Value, Fault> {
    let named = executions::named(call, params)?;
    let query = paging::query(params, LIST)?;
    let view = executions::view(call, &named).await?;
    let after = query.after.as_deref();
    let begin =
        after.and_then(|after| view.map_runs.iter().position(|run| *run.now.arn == *after)).map_or(0, |at| at + 1);
    let rest = view.map_runs.get(begin..).unwrap_or_default();
    let page = rest.get(..query.limit).unwrap_or(rest);
    let items = page.iter().map(|run| {
        let mut item = json!({
            "executionArn": &*view.execution,
            "mapRunArn": &*run.now.arn,
            "stateMachineArn": &*view.machine,
            "startDate": seconds(run.now.started_at),
        });
        if let Some(stopped) = run.now.stopped_at {
            item["stopDate"] = seconds(stopped);
        }
        item
    });
    let next = page.last().filter(|_| page.len() < rest.len()).map(|run| &*run.now.arn);
    Ok(paging::reply("mapRuns", items.collect(), LIST, next))
}

pub(super) async fn update(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = named(params)?;
    let count =
        |name: &str| Ok::<_, Fault>(params.number(name, 0..=i64::MAX)?.and_then(|count| u64::try_from(count).ok()));
    let percentage = params.get("toleratedFailurePercentage").and_then(Value::as_f64);
    if percentage.is_some_and(|part| !(0.0..=100.0).contains(&part)) {
        return Err(Fault::validation("toleratedFailurePercentage must be between 0 and 100"));
    }
    let change = MapRunChanged {
        run: said.into(),
        concurrency: count("maxConcurrency")?,
        tolerated_count: count("toleratedFailureCount")?,
        tolerated_percentage: percentage,
    };
    find(call, said).await?;
    match call.app.runtime().update_map_run(call.tenant(), change).await {
        Ok(()) => Ok(json!({})),
        Err(RunError::NotFound) => Err(Fault::resource_not_found(said)),
        Err(error) => Err(executions::run_fault(&error, said)),
    }
}

fn named(params: &Params) -> Result<&str, Fault> {
    let said = params.arn("mapRunArn")?;
    match Arn::parse(said)?.target {
        Target::MapRun(..) => Ok(said),
        other => Err(wrong_kind(&other)),
    }
}

async fn find(call: &Call, said: &str) -> Result<MapRunView, Fault> {
    let run = call.app.runtime().map_run(call.tenant(), said).await.map_err(|error| match error {
        RunError::NotFound => Fault::resource_not_found(said),
        error => executions::run_fault(&error, said),
    })?;
    let view = call.app.runtime().execution(call.tenant(), run.run).await;
    let view = view.map_err(|error| executions::run_fault(&error, said))?;
    if call.identity.sees(&view.user, &view.machine_name) { Ok(run) } else { Err(Fault::resource_not_found(said)) }
}

const fn status(status: MapRunStatus) -> &'static str {
    match status {
        MapRunStatus::Running => "RUNNING",
        MapRunStatus::Succeeded => "SUCCEEDED",
        MapRunStatus::Failed => "FAILED",
        MapRunStatus::Aborted => "ABORTED",
    }
}
