//! Scripts: what a scripted model answers, from a file or from a test.
//!
//! A script is a list of turns, and a turn is a list of steps. Which step answers a call is read off the conversation
//! ([`Order::Conversation`]), so a run that was recovered after a crash gets the very same reply again.
//!
//! As TOML:
//! ```toml
//! order = "conversation"        # the default; or "run", "global": steps one after another, in one list
//! loop = false                  # true: begin again after the last turn, and after the last step of a turn
//! stream = true                 # false: each reply comes at once, without deltas (for load)
//!
//! [[turn]]                      # answers the first message of a person
//! [[turn.step]]                 # the first model call of the turn
//! expect = "refund"             # the last text of a user must hold this…
//! expect_tools = ["refund"]     # …and these tools must be on offer; else the call fails as model_invalid_reply
//! expect_output = "refund"      # the reply must be asked for by a schema of this name ("" is any form)
//! expect_reasoning = "c2ln"     # the conversation must hold reasoning with this seal
//! expect_image = "image/png"    # the conversation must hold a picture of this type
//! text = "Let me look."         # or json = { sure = true }, which is said as a text
//! reasoning = "They want money."
//! signature = "c2ln"            # seals the reasoning; redacted = "…" the same for a block without text
//! family = "anthropic"          # whose seal it is; the default
//! tool_use = [{ name = "refund", input = { order_id = "MA-1" } }]     # `id` may be given; `malformed` = raw text
//! stop_reason = "tool_use"      # default: tool_use when tools are used, else end_turn
//! usage = { input = 12, output = 5 }
//! delay_ms = 0                  # before the reply
//! chunk_delay_ms = 0            # between its pieces
//!
//! [[turn.step]]                 # the second call of the turn
//! text = "Done."
//! fail = { kind = "rate_limited", message = "slow down", retry_after_ms = 5, times = 2, midway = false }
//! # `fail` without `times` fails for ever; `midway` fails after half of the reply. `hang = true` never answers.
//! ```
//! `[[step]]` at the top level instead of turns answers the calls of a whole conversation, whoever speaks in between.
//! As JSON lines (`.jsonl`) each line is a step, or a turn when it has `"step": […]`.

use bedplate_core::{
    message::{ContentBlock, Message, Reasoning, Role, StopReason, ToolUse, Usage},
    port::model::{ModelError, ModelErrorKind, ModelReply},
};
use serde::Deserialize;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// What a scripted model answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// How a step is found.
    pub order: Order,
    /// Whether the script begins again when it is used up.
    pub repeat: bool,
    /// The steps.
    pub steps: Steps,
}

/// How the step for a call is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By the place in the conversation that the request shows: the messages of a person count the turns, the
    /// assistant's messages after the last of them count the steps. Nothing is kept between calls. A conversation that
    /// was cut by truncation counts from where it begins.
    #[default]
    Conversation,
    /// One after another for each run; kept in memory only.
    Run,
    /// One after another for all runs together; kept in memory only.
    Global,
}

/// The steps of a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// By turns.
    Turns(Vec<Vec<Step>>),
    /// In one list for the whole conversation.
    Flat(Vec<Step>),
}

impl Default for Steps {
    fn default() -> Self {
        Self::Flat(Vec::new())
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// A part of the last text of a user.
    pub expect: Option<String>,
    /// Tools that must be on offer.
    pub expect_tools: Vec<String>,
    /// The name of the schema that must be asked for; empty: any form but words.
    pub expect_output: Option<String>,
    /// The seal that some reasoning of the conversation must carry.
    pub expect_reasoning: Option<String>,
    /// The media type of a picture that the conversation must hold.
    pub expect_image: Option<String>,
    /// The answer.
    pub reply: Arc<ModelReply>,
    /// A failure instead of the answer.
    pub fail: Option<Failure>,
    /// Whether it never answers.
    pub hang: bool,
    /// Whether the reply comes in pieces.
    pub stream: bool,
    /// How long it thinks first.
    pub delay: Duration,
    /// How long it waits between pieces.
    pub chunk_delay: Duration,
}

impl Step {
    /// Returns a step that answers `content` at once; calls without an id get one from their place in it.
    #[must_use]
    pub fn reply(content: Vec<ContentBlock>) -> Self {
        let tools = content.iter().any(|block| matches!(block, ContentBlock::ToolUse(_)));
        let reply = ModelReply {
            message: Message { role: Role::Assistant, content },
            stop_reason: if tools { StopReason::ToolUse } else { StopReason::EndTurn },
            stop_sequence: None,
            usage: Usage::default(),
            cost: None,
            model: String::new(),
            provider: String::new(),
        };
        Self {
            expect: None,
            expect_tools: Vec::new(),
            expect_output: None,
            expect_reasoning: None,
            expect_image: None,
            reply: Arc::new(reply),
            fail: None,
            hang: false,
            stream: true,
            delay: Duration::ZERO,
            chunk_delay: Duration::ZERO,
        }
    }

