//! Prepared answers of tasks: tests of workflows set them by state machine, or take a case of a workflow's mocks file.

use bedplate_core::port::{
    BoxFuture,
    definitions::{MockedResult, WorkflowMocks},
    tasks::{TaskCall, TaskError, TaskMocks, TaskPlan, TaskReply, Tasks},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many executions' cases are kept; the oldest goes.
const MAX_EXECUTIONS: usize = 10_000;

/// Tasks whose prepared answers come before what the tasks themselves do. Clones share them.
#[derive(Clone)]
pub struct MockedTasks {
    tasks: Arc<dyn Tasks>,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    /// By the ARN of a state machine.
    machines: HashMap<String, BTreeMap<String, State>>,
    /// By the ARN of an execution.
    executions: HashMap<String, BTreeMap<String, State>>,
    /// The executions in the order in which they came.
    order: std::collections::VecDeque<String>,
}

/// The answers of a state, and which of them were given.
#[derive(Default)]
struct State {
    answers: Vec<Prepared>,
    given: usize,
}

/// An answer, as it is prepared.
#[derive(Clone)]
struct Prepared {
    /// For which input it is meant; `<<any>>` stands for anything.
    request: Option<Value>,
    submitted: Option<Value>,
    end: End,
    /// How often it is given.
    times: u32,
    given: u32,
}

#[derive(Clone)]
enum End {
    Return(Value),
    Throw(TaskError),
    Never,
}

impl MockedTasks {
    /// Returns `tasks` with nothing prepared.
    #[must_use]
    pub fn new(tasks: Arc<dyn Tasks>) -> Self {
        Self { tasks, book: Arc::default() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn state(&mut self, call: &TaskCall) -> Option<&mut State> {
        if let Some(states) = self.executions.get_mut(&*call.execution) {
            return states.get_mut(&*call.state);
        }
        self.machines.get_mut(&machine_of(&call.execution))?.get_mut(&*call.state)
    }

    /// Keeps the answers of an execution; beyond the limit the oldest go.
    fn keep(&mut self, execution: &str, states: BTreeMap<String, State>) {
        if self.executions.insert(execution.to_owned(), states).is_none() {
            self.order.push_back(execution.to_owned());
        }
        while self.order.len() > MAX_EXECUTIONS {
            if let Some(oldest) = self.order.pop_front() {
                self.executions.remove(&oldest);
            }
        }
    }
}

impl Tasks for MockedTasks {
    fn perform(&self, call: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        let prepared = self.book().state(&call).map(|state| state.next(&call.input));
        match prepared {
            Some(prepared) => Box::pin(async move { prepared.reply().await }),
            None => self.tasks.perform(call),
        }
    }

    fn plan(&self, call: &TaskCall) -> Result<TaskPlan, TaskError> {
        if self.book().state(call).is_some() {
            return Ok(TaskPlan::Perform);
        }
        self.tasks.plan(call)
    }

    fn is_prepared(&self, call: &TaskCall) -> bool {
        self.book().state(call).is_some()
    }
}

impl TaskMocks for MockedTasks {
    fn set(&self, machine: &str, states: &Value) -> Result<(), String> {
        let states = states.as_object().ok_or("states is no object")?;
        let mut read = BTreeMap::new();
        for (name, answers) in states {
            let answers = answers.as_array().ok_or_else(|| format!("the answers of {name:?} are no list"))?;
            let answers: Result<Vec<_>, String> = answers.iter().map(prepared).collect();
            read.insert(name.clone(), State { answers: answers?, given: 0 });
        }
        let mut book = self.book();
        if read.is_empty() {
            book.machines.remove(machine);
        } else {
            book.machines.insert(machine.to_owned(), read);
        }
        Ok(())
    }

    fn use_case(&self, execution: &str, mocks: &WorkflowMocks, case: &str) -> Result<(), String> {
        let chosen = mocks.get(case).ok_or_else(|| {
            let known: Vec<&str> = mocks.keys().map(String::as_str).collect();
            format!("there is no case {case:?}; there are: {}", known.join(", "))
        })?;
        let states = chosen.iter().map(|(state, answers)| {
            let answers = answers.iter().map(|answer| Prepared {
                request: None,
                submitted: None,
                end: match &answer.answer {
                    MockedResult::Return(output) => End::Return(Value::clone(output)),
                    MockedResult::Throw { error, cause } => {
                        End::Throw(TaskError { error: Some(Arc::clone(error)), cause: Some(Arc::clone(cause)) })
                    }
                },
                times: answer.last.saturating_sub(answer.first).saturating_add(1),
                given: 0,
            });
            (state.clone(), State { answers: answers.collect(), given: 0 })
        });
        self.book().keep(execution, states.collect());
        Ok(())
    }

    fn copy_case(&self, original: &str, copy: &str) -> bool {
        let mut book = self.book();
        if book.executions.contains_key(copy) {
            return false;
        }
        let Some(states) = book.executions.get(original) else { return false };
        let states = states.iter().map(|(name, state)| (name.clone(), state.anew())).collect();
        book.keep(copy, states);
        true
    }

    fn drop_case(&self, execution: &str) {
        let mut book = self.book();
        if book.executions.remove(execution).is_some() {
            book.order.retain(|kept| kept != execution);
        }
    }
}

impl State {
    /// Returns the same answers, none of them given yet.
    fn anew(&self) -> Self {
        let answers = self.answers.iter().map(|answer| Prepared { given: 0, ..answer.clone() });
        Self { answers: answers.collect(), given: 0 }
    }

    /// Returns the answer to the next call: the first that is left and meant for this input, else the next one in order,
    /// at last the last.
    fn next(&mut self, input: &Value) -> Prepared {
        self.given += 1;
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
            end: End::Throw(crate::error::failed("States.TaskFailed", "no answer is prepared for this state")),
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
                End::Throw(error) => Err(error),
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
        End::Throw(TaskError { error: thrown.get("error").and_then(Value::as_str).map(Into::into), cause })
    } else if answer.get("never_answers").is_some() || answer.get("submitted").is_some() {
        End::Never
    } else {
        return Err("an answer has \"return\", \"throw\" or \"never_answers\"".to_owned());
    };
    let field = |name: &str| answer.get(name).cloned();
    Ok(Prepared { request: field("request"), submitted: field("submitted"), end, times: 1, given: 0 })
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
