//! Map: the same for each item.

use super::items;
use crate::{
    machine::Intent,
    workflow::{
        definition::{Language, Map, Reader, Transformation, Writer},
        flow::{self, Number},
        joins::MAX_RESULTS,
        plan::Plan,
        query::{Entropy, Env, Facts, Lazy, Problem, Template},
        recover,
        state::{Join, Phase},
        step::Step,
    },
};
use bedplate_core::workflow_event::{
    ChildrenBegun, ItemsRequested, IterationStarted, Joined, MapStarted, ResultsRequested, StateFailed, Tolerance,
    WorkflowEvent,
};
use bedplate_core::{id::RunId, items::Items};
use serde_json::Value;
use std::sync::Arc;

pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, map: &Map) -> Result<(), Problem> {
    let children = map.distributed && plan.children;
    let writes = map.writer.as_ref().is_some_and(|writer| writer.resource.is_some());
    if writes && !children {
        // Results that go nowhere in silence would be worse than a failure.
        let cause = "results are written only where each iteration is an execution of its own";
        return Err(Problem::plain("States.ResultWriterFailed", cause));
    }
    let input = flow::input(step, env)?;
    let on = env.on(&input);
    let items = match map.reader {
        Some(_) => None,
        None => Some(Arc::new(items::batch(map, &on, find_items(map, &on)?)?)),
    };
    let whole = |field, quantity: &Option<_>| {
        quantity.as_ref().map(|quantity| Number { field, quantity }.whole(&on)).transpose()
    };
    let concurrency = whole("MaxConcurrency", &map.concurrency)?.unwrap_or(0);
    // A tolerance that is none shows only after the Map has begun.
    let tolerated = tolerance(map, &on);
    let run = map.distributed.then(|| run_arn(step, plan, map));
    plan.emit(WorkflowEvent::MapStarted(MapStarted {
        branch: step.id,
        items,
        run: if tolerated.is_ok() { run } else { None },
        concurrency,
        tolerated: *tolerated.as_ref().unwrap_or(&Tolerance::default()),
        children,
        writes,
        flatten: map.writer.as_ref().is_some_and(|writer| writer.transformation == Transformation::Flatten),
    }));
    tolerated.map(drop)
}

/// Returns how many failures of iterations the Map takes.
pub(in crate::workflow) fn tolerance(map: &Map, env: &Env<'_>) -> Result<Tolerance, Problem> {
    let count = map
        .tolerated_count
        .as_ref()
        .map(|quantity| Number { field: "ToleratedFailureCount", quantity }.whole(env))
        .transpose()?;
    let percentage = map
        .tolerated_percentage
        .as_ref()
        .map(|quantity| Number { field: "ToleratedFailurePercentage", quantity }.exact(env))
        .transpose()?;
    if percentage.is_some_and(|part| !(0.0..=100.0).contains(&part)) {
        return Err(Problem::runtime("ToleratedFailurePercentage must be between 0 and 100."));
    }
    Ok(Tolerance { count, percentage })
}

fn run_arn(step: &Step<'_>, plan: &Plan, map: &Map) -> Arc<str> {
    let entropy = Entropy::new(plan.entropy());
    let machine = step.started.execution.machine.replacen(":stateMachine:", ":mapRun:", 1);
    let label = map.label.as_deref().map_or_else(|| entropy.uuid(), ToOwned::to_owned);
    if plan.run == RunId([0; 16]) {
        return format!("{machine}/{label}:{}", entropy.uuid()).into();
    }
    // The ARN leads to its execution: the UUID in it is the run's id.
    let id = plan.run.to_string();
    let id = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    let again = plan.work.map_runs.iter().filter(|run| run.arn.starts_with(&format!("{machine}/{label}"))).count();
    match again {
        0 => format!("{machine}/{label}:{id}").into(),
        again => format!("{machine}/{label}-{}:{id}", again + 1).into(),
    }
}

/// Returns what the Map iterates over, when nothing is read from outside.
pub(in crate::workflow) fn find_items(map: &Map, env: &Env<'_>) -> Result<Items, Problem> {
    let value = match (&map.items, &map.items_path) {
        (Some(template), _) => {
            let value = template.fill(env, "Items")?;
            if !is_list(map, &value) {
                return Err(match template {
                    Template::Jsonata(expression) => expression.unexpected("Items", "array", &value),
                    _ => not_an_array(&value),
                });
            }
            value
        }
        (None, Some(path)) => {
            let value = path.value(env)?;
            if !is_list(map, &value) {
                // A path into the context object is told as one below it.
                let path = path.text.strip_prefix('$').filter(|path| path.starts_with('$')).unwrap_or(&path.text);
                return Err(Problem::runtime(format_args!("Reference path \"{path}\" must point to array.")));
            }
            value
        }
        (None, None) => Arc::clone(env.input),
    };
    items::list(&value, map.distributed).ok_or_else(|| not_an_array(&value))
}

/// Returns whether a value holds items: an array, or, in a distributed Map, an object.
fn is_list(map: &Map, value: &Value) -> bool {
    value.is_array() || (map.distributed && value.is_object())
}

fn not_an_array(value: &Value) -> Problem {
    Problem::query(format_args!("Map state input must be an array but was: {value}"), None)
}

