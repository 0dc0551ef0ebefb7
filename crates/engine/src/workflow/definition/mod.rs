//! A States Language definition as the machine reads it: checked, its paths, templates and expressions parsed once.

mod choice;
mod diagnostic;
mod known;
mod parse;
mod reader;
mod references;
mod resource;
pub(super) mod retry;
mod scope;
mod states;

pub use choice::{Comparison, Operand, Operator, Relation, Rule, Test, Type};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use parse::{InvalidDefinition, MachineType, check};
pub use references::variable_references;
pub use resource::{Integration, Resource};
pub(super) use retry::matches as retry_matches;
pub use retry::{Catcher, Jitter, Retrier};

use super::query::{Path, Template, reference::ReferencePath};
use bedplate_core::{id::ContentHash, workflow_event::StateKind};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};

/// A definition, ready to decide with. Whoever loads definitions makes one for each hash and shares it.
#[derive(Debug)]
pub struct Definition {
    /// The hash of its text, by which executions are pinned.
    pub hash: ContentHash,
    /// How long an execution may take, in seconds.
    pub timeout_seconds: Option<u64>,
    /// The states at the top.
    pub machine: Machine,
}

impl Definition {
    /// Returns the definition that `text` says.
    ///
    /// # Errors
    /// [`InvalidDefinition`] with everything that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidDefinition> {
        parse::parse(text)
    }

    /// Returns what of `text` could be read, and everything that is wrong or odd with it.
    pub(super) fn read(text: &str) -> (Option<Self>, Vec<Diagnostic>) {
        parse::read(text, MachineType::Standard)
    }
}

/// States that lead to each other: the whole workflow, a branch, or what a Map does with an item.
#[derive(Debug)]
pub struct Machine {
    /// The first state.
    pub start_at: Arc<str>,
    /// The states by name.
    pub states: HashMap<Arc<str>, State>,
}

/// How the expressions of a state are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// JSONPath, with payload templates and intrinsic functions.
    JsonPath,
    /// JSONata between `{%` and `%}`.
    Jsonata,
}

/// A state.
#[derive(Debug)]
pub struct State {
    /// Its name.
    pub name: Arc<str>,
    /// How its expressions are written.
    pub language: Language,
    /// What is taken of the state's input (JSONPath); absent: all.
    pub input_path: Option<PathOrNull>,
    /// What is taken of the state's output (JSONPath); absent: all.
    pub output_path: Option<PathOrNull>,
    /// The output (JSONata).
    pub output: Option<Template>,
    /// The variables that the state assigns.
    pub assign: Option<Vec<(Arc<str>, Template)>>,
    /// The next state; none: the branch ends here.
    pub next: Option<Arc<str>>,
    /// What it does.
    pub body: Body,
}

impl State {
    /// Returns the state's kind.
    #[must_use]
    pub const fn kind(&self) -> StateKind {
        match self.body {
            Body::Task(_) => StateKind::Task,
            Body::Choice(_) => StateKind::Choice,
            Body::Parallel(_) => StateKind::Parallel,
            Body::Map(_) => StateKind::Map,
            Body::Wait(_) => StateKind::Wait,
            Body::Pass(_) => StateKind::Pass,
            Body::Succeed => StateKind::Succeed,
            Body::Fail(_) => StateKind::Fail,
        }
    }

    /// Returns what is done after a failure: the state's retriers and catchers.
    #[must_use]
    pub const fn recovery(&self) -> Option<&Recovery> {
        match &self.body {
            Body::Task(task) => Some(&task.recovery),
            Body::Parallel(parallel) => Some(&parallel.recovery),
            Body::Map(map) => Some(&map.recovery),
            Body::Choice(_) | Body::Wait(_) | Body::Pass(_) | Body::Succeed | Body::Fail(_) => None,
        }
    }
}

/// A path, or `null`: nothing of it, an empty object.
#[derive(Debug)]
pub enum PathOrNull {
    /// `null`.
    Null,
    /// A path.
    Path(Path),
}

/// Where a result goes in the state's input.
#[derive(Debug)]
pub enum ResultPath {
    /// It is dropped.
    Discard,
    /// It stands there.
    At(ReferencePath),
}

/// What becomes of a result (JSONPath).
#[derive(Debug, Default)]
pub struct ResultFlow {
    /// What of the result is taken.
    pub selector: Option<Template>,
    /// Where it goes; absent: it replaces the input.
    pub path: Option<ResultPath>,
}

/// What is done after a failure.
#[derive(Debug, Default)]
pub struct Recovery {
    /// When it is tried again.
    pub retriers: Vec<Retrier>,
    /// Where it goes on.
    pub catchers: Vec<Catcher>,
}

/// What a state does.
#[derive(Debug)]
pub enum Body {
    /// Work outside.
    Task(Box<Task>),
    /// A fork in the road.
    Choice(Choice),
    /// Several branches at once.
    Parallel(Box<Parallel>),
    /// The same for each item.
    Map(Box<Map>),
    /// Time passes.
    Wait(Wait),
    /// Data is reshaped.
    Pass(Pass),
    /// The branch ends well.
    Succeed,
    /// The branch ends badly.
    Fail(Fail),
}

