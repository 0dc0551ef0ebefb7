//! Distributed Maps: their results in files, and what a redrive does to their child executions.

use crate::workflows::{TENANT, World, distributed, one};
use bedplate_core::{id::RunId, port::journal::RunQuery, workflow_event::MapRunChanged};
use bedplate_engine::workflow::MapRunStatus;
use bedplate_runtime::{ExecutionStatus, ExecutionSummary};
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// A distributed Map that fails for the items 2 and 3, and writes its results.
fn writing(tolerated: u64, config: Value) -> Value {
    one(json!({"Type": "Map", "ItemsPath": "$.items", "ToleratedFailureCount": tolerated, "MaxConcurrency": 1,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Each",
            "States": {
                "Each": {"Type": "Choice", "Default": "Good", "Choices": [
                    {"Variable": "$.n", "NumericGreaterThan": 1, "Next": "Bad"}]},
                "Bad": {"Type": "Fail", "Error": "Odd", "Cause": "told to"},
                "Good": {"Type": "Pass", "Result": [1, 2], "End": true}}},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "WriterConfig": config,
            "Parameters": {"Bucket": "results", "Prefix": "maps/"}}}))
}

fn items(count: u64) -> Value {
    json!({"items": (0..count).map(|n| json!({"n": n})).collect::<Vec<_>>()})
}

fn file(world: &World, key: &str) -> Value {
    let files = world.tasks.files.lock().expect("no test panics with it");
    serde_json::from_str(files.get(key).unwrap_or_else(|| panic!("{key} is not among {files:?}"))).expect("it is JSON")
}

async fn children(world: &World, run: &str) -> Vec<ExecutionSummary> {
    let query = RunQuery { tenant: TENANT(), name: Some(run.to_owned()), limit: 100, ..RunQuery::default() };
    world.runtime.list_executions(query).await.expect("a page").executions
}

#[tokio::test]
async fn results_are_written_with_a_manifest_and_not_kept_in_the_execution() {
    let world = World::new();
    let run = world.start(&writing(5, json!({})), items(4)).await;
    let view = world.end(run).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded, "{:?}", view.cause);
    let now = &view.map_runs[0].now;
    assert_eq!((now.succeeded, now.failed, now.results_written), (2, 2, 4));
    let folder = format!("maps/{}", now.arn.rsplit(':').next().expect("it has a last part"));
    let manifest = format!("{folder}/manifest.json");
    let details = json!({"MapRunArn": &*now.arn, "ResultWriterDetails": {"Bucket": "results", "Key": &manifest}});
    assert_eq!(view.output.as_deref(), Some(&details));
    let manifest = file(&world, &manifest);
    assert_eq!((&manifest["DestinationBucket"], &manifest["MapRunArn"]), (&json!("results"), &json!(&*now.arn)));
    let key = |kind: &str| manifest["ResultFiles"][kind][0]["Key"].as_str().expect("it names a file").to_owned();
    assert_eq!(key("SUCCEEDED"), format!("{folder}/SUCCEEDED_0.json"));
    assert_eq!(manifest["ResultFiles"]["PENDING"], json!([]));
    let (good, bad) = (file(&world, &key("SUCCEEDED")), file(&world, &key("FAILED")));
    let length = world.tasks.files.lock().expect("no test panics with it")[&key("SUCCEEDED")].len();
    assert_eq!(manifest["ResultFiles"]["SUCCEEDED"][0]["Size"], json!(length));
    let said = |entry: &Value| (entry["Status"].clone(), entry["Input"].clone(), entry["Output"].clone());
    assert_eq!(said(&good[0]), (json!("SUCCEEDED"), json!("{\"n\":0}"), json!("[1,2]")));
    assert_eq!((bad[0]["Error"].clone(), bad[0]["Cause"].clone()), (json!("Odd"), json!("told to")));
    assert_eq!(bad[1]["RedriveStatus"], json!("REDRIVABLE"));
}

