//! JSONPath as the States Language uses it: `$` is the input, `$$` the context object, `$name` a variable.
//!
//! A path that names one place is walked directly; all others are RFC 9535 queries.

use super::{Env, Problem};
use serde_json::Value;
use serde_json_path::JsonPath;
use std::{borrow::Cow, sync::Arc};

/// A path, ready to be followed.
#[derive(Debug)]
pub struct Path {
    /// The path as it is written.
    pub text: Arc<str>,
    /// Where it begins.
    pub root: Root,
    query: Query,
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// `$`.
    Input,
    /// `$$`.
    Context,
    /// `$name`.
    Variable(Arc<str>),
}

#[derive(Debug)]
enum Query {
    /// One place.
    Steps(Vec<Step>),
    /// Many places: the answer is a list.
    Many(Box<JsonPath>),
    /// The length of what a path gives.
    Length(Box<Query>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(Arc<str>),
    Index(i64),
}

/// A path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathMiss {
    /// The last step is not there.
    #[error("No results for path: {0}")]
    NoResults(String),
    /// A step before the last is not there.
    #[error("Missing property in path {0}")]
    MissingProperty(String),
    /// There is no such variable.
    #[error("The variable '${0}' is not defined")]
    NoVariable(Arc<str>),
}

impl Path {
    /// Returns the path that `text` says; none when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('$')?;
        let (root, rest) = if let Some(rest) = rest.strip_prefix('$') {
            (Root::Context, rest)
        } else if rest.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (Root::Variable(rest[..end].into()), &rest[end..])
        } else {
            (Root::Input, rest)
        };
        Some(Self { text: text.into(), root, query: query(rest)? })
    }

    /// Returns whether the path names one place.
    #[must_use]
    pub const fn is_definite(&self) -> bool {
        matches!(self.query, Query::Steps(_))
    }

    /// Returns what the path leads to: a value, or the list of all that an indefinite path gives.
    ///
    /// # Errors
    /// [`PathMiss`] when a definite path leads nowhere.
    pub fn find<'a>(&self, env: &Env<'a>) -> Result<Cow<'a, Value>, PathMiss> {
        let root: &'a Value = match &self.root {
            Root::Input => env.input,
            Root::Context => env.context.object(),
            Root::Variable(name) => env.variables.get(name).ok_or_else(|| PathMiss::NoVariable(Arc::clone(name)))?,
        };
        self.query.find(root)
    }

    /// Returns what the path leads to, shared where it is a whole value already.
    ///
    /// # Errors
    /// As [`Path::find`].
    pub fn shared(&self, env: &Env<'_>) -> Result<Arc<Value>, PathMiss> {
        if matches!(&self.query, Query::Steps(steps) if steps.is_empty()) {
            let whole = match &self.root {
                Root::Input => Some(env.input),
                Root::Context => Some(env.context.object()),
                Root::Variable(name) => env.variables.get(name),
            };
            if let Some(whole) = whole {
                return Ok(Arc::clone(whole));
            }
        }
        self.find(env).map(|value| Arc::new(value.into_owned()))
    }

    /// Returns what the path leads to, for a field that takes a value by path.
    ///
    /// # Errors
    /// [`Problem`] in the words for `InputPath` and its kind.
    pub fn value(&self, env: &Env<'_>) -> Result<Arc<Value>, Problem> {
        self.shared(env).map_err(|miss| Problem::runtime(format_args!("Invalid path '{}' : {miss}", self.text)))
    }

    /// Returns what the path leads to, for a field of a payload template.
    ///
    /// # Errors
    /// [`Problem`] in the words for templates.
    pub fn field(&self, env: &Env<'_>, field: &str) -> Result<Arc<Value>, Problem> {
        self.shared(env).map_err(|_| {
            let input = match &self.root {
                Root::Context => env.context.object(),
                Root::Input | Root::Variable(_) => env.input,
            };
            Problem::runtime(format_args!(
                "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{input}'",
                self.text
            ))
        })
    }
}

