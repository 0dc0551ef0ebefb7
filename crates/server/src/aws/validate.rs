//! ValidateStateMachineDefinition.

use super::{Fault, Params, state_machines};
use bedplate_catalog::Kind;
use bedplate_engine::workflow::definition::{self, MachineType, Severity};
use serde_json::{Value, json};

/// How many diagnostics are told at most.
const MOST: i64 = 100;

pub(super) fn validate(params: &Params) -> Result<Value, Fault> {
    let text = params.required("definition", 1..=1_048_576)?;
    let machine_type = match state_machines::kind(params)?.unwrap_or_default() {
        Kind::Standard => MachineType::Standard,
        Kind::Express => MachineType::Express,
    };
    let with_warnings = params.word("severity", &["ERROR", "WARNING"])? == Some("WARNING");
    let most = params.number("maxResults", 0..=MOST)?.filter(|most| *most > 0).unwrap_or(MOST);
    let mut found = definition::check(text, machine_type);
    let fails = found.iter().any(|one| one.severity == Severity::Error);
    found.retain(|one| with_warnings || one.severity == Severity::Error);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let truncated = found.len() > most;
    found.truncate(most);
    Ok(json!({
        "result": if fails { "FAIL" } else { "OK" },
        "diagnostics": found,
        "truncated": truncated,
    }))
}