    /// Returns a step that answers one text at once.
    pub fn text(text: impl Into<String>) -> Self {
        Self::reply(vec![ContentBlock::text(text)])
    }
}

/// A failure that a script asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Its kind.
    pub kind: ModelErrorKind,
    /// Its message.
    pub message: String,
    /// When the provider would ask to be called again.
    pub retry_after: Option<Duration>,
    /// How many calls of one run fail here before it answers; absent: all.
    pub times: Option<u32>,
    /// Whether it fails after half of the reply.
    pub midway: bool,
}

impl Failure {
    pub(crate) fn error(&self) -> ModelError {
        ModelError { retry_after: self.retry_after, ..ModelError::new(self.kind, self.message.clone()) }
    }
}

impl Script {
    /// Returns a script of turns.
    #[must_use]
    pub fn turns(turns: Vec<Vec<Step>>) -> Self {
        Self { steps: Steps::Turns(turns), ..Self::default() }
    }

    /// Returns a script of steps for a whole conversation.
    #[must_use]
    pub fn flat(steps: Vec<Step>) -> Self {
        Self { steps: Steps::Flat(steps), ..Self::default() }
    }

    /// Reads a script in TOML.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn from_toml(text: &str) -> Result<Self, ScriptError> {
        let file: FileForm = toml::from_str(text).map_err(|error| ScriptError::Form(error.to_string()))?;
        let steps = match (file.turn.is_empty(), file.step.is_empty()) {
            (true, true) => return Err(ScriptError::Empty),
            (false, false) => return Err(ScriptError::Mixed),
            (true, false) => Steps::Flat(flat(file.step, file.stream)?),
            (false, true) => Steps::Turns(turns(file.turn, file.stream)?),
        };
        Ok(Self { order: file.order, repeat: file.repeat, steps })
    }

    /// Reads a script in JSON lines; empty lines are skipped.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn from_json_lines(text: &str) -> Result<Self, ScriptError> {
        let (mut turn_forms, mut step_forms) = (Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let form = |error: serde_json::Error| ScriptError::Form(format!("line {}: {error}", index + 1));
            let value: Value = serde_json::from_str(line).map_err(form)?;
            if value.get("step").is_some() {
                turn_forms.push(serde_json::from_value(value).map_err(form)?);
            } else {
                step_forms.push(serde_json::from_value(value).map_err(form)?);
            }
        }
        let steps = match (turn_forms.is_empty(), step_forms.is_empty()) {
            (true, true) => return Err(ScriptError::Empty),
            (false, false) => return Err(ScriptError::Mixed),
            (true, false) => Steps::Flat(flat(step_forms, true)?),
            (false, true) => Steps::Turns(turns(turn_forms, true)?),
        };
        Ok(Self { steps, ..Self::default() })
    }
}

