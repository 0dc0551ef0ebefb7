//! Prepared answers of tasks: tests of workflows set them by state machine, or take a case of a workflow's mocks file.

use crate::mock_shelf::Shelf;
use bedplate_core::port::{
    BoxFuture,
    clock::Clock,
    definitions::{MockedResult, WorkflowMocks},
    documents::{DocumentError, Documents, Revision},
    tasks::{PrepareError, PreparedFor, TaskCall, TaskError, TaskMocks, TaskPlan, TaskReply, Tasks},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many executions' cases are kept; the oldest goes.
const MAX_EXECUTIONS: usize = 10_000;

/// Tasks whose prepared answers come before what the tasks themselves do. Clones share them. An execution that began with
/// answers never does in earnest what it has answers for: where they are gone, its tasks fail.
#[derive(Clone)]
pub struct MockedTasks {
    tasks: Arc<dyn Tasks>,
    book: Arc<Mutex<Book>>,
    shelf: Option<Shelf>,
}

/// The answers by state.
pub(crate) type States = BTreeMap<String, State>;

#[derive(Default)]
struct Book {
    /// By the ARN of a state machine.
    machines: HashMap<String, States>,
    /// By the ARN of an execution.
    executions: HashMap<Arc<str>, Case>,
    /// The executions in the order in which they came.
    order: VecDeque<Arc<str>>,
}

/// The answers of one execution.
pub(crate) struct Case {
    pub(crate) owner: PreparedFor,
    pub(crate) states: States,
    /// How often they were written.
    pub(crate) revision: Revision,
    /// Held while an answer is chosen and written down: what is written last is what holds.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Case {
    pub(crate) fn new(owner: PreparedFor, states: States, revision: Revision) -> Self {
        Self { owner, states, revision, turn: Arc::default() }
    }
}

/// What is prepared for a call.
enum Found<'a> {
    /// An answer that holds for all executions of its state machine.
    Machine(&'a mut State),
    /// One of an execution's own.
    Own(&'a mut Case),
    /// The execution began with answers, and they are gone.
    Gone,
    Nothing,
}

/// The answers of a state.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    answers: Vec<Prepared>,
}

/// An answer, as it is prepared.
#[derive(Clone, Serialize, Deserialize)]
struct Prepared {
    /// For which input it is meant; `<<any>>` stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitted: Option<Value>,
    end: End,
    /// How often it is given.
    times: u32,
    given: u32,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Return(Value),
    Throw { error: Option<Arc<str>>, cause: Option<Arc<str>> },
    Never,
}

impl MockedTasks {
    /// Returns `tasks` with nothing prepared; what is prepared is lost with the process.
    #[must_use]
    pub fn new(tasks: Arc<dyn Tasks>) -> Self {
        Self { tasks, book: Arc::default(), shelf: None }
    }

    /// Returns `tasks` with the answers of executions that `documents` keeps, where those that come are kept, too.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub async fn kept_in(
        tasks: Arc<dyn Tasks>,
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DocumentError> {
        let shelf = Shelf::new(documents, clock);
        let mut book = Book::default();
        for case in shelf.cases().await? {
            book.order.push_back(Arc::clone(&case.owner.execution));
            book.executions.insert(Arc::clone(&case.owner.execution), case);
        }
        Ok(Self { tasks, book: Arc::new(Mutex::new(book)), shelf: Some(shelf) })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the answers of an execution, first where a restart finds them.
    async fn keep(&self, owner: PreparedFor, states: States) -> Result<(), PrepareError> {
        let mut case = Case::new(owner, states, 0);
        if let Some(shelf) = &self.shelf {
            case.revision = shelf.put(&case).await?;
        }
        let dropped = self.book().keep(case);
        self.forget(dropped).await;
        Ok(())
    }

    async fn forget(&self, owners: Vec<PreparedFor>) {
        let Some(shelf) = &self.shelf else { return };
        for owner in owners {
            shelf.remove(&owner).await;
        }
    }

    /// Gives an execution's next answer to a call, and writes down that it was given.
    async fn answer(self, call: TaskCall, turn: Arc<tokio::sync::Mutex<()>>) -> Result<TaskReply, TaskError> {
        let one_by_one = turn.lock().await;
        let (prepared, kept) = {
            let mut book = self.book();
            let Found::Own(case) = book.find(&call) else { return Err(gone()) };
            let Some(state) = case.states.get_mut(&*call.state) else { return Err(gone()) };
            let prepared = state.next(&call.input);
            (prepared, self.shelf.as_ref().map(|shelf| shelf.rewrite(case)))
        };
        if let Some(kept) = kept {
            match kept.await {
                Ok(revision) => {
                    if let Found::Own(case) = self.book().find(&call) {
                        case.revision = revision;
                    }
                }
                // A restart gives the same answer once more, which is no effect in the world.
                Err(error) => tracing::warn!(%error, "which answers of a trial were given was not written down"),
            }
        }
        drop(one_by_one);
        prepared.reply().await
    }
}

impl Book {
    fn find(&mut self, call: &TaskCall) -> Found<'_> {
        let own = call.answers.as_ref().unwrap_or(&call.execution);
        if let Some(case) = self.executions.get_mut(own) {
            return if case.states.contains_key(&*call.state) { Found::Own(case) } else { Found::Nothing };
        }
        if call.answers.is_some() {
            return Found::Gone;
        }
        let machine = self.machines.get_mut(&machine_of(&call.execution));
        machine.and_then(|states| states.get_mut(&*call.state)).map_or(Found::Nothing, Found::Machine)
    }

    fn is_prepared(&mut self, call: &TaskCall) -> bool {
        !matches!(self.find(call), Found::Nothing)
    }

    /// Keeps the answers of an execution; beyond the limit the oldest go, and whose they were is returned.
    fn keep(&mut self, case: Case) -> Vec<PreparedFor> {
        let execution = Arc::clone(&case.owner.execution);
        if self.executions.insert(Arc::clone(&execution), case).is_none() {
            self.order.push_back(execution);
        }
        let over = self.order.len().saturating_sub(MAX_EXECUTIONS);
        let oldest: Vec<_> = self.order.drain(..over).collect();
        oldest.iter().filter_map(|execution| Some(self.executions.remove(execution)?.owner)).collect()
    }
}

impl Tasks for MockedTasks {
    fn perform(&self, call: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        let mut book = self.book();
        match book.find(&call) {
            Found::Machine(state) => {
                let prepared = state.next(&call.input);
                Box::pin(prepared.reply())
            }
            Found::Own(case) => {
                let turn = Arc::clone(&case.turn);
                Box::pin(self.clone().answer(call, turn))
            }
            Found::Gone => Box::pin(std::future::ready(Err(gone()))),
            Found::Nothing => {
                drop(book);
                self.tasks.perform(call)
            }
        }
    }

    fn plan(&self, call: &TaskCall) -> Result<TaskPlan, TaskError> {
        if self.book().is_prepared(call) {
            return Ok(TaskPlan::Perform);
        }
        self.tasks.plan(call)
    }

    fn is_prepared(&self, call: &TaskCall) -> bool {
        self.book().is_prepared(call)
    }

    fn has_answers(&self, execution: &str) -> bool {
        self.book().executions.contains_key(execution)
    }
}

impl TaskMocks for MockedTasks {
    fn set(&self, machine: &str, states: &Value) -> Result<(), String> {
        let states = states.as_object().ok_or("states is no object")?;
        let mut read = BTreeMap::new();
        for (name, answers) in states {
            let answers = answers.as_array().ok_or_else(|| format!("the answers of {name:?} are no list"))?;
            let answers: Result<Vec<_>, String> = answers.iter().map(prepared).collect();
            read.insert(name.clone(), State { answers: answers? });
        }
        let mut book = self.book();
        if read.is_empty() {
            book.machines.remove(machine);
        } else {
            book.machines.insert(machine.to_owned(), read);
        }
        Ok(())
    }

    fn use_case(
        &self,
        execution: PreparedFor,
        mocks: &WorkflowMocks,
        case: &str,
    ) -> BoxFuture<'static, Result<(), PrepareError>> {
        let Some(chosen) = mocks.get(case) else {
            let known: Vec<&str> = mocks.keys().map(String::as_str).collect();
            let error =
                PrepareError::UnknownCase(format!("there is no case {case:?}; there are: {}", known.join(", ")));
            return Box::pin(std::future::ready(Err(error)));
        };
        let states = chosen.iter().map(|(state, answers)| {
            let answers = answers.iter().map(|answer| Prepared {
                request: None,
                submitted: None,
                end: match &answer.answer {
                    MockedResult::Return(output) => End::Return(Value::clone(output)),
                    MockedResult::Throw { error, cause } => {
                        End::Throw { error: Some(Arc::clone(error)), cause: Some(Arc::clone(cause)) }
                    }
                },
                times: answer.last.saturating_sub(answer.first).saturating_add(1),
                given: 0,
            });
            (state.clone(), State { answers: answers.collect() })
        });
        let (this, states) = (self.clone(), states.collect());
        Box::pin(async move { this.keep(execution, states).await })
    }

    fn copy_case(&self, original: &str, copy: PreparedFor) -> BoxFuture<'static, Result<bool, PrepareError>> {
        let states: Option<States> = {
            let book = self.book();
            let wanted = !book.executions.contains_key(&copy.execution);
            let original = wanted.then(|| book.executions.get(original)).flatten();
            original.map(|case| case.states.iter().map(|(name, state)| (name.clone(), state.anew())).collect())
        };
        let this = self.clone();
        Box::pin(async move {
            match states {
                Some(states) => this.keep(copy, states).await.map(|()| true),
                None => Ok(false),
            }
        })
    }

    fn drop_case(&self, execution: &str) -> BoxFuture<'static, ()> {
        let dropped = {
            let mut book = self.book();
            let dropped = book.executions.remove(execution);
            if dropped.is_some() {
                book.order.retain(|kept| **kept != *execution);
            }
            dropped
        };
        let this = self.clone();
        Box::pin(async move { this.forget(dropped.into_iter().map(|case| case.owner).collect()).await })
    }
}