#[tokio::test]
async fn a_map_run_that_fails_writes_what_is_pending_too() {
    let world = World::new();
    let run = world.start(&writing(0, json!({"Transformation": "FLATTEN", "OutputType": "JSONL"})), items(6)).await;
    let view = world.end(run).await;
    assert_eq!(view.error.as_deref(), Some("States.ExceedToleratedFailureThreshold"), "{:?}", view.cause);
    let folder = format!("maps/{}", view.map_runs[0].now.arn.rsplit(':').next().expect("it has a last part"));
    let files = world.tasks.files.lock().expect("no test panics with it");
    let lines = |kind: &str| files[&format!("{folder}/{kind}_0.jsonl")].lines().count();
    assert_eq!((lines("SUCCEEDED"), lines("FAILED"), lines("PENDING")), (4, 1, 3), "arrays are flattened");
}

#[tokio::test]
async fn a_redriven_map_run_repeats_only_the_children_that_failed() {
    let world = World::new();
    world.tasks.fails.store(true, Relaxed);
    let run = world.start(&tasks(0), json!({"items": ["good", "good", "bad", "good"]})).await;
    let view = world.end(run).await;
    assert_eq!(view.map_runs[0].now.status, MapRunStatus::Failed);
    assert_eq!(world.tasks.calls.load(Relaxed), 3, "the last one has not begun");
    world.tasks.fails.store(false, Relaxed);
    world.drive(world.runtime.redrive_execution(&TENANT(), run, Some("k".into()))).await.expect("it is redriven");
    let view = world.end(run).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded, "{:?} {:?}", view.error, view.cause);
    assert_eq!(view.output.as_deref(), Some(&json!([{"n": "good"}, {"n": "good"}, {"n": "bad"}, {"n": "good"}])));
    assert_eq!(world.tasks.calls.load(Relaxed), 5, "what succeeded is not done again");
    let now = &view.map_runs[0].now;
    assert_eq!((now.status, now.redrives), (MapRunStatus::Succeeded, 1));
    assert_eq!((now.succeeded, now.failed, now.running), (4, 0, 0));
    let children = children(&world, &now.arn).await;
    assert_eq!(children.len(), 4, "a redriven child is the same execution");
    let mut redrives = Vec::new();
    for child in &children {
        redrives.push(world.view(child.run).await.redrive_count);
    }
    redrives.sort_unstable();
    assert_eq!(redrives, [0, 0, 0, 1]);
}

/// A distributed Map of one Task, one child at a time.
fn tasks(tolerated: u64) -> Value {
    let each = json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "End": true});
    let mut definition = distributed(each, 1);
    definition["States"]["S"]["ToleratedFailureCount"] = json!(tolerated);
    definition
}

#[tokio::test]
async fn a_child_that_begins_after_a_redrive_and_fails_is_not_run_twice() {
    let world = World::new();
    world.tasks.fails.store(true, Relaxed);
    let run = world.start(&tasks(0), json!({"items": ["good", "good", "bad", "worse"]})).await;
    world.end(run).await;
    assert_eq!(world.tasks.calls.load(Relaxed), 3, "the last one has not begun");
    spare(&world, "bad");
    redrive(&world, run).await;
    let view = world.end(run).await;
    assert_eq!(view.status, ExecutionStatus::Failed, "the last one fails");
    assert_eq!(world.tasks.calls.load(Relaxed), 3 + 2, "each is called once");
    redrive(&world, run).await;
    world.end(run).await;
    assert_eq!(world.tasks.calls.load(Relaxed), 3 + 2 + 1, "now it goes on, and only it");
}

