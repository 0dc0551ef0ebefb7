//! The rules by which a recorded expectation and what the machine gave are the same, as the case set's `compare.py`.

use regex_lite::Regex;
use serde_json::Value;

const ANY: &str = "<<any>>";

/// Compares with instants seen as the word `date`.
pub struct Rules {
    instant: Regex,
}

impl Default for Rules {
    fn default() -> Self {
        let instant = r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-][01]\d:?(?:[0-5]\d)?)";
        Self { instant: Regex::new(instant).expect("the pattern is valid") }
    }
}

impl Rules {
    pub fn same(&self, expected: &Value, actual: &Value) -> bool {
        match (expected, actual) {
            (Value::String(text), _) if text == ANY => true,
            (Value::Null | Value::Bool(_), _) | (_, Value::Null | Value::Bool(_)) => expected == actual,
            (Value::Number(expected), Value::Number(actual)) => expected.as_f64() == actual.as_f64(),
            (Value::Object(fields), _) => {
                let parsed = maybe(actual);
                let Value::Object(actual) = parsed.as_ref().unwrap_or(actual) else { return false };
                if fields.keys().all(|key| actual.contains_key(key)) && fields.len() == actual.len() {
                    return fields.iter().all(|(key, value)| self.same(value, &actual[key]));
                }
                let odd = |key: &String| key.contains(ANY) || self.instant.is_match(key) || key.contains("date");
                fields.keys().any(odd)
                    && fields.len() == actual.len()
                    && fields.iter().all(|(key, value)| {
                        actual.iter().any(|(other, found)| {
                            self.same(&Value::String(key.clone()), &Value::String(other.clone()))
                                && self.same(value, found)
                        })
                    })
            }
            (Value::Array(items), _) => {
                let parsed = maybe(actual);
                let Value::Array(actual) = parsed.as_ref().unwrap_or(actual) else { return false };
                items.len() == actual.len() && items.iter().zip(actual).all(|(item, found)| self.same(item, found))
            }
            (Value::String(text), Value::Object(_) | Value::Array(_)) => {
                maybe(expected).is_some_and(|parsed| !text.is_empty() && self.same(&parsed, actual))
            }
            (Value::String(text), Value::String(found)) => self.same_text(text, found),
            _ => false,
        }
    }

    fn same_text(&self, expected: &str, actual: &str) -> bool {
        if expected == actual {
            return true;
        }
        let plain = |text: &str| self.instant.replace_all(text, "date").into_owned();
        let (wanted, found) = (plain(expected), plain(actual));
        if wanted == found || (wanted.contains(ANY) && matches(&wanted, &found)) {
            return true;
        }
        match (maybe_text(expected), maybe_text(actual)) {
            (Some(expected), Some(actual)) => self.same(&expected, &actual),
            _ => false,
        }
    }
}

fn maybe(value: &Value) -> Option<Value> {
    value.as_str().and_then(maybe_text)
}

fn maybe_text(text: &str) -> Option<Value> {
    if text.starts_with(['{', '[']) { serde_json::from_str(text).ok() } else { None }
}

/// Returns whether `text` has the parts of `pattern` between the wildcards in order.
fn matches(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split(ANY).collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let Some(mut rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    parts[1..parts.len() - 1].iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn a_wildcard_and_an_instant_match_what_they_stand_for() {
    let rules = Rules::default();
    let same = |expected: Value, actual: Value| rules.same(&expected, &actual);
    assert!(same("a<<any>>c".into(), "abbc".into()));
    assert!(!same("a<<any>>c".into(), "abb".into()));
    assert!(same("at date".into(), "at 2024-01-01T00:00:00Z".into()));
    assert!(same(serde_json::json!({"a": 1.0}), "{\"a\": 1}".into()));
    assert!(!same(serde_json::json!({"a": 1}), serde_json::json!({"a": 1, "b": 2})));
}