impl State {
    /// Returns the same answers, none of them given yet.
    fn anew(&self) -> Self {
        let answers = self.answers.iter().map(|answer| Prepared { given: 0, ..answer.clone() });
        Self { answers: answers.collect() }
    }

    /// Returns the answer to the next call: the first that is left and meant for this input, else the next one in order,
    /// at last the last.
    fn next(&mut self, input: &Value) -> Prepared {
        let left = |answer: &&mut Prepared| answer.given < answer.times;
        let meant = self
            .answers
            .iter_mut()
            .filter(left)
            .find(|answer| answer.request.as_ref().is_some_and(|request| fits(request, input)));
        let meant = match meant {
            Some(answer) => Some(answer),
            None => self.answers.iter_mut().find(|answer| answer.given < answer.times),
        };
        if let Some(answer) = meant {
            answer.given += 1;
            return answer.clone();
        }
        self.answers.last().cloned().unwrap_or_else(|| Prepared {
            request: None,
            submitted: None,
            end: End::Throw {
                error: Some("States.TaskFailed".into()),
                cause: Some("no answer is prepared for this state".into()),
            },
            times: 1,
            given: 1,
        })
    }
}

impl Prepared {
    async fn reply(self) -> Result<TaskReply, TaskError> {
        let end = self.end;
        let end: BoxFuture<'static, Result<Value, TaskError>> = Box::pin(async move {
            match end {
                End::Return(output) => Ok(output),
                End::Throw { error, cause } => Err(TaskError { error, cause }),
                End::Never => std::future::pending().await,
            }
        });
        match self.submitted {
            Some(submitted) => Ok(TaskReply::Job { submitted, end }),
            None => end.await.map(TaskReply::Done),
        }
    }
}

