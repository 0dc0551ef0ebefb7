//! What is seen of a state's data flow on its way.

use super::{Status, is_json_path};
use crate::workflow::{
    definition::{Body, Map, Pass, ResultFlow, State, retry_matches},
    flow::{self, Number},
    plan::Plan,
    query::{Env, Facts, Lazy, Problem},
    states,
    step::Step,
};
use bedplate_core::items::Items;
use bedplate_core::{
    event::Event,
    workflow_event::{Variables, WorkflowEvent},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is seen of a state's data flow on its way; payloads by the names of the API.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Payloads by their names, in the order in which they came about.
    pub payloads: Vec<(&'static str, Arc<Value>)>,
    /// The variables after the state.
    pub variables: Variables,
    /// What is done about a failure.
    pub errors: Option<ErrorDetails>,
    /// How many iterations may be under way at once.
    pub max_concurrency: Option<u64>,
    /// How many iterations may fail.
    pub tolerated_count: Option<u64>,
    /// What part of them may fail, 0 to 100.
    pub tolerated_percentage: Option<f64>,
    items: Option<u64>,
}

/// What is done about a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorDetails {
    /// Which catcher goes on.
    pub catcher: Option<usize>,
    /// Which retrier decides.
    pub retrier: Option<usize>,
    /// How long it waits, in seconds.
    pub backoff_seconds: Option<u64>,
}

impl ErrorDetails {
    pub(super) fn of(state: &State, error: Option<&str>, plan: &Plan, status: Status) -> Option<Self> {
        let recovery = state.recovery()?;
        if status == Status::CaughtError {
            let catcher = recovery.catchers.iter().position(|catcher| retry_matches(&catcher.errors, error));
            return Some(Self { catcher, ..Self::default() });
        }
        let Some(Event::Workflow(WorkflowEvent::Retried(retried))) = plan.events().last() else { return None };
        let backoff = retried.until.since(plan.now).as_secs();
        Some(Self { retrier: Some(retried.retrier as usize), backoff_seconds: Some(backoff), ..Self::default() })
    }
}

impl Inspection {
    pub(super) fn of(input: &Arc<Value>, variables: &Variables) -> Self {
        Self { payloads: vec![("input", Arc::clone(input))], variables: variables.clone(), ..Self::default() }
    }

    fn saw(&mut self, name: &'static str, value: &Arc<Value>) {
        self.payloads.push((name, Arc::clone(value)));
    }

    /// Looks at what the state takes.
    pub(super) fn before(&mut self, step: &Step<'_>, env: &Env<'_>) -> Result<(), Problem> {
        let state = step.state;
        if !is_json_path(state) {
            if let Body::Task(task) = &state.body
                && task.arguments.is_some()
            {
                self.saw("afterArguments", &flow::arguments(step, env, task.arguments.as_ref())?);
            }
            return Ok(());
        }
        if matches!(state.body, Body::Fail(_)) {
            return Ok(());
        }
        self.saw("afterInputPath", &flow::input(step, env)?);
        match &state.body {
            Body::Task(task) => self.saw("afterParameters", &flow::arguments(step, env, task.arguments.as_ref())?),
            Body::Parallel(parallel) if parallel.arguments.is_some() => {
                self.saw("afterParameters", &flow::arguments(step, env, parallel.arguments.as_ref())?);
            }
            Body::Pass(pass) => self.pass(step, env, pass)?,
            _ => {}
        }
        Ok(())
    }

    fn pass(&mut self, step: &Step<'_>, env: &Env<'_>, pass: &Pass) -> Result<(), Problem> {
        let taken = flow::arguments(step, env, pass.parameters.as_ref())?;
        self.saw("afterParameters", &taken);
        let result = pass.result.as_ref().map_or(taken, Arc::clone);
        self.saw("result", &result);
        self.saw("afterResultPath", &flow::place(env.input, result, pass.path.as_ref())?);
        Ok(())
    }

    /// Looks at what a Map iterates over.
    pub(super) fn map(
        &mut self,
        step: &Step<'_>,
        env: &Env<'_>,
        map: &Map,
        reader_data: Option<&Value>,
    ) -> Result<(), Problem> {
        let input = flow::input(step, env)?;
        let on = env.on(&input);
        let items = match (&map.reader, reader_data) {
            (Some(reader), Some(data)) => states::read_items(map, reader, &on, &json!({ "Body": data }))?,
            (Some(_), None) => Items::default(),
            (None, _) => states::find_items(map, &on)?,
        };
        self.items = Some(items.len() as u64);
        if is_json_path(step.state) && map.reader.is_none() {
            self.saw("afterItemsPath", &list(items.iter()));
        }
        if let Some(quantity) = &map.concurrency {
            self.max_concurrency = Some(Number { field: "MaxConcurrency", quantity }.whole(&on)?);
        } else {
            self.max_concurrency = Some(0);
        }
        let tolerated = states::tolerance(map, &on)?;
        self.tolerated_count = tolerated.count;
        self.tolerated_percentage = tolerated.percentage;
        if let Some(selector) = &map.selector {
            let mut selected = Vec::with_capacity(items.len());
            for (index, item) in (0..).zip(items.iter()) {
                let facts = Facts { item: Some((index, item)), ..step.facts() };
                let context = Lazy::new(facts, env.context.entropy());
                let env = Env { context: &context, ..on };
                let field = if is_json_path(step.state) { "" } else { "ItemSelector" };
                selected.push(selector.fill(&env, field)?);
            }
            self.saw("afterItemSelector", &list(selected.into_iter()));
        }
        if map.batcher.is_some() {
            self.saw("afterItemBatcher", &list(states::batch(map, &on, items)?.iter()));
        }
        Ok(())
    }

    /// Looks at what becomes of the result of the state's work.
    pub(super) fn after(&mut self, step: &Step<'_>, env: &Env<'_>, result: &Arc<Value>) -> Result<(), Problem> {
        let (flow, is_task) = match &step.state.body {
            Body::Task(task) => (&task.result, true),
            Body::Parallel(parallel) => (&parallel.result, false),
            Body::Map(map) => (&map.result, false),
            _ => return Ok(()),
        };
        if is_task {
            self.saw("result", result);
        }
        if is_json_path(step.state) {
            self.flow(env, result, flow)?;
        }
        Ok(())
    }

    fn flow(&mut self, env: &Env<'_>, result: &Arc<Value>, flow: &ResultFlow) -> Result<(), Problem> {
        let selected = match &flow.selector {
            Some(selector) => selector.fill(&env.on(result), "")?,
            None => Arc::clone(result),
        };
        self.saw("afterResultSelector", &selected);
        self.saw("afterResultPath", &flow::place(env.input, selected, flow.path.as_ref())?);
        Ok(())
    }

    /// Returns how many items a Map has.
    pub(super) fn items(&self) -> Option<u64> {
        self.items
    }

    /// Returns whether so many failures are more than the state says that it takes.
    pub(super) fn is_exceeded(&self, failed: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "counts of items are small")]
        let part = 100.0 * failed as f64 / self.items.unwrap_or(0).max(1) as f64;
        self.tolerated_count.is_some_and(|count| failed > count)
            || self.tolerated_percentage.is_some_and(|most| part > most)
    }
}

fn list(items: impl Iterator<Item = Arc<Value>>) -> Arc<Value> {
    Arc::new(Value::Array(items.map(Arc::unwrap_or_clone).collect()))
}
