//! Reading a table key by key: what is missing, of the wrong kind or unknown is reported, and reading goes on.

use crate::{
    node::{Data, Entry, Node},
    problem::{Place, Source, nearest},
};
use std::ops::RangeInclusive;

/// The keys of one table that have not been read yet.
pub struct Fields<'a> {
    pub source: Source<'a>,
    /// Where the table begins.
    pub place: Place,
    entries: Vec<Entry>,
    known: Vec<&'static str>,
}

/// A text and where it begins.
#[derive(Clone, Debug)]
pub struct Text {
    pub value: String,
    /// Where the value stands.
    pub place: Place,
    /// Where its first character stands.
    pub text: Place,
}

impl<'a> Fields<'a> {
    /// Returns the fields of `node`; none, reported, when it is no table.
    pub fn of(source: Source<'a>, node: Node) -> Option<Self> {
        match node.data {
            Data::Table(entries) => Some(Self { source, place: node.place, entries, known: Vec::new() }),
            _ => {
                source.error(node.place, "wrong_type", format!("a table is needed here, not {}", node.kind()));
                None
            }
        }
    }

    /// Takes the value of `key`.
    pub fn take(&mut self, key: &'static str) -> Option<Entry> {
        self.known.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// Takes all keys that are left, for a table whose keys are names.
    pub fn rest(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Returns what is left as JSON.
    pub fn json(&self) -> serde_json::Value {
        self.entries.iter().map(|entry| (entry.key.clone(), entry.node.json())).collect()
    }

    /// Takes a table.
    pub fn table(&mut self, key: &'static str) -> Option<Fields<'a>> {
        let entry = self.take(key)?;
        let mut fields = Fields::of(self.source, entry.node)?;
        // The place of a table is that of its name, also when it is written as [name].
        fields.place = entry.place;
        Some(fields)
    }

    /// Takes a text.
    pub fn text(&mut self, key: &'static str) -> Option<Text> {
        let entry = self.take(key)?;
        let (place, text) = (entry.node.place, entry.node.text);
        match entry.node.data {
            Data::Text(value) => Some(Text { value, place, text }),
            _ => self.wrong(key, &entry.node, "a text"),
        }
    }

    /// Takes a text that must be there and not be empty.
    pub fn required_text(&mut self, key: &'static str) -> Option<Text> {
        if !self.has(key) {
            self.known.push(key);
            self.source.error(self.place, "missing_key", format!("the key {key:?} is missing"));
            return None;
        }
        let text = self.text(key)?;
        if text.value.trim().is_empty() {
            self.source.error(text.place, "invalid_value", format!("{key:?} is empty"));
        }
        Some(text)
    }

    /// Takes true or false.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let entry = self.take(key)?;
        match entry.node.data {
            Data::Boolean(value) => Some(value),
            _ => self.wrong(key, &entry.node, "true or false"),
        }
    }

    /// Takes an integer of `range`.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let entry = self.take(key)?;
        match entry.node.data {
            Data::Integer(value) if range.contains(&value) => Some(value),
            Data::Integer(value) => {
                let message = format!("{key:?} is {value}; it must be {} to {}", range.start(), range.end());
                self.source.error(entry.node.place, "invalid_value", message);
                None
            }
            _ => self.wrong(key, &entry.node, "an integer"),
        }
    }

    /// Takes a number of `range`.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let entry = self.take(key)?;
        let value = match entry.node.data {
            #[expect(clippy::cast_precision_loss, reason = "the ranges asked for are small")]
            Data::Integer(value) => value as f64,
            Data::Float(value) => value,
            _ => return self.wrong(key, &entry.node, "a number"),
        };
        if range.contains(&value) {
            return Some(value);
        }
        let message = format!("{key:?} is {value}; it must be {} to {}", range.start(), range.end());
        self.source.error(entry.node.place, "invalid_value", message);
        None
    }

    /// Takes a list of texts; absent is empty.
    pub fn texts(&mut self, key: &'static str) -> Vec<Text> {
        let Some(entry) = self.take(key) else { return Vec::new() };
        let Data::List(items) = entry.node.data else {
            self.wrong::<()>(key, &entry.node, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let (place, text) = (item.place, item.text);
            match item.data {
                Data::Text(value) => texts.push(Text { value, place, text }),
                _ => drop(self.wrong::<()>(key, &item, "a list of texts")),
            }
        }
        texts
    }

    /// Takes one of `words`.
    pub fn word(&mut self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(key)?;
        let found = words.iter().copied().find(|word| *word == text.value);
        if found.is_none() {
            let hint = match nearest(&text.value, words) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("it is one of: {}", words.join(", ")),
            };
            let message = format!("{:?} is no value of {key:?}", text.value);
            self.source.error_with(text.place, "invalid_value", message, hint);
        }
        found
    }

    /// Returns whether `key` is there and was not taken.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Reports every key that nobody took.
    pub fn finish(self) {
        for entry in &self.entries {
            let hint = match nearest(&entry.key, &self.known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the keys here are: {}", self.known.join(", ")),
            };
            self.source.error_with(entry.place, "unknown_key", format!("there is no key {:?} here", entry.key), hint);
        }
    }

    fn wrong<T>(&self, key: &str, node: &Node, wanted: &str) -> Option<T> {
        self.source.error(node.place, "wrong_type", format!("{key:?} must be {wanted}, not {}", node.kind()));
        None
    }
}

/// Reports a `name` that is not `[a-z0-9_-]{1,64}`; returns whether it is.
pub fn check_name(source: Source<'_>, place: Place, what: &str, name: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let valid = (1..=64).contains(&name.len()) && name.bytes().all(fits);
    if !valid {
        let hint = "use lower-case letters, digits, _ and -, at most 64";
        source.error_with(place, "invalid_name", format!("{name:?} is no valid name of {what}"), hint);
    }
    valid
}