fn prepared(answer: &Value) -> Result<Prepared, String> {
    let end = if let Some(output) = answer.get("return") {
        End::Return(output.clone())
    } else if let Some(thrown) = answer.get("throw") {
        let cause = match thrown.get("cause") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.as_str().into()),
            Some(other) => Some(other.to_string().into()),
        };
        End::Throw { error: thrown.get("error").and_then(Value::as_str).map(Into::into), cause }
    } else if answer.get("never_answers").is_some() || answer.get("submitted").is_some() {
        End::Never
    } else {
        return Err("an answer has \"return\", \"throw\" or \"never_answers\"".to_owned());
    };
    let field = |name: &str| answer.get(name).cloned();
    Ok(Prepared { request: field("request"), submitted: field("submitted"), end, times: 1, given: 0 })
}

/// Returns how a task fails whose execution began with answers that are there no more: nothing is done in earnest.
fn gone() -> TaskError {
    crate::error::failed("States.TaskFailed", "the prepared answers that the execution began with are gone")
}

/// Returns whether `input` is what `request` says, with `<<any>>` for anything.
fn fits(request: &Value, input: &Value) -> bool {
    match (request, input) {
        (Value::String(text), _) if text == "<<any>>" => true,
        (Value::Object(request), Value::Object(input)) => {
            request.len() == input.len()
                && request.iter().all(|(name, value)| input.get(name).is_some_and(|input| fits(value, input)))
        }
        (Value::Array(request), Value::Array(input)) => {
            request.len() == input.len() && request.iter().zip(input).all(|(request, input)| fits(request, input))
        }
        (request, input) => request == input,
    }
}

/// Returns the ARN of the state machine of an execution; for an item of a distributed Map that of the Map's own.
fn machine_of(execution: &str) -> String {
    let mut parts: Vec<&str> = execution.splitn(8, ':').collect();
    if let [_, _, _, _, _, kind, name, ..] = parts.as_mut_slice() {
        *kind = "stateMachine";
        *name = name.split('/').next().unwrap_or(name);
    }
    parts.truncate(7);
    parts.join(":")
}