/// A script that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It has not the form of one.
    #[error("the script cannot be read: {0}")]
    Form(String),
    /// It says nothing.
    #[error("the script has no step")]
    Empty,
    /// It has both.
    #[error("a script has either turns or steps, not both")]
    Mixed,
    /// A failure of no known kind.
    #[error(
        "`{0}` is no kind of failure: use invalid_request, not_found, unauthorized, too_large, rate_limited, unavailable, timeout, broken_stream or invalid_reply"
    )]
    UnknownFailure(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    #[serde(default)]
    order: Order,
    #[serde(default, rename = "loop")]
    repeat: bool,
    #[serde(default = "yes")]
    stream: bool,
    #[serde(default)]
    turn: Vec<TurnForm>,
    #[serde(default)]
    step: Vec<StepForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnForm {
    step: Vec<StepForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepForm {
    expect: Option<String>,
    #[serde(default)]
    expect_tools: Vec<String>,
    expect_output: Option<String>,
    expect_reasoning: Option<String>,
    expect_image: Option<String>,
    text: Option<String>,
    json: Option<Value>,
    reasoning: Option<String>,
    signature: Option<String>,
    redacted: Option<String>,
    family: Option<String>,
    #[serde(default)]
    tool_use: Vec<ToolUseForm>,
    stop_reason: Option<StopReason>,
    #[serde(default)]
    usage: Usage,
    fail: Option<FailForm>,
    #[serde(default)]
    hang: bool,
    stream: Option<bool>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    chunk_delay_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolUseForm {
    id: Option<String>,
    name: String,
    #[serde(default = "empty_object")]
    input: Value,
    malformed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailForm {
    kind: String,
    message: Option<String>,
    retry_after_ms: Option<u64>,
    times: Option<u32>,
    #[serde(default)]
    midway: bool,
}

fn turns(forms: Vec<TurnForm>, stream: bool) -> Result<Vec<Vec<Step>>, ScriptError> {
    let steps = |(turn, form): (usize, TurnForm)| {
        let steps = form.step.into_iter().enumerate();
        steps.map(|(index, step)| step.into_step(&format!("{}_{}", turn + 1, index + 1), stream)).collect()
    };
    forms.into_iter().enumerate().map(steps).collect()
}

fn flat(forms: Vec<StepForm>, stream: bool) -> Result<Vec<Step>, ScriptError> {
    forms.into_iter().enumerate().map(|(index, form)| form.into_step(&(index + 1).to_string(), stream)).collect()
}

impl StepForm {
    fn into_step(self, place: &str, stream: bool) -> Result<Step, ScriptError> {
        let mut content = Vec::new();
        let sealed = self.signature.is_some() || self.redacted.is_some();
        if self.reasoning.is_some() || sealed {
            let family = sealed.then(|| self.family.unwrap_or_else(|| "anthropic".to_owned()));
            let text = self.reasoning.unwrap_or_default();
            let reasoning = Reasoning { text, signature: self.signature, redacted: self.redacted, family };
            content.push(ContentBlock::Reasoning(reasoning));
        }
        content.extend(self.text.map(ContentBlock::text));
        content.extend(self.json.map(|json| ContentBlock::text(json.to_string())));
        for (index, call) in self.tool_use.into_iter().enumerate() {
            let id = call.id.unwrap_or_else(|| format!("call_{place}_{}", index + 1));
            let input = if call.malformed.is_some() { empty_object() } else { call.input };
            content.push(ContentBlock::ToolUse(ToolUse { id, name: call.name, input, malformed: call.malformed }));
        }
        let mut step = Step::reply(content);
        let reply = Arc::make_mut(&mut step.reply);
        reply.usage = self.usage;
        reply.stop_reason = self.stop_reason.unwrap_or(reply.stop_reason);
        step.expect = self.expect;
        step.expect_tools = self.expect_tools;
        step.expect_output = self.expect_output;
        step.expect_reasoning = self.expect_reasoning;
        step.expect_image = self.expect_image;
        step.fail = self.fail.map(FailForm::into_failure).transpose()?;
        step.hang = self.hang;
        step.stream = self.stream.unwrap_or(stream);
        step.delay = Duration::from_millis(self.delay_ms);
        step.chunk_delay = Duration::from_millis(self.chunk_delay_ms);
        Ok(step)
    }
}

impl FailForm {
    fn into_failure(self) -> Result<Failure, ScriptError> {
        let kind = kind_of(&self.kind).ok_or_else(|| ScriptError::UnknownFailure(self.kind.clone()))?;
        Ok(Failure {
            kind,
            message: self.message.unwrap_or_else(|| "the script says so".into()),
            retry_after: self.retry_after_ms.map(Duration::from_millis),
            times: self.times,
            midway: self.midway,
        })
    }
}

fn kind_of(word: &str) -> Option<ModelErrorKind> {
    Some(match word {
        "invalid_request" => ModelErrorKind::InvalidRequest,
        "not_found" => ModelErrorKind::NotFound,
        "unauthorized" => ModelErrorKind::Unauthorized,
        "too_large" => ModelErrorKind::TooLarge,
        "rate_limited" => ModelErrorKind::RateLimited,
        "unavailable" => ModelErrorKind::Unavailable,
        "timeout" => ModelErrorKind::Timeout,
        "broken_stream" => ModelErrorKind::BrokenStream,
        "invalid_reply" => ModelErrorKind::InvalidReply,
        _ => return None,
    })
}

const fn yes() -> bool {
    true
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}
