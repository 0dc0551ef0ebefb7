//! Reading the fields of a definition, with everything that is wrong noted on the way.

use super::{Code, Diagnostic, Language, PathOrNull, Quantity, ResultPath, Severity};
use crate::workflow::query::{Path, Template, jsonata::Expression, reference::ReferencePath};
use serde_json::{Map, Value};
use std::{cell::RefCell, sync::Arc};

/// Everything that is found wrong.
#[derive(Debug, Default)]
pub(super) struct Findings(RefCell<Vec<Diagnostic>>);

impl Findings {
    pub(super) fn note(&self, severity: Severity, code: Code, message: String, location: &str) {
        let location = if location.is_empty() { "/" } else { location };
        self.0.borrow_mut().push(Diagnostic {
            severity,
            code,
            message,
            location: Some(location.to_owned()),
            hint: None,
        });
    }

    pub(super) fn schema(&self, message: impl Into<String>, location: &str) {
        self.note(Severity::Error, Code::SchemaValidationFailed, message.into(), location);
    }

    pub(super) fn into_list(self) -> Vec<Diagnostic> {
        self.0.into_inner()
    }
}

/// The fields of an object in a definition.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    pub fields: &'a Map<String, Value>,
    pub at: String,
    pub findings: &'a Findings,
    pub language: Language,
}

impl<'a> Fields<'a> {
    /// Returns the pointer to a field.
    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name)
    }

    pub(super) fn wrong(&self, name: &str, message: impl Into<String>) {
        self.findings.schema(message, &self.pointer(name));
    }

    /// Notes that a field is missing.
    pub(super) fn required(&self, names: &[&str]) {
        let missing: Vec<&str> = names.iter().copied().filter(|name| self.get(name).is_none()).collect();
        if !missing.is_empty() {
            self.findings.schema(format!("These fields are required: [{}]", missing.join(", ")), &self.at);
        }
    }

    /// Notes that two fields are there of which only one may be.
    pub(super) fn exclusive(&self, one: &str, other: &str) {
        if self.get(one).is_some() && self.get(other).is_some() {
            self.findings.schema(format!("Only one of these fields is allowed: [{one}, {other}]"), &self.at);
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.get(name)?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong(name, "Expected value of type String");
        }
        text
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.wrong(name, "Expected value of type Boolean");
        }
        flag
    }

    pub(super) fn object(&self, name: &str) -> Option<Self> {
        let value = self.get(name)?;
        let Some(fields) = value.as_object() else {
            self.wrong(name, "Expected value of type Object");
            return None;
        };
        Some(Self { fields, at: self.pointer(name), ..self.clone() })
    }

    /// Returns the objects of a list.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.wrong(name, "Expected value of type Array");
            return Vec::new();
        };
        let mut objects = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{}[{index}]", self.pointer(name));
            match item.as_object() {
                Some(fields) => objects.push(Self { fields, at, ..self.clone() }),
                None => self.findings.schema("Expected value of type Object", &at),
            }
        }
        objects
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let value = self.get(name)?;
        let number = value.as_f64();
        if number.is_none() {
            self.wrong(name, "Expected value of type Integer");
        }
        number
    }

    /// Returns the payload template of a field, in the state's language.
    pub(super) fn template(&self, name: &str) -> Option<Template> {
        let value = self.get(name)?;
        let template = match self.language {
            Language::JsonPath => Template::json_path(value),
            Language::Jsonata => Template::jsonata(value),
        };
        template
            .map_err(|wrong| {
                let at = self.pointer(name) + &wrong.pointer();
                let message = match wrong.message {
                    Some(message) => message,
                    None => format!(
                        "The value for the field '{}' must be a valid JSONPath or a valid intrinsic function call",
                        wrong.keys.first().map_or(name, String::as_str)
                    ),
                };
                self.findings.schema(message, &at);
            })
            .ok()
    }

    /// Returns the assignments of a state, a rule or a catcher.
    pub(super) fn assign(&self) -> Option<Vec<(Arc<str>, Template)>> {
        let object = self.object("Assign")?;
        let mut assigned = Vec::new();
        for (key, value) in object.fields {
            let (name, template) = match self.language {
                Language::JsonPath => match key.strip_suffix(".$") {
                    Some(name) => {
                        let template = Template::dynamic(value);
                        if template.is_none() {
                            object.wrong(
                                key,
                                format!(
                                    "The value for the field '{key}' must be a valid JSONPath or a valid intrinsic \
                                     function call"
                                ),
                            );
                        }
                        (name, template)
                    }
                    None => (key.as_str(), object.template(key)),
                },
                Language::Jsonata => (key.as_str(), object.template(key)),
            };
            if !is_variable(name) {
                object.wrong(key, format!("'{name}' is not a valid variable name"));
            }
            assigned.extend(template.map(|template| (Arc::from(name), template)));
        }
        Some(assigned)
    }

    pub(super) fn path(&self, name: &str) -> Option<Path> {
        let text = self.text(name)?;
        let path = Path::parse(text);
        if path.is_none() {
            self.wrong(name, "Value is not a valid JSONPath");
        }
        path
    }

    pub(super) fn path_or_null(&self, name: &str) -> Option<PathOrNull> {
        match self.get(name)? {
            Value::Null => Some(PathOrNull::Null),
            _ => self.path(name).map(PathOrNull::Path),
        }
    }

    pub(super) fn result_path(&self) -> Option<ResultPath> {
        match self.get("ResultPath")? {
            Value::Null => Some(ResultPath::Discard),
            _ => {
                let path = ReferencePath::parse(self.text("ResultPath")?);
                if path.is_none() {
                    self.wrong("ResultPath", "Value is not a Reference Path");
                }
                path.map(ResultPath::At)
            }
        }
    }

    /// Returns a number that may also be given by a path (`…Path`) or an expression.
    pub(super) fn quantity(&self, name: &str) -> Option<Quantity> {
        if self.language == Language::JsonPath {
            let path = format!("{name}Path");
            self.exclusive(name, &path);
            if self.get(&path).is_some() {
                return self.path(&path).map(Quantity::Path);
            }
        }
        match self.get(name)? {
            Value::String(text) if self.language == Language::Jsonata && Expression::delimited(text).is_some() => {
                self.template(name).map(Quantity::Expression)
            }
            _ => self.number(name).map(Quantity::Number),
        }
    }

    /// Returns the names of errors that a retrier or catcher is for.
    pub(super) fn errors(&self) -> Vec<Arc<str>> {
        self.required(&["ErrorEquals"]);
        let Some(value) = self.get("ErrorEquals") else { return Vec::new() };
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            self.wrong("ErrorEquals", "Expected a non-empty value of type Array");
            return Vec::new();
        };
        let names: Vec<Arc<str>> = items.iter().filter_map(Value::as_str).map(Arc::from).collect();
        if names.len() != items.len() {
            self.wrong("ErrorEquals", "Expected value of type String");
        }
        if names.len() > 1 && names.iter().any(|name| &**name == "States.ALL") {
            self.wrong("ErrorEquals", "States.ALL must appear alone");
        }
        names
    }
}

/// Returns whether `name` may name a variable.
fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
        && name.chars().count() <= 80
        && name != "states"
}
