//! Payload templates: JSON with paths and intrinsic functions under keys that end in `.$`, or with JSONata texts.

use super::{Env, Intrinsic, Path, Problem, jsonata::Expression};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A template, ready to be filled.
#[derive(Debug)]
pub enum Template {
    /// It is the same for every input.
    Literal(Arc<Value>),
    /// A path gives it.
    Path(Path),
    /// An intrinsic function gives it.
    Intrinsic(Box<Intrinsic>),
    /// A JSONata expression gives it.
    Jsonata(Box<Expression>),
    /// An object; each key as it is written, without its `.$` in the answer.
    Object(Vec<(Arc<str>, Template)>),
    /// An array.
    Array(Vec<Template>),
}

impl Template {
    /// Returns the payload template that `value` is in JSONPath.
    ///
    /// # Errors
    /// The keys to the text that is neither a path nor an intrinsic function, innermost first.
    pub fn json_path(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Object(fields) => {
                let mut parts = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    let part = if key.ends_with(".$") {
                        Self::dynamic(value).ok_or_else(|| Wrong::at(key, value))?
                    } else {
                        Self::json_path(value).map_err(|wrong| wrong.under(key))?
                    };
                    if key.strip_suffix(".$").is_some_and(|plain| fields.contains_key(plain)) {
                        let message = format!("The fields '{key}' and '{}' have one name", key.trim_end_matches(".$"));
                        return Err(Wrong { message: Some(message), ..Wrong::at(key, value) });
                    }
                    parts.push((Arc::from(key.as_str()), part));
                }
                Ok(Self::settle_object(parts, value))
            }
            Value::Array(items) => Self::array(items, value, Self::json_path),
            other => Ok(Self::Literal(Arc::new(other.clone()))),
        }
    }

    /// Returns what a path or intrinsic function in a text gives; none when it is neither.
    #[must_use]
    pub fn dynamic(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        if text.starts_with('$') {
            Path::parse(text).map(Self::Path)
        } else {
            Intrinsic::parse(text).map(|call| Self::Intrinsic(Box::new(call)))
        }
    }

    /// Returns the template that `value` is in JSONata.
    ///
    /// # Errors
    /// The keys to an expression that cannot be parsed, innermost first.
    pub fn jsonata(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::String(text) => match Expression::delimited(text) {
                None => Ok(Self::Literal(Arc::new(value.clone()))),
                Some(source) => Expression::parse(source)
                    .map(|expression| Self::Jsonata(Box::new(expression)))
                    .map_err(|message| Wrong { keys: Vec::new(), text: text.clone(), message: Some(message) }),
            },
            Value::Object(fields) => {
                let mut parts = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    let part = Self::jsonata(value).map_err(|wrong| wrong.under(key))?;
                    parts.push((Arc::from(key.as_str()), part));
                }
                Ok(Self::settle_object(parts, value))
            }
            Value::Array(items) => Self::array(items, value, Self::jsonata),
            other => Ok(Self::Literal(Arc::new(other.clone()))),
        }
    }

    /// Returns whether the template is the same for every input.
    #[must_use]
    pub const fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// Returns the value; `field` is its name in messages.
    ///
    /// # Errors
    /// [`Problem`] when a path leads nowhere, a function fails or an expression cannot be evaluated.
    pub fn fill(&self, env: &Env<'_>, field: &str) -> Result<Arc<Value>, Problem> {
        match self {
            Self::Literal(value) => Ok(Arc::clone(value)),
            Self::Path(path) => path.field(env, field),
            Self::Intrinsic(call) => call.call(env, field).map(Arc::new),
            Self::Jsonata(expression) => expression.evaluate(env, field).map(Arc::new),
            Self::Object(parts) => {
                let mut object = Map::new();
                for (key, part) in parts {
                    let (name, field) = match part {
                        Self::Path(_) | Self::Intrinsic(_) => (key.strip_suffix(".$").unwrap_or(key), key.to_string()),
                        _ => (&**key, if field.is_empty() { key.to_string() } else { format!("{field}/{key}") }),
                    };
                    object.insert(name.to_owned(), Arc::unwrap_or_clone(part.fill(env, &field)?));
                }
                Ok(Arc::new(Value::Object(object)))
            }
            Self::Array(parts) => {
                let mut items = Vec::with_capacity(parts.len());
                for (at, part) in parts.iter().enumerate() {
                    items.push(Arc::unwrap_or_clone(part.fill(env, &format!("{field}[{at}]"))?));
                }
                Ok(Arc::new(Value::Array(items)))
            }
        }
    }

    fn settle_object(parts: Vec<(Arc<str>, Self)>, value: &Value) -> Self {
        if parts.iter().all(|(_, part)| part.is_literal()) {
            Self::Literal(Arc::new(value.clone()))
        } else {
            Self::Object(parts)
        }
    }

    /// Returns the template that `items`, the array `value`, are when each is read by `read`.
    fn array(items: &[Value], value: &Value, read: fn(&Value) -> Result<Self, Wrong>) -> Result<Self, Wrong> {
        let part = |(at, item): (usize, &Value)| read(item).map_err(|wrong| wrong.under(&at.to_string()));
        let parts = items.iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?;
        let is_literal = parts.iter().all(Self::is_literal);
        Ok(if is_literal { Self::Literal(Arc::new(value.clone())) } else { Self::Array(parts) })
    }
}

/// A part of a template that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The keys to it, innermost first.
    pub keys: Vec<String>,
    /// The text.
    pub text: String,
    /// What the parser said.
    pub message: Option<String>,
}

impl Wrong {
    fn at(key: &str, value: &Value) -> Self {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        Self { keys: vec![key.to_owned()], text, message: None }
    }

    fn under(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }

    /// Returns the place as a JSON pointer below the template.
    #[must_use]
    pub fn pointer(&self) -> String {
        self.keys.iter().rev().fold(String::new(), |pointer, key| pointer + "/" + key)
    }
}
