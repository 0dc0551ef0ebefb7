//! What an expression may see.

use super::Entropy;
use crate::workflow::time;
use bedplate_core::{time::Timestamp, workflow_event::Variables};
use serde_json::{Map, Value, json};
use std::{cell::OnceCell, sync::Arc};

/// What an expression may see.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// What `$` stands for in a path, and `$states.input` in JSONata.
    pub input: &'a Arc<Value>,
    /// The variables.
    pub variables: &'a Variables,
    /// The context object.
    pub context: &'a Lazy<'a>,
    /// What `$states.result` stands for.
    pub result: Option<&'a Arc<Value>>,
    /// What `$states.errorOutput` stands for.
    pub error_output: Option<&'a Arc<Value>>,
}

impl<'a> Env<'a> {
    /// Returns the same with another `$`.
    #[must_use]
    pub const fn on(self, input: &'a Arc<Value>) -> Self {
        Self { input, ..self }
    }

    /// Returns the same with a result.
    #[must_use]
    pub const fn with_result(self, result: &'a Arc<Value>) -> Self {
        Self { result: Some(result), ..self }
    }

    /// Returns the same with an error.
    #[must_use]
    pub const fn with_error(self, error_output: &'a Arc<Value>) -> Self {
        Self { error_output: Some(error_output), ..self }
    }
}

/// What the context object is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The execution: id, name, role, input.
    pub execution: &'a bedplate_core::workflow_event::ExecutionStarted,
    /// When it began.
    pub started: Timestamp,
    /// The state's name.
    pub state: &'a str,
    /// When the state was entered.
    pub entered: Timestamp,
    /// How often the state was tried again; none: it is of a kind that never is.
    pub retries: Option<u64>,
    /// The item of the iteration, and which it is.
    pub item: Option<(u64, Arc<Value>)>,
    /// The present time.
    pub now: Timestamp,
}

/// The context object, made when it is first asked for, and what else stays the same during a step.
#[derive(Debug)]
pub struct Lazy<'a> {
    facts: Facts<'a>,
    entropy: &'a Entropy,
    token: Option<Arc<str>>,
    object: OnceCell<Arc<Value>>,
}

impl<'a> Lazy<'a> {
    /// Returns the context object that `facts` make.
    #[must_use]
    pub const fn new(facts: Facts<'a>, entropy: &'a Entropy) -> Self {
        Self { facts, entropy, token: None, object: OnceCell::new() }
    }

    /// Returns the same with a task's token.
    #[must_use]
    pub fn with_token(mut self, token: Arc<str>) -> Self {
        self.token = Some(token);
        self
    }

    /// Returns the same with an object that is given and not made.
    #[must_use]
    pub fn given(self, object: Arc<Value>) -> Self {
        Self { object: OnceCell::from(object), ..self }
    }

    /// Returns the source of randomness.
    #[must_use]
    pub const fn entropy(&self) -> &'a Entropy {
        self.entropy
    }

    /// Returns the present time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.facts.now
    }

    /// Returns the object.
    pub fn object(&self) -> &Arc<Value> {
        self.object.get_or_init(|| Arc::new(self.make()))
    }

    fn make(&self) -> Value {
        let Facts { execution, started, state, entered, retries, item, .. } = &self.facts;
        let mut object = Map::new();
        let mut about = json!({
            "Id": execution.execution,
            "Input": execution.input,
            "StartTime": time::format(*started),
            "Name": execution.name,
            "RoleArn": if execution.role.is_empty() { Value::Null } else { (*execution.role).into() },
        });
        // An execution of an Express state machine is never driven again.
        if !execution.execution.contains(":express:") {
            about["RedriveCount"] = 0.into();
        }
        object.insert("Execution".into(), about);
        object.insert("StateMachine".into(), json!({"Id": execution.machine, "Name": execution.machine_name}));
        let mut state = json!({"Name": state, "EnteredTime": time::format(*entered)});
        if let (Some(retries), Value::Object(state)) = (retries, &mut state) {
            state.insert("RetryCount".into(), (*retries).into());
        }
        object.insert("State".into(), state);
        if let Some((index, value)) = item {
            object.insert("Map".into(), json!({"Item": {"Index": index, "Value": value}}));
        }
        if let Some(token) = &self.token {
            object.insert("Task".into(), json!({"Token": token}));
        }
        Value::Object(object)
    }
}
