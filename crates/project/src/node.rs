//! A tree of values that know their places; what TOML and YAML have in common.

use crate::problem::Place;
use serde_json::Value;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    /// Where the text of a string begins, which is a line below its opening quotes in a long string.
    pub text: Place,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub enum Data {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A date or time, which only TOML has.
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

impl Node {
    /// Returns the word for what kind of value this is.
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Boolean(_) => "true or false",
            Data::Integer(_) => "an integer",
            Data::Float(_) => "a number",
            Data::Text(_) => "a text",
            Data::Date(_) => "a date",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
        }
    }

    /// Returns the JSON that this value says.
    pub fn json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Boolean(value) => Value::from(*value),
            Data::Integer(value) => Value::from(*value),
            Data::Float(value) => Value::from(*value),
            Data::Text(text) | Data::Date(text) => Value::from(text.as_str()),
            Data::List(items) => items.iter().map(Self::json).collect(),
            Data::Table(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.node.json())).collect(),
        }
    }

    /// Returns the value at `path`, as far as it exists: the deepest value on the way.
    pub fn deepest(&self, path: &[&str]) -> &Self {
        let Some((first, rest)) = path.split_first() else { return self };
        let inner = match &self.data {
            Data::Table(entries) => entries.iter().find(|entry| entry.key == *first).map(|entry| &entry.node),
            Data::List(items) => first.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        inner.map_or(self, |inner| inner.deepest(rest))
    }
}