#[tokio::test]
async fn a_redriven_map_run_takes_another_concurrency_while_its_children_wait() {
    let world = World::new();
    let each = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"token.$": "$$.Task.Token"}, "End": true});
    let mut definition = distributed(each, 1);
    definition["States"]["S"]["ToleratedFailureCount"] = json!(3);
    world.tasks.fails.store(true, Relaxed);
    let run = world.start(&definition, json!({"items": [0, 1, 2, 3]})).await;
    let arn = Arc::clone(&world.end(run).await.map_runs[0].now.arn);
    let before = tokens(&world).len();
    world.tasks.fails.store(false, Relaxed);
    redrive(&world, run).await;
    until(&world, || tokens(&world).len() == before + 1).await;
    let change = MapRunChanged { run: arn, concurrency: Some(3), tolerated_count: None, tolerated_percentage: None };
    world.drive(world.runtime.update_map_run(&TENANT(), change)).await.expect("it is changed");
    until(&world, || tokens(&world).len() == before + 3).await;
    world.drive(world.runtime.stop_execution(&TENANT(), run, None, None)).await.expect("it is stopped");
}

/// Spares an input from failing.
fn spare(world: &World, word: &str) {
    world.tasks.spared.lock().expect("no test panics with it").push(json!({"n": word}));
}

async fn redrive(world: &World, run: RunId) {
    world.drive(world.runtime.redrive_execution(&TENANT(), run, None)).await.expect("it is redriven");
}

/// Waits until `is_so`; time moves meanwhile.
async fn until(world: &World, is_so: impl Fn() -> bool) {
    world
        .drive(async {
            for _ in 0..100_000 {
                if is_so() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            panic!("what is waited for never comes");
        })
        .await;
}

fn tokens(world: &World) -> Vec<Arc<str>> {
    world.tasks.tokens.lock().expect("no test panics with it").clone()
}

#[tokio::test]
async fn a_stopped_map_run_forgets_on_a_redrive_what_failed_before() {
    let world = World::new();
    let mut definition = tasks(1);
    let hold = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": true});
    let states = &mut definition["States"]["S"]["ItemProcessor"];
    states["States"]["Hold"] = hold;
    states["States"]["Which"] = json!({"Type": "Choice", "Default": "Each",
        "Choices": [{"Variable": "$.n", "StringEquals": "held", "Next": "Hold"}]});
    states["StartAt"] = json!("Which");
    world.tasks.fails.store(true, Relaxed);
    spare(&world, "held");
    let run = world.start(&definition, json!({"items": ["bad", "held", "worse"]})).await;
    // The token is asked for after the failure of the first: there is room for one at a time.
    until(&world, || !tokens(&world).is_empty()).await;
    world.drive(world.runtime.stop_execution(&TENANT(), run, None, None)).await.expect("it is stopped");
    assert_eq!(world.view(run).await.map_runs[0].now.failed, 1);
    spare(&world, "bad");
    redrive(&world, run).await;
    until(&world, || tokens(&world).len() == 2).await;
    let token = tokens(&world).pop().expect("there are two");
    world.drive(world.runtime.task_succeeded(&TENANT(), &token, Arc::new(json!(1)))).await.expect("it counts");
    let view = world.end(run).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded, "one of three failed, and one may: {:?}", view.cause);
    assert_eq!(view.map_runs[0].now.failed, 1);
}

