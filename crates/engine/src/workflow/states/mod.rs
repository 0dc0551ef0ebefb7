//! What each kind of state does: one file for each.

mod choice;
mod fail;
mod items;
mod map;
mod parallel;
mod pass;
mod task;
pub(super) mod wait;

pub(super) use items::{batch, read as read_items};
pub(super) use map::{find_items, tolerance};

use super::{
    definition::{Body, ResultFlow},
    flow,
    plan::Plan,
    query::{Env, Problem},
    step::Step,
};
pub(super) use map::selected;
use serde_json::Value;
use std::sync::Arc;

/// Does what a state that was just entered, or that is tried again, begins with.
pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan) -> Result<(), Problem> {
    match &step.state.body {
        Body::Task(task) => task::begin(step, env, plan, task),
        Body::Choice(choice) => choice::begin(step, env, plan, choice),
        Body::Parallel(parallel) => parallel::begin(step, env, plan, parallel),
        Body::Map(map) => map::begin(step, env, plan, map),
        Body::Wait(wait) => wait::begin(step, env, plan, wait),
        Body::Pass(pass) => pass::begin(step, env, plan, pass),
        Body::Succeed => flow::pass_on(step, env, plan, None),
        Body::Fail(fail) => fail::begin(step, env, plan, fail),
    }
}

/// Goes on with a Parallel or Map whose branches or iterations are under way.
pub(super) fn go_on(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan) -> Result<(), Problem> {
    match &step.state.body {
        Body::Map(map) => map::go_on(step, env, plan, map),
        _ => {
            parallel::join(step, plan);
            Ok(())
        }
    }
}

/// Leaves a state whose work gave `result`.
pub(super) fn finish(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, result: &Arc<Value>) -> Result<(), Problem> {
    let none = ResultFlow::default();
    let flow = match &step.state.body {
        Body::Task(task) => &task.result,
        Body::Parallel(parallel) => &parallel.result,
        Body::Map(map) => &map.result,
        _ => &none,
    };
    flow::check_size(step, result)?;
    flow::finish(step, env, plan, result, flow)
}
