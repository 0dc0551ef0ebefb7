//! What the child executions of a distributed Map are given, for the driver that runs them.

use super::{
    definition::{Body, Definition, Transformation},
    plan::Plan,
    state::{Phase, WorkflowState},
    states,
    step::Step,
};
use crate::machine::Context;
use bedplate_core::{id::CallId, items::Items, time::Timestamp, workflow_event::BranchId};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

/// What the children of a map run have in common.
#[derive(Clone, Debug)]
pub struct ChildrenPlan {
    /// The map run's ARN.
    pub run: Arc<str>,
    /// The definition that they run, as a text of its own.
    pub definition: Arc<str>,
    /// Whether what they give is written elsewhere, and need not be reported.
    pub writes: bool,
    /// How many may be under way at once; 0: the Map sets no limit.
    pub concurrency: u64,
    /// How often the map run was redriven, and when last; none: never. Those that ended badly before that go on.
    pub redriven: Option<(u64, Timestamp)>,
    /// What each is given, by its item; or the name and cause of why it cannot be given anything.
    pub inputs: Vec<(u64, ChildInput)>,
}

/// The input of a child execution, or the name and cause of why it cannot be given any.
pub type ChildInput = Result<Arc<Value>, (Arc<str>, Arc<str>)>;

/// Returns what child executions are given; none when the branch stands in no such Map.
#[must_use]
pub fn children_plan(
    state: &WorkflowState,
    context: &Context,
    branch: BranchId,
    indexes: &[u64],
) -> Option<ChildrenPlan> {
    let definition: &Definition = context.workflow.as_deref()?;
    let mut plan = Plan::new(state, context);
    let step = Step::new(&plan, definition, branch)?;
    let (Body::Map(map), Phase::Join(join)) = (&step.state.body, &step.branch.phase) else { return None };
    let items = join.items.as_ref()?;
    let mut inputs = Vec::with_capacity(indexes.len());
    for index in indexes {
        let Some(item) = usize::try_from(*index).ok().and_then(|at| items.get(at)) else { continue };
        let mut given = Ok(Arc::clone(&item));
        if map.selector.is_some() {
            step.run(&mut plan, |step, env, plan| {
                match states::selected(step, env, plan, map, (*index, &item)) {
                    Ok(input) => given = Ok(input.unwrap_or_else(|| Arc::clone(&item))),
                    Err(problem) => given = Err(step.words(problem)),
                }
                Ok(())
            });
        }
        inputs.push((*index, given));
    }
    let run = Arc::clone(join.run.as_ref()?);
    let redrives = state.map_runs.iter().rev().find(|now| now.arn == run).map_or(0, |now| now.redrives);
    let redriven = state.redrives.at.filter(|_| redrives > 0).map(|at| (redrives, at));
    let definition = Arc::clone(map.text.as_ref()?);
    Some(ChildrenPlan { run, definition, writes: join.writes, concurrency: join.concurrency, redriven, inputs })
}

/// What is needed to write the results of a distributed Map.
#[derive(Clone, Debug)]
pub struct ResultsPlan {
    /// The map run's ARN.
    pub run: Arc<str>,
    /// The call under which its children run.
    pub children: CallId,
    /// What writes a file.
    pub resource: Arc<str>,
    /// Where to: `Bucket` and `Prefix`.
    pub input: Arc<Value>,
    /// How many children were begun.
    pub begun: u64,
    /// Those that failed, by their items.
    pub failed: BTreeSet<u64>,
    /// The items; those after the begun ones are pending.
    pub items: Arc<Items>,
    /// What is written of a child that ended well.
    pub transformation: Transformation,
    /// Whether a file has a line for each child.
    pub lines: bool,
}

/// Returns what is needed to write the results that a call is to write; none when it is no such call.
#[must_use]
pub fn results_plan(state: &WorkflowState, context: &Context, call: CallId) -> Option<ResultsPlan> {
    let definition: &Definition = context.workflow.as_deref()?;
    let branch = *state.calls.get(&call)?;
    let step = Step::new(&Plan::new(state, context), definition, branch)?;
    let (Body::Map(map), Phase::Writing(_, join)) = (&step.state.body, &step.branch.phase) else { return None };
    let (writer, (resource, input)) = (map.writer.as_ref()?, join.writing.clone()?);
    let children = join.children.as_ref()?;
    Some(ResultsPlan {
        run: Arc::clone(join.run.as_ref()?),
        children: children.call,
        failed: children.failed.clone(),
        resource,
        input,
        begun: join.begun,
        items: Arc::clone(join.items.as_ref()?),
        transformation: writer.transformation,
        lines: writer.lines,
    })
}
