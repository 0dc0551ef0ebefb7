//! A tool's JSON Schema as the parameters that a filler can work with.

use crate::words::{bare_words, content_stems, stems, stop, synonyms};
use bedplate_core::tool::ToolSpec;
use regex_lite::{Regex, RegexBuilder};
use serde_json::{Map, Value};

/// How deep objects, arrays and references are followed.
const MAX_DEPTH: usize = 6;
/// How many properties of one object are read.
const MAX_PROPERTIES: usize = 64;

/// A tool on offer, read once per reply.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Stems of the name.
    pub name_stems: Vec<String>,
    /// Stems of the description, without function words.
    pub stems: Vec<String>,
    /// Stems that name its task: those of name and description without what the description quotes as an example.
    pub task: Vec<String>,
    /// Its parameters, in the order of the schema.
    pub params: Vec<Param>,
    /// Whether its name has only words that say little in other names ("current time"); here they say all.
    pub plain: bool,
    /// Whether it looks up anything whatever: one required free text, and no topic of its own.
    pub open: bool,
    /// Whether it shows what belongs to the person who asks.
    pub personal: bool,
    /// Whether the words of a topic are all that it needs.
    pub topical: bool,
}

/// Words of tools that look up anything.
const GENERAL: &[&str] = &[
    "database",
    "knowledge",
    "information",
    "web",
    "internet",
    "article",
    "document",
    "documentation",
    "base",
    "encyclopedia",
    "wiki",
    "wikipedia",
    "topic",
    "question",
    "relevant",
    "general",
    "text",
    "online",
    "record",
    "content",
    "facts",
    "source",
    "match",
    "term",
    "keyword",
    "full",
    "engine",
    "google",
    "index",
    "corpus",
    "company",
    "internal",
    "product",
    "service",
    "up",
    "anything",
    "entry",
    "item",
    "related",
];

/// The kind of a parameter's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// Texts.
    Text,
    /// True or false.
    Boolean,
    /// Lists.
    List,
    /// Objects.
    Object,
    /// Nothing is said.
    Any,
}

/// A parameter of a tool or a property of an object.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// Whether a call without it is refused.
    pub required: bool,
    /// What it means.
    pub description: String,
    /// Stems of the name.
    pub name_stems: Vec<String>,
    /// Stems of the description, without function words.
    pub stems: Vec<String>,
    /// The groups of like words that the name's stems belong to.
    pub name_groups: Vec<usize>,
    /// The groups of like words that the description's stems belong to.
    pub about_groups: Vec<usize>,
    /// The words of the name as they are, see [`bare_words`].
    pub name_words: Vec<String>,
    /// The words of the description as they are.
    pub about_words: Vec<String>,
    /// The allowed values; empty when any is.
    pub choices: Vec<Value>,
    /// The stems of each allowed text.
    pub choice_stems: Vec<Vec<String>>,
    /// Values that the schema or the description gives as examples.
    pub examples: Vec<(String, Vec<String>)>,
    /// The pattern of its texts.
    pub pattern: Option<Regex>,
    /// Whether the pattern tells its values from ordinary words.
    pub strict: bool,
    /// The format of its texts (`date`, `email`, …).
    pub format: Option<String>,
    /// The schema's default.
    pub default: Option<Value>,
    /// The values' limits: smallest and largest number, or shortest and longest text or list.
    pub limits: Limits,
    /// What a list holds.
    pub items: Option<Box<Param>>,
    /// What an object holds.
    pub properties: Vec<Param>,
}

/// Limits of a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// `minimum`.
    pub minimum: Option<f64>,
    /// `maximum`.
    pub maximum: Option<f64>,
    /// `minLength` or `minItems`.
    pub shortest: Option<u64>,
    /// `maxLength` or `maxItems`.
    pub longest: Option<u64>,
}

