//! What the recorded cases do not show: crashes, late and false answers, waits, limits.

use crate::driver::{Driver, fold};
use bedplate_core::{
    event::Event,
    time::Timestamp,
    workflow_event::{ExecutionOutcome, WorkflowEvent},
};
use bedplate_engine::{
    machine::{Machine, TaskReport},
    workflow::{Definition, Workflow, WorkflowSignal},
};
use serde_json::{Value, json};
use std::sync::Arc;

const TASK: &str = "arn:aws:states:::lambda:invoke";

fn driver(definition: &Value) -> Driver {
    Driver::new(Definition::parse(&definition.to_string()).expect("the definition is valid"), Timestamp(1_000_000))
}

fn started(definition: &Value, input: Value) -> Driver {
    let mut driver = driver(definition);
    driver.start("machine", input);
    driver
}

fn one(state: Value) -> Value {
    json!({"StartAt": "S", "States": {"S": state, "Caught": {"Type": "Pass", "End": true}}})
}

fn task(fields: Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": TASK, "End": true,
        "Catch": [{"ErrorEquals": ["Never"], "Next": "Caught"}]});
    let fields = fields.as_object().cloned().unwrap_or_default();
    state.as_object_mut().expect("a state is an object").extend(fields);
    one(state)
}

fn succeeded(value: Value) -> TaskReport {
    TaskReport::Succeeded(Arc::new(value))
}

fn outcome(driver: &Driver) -> (Option<ExecutionOutcome>, Option<&str>, Option<&str>) {
    let ended = driver.state.ended();
    (
        ended.map(|ended| ended.outcome),
        ended.and_then(|ended| ended.error.as_deref()),
        ended.and_then(|ended| ended.cause.as_deref()),
    )
}

#[test]
fn a_task_that_was_under_way_in_a_crash_fails_and_only_its_retry_repeats_it() {
    let mut lost = started(&task(json!({})), json!({}));
    lost.crash();
    let (ended, error, cause) = outcome(&lost);
    assert_eq!((ended, error), (Some(ExecutionOutcome::Failed), Some("States.TaskFailed")));
    assert!(cause.is_some_and(|cause| cause.contains("outcome unknown")), "{cause:?}");

    let mut repeated = started(&task(json!({"Retry": [{"ErrorEquals": ["States.TaskFailed"]}]})), json!({}));
    repeated.crash();
    assert!(repeated.begun.is_empty(), "the retry waits first");
    assert!(repeated.wait());
    let call = repeated.begun[0].call;
    repeated.report(call, succeeded(json!(7)));
    assert_eq!(repeated.state.output().map(|output| Value::clone(output)), Some(json!(7)));
}

#[test]
fn a_crash_after_any_step_of_a_nested_workflow_changes_nothing_of_its_output() {
    let retry = json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 9}]);
    let inner = json!({"StartAt": "Fork", "States": {"Fork": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": TASK, "Retry": retry, "Next": "Rest"},
            "Rest": {"Type": "Wait", "Seconds": 2, "End": true}}},
        {"StartAt": "Keep", "States": {"Keep": {"Type": "Pass", "Assign": {"kept.$": "$"}, "Next": "Give"},
            "Give": {"Type": "Pass", "Parameters": {"kept.$": "$kept"}, "End": true}}}]}}});
    let definition = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "MaxConcurrency": 2,
        "ItemProcessor": inner, "End": true}}});
    let expected = json!([[10, {"kept": 1}], [20, {"kept": 2}], [30, {"kept": 3}]]);
    for crash_after in 0..40 {
        let mut driver = started(&definition, json!([1, 2, 3]));
        let mut steps = 0;
        while driver.state.ended().is_none() {
            if steps == crash_after {
                driver.crash();
            }
            steps += 1;
            if let Some(begun) = driver.begun.pop_front() {
                let number = begun.input.as_i64().unwrap_or(0);
                driver.report(begun.call, succeeded(json!(number * 10)));
            } else if !driver.wait() {
                break;
            }
        }
        assert_eq!(driver.state.output().map(|output| Value::clone(output)), Some(expected.clone()), "{crash_after}");
        let ids: Vec<u64> = driver.history().iter().map(|event| event.id).collect();
        assert!(ids.iter().copied().eq(1..=ids.len() as u64), "the ids have no gap: {ids:?}");
        assert!(driver.history().iter().all(|event| event.previous_event_id < event.id));
    }
}

