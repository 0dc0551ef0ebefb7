//! What the child executions of a distributed Map are given, for the driver that runs them.

use super::{
    definition::{Body, Definition},
    plan::Plan,
    state::{Phase, WorkflowState},
    states,
    step::Step,
};
use crate::machine::Context;
use bedplate_core::workflow_event::BranchId;
use serde_json::Value;
use std::sync::Arc;

/// What the children of a map run have in common.
#[derive(Clone, Debug)]
pub struct ChildrenPlan {
    /// The map run's ARN.
    pub run: Arc<str>,
    /// The definition that they run, as a text of its own.
    pub definition: Arc<str>,
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
        let mut given = Ok(Arc::clone(item));
        if map.selector.is_some() {
            step.run(&mut plan, |step, env, plan| {
                match states::selected(step, env, plan, map, (*index, item)) {
                    Ok(input) => given = Ok(input.unwrap_or_else(|| Arc::clone(item))),
                    Err(problem) => given = Err(step.words(problem)),
                }
                Ok(())
            });
        }
        inputs.push((*index, given));
    }
    Some(ChildrenPlan { run: Arc::clone(join.run.as_ref()?), definition: Arc::clone(map.text.as_ref()?), inputs })
}
