//! The state that is meant: alone, or taken out of a whole definition.

use super::STATE_NAME;
use crate::workflow::definition::{Code, Diagnostic};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Why no state was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// A whole definition needs the name of a state.
    #[error("State name must be specified when the definition is a state machine")]
    NoName,
    /// The name goes with a whole definition only.
    #[error("State name can only be specified when the definition is a state machine")]
    NoMachine,
    /// There is no state of that name.
    #[error("State not found: '{0}'")]
    Unknown(String),
}

/// Returns a definition whose only state is the one that is meant. A text that is no object comes back as it is: reading
/// it says what is wrong.
pub(super) fn wrapped<'a>(text: &'a str, name: Option<&str>) -> Result<Cow<'a, str>, ExtractError> {
    let Ok(Value::Object(said)) = serde_json::from_str::<Value>(text) else { return Ok(text.into()) };
    let language = |fields: &Map<String, Value>| fields.get("QueryLanguage").cloned();
    let (state, inherited) = match (said.get("States").and_then(Value::as_object), name) {
        (None, None) => (said, None),
        (None, Some(_)) => return Err(ExtractError::NoMachine),
        (Some(_), None) => return Err(ExtractError::NoName),
        (Some(states), Some(name)) => {
            let state = find(states, name).cloned().ok_or_else(|| ExtractError::Unknown(name.to_owned()))?;
            let inherited = language(&said);
            (state, inherited)
        }
    };
    let mut definition = json!({ "StartAt": STATE_NAME, "States": { STATE_NAME: state } });
    if let Some(language) = inherited {
        definition["QueryLanguage"] = language;
    }
    Ok(definition.to_string().into())
}

/// Returns the state of that name, nested ones included.
fn find<'a>(states: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    if let Some(found) = states.get(name).and_then(Value::as_object) {
        return Some(found);
    }
    states.values().find_map(|state| {
        let inner = ["ItemProcessor", "Iterator"].iter().filter_map(|key| state.get(*key));
        let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten();
        inner.chain(branches).find_map(|machine| find(machine.get("States")?.as_object()?, name))
    })
}

/// Returns whether a diagnostic is about the states around the tested one, which are not there.
pub(super) fn is_of_neighbours(diagnostic: &Diagnostic) -> bool {
    diagnostic.code == Code::MissingTransitionTarget
}
