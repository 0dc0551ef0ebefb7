//! Parameters of a tool filled from the words of a text.

pub mod choice;
pub mod cue;
pub mod expression;
pub mod list;
pub mod matching;
pub mod query;
pub mod score;
pub mod value;

use crate::{
    read::Reading,
    schema::{Kind, Param, Tool},
};
use serde_json::{Map, Value};

/// The arguments that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filled {
    /// The arguments.
    pub args: Map<String, Value>,
    /// Names of required parameters without a value.
    pub missing: Vec<String>,
    /// How much the text speaks for these arguments; the mean is about 1 for a parameter that is named.
    pub evidence: f64,
    /// Which span each scalar parameter was filled from.
    pub sources: Vec<(String, usize)>,
    /// Parameters whose value the text names unmistakably.
    pub told: Vec<String>,
}

/// A part of a text and what of it may still become a value.
pub struct Scope<'a> {
    /// The text.
    pub reading: &'a Reading,
    /// First and last token of the clause, inclusive.
    pub window: (usize, usize),
    /// Spans that belong to something else.
    pub blocked: Vec<bool>,
    /// Tokens that became part of a value.
    pub used: Vec<bool>,
    /// Stems of the tool's own words; they name the task and are poor values.
    pub task: Vec<String>,
}

impl<'a> Scope<'a> {
    /// Returns the scope of a clause of a text.
    #[must_use]
    pub fn new(reading: &'a Reading, window: (usize, usize), tool: &Tool) -> Self {
        Self {
            reading,
            window,
            blocked: vec![false; reading.spans.len()],
            used: vec![false; reading.tokens.len()],
            task: tool.task.clone(),
        }
    }

    /// Returns the scope as it was before anything was taken.
    #[must_use]
    pub fn untouched(&self) -> Self {
        Self {
            reading: self.reading,
            window: self.window,
            blocked: self.blocked.clone(),
            used: vec![false; self.used.len()],
            task: self.task.clone(),
        }
    }

    /// Returns whether a span lies in the clause.
    #[must_use]
    pub fn inside(&self, span: usize) -> bool {
        let tokens = self.reading.spans[span].tokens;
        tokens.0 >= self.window.0 && tokens.1 <= self.window.1
    }

    /// Returns whether a span may still become a value.
    #[must_use]
    pub fn free(&self, span: usize) -> bool {
        let tokens = self.reading.spans[span].tokens;
        !self.blocked[span] && !self.used[tokens.0..=tokens.1].iter().any(|used| *used)
    }

    /// Marks a span's tokens as part of a value.
    pub fn take(&mut self, span: usize) {
        let tokens = self.reading.spans[span].tokens;
        self.used[tokens.0..=tokens.1].fill(true);
    }
}

/// Fills a tool's parameters from a clause of a text. Spans outside the clause serve only required parameters.
#[must_use]
pub fn fill(tool: &Tool, scope: &mut Scope<'_>) -> Filled {
    let mut filled = Filled::default();
    fill_params(&tool.params, scope, &mut filled, tool.params.len());
    filled
}

fn fill_params(params: &[Param], scope: &mut Scope<'_>, filled: &mut Filled, siblings: usize) {
    let mut found: Vec<Option<Value>> = vec![None; params.len()];
    for (index, param) in params.iter().enumerate() {
        if param.kind == Kind::Text
            && param.choices.is_empty()
            && expression::wanted(param)
            && let Some((text, tokens)) = expression::read(scope, param)
        {
            scope.used[tokens.0..=tokens.1].fill(true);
            found[index] = Some(Value::String(text));
            filled.told.push(param.name.clone());
            filled.evidence += 1.5;
        }
    }
    for (index, param) in params.iter().enumerate() {
        if !param.choices.is_empty()
            && found[index].is_none()
            && let Some((value, strength)) = choice::choose(param, scope)
        {
            found[index] = Some(value);
            filled.evidence += strength;
            if strength >= 0.9 {
                filled.told.push(param.name.clone());
            }
        }
    }
    for (index, param) in params.iter().enumerate() {
        if found[index].is_none()
            && param.kind == Kind::Text
            && param.choices.is_empty()
            && !query::is_query(param)
            && let Some((text, strength)) = choice::example(param, scope)
        {
            found[index] = Some(Value::String(text));
            filled.evidence += strength;
            filled.told.push(param.name.clone());
        }
    }
    for (index, param) in params.iter().enumerate() {
        if param.kind == Kind::List
            && param.choices.is_empty()
            && let Some((value, strength)) = list::fill(param, params, scope)
        {
            found[index] = Some(value);
            filled.evidence += strength;
        }
    }
    matching::assign(params, scope, &mut found, filled);
    for (index, param) in params.iter().enumerate() {
        if found[index].is_none() && param.kind == Kind::Object {
            found[index] = object(param, scope, filled);
        }
    }
    for (index, param) in params.iter().enumerate() {
        if found[index].is_none()
            && param.kind == Kind::Text
            && param.choices.is_empty()
            && let Some((text, strength)) = query::read(param, scope, siblings)
        {
            found[index] = Some(Value::String(text));
            filled.evidence += strength;
        }
        if found[index].is_none()
            && param.kind == Kind::Boolean
            && let Some((value, strength)) = choice::boolean(param, scope)
        {
            found[index] = Some(Value::Bool(value));
            filled.evidence += strength;
        }
    }
    for (param, value) in params.iter().zip(found) {
        let value =
            value.filter(|value| param.accepts(value)).or_else(|| if param.required { fallback(param) } else { None });
        match value {
            Some(value) => {
                filled.args.insert(param.name.clone(), value);
            }
            None if param.required => filled.missing.push(param.name.clone()),
            None => {}
        }
    }
}

/// Returns what the schema itself offers for a required parameter that the text does not name.
fn fallback(param: &Param) -> Option<Value> {
    let value = param
        .default
        .clone()
        .filter(|value| !value.is_null())
        .or_else(|| value::stated_default(param))
        .or_else(|| (param.choices.len() == 1).then(|| param.choices[0].clone()))
        .or_else(|| (param.kind == Kind::Boolean && param.choices.is_empty()).then_some(Value::Bool(false)))?;
    param.accepts(&value).then_some(value)
}

fn object(param: &Param, scope: &mut Scope<'_>, filled: &mut Filled) -> Option<Value> {
    if param.properties.is_empty() {
        let map = value::pairs(scope);
        return (!map.is_empty()).then_some(Value::Object(map));
    }
    let mut inner = Filled::default();
    fill_params(&param.properties, scope, &mut inner, param.properties.len() + 1);
    filled.sources.extend(inner.sources);
    filled.evidence += inner.evidence;
    let empty = inner.args.is_empty();
    (inner.missing.is_empty() && (param.required || !empty)).then_some(Value::Object(inner.args))
}