impl Tool {
    /// Reads a tool's schema.
    #[must_use]
    pub fn read(spec: &ToolSpec) -> Self {
        let mut tool = Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            name_stems: stems(&spec.name),
            stems: content_stems(&spec.description),
            task: stems(&spec.name).into_iter().chain(content_stems(&unquoted(&spec.description))).collect(),
            params: properties(&spec.input_schema, &spec.input_schema, 0),
            plain: false,
            open: false,
            personal: own_things(spec),
            topical: false,
        };
        tool.plain = tool.name_stems.iter().all(|stem| stop::is_faint(stem) || stop::is_stop(stem));
        tool.open = tool.looks_up_anything();
        tool.topical = {
            let mut required = tool.required();
            required.next().is_some_and(crate::fill::query::is_query) && required.next().is_none()
        };
        for param in tool.params.iter_mut().filter(|param| crate::fill::expression::wanted(param)) {
            // How a power or a root is written may stand with the tool and not with its parameter.
            param.description = format!("{} {}", param.description, spec.description);
        }
        tool
    }

    fn looks_up_anything(&self) -> bool {
        let mut required = self.required();
        let one = match (required.next(), required.next()) {
            (Some(one), None) => one,
            _ => return false,
        };
        if one.kind != Kind::Text || !crate::fill::query::is_query(one) {
            return false;
        }
        let searches = |stem: &String| {
            ["search", "look", "lookup", "query", "find", "knowledge", "ask", "answer", "retrieve"]
                .iter()
                .any(|word| crate::words::stem(word) == *stem)
        };
        let general =
            |stem: &String| GENERAL.iter().any(|word| crate::words::stem(word) == *stem) || stop::is_faint(stem);
        let special = self
            .name_stems
            .iter()
            .chain(&self.stems)
            .filter(|stem| !general(stem) && !searches(stem) && stem.len() > 2)
            .count();
        self.name_stems.iter().chain(&self.stems).any(searches) && special <= 2
    }

    /// Returns the parameters that a call cannot be without.
    pub fn required(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| param.required)
    }

    /// Returns the first sentence of the description, without its full stop.
    #[must_use]
    pub fn summary(&self) -> &str {
        let text = self.description.trim();
        let end = text.find(". ").or_else(|| text.find('\n')).unwrap_or(text.len());
        text[..end].trim_end_matches('.').trim()
    }
}

impl Param {
    /// Returns the name as a person would say it.
    #[must_use]
    pub fn label(&self) -> String {
        spoken(&self.name)
    }

    /// Returns whether the name has one of these words.
    #[must_use]
    pub fn named(&self, words: &[&str]) -> bool {
        self.name_words.iter().any(|own| words.contains(&own.as_str()))
    }

    /// Returns whether the name or the description has one of these words.
    #[must_use]
    pub fn mentions(&self, words: &[&str]) -> bool {
        self.named(words) || self.about_words.iter().any(|own| words.contains(&own.as_str()))
    }

    /// Returns whether a value obeys the schema.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        if !self.choices.is_empty() && !self.choices.contains(value) {
            return false;
        }
        let within = |size: usize| {
            let size = size as u64;
            self.limits.shortest.is_none_or(|least| size >= least)
                && self.limits.longest.is_none_or(|most| size <= most)
        };
        let between = |number: f64| {
            self.limits.minimum.is_none_or(|least| number >= least)
                && self.limits.maximum.is_none_or(|most| number <= most)
        };
        match (self.kind, value) {
            (Kind::Integer, Value::Number(number)) => {
                (number.is_i64() || number.is_u64()) && number.as_f64().is_some_and(between)
            }
            (Kind::Number, Value::Number(number)) => number.as_f64().is_some_and(between),
            (Kind::Text, Value::String(text)) => {
                within(text.chars().count())
                    && self.formatted(text)
                    && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
            }
            (Kind::Boolean, Value::Bool(_)) | (Kind::Any, _) => true,
            (Kind::List, Value::Array(list)) => {
                within(list.len())
                    && self.items.as_ref().is_none_or(|item| list.iter().all(|value| item.accepts(value)))
            }
            (Kind::Object, Value::Object(map)) => self.properties.iter().all(|param| match map.get(&param.name) {
                Some(value) => param.accepts(value),
                None => !param.required,
            }),
            _ => false,
        }
    }
}