#[test]
fn a_snapshot_is_as_good_as_the_journal_it_stands_for() {
    let definition = task(json!({"TimeoutSeconds": 9, "HeartbeatSeconds": 3}));
    let driver = started(&definition, json!({"a": [1, 2]}));
    let bytes = Workflow::snapshot(&driver.state);
    let (restored, again) = Workflow::restore(&bytes).expect("the snapshot is read");
    assert!(again.is_empty());
    assert_eq!(Workflow::snapshot(&restored), Workflow::snapshot(&fold(&driver.journal)));
    assert_eq!(Workflow::wake_at(&restored), Workflow::wake_at(&driver.state));
    assert!(Workflow::restore(b"[9,{}]").is_none());
}

#[test]
fn what_comes_late_twice_or_under_a_dead_token_changes_nothing() {
    let definition =
        task(json!({"TimeoutSeconds": 5, "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}]}));
    let mut driver = started(&definition, json!({}));
    let begun = driver.begun[0].clone();
    driver.now = Timestamp(driver.now.0 + 5_000);
    driver.report(begun.call, succeeded(json!("late")));
    let output = driver.state.output().map(|output| Value::clone(output));
    assert_eq!(output, Some(json!({"Error": "States.Timeout", "Cause": ""})));
    let length = driver.journal.len();
    driver.report(begun.call, succeeded(json!("twice")));
    driver.signal(WorkflowSignal::TaskSucceeded { token: begun.token, output: Arc::new(json!("dead")) });
    driver.signal(WorkflowSignal::TaskBeat { token: "never a token".into() });
    assert_eq!(driver.journal.len(), length);
}

#[test]
fn a_heartbeat_keeps_a_task_alive_and_its_absence_ends_it() {
    let resource = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";
    let definition =
        task(json!({"Resource": resource, "HeartbeatSeconds": 10, "Parameters": {"t.$": "$$.Task.Token"}}));
    let mut driver = started(&definition, json!({}));
    let begun = driver.begun[0].clone();
    assert_eq!(begun.input["t"].as_str(), Some(&*begun.token), "the token that is sent is the one that counts");
    driver.report(begun.call, succeeded(json!({"MessageId": "1"})));
    for _ in 0..3 {
        driver.now = Timestamp(driver.now.0 + 9_000);
        driver.signal(WorkflowSignal::TaskBeat { token: Arc::clone(&begun.token) });
    }
    assert!(driver.state.ended().is_none());
    assert!(driver.wait());
    assert_eq!(outcome(&driver).1, Some("States.Timeout"));
    assert_eq!(driver.now.0, 1_000_000 + 27_000 + 10_000);
}

#[test]
fn a_retry_waits_longer_each_time_up_to_its_limit() {
    let retry = json!([{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxDelaySeconds": 10, "MaxAttempts": 3}]);
    let mut driver = started(&task(json!({"Retry": retry})), json!({}));
    let mut waits = Vec::new();
    while let Some(begun) = driver.begun.pop_front() {
        let before = driver.now.0;
        driver.report(begun.call, TaskReport::Failed { error: Some("Busy".into()), cause: None });
        if driver.wait() {
            waits.push((driver.now.0 - before) / 1000);
        }
    }
    assert_eq!(waits, [2, 6, 10]);
    assert_eq!(outcome(&driver), (Some(ExecutionOutcome::Failed), Some("Busy"), None));
}

#[test]
fn a_failing_branch_ends_the_others_and_their_tasks() {
    let branch =
        |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Task", "Resource": TASK, "End": true}}});
    let mut driver = started(
        &one(json!({"Type": "Parallel", "Branches": [branch("A"), branch("B")], "End": true,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught", "ResultPath": "$.error"}]})),
        json!({"in": 1}),
    );
    assert_eq!(driver.begun.len(), 2);
    let first = driver.begun.pop_front().expect("a task");
    driver.report(first.call, TaskReport::Failed { error: Some("Bad".into()), cause: Some("so".into()) });
    assert!(driver.begun.is_empty(), "the other task is abandoned");
    let output = driver.state.output().map(|output| Value::clone(output));
    assert_eq!(output, Some(json!({"in": 1, "error": {"Error": "Bad", "Cause": "so"}})));
    let aborted = driver.history().iter().filter(|event| event.kind == "TaskStateAborted").count();
    assert_eq!(aborted, 1 + 1, "the failed one and its sibling");
}

#[test]
fn an_execution_that_runs_in_circles_ends_at_the_limit_of_its_history() {
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Choice",
        "Choices": [{"Variable": "$.stop", "BooleanEquals": true, "Next": "C"}], "Default": "A"},
        "C": {"Type": "Succeed"}}});
    let driver = started(&definition, json!({"stop": false}));
    let (ended, error, cause) = outcome(&driver);
    assert_eq!((ended, error), (Some(ExecutionOutcome::Failed), Some("States.Runtime")));
    assert!(cause.is_some_and(|cause| cause.contains("25000")), "{cause:?}");
    assert!(driver.history().len() <= 25_000);
}

#[test]
fn an_execution_ends_when_it_is_stopped_or_its_time_is_over() {
    let mut definition = task(json!({}));
    let mut stopped = started(&definition, json!({}));
    stopped.signal(WorkflowSignal::Stop { error: Some("E".into()), cause: Some("C".into()) });
    assert_eq!(outcome(&stopped), (Some(ExecutionOutcome::Aborted), Some("E"), Some("C")));
    assert!(stopped.begun.is_empty());
    definition["TimeoutSeconds"] = json!(30);
    let mut late = started(&definition, json!({}));
    assert!(late.wait());
    assert_eq!(outcome(&late).0, Some(ExecutionOutcome::TimedOut));
    assert!(late.begun.is_empty());
}

#[test]
fn a_distributed_map_takes_as_many_failures_as_it_is_told() {
    let run = |tolerated: u64| {
        let inner = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "Judge", "States": {
            "Judge": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericGreaterThan": 2, "Next": "Bad"}],
                "Default": "Good"}, "Good": {"Type": "Succeed"}, "Bad": {"Type": "Fail", "Error": "TooLarge"}}});
        let map = json!({"Type": "Map", "ItemProcessor": inner, "ToleratedFailureCount": tolerated, "End": true,
            "Catch": [{"ErrorEquals": ["Never"], "Next": "Caught"}]});
        let driver = started(&one(map), json!([1, 2, 3, 4]));
        let error = outcome(&driver).1.map(ToOwned::to_owned);
        (error, driver.state.output().map(|output| Value::clone(output)))
    };
    assert_eq!(run(2), (None, Some(json!([1, 2]))));
    assert_eq!(run(1), (Some("States.ExceedToleratedFailureThreshold".to_owned()), None));
}

#[test]
fn results_that_are_to_be_written_elsewhere_do_not_vanish_in_silence() {
    let inner =
        json!({"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "P", "States": {"P": {"Type": "Succeed"}}});
    let map = json!({"Type": "Map", "ItemProcessor": inner, "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject"},
        "Catch": [{"ErrorEquals": ["Never"], "Next": "Caught"}], "End": true});
    let driver = started(&one(map), json!([1]));
    assert_eq!(outcome(&driver).1, Some("States.ResultWriterFailed"));
}

#[test]
fn an_input_that_does_not_change_is_written_once() {
    let states: serde_json::Map<String, Value> = (0..50)
        .map(|at| (format!("P{at}"), json!({"Type": "Pass", "Next": format!("P{}", at + 1)})))
        .chain([("P50".to_owned(), json!({"Type": "Succeed"}))])
        .collect();
    let large = "x".repeat(10_000);
    let driver = started(&json!({"StartAt": "P0", "States": states}), json!({"large": large}));
    let written: usize =
        driver.journal.iter().map(|entry| serde_json::to_string(entry).map_or(0, |text| text.len())).sum();
    assert!(written < 10_000 + 51 * 2 * 200, "{written} bytes");
    let exits = driver.journal.iter().filter(|entry| matches!(&entry.event, Event::Workflow(WorkflowEvent::Exited(_))));
    assert_eq!(exits.count(), 51);
}

#[test]
fn jsonata_that_loops_ends_in_time_and_with_an_error() {
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": {"Type": "Pass",
        "Output": "{% ($f := function($n) { $f($n + 1) + 1 }; $f(0)) %}", "End": true}}});
    let driver = started(&definition, json!({}));
    assert_eq!(outcome(&driver).1, Some("States.QueryEvaluationError"));
}
