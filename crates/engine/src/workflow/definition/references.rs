//! Which variables the states of a definition refer to, as `DescribeStateMachine` tells it.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What a state holds that is of other states.
const INNER: [&str; 4] = ["States", "Branches", "ItemProcessor", "Iterator"];

/// Returns for each state, nested ones included, the variables that it refers to; states without any are left out. A
/// text that is no definition refers to none.
#[must_use]
pub fn variable_references(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    if let Ok(Value::Object(definition)) = serde_json::from_str::<Value>(text) {
        states_of(&definition, is_jsonata(&definition).unwrap_or(false), &mut found);
    }
    found
}

fn is_jsonata(fields: &Map<String, Value>) -> Option<bool> {
    fields.get("QueryLanguage").and_then(Value::as_str).map(|language| language == "JSONata")
}

fn states_of(machine: &Map<String, Value>, jsonata: bool, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let Some(states) = machine.get("States").and_then(Value::as_object) else { return };
    for (name, state) in states {
        let Some(state) = state.as_object() else { continue };
        let of_state = is_jsonata(state).unwrap_or(jsonata);
        let mut names = BTreeSet::new();
        for (key, value) in state.iter().filter(|(key, _)| !INNER.contains(&key.as_str())) {
            look(key, value, of_state, &mut names);
        }
        if !names.is_empty() {
            found.entry(name.clone()).or_default().extend(names);
        }
        let inner = ["ItemProcessor", "Iterator"].iter().filter_map(|key| state.get(*key)?.as_object());
        let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten();
        for machine in inner.chain(branches.filter_map(Value::as_object)) {
            states_of(machine, jsonata, found);
        }
    }
}

fn look(key: &str, value: &Value, jsonata: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                look(key, value, jsonata, names);
            }
        }
        Value::Array(items) => {
            for item in items {
                look(key, item, jsonata, names);
            }
        }
        Value::String(text) if jsonata => {
            if let Some(source) = text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}")) {
                expression(source, names);
            }
        }
        // Only these fields are paths or calls of intrinsic functions; a `$` elsewhere is a character.
        Value::String(text) if key.ends_with(".$") || key.ends_with("Path") || key == "Variable" => {
            for (name, after) in dollar_names(text) {
                if after != Some('(') {
                    names.insert(name);
                }
            }
        }
        _ => {}
    }
}

/// Notes the free variables of a JSONata expression: neither `$states`, nor functions, nor what the expression binds.
fn expression(source: &str, names: &mut BTreeSet<String>) {
    let mut bound: BTreeSet<String> = BTreeSet::new();
    let mut free: BTreeSet<String> = BTreeSet::new();
    let mut rest = source;
    let mut in_parameters = false;
    while let Some(at) = rest.find(['$', '"', '\'', '`', '(', ')', '/']) {
        let (before, here) = rest.split_at(at);
        let mark = here.chars().next().unwrap_or_default();
        match mark {
            '"' | '\'' | '`' => rest = after_text(&here[1..], mark),
            '/' if here.starts_with("/*") => rest = here.split_once("*/").map_or("", |(_, rest)| rest),
            '(' => {
                let word = before.trim_end();
                in_parameters = in_parameters || word.ends_with("function") || word.ends_with('λ');
                rest = &here[1..];
            }
            ')' => {
                in_parameters = false;
                rest = &here[1..];
            }
            '$' => {
                let name = name_at(&here[1..]);
                rest = &here[1 + name.len()..];
                let next = rest.trim_start();
                if in_parameters || next.starts_with(":=") {
                    bound.insert(name.to_owned());
                } else if !name.is_empty() && name != "states" && !next.starts_with('(') {
                    free.insert(name.to_owned());
                }
            }
            _ => rest = &here[1..],
        }
    }
    names.extend(free.difference(&bound).cloned());
}

/// Returns what follows a text that has begun with `mark`.
fn after_text(text: &str, mark: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return &text[at + c.len_utf8()..],
            _ => {}
        }
    }
    ""
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Returns the names that follow a single `$` in a path or intrinsic call, each with the character after it. What
/// stands in quotes is text.
fn dollar_names(text: &str) -> Vec<(String, Option<char>)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\'']) {
        let here = &rest[at..];
        if let Some(text) = here.strip_prefix('\'') {
            rest = after_text(text, '\'');
        } else if let Some(after) = here.strip_prefix("$$") {
            rest = after;
        } else {
            let name = name_at(&here[1..]);
            rest = &here[1 + name.len()..];
            if !name.is_empty() {
                found.push((name.to_owned(), rest.chars().next()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::variable_references;

    fn of(state: &str) -> Vec<String> {
        let text = format!(r#"{{"StartAt": "S", "States": {{"S": {state}}}}}"#);
        variable_references(&text).remove("S").unwrap_or_default().into_iter().collect()
    }

    #[test]
    fn only_paths_and_calls_refer_to_variables() {
        assert_eq!(
            of(
                r#"{"InputPath": "$a.b", "OutputPath": "$.c", "Parameters": {"x": "$no", "y.$": "$b", "z.$": "$$.Task"}}"#
            ),
            ["a", "b"]
        );
        assert_eq!(of(r#"{"Assign": {"v.$": "States.Format('{} $no', $c, $.d[0])"}}"#), ["c"]);
        assert_eq!(of(r#"{"Choices": [{"Variable": "$g", "StringEqualsPath": "$h"}]}"#), ["g", "h"]);
    }

    #[test]
    fn an_expression_refers_to_what_it_does_not_bind_itself() {
        let state = |source: &str| format!(r#"{{"QueryLanguage": "JSONata", "Output": "{{% {source} %}}"}}"#);
        assert_eq!(of(&state("$sum($states.input.x) + $a")), ["a"]);
        assert_eq!(of(&state("( $b := 1; $map($c, function($d) { $d + $b }) )")), ["c"]);
        assert_eq!(of(&state("'$no' & $$.x & $e")), ["e"]);
    }

    #[test]
    fn a_text_that_is_no_definition_refers_to_nothing() {
        for text in ["", "[]", "{", r#"{"States": 1}"#, r#"{"States": {"A": [], "B": {"Branches": {}}}}"#] {
            assert!(variable_references(text).is_empty(), "{text}");
        }
    }
}