/// Reads the items, begins iterations, or ends the Map.
pub(super) fn go_on(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, map: &Map) -> Result<(), Problem> {
    let Phase::Join(join) = &step.branch.phase else { return Ok(()) };
    if let (None, Some(reader)) = (&join.items, &map.reader) {
        return request(step, env, plan, reader);
    }
    if let Some(writer) = &map.writer
        && let Some(resource) = &writer.resource
        && join.written.is_empty()
        && (join.is_broken() || join.is_done())
    {
        return write(step, env, plan, (writer, resource));
    }
    if join.is_broken() {
        broken(step, plan, join);
    } else if let Some(children) = &join.children
        && join.may_begin()
    {
        let to = join.parts.min(join.begun.saturating_add(join.room()));
        let indexes = (join.begun..to).collect();
        plan.intend(Intent::RunChildren { call: children.call, branch: step.id, indexes });
        plan.emit(WorkflowEvent::ChildrenBegun(ChildrenBegun { branch: step.id, to }));
    } else if join.is_done() && join.children.as_ref().is_some_and(|children| children.bytes > MAX_RESULTS) {
        return Err(Problem::plain(
            "States.DataLimitExceeded",
            format_args!(
                "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit.",
                step.branch.state
            ),
        ));
    } else if join.may_begin() {
        iterate(step, env, plan, map, join)?;
    } else if join.is_done() {
        plan.emit(WorkflowEvent::Joined(Joined { branch: step.id }));
    }
    Ok(())
}

fn request(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, reader: &Reader) -> Result<(), Problem> {
    let input = flow::input(step, env)?;
    let on = env.on(&input);
    let arguments = match &reader.arguments {
        Some(template) => template.fill(&on, "ItemReader/Arguments")?,
        None => Arc::clone(&input),
    };
    let call = plan.next();
    let token = plan.token();
    let resource = Arc::clone(&reader.resource);
    plan.emit(WorkflowEvent::ItemsRequested(ItemsRequested {
        branch: step.id,
        resource: Arc::clone(&resource),
        input: Arc::clone(&arguments),
    }));
    plan.intend(Intent::RunTask { call, resource, input: arguments, token, role: None, deadline: None });
    Ok(())
}

/// Has the results written; also those of a Map that fails, whose children under way are stopped first.
fn write(
    step: &Step<'_>,
    env: &Env<'_>,
    plan: &mut Plan,
    (writer, resource): (&Writer, &Arc<str>),
) -> Result<(), Problem> {
    recover::abort_within(plan, step.id);
    let taken = flow::input(step, env)?;
    let input = match &writer.arguments {
        Some(template) => template.fill(&env.on(&taken), "ResultWriter/Arguments")?,
        None => Arc::new(Value::Null),
    };
    let (call, token) = (plan.next(), plan.token());
    let resource = Arc::clone(resource);
    plan.emit(WorkflowEvent::ResultsRequested(ResultsRequested {
        branch: step.id,
        resource: Arc::clone(&resource),
        input: Arc::clone(&input),
    }));
    plan.intend(Intent::RunTask { call, resource, input, token, role: None, deadline: None });
    Ok(())
}

fn iterate(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, map: &Map, join: &Join) -> Result<(), Problem> {
    let index = join.begun;
    let place = usize::try_from(index).unwrap_or(usize::MAX);
    let Some(item) = join.items.as_ref().and_then(|items| items.get(place)) else { return Ok(()) };
    let input = selected(step, env, plan, map, (index, &item))?;
    let start_at = Arc::clone(&map.processor.start_at);
    plan.emit(WorkflowEvent::IterationStarted(IterationStarted { branch: step.id, index, input, start_at }));
    Ok(())
}

/// Returns what an iteration is given, when that differs from its item.
pub(in crate::workflow) fn selected(
    step: &Step<'_>,
    env: &Env<'_>,
    plan: &Plan,
    map: &Map,
    (index, item): (u64, &Arc<Value>),
) -> Result<Option<Arc<Value>>, Problem> {
    let input = match &map.selector {
        None => None,
        Some(selector) => {
            let entropy = Entropy::new(plan.entropy());
            let facts = Facts { item: Some((index, Arc::clone(item))), ..step.facts() };
            let context = Lazy::new(facts, &entropy);
            let env = Env { context: &context, ..*env };
            let taken = flow::input(step, &env)?;
            Some(match step.state.language {
                Language::JsonPath => selector.fill(&env.on(&taken), "")?,
                Language::Jsonata => selector.fill(&env, "ItemSelector")?,
            })
        }
    };
    if let Some(input) = &input {
        flow::check_size(step, input)?;
    }
    Ok(input)
}

fn broken(step: &Step<'_>, plan: &mut Plan, join: &Join) {
    recover::abort_within(plan, step.id);
    let (error, cause) = if join.run.is_some() {
        let cause = "The specified tolerated failure threshold was exceeded";
        (Some("States.ExceedToleratedFailureThreshold".into()), Some(cause.into()))
    } else {
        let failure = join.failure.as_ref();
        (failure.and_then(|failure| failure.error.clone()), failure.and_then(|failure| failure.cause.clone()))
    };
    plan.emit(WorkflowEvent::Failed(StateFailed { branch: step.id, error, cause, evaluation: None, by: None }));
}
