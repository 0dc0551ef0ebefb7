//! Definitions drawn from a seed: Parallel in Map in Retry, callbacks, timers, child executions, failures that are caught.
//!
//! What a definition gives must not depend on the order in which branches happen to go on, so at most one branch of a
//! Parallel fails, and every task that a crash may leave unknown has a Retry that permits its repetition.

use bedplate_testkit::clock::Rng;
use serde_json::{Map, Value, json};

/// How deep Parallels and Maps nest.
const OUTERMOST: u64 = 2;

/// Returns a definition.
pub fn draw(rng: &mut Rng) -> Value {
    let mut names = 0;
    let mut definition = machine(rng, OUTERMOST, &mut names, false);
    if rng.chance(30) {
        definition["TimeoutSeconds"] = json!(86_400);
    }
    definition
}

/// Returns the definition of the executions that tasks start.
pub fn child() -> Value {
    json!({
        "StartAt": "Nap",
        "States": {
            "Nap": {"Type": "Wait", "Seconds": 1, "Next": "Work"},
            "Work": {
                "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"does": "ok", "n": 7},
                "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 99}],
                "End": true
            }
        }
    })
}

/// Returns a distributed Map, of whose children most end where they begin, well or not, and some wait or work.
pub fn distributed() -> Value {
    let by = |n: u64, next: &str| json!({"Variable": "$.kind", "NumericEquals": n, "Next": next});
    let mut states = child()["States"].clone();
    states["Which"] = json!({"Type": "Choice", "Default": "Plain",
        "Choices": [by(1, "Nap"), by(2, "Bad"), by(3, "Work")]});
    states["Plain"] = json!({"Type": "Pass", "Parameters": {"was.$": "$.n"}, "Next": "Good"});
    states["Good"] = json!({"Type": "Succeed"});
    states["Bad"] = json!({"Type": "Fail", "Error": "Odd", "Cause": "told to"});
    json!({"StartAt": "Each", "States": {"Each": {
        "Type": "Map", "Label": "each", "ItemsPath": "$.items", "ToleratedFailurePercentage": 100, "End": true,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Which", "States": states}}}})
}

/// Returns the items of [`distributed`].
pub fn items(count: u64) -> Value {
    let kind = |n: u64| match n {
        n if n % 97 == 5 => 1,
        n if n % 40 == 7 => 2,
        n if n % 131 == 9 => 3,
        _ => 0,
    };
    let items: Vec<Value> = (0..count).map(|n| json!({"n": n, "kind": kind(n)})).collect();
    json!({"items": items})
}

/// Returns some states in a row; with `fails`, the last of them fails.
fn machine(rng: &mut Rng, depth: u64, names: &mut u64, fails: bool) -> Value {
    let count = 1 + rng.below(2);
    let mut all: Vec<(String, Map<String, Value>)> = Vec::new();
    for _ in 0..count {
        *names += 1;
        let name = format!("S{names}");
        let state = state(rng, depth, names, &name);
        all.push((name, state));
    }
    // Something follows whatever fails, so that it can be caught.
    *names += 1;
    let last = match fails {
        true => json!({"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}),
        false => json!({"Type": "Pass", "Parameters": {"all.$": "$"}}),
    };
    all.push((format!("S{names}"), object(last)));
    let start = all[0].0.clone();
    let nexts: Vec<Option<String>> = (1..=all.len()).map(|at| all.get(at).map(|(name, _)| name.clone())).collect();
    let mut states = Map::new();
    for ((name, mut state), next) in all.into_iter().zip(nexts) {
        follow(&mut state, next.as_deref());
        states.insert(name, Value::Object(state));
    }
    json!({"StartAt": start, "States": states})
}

fn follow(state: &mut Map<String, Value>, next: Option<&str>) {
    let kind = state["Type"].as_str().unwrap_or_default().to_owned();
    if kind == "Fail" || kind == "Succeed" {
        return;
    }
    let Some(next) = next else {
        state.insert("End".into(), true.into());
        return;
    };
    state.insert("Next".into(), next.into());
    if let Some(Value::Array(catchers)) = state.get_mut("Catch") {
        for catcher in catchers {
            catcher["Next"] = next.into();
        }
    }
}

fn state(rng: &mut Rng, depth: u64, names: &mut u64, name: &str) -> Map<String, Value> {
    let choice = rng.below(if depth == 0 { 7 } else { 10 });
    object(match choice {
        0 => json!({"Type": "Pass", "Parameters": {"from": name, "was.$": "States.JsonToString($)"},
            "ResultPath": "$"}),
        1 => json!({"Type": "Wait", "Seconds": rng.below(4)}),
        2 | 3 => task(rng, "arn:aws:states:::lambda:invoke", "ok"),
        4 => task(rng, "arn:aws:states:::lambda:invoke.waitForTaskToken", "ok"),
        5 => json!({
            "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": "child", "Input": {"from": name}},
            "ResultSelector": {"out.$": "$.Output"}
        }),
        6 => json!({"Type": "Pass", "Result": {"n": rng.below(100)}}),
        7 => {
            let breaks = rng.chance(35);
            let branches: Vec<Value> = (0..2).map(|at| machine(rng, depth - 1, names, breaks && at == 0)).collect();
            let mut state = json!({"Type": "Parallel", "Branches": branches});
            if breaks {
                if rng.chance(50) {
                    state["Retry"] = json!([{"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 1}]);
                }
                // Nobody knows which of two branches that fail is the first, so only the outermost may fail for good.
                if depth < OUTERMOST || rng.chance(80) {
                    state["Catch"] = json!([{"ErrorEquals": ["States.ALL"]}]);
                }
            }
            state
        }
        _ => {
            let breaks = rng.chance(25);
            let processor = machine(rng, depth - 1, names, breaks);
            // The items come from the execution's input: a state's own may have been replaced by any state before.
            let mut state = json!({"Type": "Map", "ItemsPath": "$$.Execution.Input.items", "ItemProcessor": processor,
                "MaxConcurrency": rng.below(3)});
            if breaks {
                state["Retry"] = json!([{"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 1}]);
                state["Catch"] = json!([{"ErrorEquals": ["States.ALL"]}]);
            }
            state
        }
    })
}

fn task(rng: &mut Rng, resource: &str, usual: &str) -> Value {
    let does = match rng.below(6) {
        0 => "fails",
        1 => "hangs",
        _ => usual,
    };
    let repeatable = rng.chance(30);
    let mut state = json!({
        "Type": "Task", "Resource": resource,
        "Parameters": {"does": does, "n": rng.below(100), "repeatable": repeatable},
    });
    let mut retry = vec![json!({"ErrorEquals": ["Custom"], "IntervalSeconds": 1, "MaxAttempts": rng.below(3),
        "BackoffRate": 2.0})];
    retry.push(json!({"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 99,
        "BackoffRate": 1.0}));
    state["Retry"] = retry.into();
    if does == "hangs" {
        state["TimeoutSeconds"] = json!(6);
    }
    if does != "ok" {
        state["Catch"] = json!([{"ErrorEquals": ["States.ALL"]}]);
    }
    state
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
