//! The States Language cases that were recorded on AWS, in process, with the tasks' mocks.
//!
//! Where the machine differs from a recording and is right:
//! - Nine distributed Maps recorded before August 2024 let `MapStateExited` follow `MapRunSucceeded`; all recorded since
//!   November 2024 let it follow `MapRunStarted`, as here.
//! - One context object recorded in October 2023 has no `RedriveCount`; all later ones have it.
//! - Six recordings of calls into another account write that account's id into the history, but not into the input or
//!   the definition that the case starts with.
//! - One recording of nested Parallels drops all but one of the equal `ParallelStateExited` events.
//!
//! Where it falls short: that an activity does not exist is known outside of the machine, and is not asked here.

use crate::{
    compare::Rules,
    driver::{Begun, Driver, fold},
    table::Table,
};
use bedplate_core::{time::Timestamp, workflow_event::ExecutionOutcome};
use bedplate_engine::{
    machine::{Machine, TaskReport},
    workflow::{
        Definition, Workflow, WorkflowSignal,
        definition::{self, MachineType, Severity},
        history::HistoryEvent,
        time,
    },
};
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The parts of all cases, in per cent, below which the figures must not fall.
const FLOORS: [f64; 5] = [99.0, 99.0, 99.0, 98.0, 93.5];

/// How many of the other validator's verdicts are shared.
const AGREED: usize = 94;

pub fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("BEDPLATE_CASES").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases"));
    folder.is_dir().then_some(folder)
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

pub fn read(file: &Path) -> Value {
    let text = fs::read_to_string(file).expect("a case can be read");
    serde_json::from_str(&text).expect("a case is JSON")
}

struct Actual {
    status: &'static str,
    output: Value,
    error: Option<String>,
    cause: Option<String>,
    events: Vec<Value>,
}

#[test]
fn executions_recorded_on_aws_run_the_same_here() {
    let Some(folder) = folder() else {
        println!("skipped: there are no cases; set BEDPLATE_CASES");
        return;
    };
    let rules = Rules::default();
    let wanted = std::env::var("BEDPLATE_CASE").ok();
    let mut table = Table::default();
    for file in files(&folder.join("asl/execution")) {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let case = read(&file);
        let actual = run(&case);
        let levels = check(&rules, &case, &actual);
        if wanted.is_some() || std::env::var_os("BEDPLATE_SHORT").is_some() {
            explain(&rules, &name, &case, &actual, &levels);
        }
        table.add(case["category"].as_str().unwrap_or("?"), levels);
    }
    table.print();
    if wanted.is_none() {
        for (level, floor) in (1..).zip(FLOORS) {
            assert!(table.part(level) >= floor, "L{level} is {:.1} %, the floor is {floor} %", table.part(level));
        }
    }
}

/// Shows where a case falls short.
fn explain(rules: &Rules, name: &str, case: &Value, actual: &Actual, levels: &[Option<bool>; 5]) {
    let Some(short) = levels.iter().position(|level| *level == Some(false)) else { return };
    let expected = &case["expected"];
    println!("L{} {name}", short + 1);
    if short < 3 {
        println!(
            "   expected {} {} {} {}",
            expected["status"], expected["error"], expected["cause"], expected["output"]
        );
        println!("   actual   {} {:?} {:?} {}", actual.status, actual.error, actual.cause, actual.output);
    } else if let Some(events) = expected["events"].as_array() {
        for at in 0..events.len().max(actual.events.len()) {
            let (wanted, found) =
                (events.get(at).unwrap_or(&Value::Null), actual.events.get(at).unwrap_or(&Value::Null));
            if !same_event(rules, wanted, found) {
                println!("   expected {wanted}\n   actual   {found}");
                break;
            }
        }
    }
}

