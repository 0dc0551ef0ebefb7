//! Reference paths: where a result is put into a value.

use super::{Problem, path};
use path::Step;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A path to one place, which is made when it is not there.
#[derive(Debug)]
pub struct ReferencePath {
    text: Arc<str>,
    steps: Vec<Step>,
}

impl ReferencePath {
    /// Returns the reference path that `text` says; none when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('$').filter(|rest| !rest.starts_with('$'))?;
        Some(Self { text: text.into(), steps: path::steps(rest)? })
    }

    /// Returns `into` with `value` at the place.
    ///
    /// # Errors
    /// `States.ResultPathMatchFailure` when something that is no object stands in the way.
    pub fn put(&self, into: &Arc<Value>, value: Arc<Value>) -> Result<Arc<Value>, Problem> {
        if self.steps.is_empty() {
            return Ok(value);
        }
        let failure = || Problem {
            error: "States.ResultPathMatchFailure".into(),
            ..Problem::runtime(format_args!("Unable to apply ReferencePath {} to input {into}", self.text))
        };
        let mut whole = Value::clone(into);
        let mut at = &mut whole;
        for step in &self.steps {
            at = match step {
                Step::Key(key) => {
                    if at.is_null() {
                        *at = Value::Object(Map::new());
                    }
                    let Value::Object(fields) = at else { return Err(failure()) };
                    fields.entry(&**key).or_insert(Value::Null)
                }
                Step::Index(index) => {
                    let Value::Array(items) = at else { return Err(failure()) };
                    let place = path::place(*index, items.len());
                    place.and_then(|place| items.get_mut(place)).ok_or_else(failure)?
                }
            };
        }
        *at = Arc::unwrap_or_clone(value);
        Ok(Arc::new(whole))
    }
}
