//! What the answers of services look like, so that a mock of one can be held against it.
//!
//! `replies.txt` has a line for each operation: `service:operation {Member:kind …}`, the members of the service's public
//! model. Kinds: `s` text, `n` number, `b` boolean, `m` map, `*` anything, `[…]` list, `{…}` structure, `(a|b)` one of
//! these words; `!` behind a name: always there.

use serde_json::Value;

const REPLIES: &str = include_str!("replies.txt");

/// How strictly a mock is held against the service's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Members that are always there must be there, and all must be of their kind.
    #[default]
    Strict,
    /// What is there must be of its kind.
    Present,
    /// Nothing is looked at.
    None,
}

/// A mock that no service would answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Field '{field}' {rule}")]
pub struct WrongReply {
    /// The member.
    pub field: String,
    /// What is wrong with it.
    pub rule: &'static str,
}

/// Holds the mock of a service's answer against what the service answers. Of a service that is not known, nothing is
/// known to be wrong.
///
/// # Errors
/// [`WrongReply`] with the first member that is wrong.
pub(super) fn check(service: &str, action: &str, reply: &Value, strictness: Strictness) -> Result<(), WrongReply> {
    if strictness == Strictness::None {
        return Ok(());
    }
    let service = service.strip_prefix("aws-sdk:").unwrap_or(service);
    let service = if service == "sfn" { "states" } else { service };
    let operation = action.split('.').next().unwrap_or(action);
    let Some(shape) = shape_of(service, operation) else { return Ok(()) };
    let mut reader = Reader { rest: shape, strict: strictness == Strictness::Strict };
    reader.check("", Some(reply))
}

fn shape_of(service: &str, operation: &str) -> Option<&'static str> {
    REPLIES.lines().find_map(|line| {
        let (name, shape) = line.split_once(' ')?;
        let (of_service, of_operation) = name.split_once(':')?;
        (of_service == service && of_operation == operation).then_some(shape)
    })
}

/// Reads a shape and the value that should have it, side by side.
struct Reader {
    rest: &'static str,
    strict: bool,
}

impl Reader {
    fn check(&mut self, field: &str, value: Option<&Value>) -> Result<(), WrongReply> {
        let kind = self.take();
        let wrong = |rule| Err(WrongReply { field: field.to_owned(), rule });
        match (kind, value) {
            (b'{', Some(Value::Object(_)) | None) => self.structure(value),
            (b'{', Some(_)) => wrong("must be an object"),
            (b'[', Some(Value::Array(items))) => {
                let start = self.rest;
                for item in items {
                    self.rest = start;
                    self.check(field, Some(item))?;
                }
                self.rest = start;
                self.check(field, None)?;
                self.take();
                Ok(())
            }
            (b'[', None) => {
                self.check(field, None)?;
                self.take();
                Ok(())
            }
            (b'[', Some(_)) => wrong("must be an array"),
            (b'(', value) => {
                let (words, rest) = self.rest.split_once(')').unwrap_or((self.rest, ""));
                self.rest = rest;
                match value {
                    None => Ok(()),
                    Some(Value::String(text)) if words.split('|').any(|word| word == text) => Ok(()),
                    Some(Value::String(_)) => wrong("is not an expected value"),
                    Some(_) => wrong("must be a string"),
                }
            }
            (b's', Some(value)) if !value.is_string() => wrong("must be a string"),
            (b'n', Some(value)) if !value.is_number() => wrong("must be a number"),
            (b'b', Some(value)) if !value.is_boolean() => wrong("must be a boolean"),
            (b'm', Some(value)) if !value.is_object() => wrong("must be an object"),
            _ => Ok(()),
        }
    }

    fn structure(&mut self, value: Option<&Value>) -> Result<(), WrongReply> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with('}') {
                self.take();
                return Ok(());
            }
            let (name, rest) = self.rest.split_once(':').unwrap_or((self.rest, ""));
            self.rest = rest;
            let always = name.ends_with('!');
            let name = name.trim_end_matches('!');
            let found = value.and_then(|value| value.get(name));
            if self.strict && always && value.is_some() && found.is_none() {
                return Err(WrongReply { field: name.to_owned(), rule: "is required" });
            }
            self.check(name, found)?;
        }
    }

    fn take(&mut self) -> u8 {
        let first = self.rest.as_bytes().first().copied().unwrap_or(b'*');
        self.rest = self.rest.get(1..).unwrap_or_default();
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(service: &str, action: &str, reply: &Value) -> Option<String> {
        check(service, action, reply, Strictness::Strict).err().map(|wrong| wrong.to_string())
    }

    #[test]
    fn a_member_of_the_wrong_kind_is_named() {
        let said = |field: &str, rule: &str| Some(format!("Field '{field}' {rule}"));
        assert_eq!(wrong("lambda", "invoke", &json!({"StatusCode": "200"})), said("StatusCode", "must be a number"));
        let units = json!({"ConsumedCapacity": {"CapacityUnits": "1"}});
        assert_eq!(wrong("dynamodb", "putItem", &units), said("CapacityUnits", "must be a number"));
        let class = json!({"StorageClass": "Papyrus"});
        assert_eq!(wrong("aws-sdk:s3", "getObject", &class), said("StorageClass", "is not an expected value"));
        let entries = json!({"Entries": [{"EventId": "1"}, {"EventId": 2}]});
        assert_eq!(wrong("events", "putEvents", &entries), said("EventId", "must be a string"));
        assert_eq!(wrong("states", "startExecution", &json!({"ExecutionArn": "x"})), said("StartDate", "is required"));
    }

    #[test]
    fn what_is_not_known_is_not_wrong() {
        assert_eq!(wrong("events", "putEvents", &json!({"random": 1})), None);
        assert_eq!(wrong("ecs", "runTask", &json!({"x": 1})), None);
        assert_eq!(check("lambda", "invoke", &json!({"StatusCode": ""}), Strictness::None), Ok(()));
    }

    #[test]
    fn every_line_of_the_table_is_read_to_its_end() {
        for line in REPLIES.lines() {
            let (name, shape) = line.split_once(' ').expect("a line has a name and a shape");
            let mut reader = Reader { rest: shape, strict: true };
            assert_eq!(reader.check("", None), Ok(()), "{name}");
            assert_eq!(reader.rest, "", "{name}");
        }
    }
}