impl Param {
    /// Returns whether a text has the format that the schema asks for; a format that is not known here asks nothing.
    fn formatted(&self, text: &str) -> bool {
        match self.format.as_deref() {
            Some("date") => {
                text.len() == 10 && crate::words::date::parse_day(text).is_some_and(|day| day.iso() == text)
            }
            Some("date-time") => {
                text.len() >= 20 && text.is_char_boundary(10) && crate::words::date::parse_day(&text[..10]).is_some()
            }
            Some("time") => text.len() >= 8 && text.as_bytes()[2] == b':',
            Some("email") => text.contains('@') && !text.contains(' '),
            Some("uri" | "url") => text.contains(':') && !text.contains(' '),
            Some("uuid") => text.len() == 36 && text.matches('-').count() == 4,
            _ => true,
        }
    }
}

/// Returns an identifier as words: `orderId` and `order_id` become "order id".
#[must_use]
pub fn spoken(name: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c == '_' || c == '-' || c == '.' {
            out.push(' ');
        } else if c.is_uppercase() && before.is_lowercase() {
            out.push(' ');
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
        before = c;
    }
    out.trim().to_owned()
}

fn properties(schema: &Value, root: &Value, depth: usize) -> Vec<Param> {
    let Some(map) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    map.iter()
        .take(MAX_PROPERTIES)
        .map(|(name, schema)| param(name, schema, required.contains(&name.as_str()), root, depth))
        .collect()
}

fn param(name: &str, schema: &Value, required: bool, root: &Value, depth: usize) -> Param {
    let schema = resolve(schema, root);
    let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
    let description = text("description").or_else(|| text("title")).unwrap_or_default();
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let size = |key: &str| schema.get(key).and_then(Value::as_u64);
    let choices = match (schema.get("enum").and_then(Value::as_array), schema.get("const")) {
        (Some(list), _) => list.clone(),
        (None, Some(value)) => vec![value.clone()],
        (None, None) => Vec::new(),
    };
    let kind = kind(&schema, &choices);
    let deeper = depth + 1 < MAX_DEPTH;
    let pattern = text("pattern").and_then(|pattern| RegexBuilder::new(&pattern).size_limit(1 << 16).build().ok());
    Param {
        name: name.to_owned(),
        kind,
        strict: pattern
            .as_ref()
            .is_some_and(|pattern| !["address", "Hello there", "x"].iter().any(|word| pattern.is_match(word))),
        required,
        name_stems: stems(name),
        stems: content_stems(&description),
        name_groups: groups(&stems(name)),
        about_groups: groups(&content_stems(&description)),
        name_words: bare_words(name),
        about_words: bare_words(&description),
        choice_stems: choices.iter().map(|value| value.as_str().map(stems).unwrap_or_default()).collect(),
        examples: examples(&schema, &description)
            .into_iter()
            .map(|text| {
                let own = stems(&text);
                (text, own)
            })
            .collect(),
        description,
        choices,
        pattern,
        format: text("format"),
        default: schema.get("default").cloned(),
        limits: Limits {
            minimum: number("minimum")
                .or_else(|| number("exclusiveMinimum").map(|least| least + f64::EPSILON.max(least.abs() * 1e-12))),
            maximum: number("maximum")
                .or_else(|| number("exclusiveMaximum").map(|most| most - f64::EPSILON.max(most.abs() * 1e-12))),
            shortest: size("minLength").or_else(|| size("minItems")),
            longest: size("maxLength").or_else(|| size("maxItems")),
        },
        items: schema
            .get("items")
            .filter(|_| kind == Kind::List && deeper)
            .map(|items| Box::new(param(name, items, true, root, depth + 1))),
        properties: if kind == Kind::Object && deeper { properties(&schema, root, depth + 1) } else { Vec::new() },
    }
}