impl Query {
    fn find<'a>(&self, root: &'a Value) -> Result<Cow<'a, Value>, PathMiss> {
        match self {
            Self::Steps(steps) => walk(root, steps).map(Cow::Borrowed),
            Self::Many(path) => Ok(Cow::Owned(Value::Array(path.query(root).all().into_iter().cloned().collect()))),
            Self::Length(of) => Ok(Cow::Owned(match &*of.find(root)? {
                Value::Array(items) => items.len().into(),
                Value::Object(fields) => fields.len().into(),
                Value::String(text) => text.chars().count().into(),
                Value::Null | Value::Bool(_) | Value::Number(_) => Value::Null,
            })),
        }
    }
}

fn walk<'a>(root: &'a Value, steps: &[Step]) -> Result<&'a Value, PathMiss> {
    let mut at = root;
    for (done, step) in steps.iter().enumerate() {
        let next = match (step, at) {
            (Step::Key(key), Value::Object(fields)) => fields.get(&**key),
            (Step::Index(index), Value::Array(items)) => place(*index, items.len()).and_then(|index| items.get(index)),
            _ => None,
        };
        at = next.ok_or_else(|| {
            let upto = show(&steps[..=done]);
            if done + 1 == steps.len() { PathMiss::NoResults(upto) } else { PathMiss::MissingProperty(upto) }
        })?;
    }
    Ok(at)
}

pub(super) fn place(index: i64, length: usize) -> Option<usize> {
    if index < 0 { usize::try_from(i64::try_from(length).ok()? + index).ok() } else { usize::try_from(index).ok() }
}

/// Returns the steps in the normal form of messages: `$['a'][0]`.
fn show(steps: &[Step]) -> String {
    let mut text = String::from("$");
    for step in steps {
        match step {
            Step::Key(key) => text.extend(["['", key, "']"]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Returns the steps of a path that names one place; none when it names many or is wrong.
pub(super) fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(dotted) = rest.strip_prefix('.') {
            let end = dotted.find(['.', '[', '(', '*', '?', '\'', '"', ' ']).unwrap_or(dotted.len());
            if end == 0 || dotted[end..].starts_with(['(', '*', '?', '\'', '"', ' ']) {
                return None;
            }
            steps.push(Step::Key(dotted[..end].into()));
            rest = &dotted[end..];
        } else {
            let inside = rest.strip_prefix('[')?;
            if let Some(quote) = inside.chars().next().filter(|quote| matches!(quote, '\'' | '"')) {
                let (key, after) = quoted(&inside[1..], quote)?;
                steps.push(Step::Key(key.into()));
                rest = after.strip_prefix(']')?;
            } else {
                let end = inside.find(']')?;
                steps.push(Step::Index(inside[..end].trim().parse().ok()?));
                rest = &inside[end + 1..];
            }
        }
    }
    Some(steps)
}

fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.push(chars.next()?.1),
            c if c == quote => return Some((key, &text[at + 1..])),
            c => key.push(c),
        }
    }
    None
}

fn query(rest: &str) -> Option<Query> {
    if let Some(steps) = steps(rest) {
        return Some(Query::Steps(steps));
    }
    if let Some(of) = rest.strip_suffix(".length()") {
        return query(of).map(|of| Query::Length(Box::new(of)));
    }
    JsonPath::parse(&standard(rest)).ok().map(|path| Query::Many(Box::new(path)))
}

/// Returns the path in the standard's spelling: names with characters that it does not allow after a dot are quoted,
/// filters lose the brackets around their condition.
fn standard(rest: &str) -> String {
    let mut text = String::from("$");
    let mut depth = 0usize;
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                let after = &rest[at + 1..];
                let end = after.find(['.', '[', '(']).unwrap_or(after.len());
                let name = &after[..end];
                let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_')
                    && !name.starts_with(|first: char| first.is_ascii_digit());
                if end > 0 && name != "*" && !plain {
                    let descends = text.ends_with('.');
                    if descends {
                        text.push('.');
                    }
                    text.push_str(&format!("['{}']", name.replace('\'', "\\'")));
                    while chars.peek().is_some_and(|(next, _)| *next < at + 1 + end) {
                        chars.next();
                    }
                    continue;
                }
            }
            _ => {}
        }
        text.push(c);
    }
    text
}
