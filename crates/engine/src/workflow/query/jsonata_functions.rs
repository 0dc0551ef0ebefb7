//! The functions that Step Functions adds to JSONata, and those that read a clock or draw randomness, replaced.

use super::{
    Entropy, Env, functions,
    jsonata::{from_json, to_json},
};
use bedplate_core::time::Timestamp;
use jsonata_core::{
    evaluator::{Context, Evaluator, EvaluatorError},
    parser,
    value::JValue,
};
use serde_json::Value;
use std::rc::Rc;

/// Registers everything that an expression of a state machine may call.
pub(super) fn register(evaluator: &mut Evaluator, env: &Env<'_>) -> Result<(), EvaluatorError> {
    register_clock(evaluator, env.context.now())?;
    let entropy = Rc::new(Entropy::new(env.context.entropy().bytes()));
    let random = Rc::clone(&entropy);
    evaluator.register_fn_override("random", move |arguments: &[JValue]| {
        Ok(JValue::Number(match arguments.first().and_then(JValue::as_i64) {
            Some(seed) => functions::seeded(seed),
            None => random.unit(),
        }))
    })?;
    evaluator.register_fn("uuid", move |_: &[JValue]| Ok(JValue::from(entropy.uuid())))?;
    evaluator.register_fn("hash", |arguments: &[JValue]| {
        let [text, algorithm] = arguments else { return Err(wrong("hash takes a text and an algorithm")) };
        let text = text.as_str().map_or_else(|| json(text).to_string(), ToOwned::to_owned);
        let algorithm = algorithm.as_str().ok_or_else(|| wrong("the algorithm must be a string"))?;
        functions::hash(&text, algorithm).map(JValue::from).map_err(|message| wrong(&message))
    })?;
    evaluator.register_fn("parse", |arguments: &[JValue]| {
        let text = arguments.first().and_then(JValue::as_str).ok_or_else(|| wrong("parse takes a string"))?;
        JValue::from_json_str(text).map_err(|_| wrong("the text is not valid JSON"))
    })?;
    evaluator.register_fn("partition", |arguments: &[JValue]| {
        let [items, size] = arguments else { return Err(wrong("partition takes an array and a size")) };
        let items = match json(items) {
            Value::Array(items) => items,
            single => vec![single],
        };
        give(functions::partition(&items, integer(size)?))
    })?;
    evaluator.register_fn("range", |arguments: &[JValue]| {
        let (first, last, step) = match arguments {
            [first, last] => (first, last, 1),
            [first, last, step] => (first, last, integer(step)?),
            _ => return Err(wrong("range takes a start, an end and a step")),
        };
        give(functions::range(integer(first)?, integer(last)?, step))
    })
}

/// Registers the functions that tell the time, so that they tell `now`.
pub(super) fn register_clock(evaluator: &mut Evaluator, now: Timestamp) -> Result<(), EvaluatorError> {
    let millis = now.0;
    evaluator.register_fn_override("millis", move |_: &[JValue]| Ok(JValue::from(millis)))?;
    evaluator.register_fn_override("now", move |arguments: &[JValue]| {
        // The picture and time zone of `$now` are those of `$fromMillis`.
        let mut context = Context::new();
        context.bind("millis_now".into(), JValue::from(millis));
        let source = match arguments {
            [] => "$fromMillis($millis_now)",
            [_] => "$fromMillis($millis_now, $picture)",
            _ => "$fromMillis($millis_now, $picture, $zone)",
        };
        for (name, value) in ["picture", "zone"].into_iter().zip(arguments) {
            context.bind(name.into(), value.clone());
        }
        let tree = parser::parse(source).map_err(|error| wrong(&error.display_message()))?;
        Evaluator::with_context(context).evaluate(&tree, &JValue::Undefined)
    })
}

fn wrong(message: &str) -> EvaluatorError {
    EvaluatorError::EvaluationError(message.to_owned())
}

fn json(value: &JValue) -> Value {
    to_json(value).unwrap_or(Value::Null)
}

fn give(answer: Result<Value, String>) -> Result<JValue, EvaluatorError> {
    answer.map(|value| from_json(&value)).map_err(|message| wrong(&message))
}

#[expect(clippy::cast_possible_truncation, reason = "out of range saturates")]
fn integer(value: &JValue) -> Result<i64, EvaluatorError> {
    value.as_f64().map(|number| number.floor() as i64).ok_or_else(|| wrong("a number is wanted"))
}