/// Returns whether a tool shows what belongs to the person who asks, by its name or by what it says of an owner.
fn own_things(spec: &ToolSpec) -> bool {
    let about = unquoted(&spec.description).to_lowercase();
    let owners = ["customer", "user", "caller", "member", "employee", "patient", "account"];
    stems(&spec.name).iter().any(|stem| stem == "my")
        || about.contains(" own ")
        || owners.iter().any(|owner| {
            about.contains(&format!("of the {owner} ")) || about.contains(&format!("the {owner}'s orders"))
        })
}

/// Leaves out what a text has in double quotes.
fn unquoted(text: &str) -> String {
    text.split('"').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Returns the groups of like words of some stems; a number at a stem's end does not count.
fn groups(stems: &[String]) -> Vec<usize> {
    stems
        .iter()
        .flat_map(|stem| synonyms::groups(stem.trim_end_matches(|c: char| c.is_ascii_digit())))
        .copied()
        .collect()
}

/// Collects the values that a schema shows: `examples`, quoted words, and what follows "e.g.".
fn examples(schema: &Value, description: &str) -> Vec<String> {
    const MOST: usize = 24;
    let mut out: Vec<String> = schema
        .get("examples")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let mut before = ' ';
    let mut open: Option<(char, usize)> = None;
    for (at, c) in description.char_indices() {
        match open {
            Some((quote, start)) if c == quote => {
                out.push(description[start..at].to_owned());
                open = None;
            }
            None if matches!(c, '\'' | '"' | '`') && !before.is_alphanumeric() => open = Some((c, at + 1)),
            _ => {}
        }
        before = c;
    }
    for lead in [
        "e.g.",
        "e.g",
        "such as",
        "could be",
        "can be",
        "choices are",
        "options are",
        "options:",
        "(like",
        "type of paint (",
    ] {
        let lower = description.to_ascii_lowercase();
        if let Some(at) = lower.find(lead) {
            let rest = &description[at + lead.len()..];
            let end = rest.find([')', ';', '.']).unwrap_or(rest.len());
            out.extend(rest[..end].split([',', '/']).flat_map(|part| part.split(" or ")).map(|part| {
                part.trim()
                    .trim_start_matches("or ")
                    .trim_start_matches("and ")
                    .trim_matches(['\'', '"', ' ', ':', '.', ','])
                    .to_owned()
            }));
        }
    }
    out.retain(|text| (2..=30).contains(&text.len()) && text.split_whitespace().count() <= 3);
    out.dedup();
    out.truncate(MOST);
    out
}

/// Follows references and takes the first useful branch of a union.
fn resolve(schema: &Value, root: &Value) -> Value {
    let mut schema = schema.clone();
    for _ in 0..MAX_DEPTH {
        if let Some(path) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#')) {
            match root.pointer(path) {
                Some(target) => schema = target.clone(),
                None => return schema,
            }
        } else if let Some(branch) =
            ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema.get(*key).and_then(Value::as_array))
        {
            let Some(first) = branch.iter().find(|branch| branch.get("type").and_then(Value::as_str) != Some("null"))
            else {
                return schema;
            };
            let mut merged: Map<String, Value> = first.as_object().cloned().unwrap_or_default();
            for (key, value) in schema.as_object().into_iter().flatten() {
                if !matches!(key.as_str(), "anyOf" | "oneOf" | "allOf") {
                    merged.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            schema = Value::Object(merged);
        } else {
            return schema;
        }
    }
    schema
}

fn kind(schema: &Value, choices: &[Value]) -> Kind {
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("null")
        }
        _ => "",
    };
    match name {
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "string" => Kind::Text,
        "boolean" => Kind::Boolean,
        "array" => Kind::List,
        "object" => Kind::Object,
        _ if schema.get("properties").is_some() => Kind::Object,
        _ if schema.get("items").is_some() => Kind::List,
        _ if choices.iter().any(Value::is_string) || schema.get("pattern").is_some() => Kind::Text,
        _ => Kind::Any,
    }
}
