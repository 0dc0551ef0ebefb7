//! What is wrong with a definition, in the form that `ValidateStateMachineDefinition` reports.

use serde::Serialize;

/// Something that is wrong, or odd, with a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: Code,
    /// What is wrong, for people.
    pub message: String,
    /// Where, as a JSON pointer; `/` is the whole definition. Absent: it cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What to do about it; not part of what AWS reports.
    #[serde(skip)]
    pub hint: Option<&'static str>,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// It can, but may not do what was meant.
    Warning,
}

/// What kind of problem a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// It is no JSON.
    InvalidJsonDescription,
    /// A field is missing, unknown, of the wrong type or contradicts another.
    SchemaValidationFailed,
    /// A name of a state that does not exist, or a state that nothing leads to.
    MissingTransitionTarget,
    /// Two states have one name.
    DuplicateStateName,
}

impl Code {
    /// Returns the code as AWS writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJsonDescription => "INVALID_JSON_DESCRIPTION",
            Self::SchemaValidationFailed => "SCHEMA_VALIDATION_FAILED",
            Self::MissingTransitionTarget => "MISSING_TRANSITION_TARGET",
            Self::DuplicateStateName => "DUPLICATE_STATE_NAME",
        }
    }
}
