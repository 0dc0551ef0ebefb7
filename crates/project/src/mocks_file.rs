//! `workflows/<name>.mocks.json`: prepared answers of a workflow's tasks, in the form of Step Functions Local.

use crate::{
    json_place::place_of,
    problem::{Place, Source},
};
use bedplate_core::port::definitions::{MockedAnswer, MockedResult, WorkflowMocks};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

const FORM: &str = "the form is {\"StateMachines\": {NAME: {\"TestCases\": {CASE: {STATE: RESPONSE}}}}, \
    \"MockedResponses\": {RESPONSE: {\"0\": {\"Return\": …}, \"1-2\": {\"Throw\": {\"Error\", \"Cause\"}}}}}";

/// A file that is read.
struct File<'a> {
    source: Source<'a>,
    text: &'a str,
}

impl File<'_> {
    fn wrong(&self, pointer: &str, message: impl Into<String>) {
        self.source.error_with(place_of(self.text, pointer), "invalid_mocks", message, FORM);
    }

    fn object<'v>(&self, value: Option<&'v Value>, pointer: &str) -> Option<&'v Map<String, Value>> {
        let object = value.and_then(Value::as_object);
        if object.is_none() {
            let what = if value.is_some() { "is no object" } else { "is missing" };
            self.wrong(pointer, format!("{} {what}", pointer.rsplit('/').next().unwrap_or_default()));
        }
        object
    }
}

/// Reads the prepared answers of the workflow called `name`, whose states are `states`.
pub fn read(source: Source<'_>, name: &str, text: &str, states: &[String]) -> WorkflowMocks {
    let file = File { source, text };
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let place = Place { line: clamp(error.line()), column: clamp(error.column()) };
            source.error(place, "syntax", format!("this is not valid JSON: {error}"));
            return WorkflowMocks::new();
        }
    };
    let Some(machines) = file.object(value.get("StateMachines"), "/StateMachines") else { return WorkflowMocks::new() };
    let empty = Map::new();
    let responses = match value.get("MockedResponses") {
        None => &empty,
        some => file.object(some, "/MockedResponses").unwrap_or(&empty),
    };
    let read: BTreeMap<&str, Vec<MockedAnswer>> =
        responses.iter().map(|(response, answers)| (response.as_str(), answers_of(&file, response, answers))).collect();
    for other in machines.keys().filter(|other| *other != name) {
        let place = place_of(text, &format!("/StateMachines/{other}"));
        source.unknown(place, "invalid_mocks", "workflow of this file", other, [name]);
    }
    let pointer = format!("/StateMachines/{name}");
    let Some(machine) = file.object(machines.get(name), &pointer) else { return WorkflowMocks::new() };
    let pointer = format!("{pointer}/TestCases");
    let Some(cases) = file.object(machine.get("TestCases"), &pointer) else { return WorkflowMocks::new() };
    let mut mocks = WorkflowMocks::new();
    for (case, chosen) in cases {
        let pointer = format!("{pointer}/{case}");
        let Some(chosen) = file.object(Some(chosen), &pointer) else { continue };
        let mut by_state = BTreeMap::new();
        for (state, response) in chosen {
            let place = place_of(text, &format!("{pointer}/{state}"));
            if !states.is_empty() && !states.contains(state) {
                source.unknown(place, "unknown_state", "state", state, states.iter().map(String::as_str));
            }
            match response.as_str().and_then(|response| read.get(response)) {
                Some(answers) => drop(by_state.insert(state.clone(), answers.clone())),
                None => {
                    let said = response.as_str().unwrap_or_default();
                    source.unknown(place, "invalid_mocks", "mocked response", said, read.keys().copied());
                }
            }
        }
        mocks.insert(case.clone(), by_state);
    }
    mocks
}

fn answers_of(file: &File<'_>, response: &str, answers: &Value) -> Vec<MockedAnswer> {
    let pointer = format!("/MockedResponses/{response}");
    let Some(answers) = file.object(Some(answers), &pointer) else { return Vec::new() };
    let mut read: Vec<MockedAnswer> = Vec::new();
    for (attempts, answer) in answers {
        let pointer = format!("{pointer}/{attempts}");
        let Some((first, last)) = range(attempts) else {
            file.wrong(&pointer, format!("{attempts:?} is no number or range of attempts, such as \"0\" or \"1-2\""));
            continue;
        };
        if let Some(answer) = result(file, &pointer, answer) {
            read.push(MockedAnswer { first, last, answer });
        }
    }
    read.sort_by_key(|answer| answer.first);
    let mut next = 0;
    for answer in &read {
        if answer.first != next {
            let message = format!("the answers of {response:?} do not follow each other: {next} is next");
            file.wrong(&pointer, message);
            break;
        }
        next = answer.last.saturating_add(1);
    }
    read
}

fn range(attempts: &str) -> Option<(u32, u32)> {
    let (first, last) = attempts.split_once('-').unwrap_or((attempts, attempts));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

fn result(file: &File<'_>, pointer: &str, answer: &Value) -> Option<MockedResult> {
    match (answer.get("Return"), answer.get("Throw")) {
        (Some(output), None) => Some(MockedResult::Return(Arc::new(output.clone()))),
        (None, Some(thrown)) => {
            let word = |name: &str| thrown.get(name).and_then(Value::as_str);
            match word("Error") {
                Some(error) => {
                    Some(MockedResult::Throw { error: error.into(), cause: word("Cause").unwrap_or_default().into() })
                }
                None => {
                    file.wrong(&format!("{pointer}/Throw"), "\"Throw\" needs an \"Error\" that is a text");
                    None
                }
            }
        }
        _ => {
            file.wrong(pointer, "an answer has either \"Return\" or \"Throw\"");
            None
        }
    }
}

fn clamp(number: usize) -> u32 {
    crate::problem::clamp(number.max(1))
}
