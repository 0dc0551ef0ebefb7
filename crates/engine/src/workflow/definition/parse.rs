//! From the text of a definition to what the machine reads.

use super::{
    Code, Definition, Diagnostic, Language, Machine, Severity,
    reader::{Fields, Findings},
    scope, states,
};
use bedplate_core::id::ContentHash;
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};

/// The largest definition, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The type of a state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    /// Durable executions.
    Standard,
    /// Short executions; they cannot wait for jobs or tokens.
    Express,
}

/// A definition that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definition is not valid: {}", first(.diagnostics))]
pub struct InvalidDefinition {
    /// Everything that is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

fn first(diagnostics: &[Diagnostic]) -> String {
    diagnostics.first().map_or_else(String::new, |one| {
        format!("{} at {}", one.message, one.location.as_deref().unwrap_or("an unknown place"))
    })
}

/// Returns everything that is wrong or odd with a definition, in the order of the text.
#[must_use]
pub fn check(text: &str, machine_type: MachineType) -> Vec<Diagnostic> {
    read(text, machine_type).1
}

/// Returns the definition that `text` says.
pub(super) fn parse(text: &str) -> Result<Definition, InvalidDefinition> {
    let (definition, diagnostics) = read(text, MachineType::Standard);
    match definition {
        Some(definition) if diagnostics.iter().all(|one| one.severity == Severity::Warning) => Ok(definition),
        _ => Err(InvalidDefinition { diagnostics }),
    }
}

/// Returns what could be read, and everything that is wrong or odd with it.
pub(super) fn read(text: &str, machine_type: MachineType) -> (Option<Definition>, Vec<Diagnostic>) {
    let findings = Findings::default();
    let definition = read_noting(text, machine_type, &findings);
    (definition, findings.into_list())
}

fn read_noting(text: &str, machine_type: MachineType, findings: &Findings) -> Option<Definition> {
    if text.len() > MAX_BYTES {
        findings.schema(format!("The definition has more than {MAX_BYTES} bytes"), "");
        return None;
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            findings.note(Severity::Error, Code::InvalidJsonDescription, format!("Invalid JSON: {error}"), "");
            return None;
        }
    };
    let Some(fields) = value.as_object() else {
        findings.schema("Expected value of type Object", "");
        return None;
    };
    let language = match fields.get("QueryLanguage").and_then(Value::as_str) {
        Some("JSONata") => Language::Jsonata,
        _ => Language::JsonPath,
    };
    let top = Fields { fields, at: String::new(), findings, language };
    if let Some(said) = top.get("QueryLanguage")
        && !matches!(said.as_str(), Some("JSONata" | "JSONPath"))
    {
        top.wrong("QueryLanguage", "Value is not one of [JSONPath, JSONata]");
    }
    if let Some(version) = top.text("Version")
        && version != "1.0"
    {
        top.wrong("Version", "Value is not one of [1.0]");
    }
    let timeout_seconds = top.number("TimeoutSeconds").and_then(whole);
    let machine = machine(&top, machine_type)?;
    scope::check_names(&value, findings);
    Some(Definition { hash: ContentHash::of(text.as_bytes()), timeout_seconds, machine })
}

/// Returns the number when it is a whole one that is not negative.
pub(super) fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and not negative")]
    (number >= 0.0 && number.fract() == 0.0 && number < 1e15).then_some(number as u64)
}

/// Returns the states of a workflow, a branch or an item processor. `fields.language` is that of the whole definition.
pub(super) fn machine(fields: &Fields<'_>, machine_type: MachineType) -> Option<Machine> {
    fields.required(&["StartAt", "States"]);
    let start_at = fields.text("StartAt");
    let all = fields.object("States")?;
    if all.fields.is_empty() {
        fields.wrong("States", "Value cannot be empty");
        return None;
    }
    let mut map = HashMap::with_capacity(all.fields.len());
    let mut complete = true;
    for (name, _) in all.fields {
        if name.chars().count() > 80 {
            all.wrong(name, "The name of a state has at most 80 characters");
        }
        let state = all.object(name).and_then(|state| states::state(name, &state, machine_type));
        match state {
            Some(state) => drop(map.insert(Arc::clone(&state.name), state)),
            None => complete = false,
        }
    }
    let start_at = start_at?;
    scope::check_transitions(fields, start_at, &all);
    complete.then(|| Machine { start_at: start_at.into(), states: map })
}