fn run(case: &Value) -> Actual {
    let text = case["definition_text"].as_str().map_or_else(|| case["definition"].to_string(), ToOwned::to_owned);
    let definition = match Definition::parse(&text) {
        Ok(definition) => definition,
        Err(error) => {
            return Actual {
                status: "INVALID",
                output: Value::Null,
                error: None,
                cause: Some(error.to_string()),
                events: Vec::new(),
            };
        }
    };
    let now = time::parse("2026-11-20T13:41:40Z").unwrap_or(Timestamp(0));
    let mut driver = Driver::new(definition, now);
    let input = case["input"].as_str().map_or(json!({}), |text| serde_json::from_str(text).unwrap_or(Value::Null));
    let name: String = case["name"].as_str().unwrap_or("machine").chars().take(80).collect();
    driver.start(&name, input);
    let mut asked: HashMap<Arc<str>, usize> = HashMap::new();
    while driver.state.ended().is_none() {
        if let Some(begun) = driver.begun.pop_front() {
            answer(case, &mut driver, &begun, &mut asked);
        } else if !driver.wait() {
            break;
        }
    }
    let same = Workflow::snapshot(&fold(&driver.journal)) == Workflow::snapshot(&driver.state);
    assert!(same, "what is folded again is the same: {}", case["id"]);
    let ended = driver.state.ended();
    Actual {
        status: match ended.map(|ended| ended.outcome) {
            None => "RUNNING",
            Some(ExecutionOutcome::Succeeded) => "SUCCEEDED",
            Some(ExecutionOutcome::Failed) => "FAILED",
            Some(ExecutionOutcome::TimedOut) => "TIMED_OUT",
            Some(ExecutionOutcome::Aborted) => "ABORTED",
        },
        output: driver.state.output().map_or(Value::Null, |output| Value::clone(output)),
        error: ended.and_then(|ended| ended.error.as_deref()).map(ToOwned::to_owned),
        cause: ended.and_then(|ended| ended.cause.as_deref()).map(ToOwned::to_owned),
        events: driver.history().iter().map(shown).collect(),
    }
}

/// Answers a task as the case's mocks say.
fn answer(case: &Value, driver: &mut Driver, begun: &Begun, asked: &mut HashMap<Arc<str>, usize>) {
    if begun.resource.ends_with(":s3:getObject") && case["s3"].is_object() {
        let at = |name: &str| begun.input[name].as_str().unwrap_or_default().to_owned();
        let body = &case["s3"][at("Bucket")][at("Key")];
        driver.report(begun.call, TaskReport::Succeeded(Arc::new(json!({"Body": body}))));
        return;
    }
    let count = asked.entry(Arc::clone(&begun.state)).or_default();
    let mocks = case["mocks"][&*begun.state].as_array().cloned().unwrap_or_default();
    let mock = mocks.get(*count).or(mocks.last()).cloned().unwrap_or(Value::Null);
    *count += 1;
    let failed = |error: Option<&str>, cause: Option<String>| TaskReport::Failed {
        error: error.map(Into::into),
        cause: cause.map(Into::into),
    };
    let lambda = case["lambdas"].as_object().and_then(|lambdas| lambdas.values().next());
    if mock.is_null() && lambda.is_some_and(|lambda| lambda["behaviour"] == "id_function") {
        // The recording shows nothing of what a distributed Map's children call; the function gives what it is given.
        let output = if begun.resource.ends_with(":lambda:invoke") {
            json!({"ExecutedVersion": "$LATEST", "Payload": begun.input["Payload"], "StatusCode": 200})
        } else {
            Value::clone(&begun.input)
        };
        driver.report(begun.call, TaskReport::Succeeded(Arc::new(output)));
        return;
    }
    if mock.is_null() {
        let cause = format!("no mock for {} with {}", begun.state, begun.input);
        driver.report(begun.call, failed(Some("Test.NoMock"), Some(cause)));
        return;
    }
    let is_activity = begun.resource.contains(":activity:");
    if is_activity {
        let (token, worker) = (Arc::clone(&begun.token), Some("BASE_ID_ACTIVITY_CONSUMER".into()));
        driver.signal(WorkflowSignal::TaskTaken { token, worker });
    }
    if let Some(submitted) = mock.get("submitted") {
        driver.report(begun.call, TaskReport::Submitted(Arc::new(submitted.clone())));
    }
    let by_token = is_activity || begun.resource.ends_with(".waitForTaskToken");
    let token = Arc::clone(&begun.token);
    if let Some(output) = mock.get("return") {
        let output = Arc::new(output.clone());
        if by_token {
            driver.signal(WorkflowSignal::TaskSucceeded { token, output });
        } else {
            driver.report(begun.call, TaskReport::Succeeded(output));
        }
    } else if let Some(thrown) = mock.get("throw") {
        let error = thrown["error"].as_str();
        let cause = match &thrown["cause"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        if by_token {
            let (error, cause) = (error.map(Into::into), cause.map(Into::into));
            driver.signal(WorkflowSignal::TaskFailed { token, error, cause });
        } else {
            driver.report(begun.call, failed(error, cause));
        }
    }
}

/// Returns an event of the history in the form of the cases.
fn shown(event: &HistoryEvent) -> Value {
    let mut object = Map::new();
    object.insert("type".into(), event.kind.as_str().into());
    object.insert("id".into(), event.id.into());
    object.insert("previousEventId".into(), event.previous_event_id.into());
    if let Some((key, details)) = &event.details {
        let mut shown = Map::new();
        for (name, value) in details {
            let value = match name.as_str() {
                "inputDetails" | "outputDetails" | "roleArn" => continue,
                "input" | "output" | "parameters" => parsed(value),
                "assignedVariables" => {
                    let fields = value.as_object().cloned().unwrap_or_default();
                    Value::Object(fields.into_iter().map(|(name, value)| (name, parsed(&value))).collect())
                }
                _ => value.clone(),
            };
            shown.insert(name.clone(), value);
        }
        if !(shown.is_empty() && *key == "executionStartedEventDetails") {
            object.insert("details".into(), Value::Object(shown));
        }
    }
    Value::Object(object)
}

fn parsed(value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|_| json!({"$unparsed": text}))
}