/// See [`Body::Task`].
#[derive(Debug)]
pub struct Task {
    /// What is called.
    pub resource: Resource,
    /// What it is given: `Parameters` or `Arguments`.
    pub arguments: Option<Template>,
    /// The role of the task.
    pub credentials: Option<Template>,
    /// How long it may take, in seconds.
    pub timeout: Option<Quantity>,
    /// How long it may be silent, in seconds.
    pub heartbeat: Option<Quantity>,
    /// What becomes of its result.
    pub result: ResultFlow,
    /// What is done after a failure.
    pub recovery: Recovery,
}

/// A number in a definition.
#[derive(Debug)]
pub enum Quantity {
    /// It is written there.
    Number(f64),
    /// A path leads to it (`…Path`).
    Path(Path),
    /// An expression gives it.
    Expression(Template),
}

/// See [`Body::Choice`].
#[derive(Debug)]
pub struct Choice {
    /// The rules in order.
    pub rules: Vec<Rule>,
    /// Where it goes on when no rule holds.
    pub default: Option<Arc<str>>,
}

/// See [`Body::Parallel`].
#[derive(Debug)]
pub struct Parallel {
    /// The branches.
    pub branches: Vec<Machine>,
    /// What each is given.
    pub arguments: Option<Template>,
    /// What becomes of the result.
    pub result: ResultFlow,
    /// What is done after a failure.
    pub recovery: Recovery,
}

/// See [`Body::Map`].
#[derive(Debug)]
pub struct Map {
    /// What is done with each item.
    pub processor: Machine,
    /// Whether each iteration is an execution of its own.
    pub distributed: bool,
    /// The processor of a distributed Map as a definition of its own.
    pub text: Option<Arc<str>>,
    /// The name of the map run.
    pub label: Option<Arc<str>>,
    /// Where the items are (JSONPath).
    pub items_path: Option<Path>,
    /// The items (JSONata).
    pub items: Option<Template>,
    /// What an iteration is given: `ItemSelector`, or `Parameters` of old.
    pub selector: Option<Template>,
    /// Where the items are read from.
    pub reader: Option<Reader>,
    /// Where the results are written to.
    pub writer: Option<Writer>,
    /// How items are bundled.
    pub batcher: Option<Batcher>,
    /// How many iterations may be under way at once.
    pub concurrency: Option<Quantity>,
    /// How many may fail.
    pub tolerated_count: Option<Quantity>,
    /// What part of them may fail, 0 to 100.
    pub tolerated_percentage: Option<Quantity>,
    /// What becomes of the result.
    pub result: ResultFlow,
    /// What is done after a failure.
    pub recovery: Recovery,
}

/// Where the items of a Map are read from.
#[derive(Debug)]
pub struct Reader {
    /// What is called.
    pub resource: Arc<str>,
    /// What it is given.
    pub arguments: Option<Template>,
    /// How the answer is to be read.
    pub input_type: InputType,
    /// The names of the columns, when the definition gives them.
    pub headers: Option<Vec<String>>,
    /// The column separator of a CSV file.
    pub delimiter: u8,
    /// How many items are read at most.
    pub max_items: Option<Quantity>,
}

/// Where the results of a Map are written to.
#[derive(Debug)]
pub struct Writer {
    /// What is called for each file; none: nothing is written, and the results are the Map's own, transformed.
    pub resource: Option<Arc<str>>,
    /// Where the files go.
    pub arguments: Option<Template>,
    /// What is written of a child execution that ended well.
    pub transformation: Transformation,
    /// Whether a file has a line for each child execution, instead of being one array.
    pub lines: bool,
}

/// What is written of a child execution that ended well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transformation {
    /// All that is known of it.
    #[default]
    None,
    /// Its output.
    Compact,
    /// Its output; of one that is an array, its elements.
    Flatten,
}

/// The form of a file of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// The answer's list of objects is the items.
    List,
    /// A JSON array.
    Json,
    /// A JSON value on each line.
    JsonLines,
    /// Rows with a header.
    Csv,
    /// An inventory list of S3.
    Manifest,
}

/// How items are bundled.
#[derive(Debug)]
pub struct Batcher {
    /// How many items a batch holds.
    pub max_items: Option<Quantity>,
    /// How many bytes the input of a batch has.
    pub max_bytes: Option<Quantity>,
    /// What each batch is given besides.
    pub input: Option<Template>,
}

/// See [`Body::Wait`].
#[derive(Debug)]
pub enum Wait {
    /// For so many seconds.
    Seconds(Quantity),
    /// Until a time that is written there, or that an expression gives.
    Timestamp(Template),
    /// Until a time that a path leads to.
    TimestampPath(Path),
}

/// See [`Body::Pass`].
#[derive(Debug)]
pub struct Pass {
    /// The result, as it is written.
    pub result: Option<Arc<Value>>,
    /// The result, from the input.
    pub parameters: Option<Template>,
    /// Where the result goes.
    pub path: Option<ResultPath>,
}

/// See [`Body::Fail`].
#[derive(Debug)]
pub struct Fail {
    /// The error's name.
    pub error: Option<Wording>,
    /// What went wrong.
    pub cause: Option<Wording>,
}

/// A text in a Fail state.
#[derive(Debug)]
pub enum Wording {
    /// Written, or given by a JSONata expression.
    Template(Template),
    /// A path or an intrinsic function gives it.
    Path(Template),
}