#[tokio::test]
async fn a_map_run_stopped_while_its_failure_is_written_runs_its_children_again_on_a_redrive() {
    let world = World::new();
    let mut definition = tasks(0);
    definition["States"]["S"]["ResultWriter"] = json!({"Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "results"}});
    world.tasks.fails.store(true, Relaxed);
    world.tasks.stalls.store(true, Relaxed);
    let run = world.start(&definition, json!({"items": ["good", "bad", "good"]})).await;
    until(&world, || world.tasks.calls.load(Relaxed) == 3).await;
    world.drive(world.runtime.stop_execution(&TENANT(), run, None, None)).await.expect("it is stopped");
    assert_eq!(world.view(run).await.status, ExecutionStatus::Aborted);
    world.tasks.stalls.store(false, Relaxed);
    spare(&world, "bad");
    redrive(&world, run).await;
    let view = world.end(run).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded, "{:?}", view.cause);
    let now = &view.map_runs[0].now;
    assert_eq!((now.succeeded, now.failed, now.running), (3, 0, 0));
}

#[tokio::test]
async fn a_redrive_keeps_to_the_concurrency_of_the_map() {
    let world = World::new();
    let each = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"token.$": "$$.Task.Token"}, "End": true});
    let mut definition = distributed(each, 2);
    definition["States"]["S"]["ToleratedFailureCount"] = json!(5);
    world.tasks.fails.store(true, Relaxed);
    let run = world.start(&definition, json!({"items": [0, 1, 2, 3, 4, 5]})).await;
    assert_eq!(world.end(run).await.map_runs[0].now.failed, 6);
    let before = tokens(&world).len();
    world.tasks.fails.store(false, Relaxed);
    redrive(&world, run).await;
    for answered in before..before + 6 {
        until(&world, || tokens(&world).len() > answered).await;
        world
            .drive(async {
                for _ in 0..500 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        let now = tokens(&world);
        assert!(now.len() - answered <= 2, "{} of 2 are under way", now.len() - answered);
        let token = &now[answered];
        world.drive(world.runtime.task_succeeded(&TENANT(), token, Arc::new(json!(1)))).await.expect("it counts");
    }
    assert_eq!(world.end(run).await.status, ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn a_map_run_that_fails_writes_those_under_way_as_aborted_and_those_never_begun_as_pending() {
    let world = World::new();
    // More than are ever under way at once: the first fails while all others of them are held.
    let each = json!({"Type": "Choice", "Default": "Hold",
        "Choices": [{"Variable": "$.n", "NumericEquals": 0, "Next": "Nap"}]});
    let mut definition = distributed(each, 0);
    definition["States"]["S"]["ItemProcessor"]["States"]["Nap"] = json!({"Type": "Wait", "Seconds": 1, "Next": "Bad"});
    definition["States"]["S"]["ToleratedFailureCount"] = json!(0);
    definition["States"]["S"]["ItemProcessor"]["States"]["Hold"] =
        json!({"Type": "Wait", "Seconds": 1_000, "End": true});
    definition["States"]["S"]["ItemProcessor"]["States"]["Bad"] = json!({"Type": "Fail", "Error": "Odd"});
    definition["States"]["S"]["ResultWriter"] = json!({"Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "results", "Prefix": "maps"}});
    let run = world.start(&definition, json!({"items": (0..300).collect::<Vec<_>>()})).await;
    let view = world.end(run).await;
    assert_eq!(view.error.as_deref(), Some("States.ExceedToleratedFailureThreshold"), "{:?}", view.cause);
    let now = &view.map_runs[0].now;
    let folder = format!("maps/{}", now.arn.rsplit(':').next().expect("it has a last part"));
    let statuses = |kind: &str| {
        let entries = file(&world, &format!("{folder}/{kind}_0.json"));
        let entries = entries.as_array().expect("a file is a list").clone();
        entries.iter().map(|entry| entry["Status"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    let (failed, pending) = (statuses("FAILED"), statuses("PENDING"));
    assert_eq!(failed.len() + pending.len(), 300);
    let count = |status: &str| failed.iter().filter(|said| *said == status).count();
    assert_eq!((count("FAILED"), count("ABORTED")), (1, failed.len() - 1), "{failed:?}");
    assert!(failed.len() > 1 && pending.len() > 1, "{} and {}", failed.len(), pending.len());
}

#[tokio::test]
async fn results_that_are_written_nowhere_are_flattened_in_the_output() {
    let world = World::new();
    let mut definition = writing(0, json!({"Transformation": "FLATTEN"}));
    definition["States"]["S"]["ResultWriter"] = json!({"WriterConfig": {"Transformation": "FLATTEN"}});
    let run = world.start(&definition, items(2)).await;
    let view = world.end(run).await;
    assert_eq!(view.output.as_deref(), Some(&json!([1, 2, 1, 2])), "{:?}", view.cause);
    assert!(world.tasks.files.lock().expect("no test panics with it").is_empty());
}