fn same_event(rules: &Rules, expected: &Value, actual: &Value) -> bool {
    let ids =
        ["id", "previousEventId"].iter().all(|name| expected.get(name).is_none() || expected[name] == actual[name]);
    let empty = json!({});
    let details = rules.same(expected.get("details").unwrap_or(&empty), actual.get("details").unwrap_or(&empty));
    expected["type"] == actual["type"] && ids && details
}

fn check(rules: &Rules, case: &Value, actual: &Actual) -> [Option<bool>; 5] {
    let expected = &case["expected"];
    let text = |text: &Option<String>| text.as_ref().map_or(Value::Null, |text| text.as_str().into());
    let succeeded = expected["status"] == "SUCCEEDED";
    let status = expected["status"] == actual.status;
    let result = status
        && if succeeded {
            rules.same(&expected["output"], &actual.output)
        } else {
            rules.same(&expected["error"], &text(&actual.error))
        };
    let no_cause = expected.get("cause").is_none() && actual.cause.as_deref().is_none_or(str::is_empty);
    let cause = result && (succeeded || no_cause || rules.same(&expected["cause"], &text(&actual.cause)));
    let Some(types) = expected["event_types"].as_array() else {
        return [Some(status), Some(result), Some(cause), None, None];
    };
    let omitted = case["history_omits"].as_array().cloned().unwrap_or_default();
    let unordered = case["features"].as_array().is_some_and(|features| features.contains(&"unordered".into()));
    let sorted = |types: Vec<Value>| {
        let mut types: Vec<String> = types.iter().map(ToString::to_string).collect();
        if unordered {
            types.sort();
        }
        types
    };
    let found = actual.events.iter().map(|event| event["type"].clone()).filter(|kind| !omitted.contains(kind));
    let kinds = cause && sorted(found.collect()) == sorted(types.clone());
    let whole = expected["events"].as_array().map(|events| {
        kinds
            && events.len() == actual.events.len()
            && events.iter().zip(&actual.events).all(|(wanted, found)| same_event(rules, wanted, found))
    });
    [Some(status), Some(result), Some(cause), Some(kinds), if unordered { None } else { whole }]
}

#[test]
fn a_definition_is_judged_as_the_api_of_aws_judges_it() {
    let Some(folder) = folder() else {
        println!("skipped: there are no cases; set BEDPLATE_CASES");
        return;
    };
    let rules = Rules::default();
    for file in files(&folder.join("asl/validation")) {
        let case = read(&file);
        let machine_type =
            if case["params"]["type"] == "EXPRESS" { MachineType::Express } else { MachineType::Standard };
        let found = definition::check(case["params"]["definition"].as_str().unwrap_or_default(), machine_type);
        let found = serde_json::to_value(found).expect("a diagnostic has a form in JSON");
        assert!(rules.same(&case["expected"]["diagnostics"], &found), "{}: {found}", file.display());
    }
    let files = files(&folder.join("asl/definition_validity"));
    let mut agreed = 0;
    for file in &files {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read_to_string(file).expect("a definition can be read");
        let found = definition::check(&text, MachineType::Standard);
        let valid = found.iter().all(|one| one.severity == Severity::Warning);
        if valid == name.starts_with("valid-") {
            agreed += 1;
        } else {
            println!("disagreed: {name}: {:?}", found.first().map(|one| (&one.message, &one.location)));
        }
    }
    println!("definition_validity: {agreed} of {} agreed", files.len());
    assert!(agreed >= AGREED, "{agreed} agreed, the floor is {AGREED}");
}
