//! What holds between states: names are unique, transitions lead somewhere, and every state is led to.

use super::{
    Code, Severity,
    reader::{Fields, Findings},
};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// How deep a definition is followed.
const MAX_DEPTH: usize = 64;

/// Notes transitions that lead nowhere, and states that nothing leads to.
pub(super) fn check_transitions(machine: &Fields<'_>, start_at: &str, states: &Fields<'_>) {
    let missing = |name: &str, location: &str| {
        machine.findings.note(
            Severity::Error,
            Code::MissingTransitionTarget,
            format!("Missing transition target: {name}"),
            location,
        );
    };
    if !states.fields.contains_key(start_at) {
        missing(start_at, &machine.pointer("StartAt"));
    }
    let mut reached: HashSet<&str> = HashSet::new();
    let mut open = vec![start_at];
    while let Some(name) = open.pop() {
        if reached.insert(name)
            && let Some(state) = states.fields.get(name)
        {
            open.extend(targets(state).into_iter().map(|(_, target)| target));
        }
    }
    for (name, state) in states.fields {
        for (place, target) in targets(state) {
            if !states.fields.contains_key(target) {
                missing(target, &format!("{}/{place}", states.pointer(name)));
            }
        }
        if !reached.contains(name.as_str()) {
            machine.findings.note(
                Severity::Error,
                Code::MissingTransitionTarget,
                format!("State \"{name}\" is not reachable."),
                &states.pointer(name),
            );
        }
    }
}

/// Notes names that two states of the whole definition share.
pub(super) fn check_names(definition: &Value, findings: &Findings) {
    let mut seen = HashMap::new();
    walk(definition, String::new(), 0, &mut seen, findings);
}

fn walk<'a>(machine: &'a Value, at: String, depth: usize, seen: &mut HashMap<&'a str, String>, findings: &Findings) {
    let Some(states) = machine.get("States").and_then(Value::as_object).filter(|_| depth < MAX_DEPTH) else { return };
    for (name, state) in states {
        let here = format!("{at}/States/{name}");
        if let Some(first) = seen.get(name.as_str()) {
            findings.note(
                Severity::Warning,
                Code::DuplicateStateName,
                format!("Duplicate state name: {name}, first at {first}"),
                &here,
            );
        } else {
            seen.insert(name, here.clone());
        }
        for inner in ["ItemProcessor", "Iterator"] {
            if let Some(machine) = state.get(inner) {
                walk(machine, format!("{here}/{inner}"), depth + 1, seen, findings);
            }
        }
        for (index, branch) in state.get("Branches").and_then(Value::as_array).into_iter().flatten().enumerate() {
            walk(branch, format!("{here}/Branches[{index}]"), depth + 1, seen, findings);
        }
    }
}

/// Returns the states that a state leads to, each with the place that says so.
fn targets(state: &Value) -> Vec<(String, &str)> {
    let mut targets = Vec::new();
    for field in ["Next", "Default"] {
        if let Some(target) = state.get(field).and_then(Value::as_str) {
            targets.push((field.to_owned(), target));
        }
    }
    for list in ["Choices", "Catch"] {
        for (index, item) in state.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
            if let Some(target) = item.get("Next").and_then(Value::as_str) {
                targets.push((format!("{list}[{index}]/Next"), target));
            }
        }
    }
    targets
}
