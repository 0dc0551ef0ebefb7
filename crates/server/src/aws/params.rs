//! The parameters of an operation, read with the rules and words of the service's model.

use super::Fault;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// The parameters of an operation.
#[derive(Debug)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Reads a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let body = if body.is_empty() { b"{}" } else { body };
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(serialization("the body is no object")),
            Err(error) => Err(serialization(format_args!("the body is no JSON: {error}"))),
        }
    }

    /// Returns the parameters within a parameter.
    pub(crate) fn within(fields: &Map<String, Value>) -> Self {
        Self(fields.clone())
    }

    /// Returns a parameter as it is; absent or `null`: none.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text of `length` characters; absent: none.
    pub(crate) fn text(&self, name: &str, length: RangeInclusive<usize>) -> Result<Option<&str>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| wrong_type(name, "a string"))?;
        let count = text.chars().count();
        if count < *length.start() {
            let rule = format!("Member must have length greater than or equal to {}", length.start());
            return Err(Fault::constraint(name, shown(text), rule));
        }
        if count > *length.end() {
            let rule = format!("Member must have length less than or equal to {}", length.end());
            return Err(Fault::constraint(name, shown(text), rule));
        }
        Ok(Some(text))
    }

    /// Returns a text that must be there.
    pub(crate) fn required(&self, name: &str, length: RangeInclusive<usize>) -> Result<&str, Fault> {
        self.text(name, length)?.ok_or_else(|| missing(name))
    }

    /// Returns the name of a resource, which must be there.
    pub(crate) fn arn(&self, name: &str) -> Result<&str, Fault> {
        self.required(name, 1..=2000)
    }

    /// Returns one of `words`; absent: none.
    pub(crate) fn word<'w>(&self, name: &str, words: &[&'w str]) -> Result<Option<&'w str>, Fault> {
        let Some(text) = self.text(name, 0..=usize::MAX)? else { return Ok(None) };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(Fault::constraint(
                name,
                shown(text),
                format_args!("Member must satisfy enum value set: [{}]", words.join(", ")),
            )),
        }
    }

    /// Returns a whole number in `range`; absent: none.
    pub(crate) fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().ok_or_else(|| wrong_type(name, "an integer"))?;
        if number < *range.start() {
            let rule = format!("Member must have value greater than or equal to {}", range.start());
            return Err(Fault::constraint(name, shown(&number.to_string()), rule));
        }
        if number > *range.end() {
            let rule = format!("Member must have value less than or equal to {}", range.end());
            return Err(Fault::constraint(name, shown(&number.to_string()), rule));
        }
        Ok(Some(number))
    }

    /// Returns a truth; absent: none.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| wrong_type(name, "a boolean"))
    }

    /// Returns a list; absent: none.
    pub(crate) fn list(&self, name: &str) -> Result<Option<&[Value]>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_array().map(|list| Some(list.as_slice())).ok_or_else(|| wrong_type(name, "a list"))
    }

    /// Returns an object; absent: none.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_object().map(|fields| Some(Self::within(fields))).ok_or_else(|| wrong_type(name, "a structure"))
    }
}

/// Returns the error of a parameter that is not there.
pub(crate) fn missing(name: &str) -> Fault {
    Fault::constraint(name, "Value null", "Member must not be null")
}

pub(crate) fn wrong_type(name: &str, expected: &str) -> Fault {
    serialization(format_args!("'{name}' must be {expected}"))
}

fn serialization(message: impl std::fmt::Display) -> Fault {
    Fault::new("SerializationException", message)
}

/// Returns a value as the errors quote it; a long one is cut.
fn shown(text: &str) -> String {
    const MOST: usize = 256;
    let cut: String = text.chars().take(MOST).collect();
    format!("Value '{cut}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(value: &Value) -> Params {
        Params::parse(value.to_string().as_bytes()).expect("an object is read")
    }

    #[test]
    fn a_parameter_that_breaks_a_rule_is_refused_in_the_services_words() {
        let params = params(&json!({"maxResults": 1001, "statusFilter": "succeeded"}));
        let fault = params.number("maxResults", 0..=1000).expect_err("it is too large");
        let words = "1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: Member must \
                     have value less than or equal to 1000";
        assert_eq!(fault, Fault::validation(words));
        let fault = params.word("statusFilter", &["SUCCEEDED", "RUNNING"]).expect_err("words have a case");
        let words = "1 validation error detected: Value 'succeeded' at 'statusFilter' failed to satisfy constraint: \
                     Member must satisfy enum value set: [SUCCEEDED, RUNNING]";
        assert_eq!(fault, Fault::validation(words));
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["[]", "1", "{", "\"x\"", "nul"] {
            assert!(Params::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
