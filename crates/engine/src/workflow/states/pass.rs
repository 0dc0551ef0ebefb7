//! Pass: data is reshaped.

use crate::workflow::{
    definition::{Language, Pass},
    flow,
    plan::Plan,
    query::{Env, Problem},
    step::Step,
};
use std::sync::Arc;

pub(super) fn begin(step: &Step<'_>, env: &Env<'_>, plan: &mut Plan, pass: &Pass) -> Result<(), Problem> {
    if step.state.language == Language::Jsonata {
        return flow::pass_on(step, env, plan, step.state.next.clone());
    }
    let taken = flow::arguments(step, env, pass.parameters.as_ref())?;
    let result = pass.result.as_ref().map_or(taken, Arc::clone);
    let state = step.state;
    let assigned = flow::assign(&env.on(&result), state.language, state.assign.as_ref())?;
    let whole = flow::place(env.input, result, pass.path.as_ref())?;
    let output = flow::output(step, &env.on(&whole))?;
    flow::leave(step, plan, output, assigned, state.next.clone())
}
