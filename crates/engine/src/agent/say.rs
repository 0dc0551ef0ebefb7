//! What the model reads, and people are asked, when a call did not simply run.

use crate::definition::Definition;
use bedplate_core::{
    event::{QuestionKind, TurnOutcome},
    message::ToolUse,
    tool::{ToolDefinition, ToolOutput},
};

/// How much of malformed arguments is quoted, in characters.
const QUOTED: usize = 2_000;

/// The arguments are no JSON object: the schema comes back, so that the model can try again.
pub(super) fn malformed(call: &ToolUse, tool: &ToolDefinition) -> ToolOutput {
    let written = call.malformed.clone().unwrap_or_else(|| call.input.to_string());
    let quoted: String = written.chars().take(QUOTED).collect();
    let name = &tool.spec.name;
    let schema = &tool.spec.input_schema;
    ToolOutput::error(format!(
        "The arguments of {name} are not a JSON object, and nothing was run. They were: {quoted}\nCall {name} again \
         with arguments that fit this JSON Schema: {schema}"
    ))
}

/// The agent has no such tool.
pub(super) fn unknown_tool(name: &str, definition: &Definition) -> ToolOutput {
    let names: Vec<&str> = definition.tools.iter().map(|tool| tool.spec.name.as_str()).collect();
    let offer = if names.is_empty() {
        "There are no tools.".to_owned()
    } else {
        format!("The tools are: {}.", names.join(", "))
    };
    ToolOutput::error(format!("There is no tool called {name:?}, and nothing was run. {offer}"))
}

/// A person or the deadline said no.
pub(super) fn refused(kind: QuestionKind, expired: bool, note: Option<&str>) -> ToolOutput {
    let what = match (kind, expired) {
        (QuestionKind::Approval, false) => "A person refused this call; nothing was run.",
        (QuestionKind::Approval, true) => "Nobody approved this call in time; nothing was run.",
        (QuestionKind::OutcomeUnknown, _) => return outcome_unknown(note),
    };
    ToolOutput::error(with_note(what, note))
}

/// Whether the call had its effect is not known.
pub(super) fn outcome_unknown(note: Option<&str>) -> ToolOutput {
    ToolOutput::error(with_note(
        "This call began, and whether it took effect is not known. Do not assume that it did or that it did not, and \
         do not repeat it without asking.",
        note,
    ))
}

/// A call that may be repeated kept failing.
pub(super) fn kept_failing(attempts: u32, message: &str) -> ToolOutput {
    ToolOutput::error(format!("This call was tried {attempts} times and gave no result: {message}"))
}

/// The turn ended before the call ran.
pub(super) fn not_run(outcome: TurnOutcome) -> ToolOutput {
    let why = match outcome {
        TurnOutcome::Cancelled => "The turn was cancelled before this call ran.",
        TurnOutcome::Interrupted => "A new message came before this call ran.",
        TurnOutcome::MaxTokens => "The reply was cut at max_tokens, so this call may be incomplete; it was not run.",
        TurnOutcome::MaxToolCalls => "This call was not run: it would have passed the turn's max_tool_calls.",
        TurnOutcome::Timeout => "The turn's time was up before this call ran.",
        _ => "The turn ended before this call ran.",
    };
    ToolOutput::error(why)
}

/// A call that may be repeated was stopped when its turn ended.
pub(super) fn stopped() -> ToolOutput {
    ToolOutput::error("The turn ended while this call ran; it was stopped and gave no result.")
}

/// What a person is asked when the outcome of a call is lost.
pub(super) fn ask_again(name: &str) -> String {
    format!("The call of {name} began, and whether it took effect is not known. May it be made again?")
}

/// What a person is asked when a tool gave no question of its own.
pub(super) fn ask(name: &str) -> String {
    format!("May {name} run?")
}

/// What a person said to the model about a call.
pub(super) fn note(note: &str) -> String {
    format!("A note from the person who agreed to this call: {note}")
}

fn with_note(text: &str, note: Option<&str>) -> String {
    match note {
        Some(note) if !note.trim().is_empty() => format!("{text} They said: {note}"),
        _ => text.to_owned(),
    }
}
