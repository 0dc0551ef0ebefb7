//! `tools/<name>.toml`: a tool's description, promises, schema, rule of approval, and its kind's own part.

mod approval;
mod http;
mod sqlite;
pub mod workflow;

use crate::{
    config::Config,
    fields::Fields,
    node::{Data, Node},
    problem::{Place, Source},
    sql,
};
use bedplate_core::tool::{Annotations, ToolDefinition, ToolSpec};
use jsonschema::Draft;
use serde_json::{Map, Value, json};

/// The words for the kinds of tools that a file can declare.
const KINDS: [&str; 3] = ["sqlite", "http", "workflow"];

/// What the parts of a tool's file are checked against.
#[derive(Clone, Copy)]
struct Context<'a> {
    source: Source<'a>,
    config: &'a Config,
    schema: &'a Value,
}

impl Context<'_> {
    fn has_property(&self, name: &str) -> bool {
        self.schema.get("properties").and_then(|properties| properties.get(name)).is_some()
    }

    fn properties(&self) -> impl Iterator<Item = &str> {
        self.schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
    }

    fn check_database(&self, name: &str, place: Place) {
        if !self.config.databases.iter().any(|database| database.name == name) {
            let known = self.config.databases.iter().map(|database| database.name.as_str());
            self.source.unknown(place, "unknown_database", "database", name, known);
        }
    }

    /// Checks that each parameter of `sql`, whose text begins at `place`, is a property or a word of the platform.
    fn check_parameters(&self, sql: &str, place: Place) {
        for (name, line) in sql::parameters(sql) {
            if !self.has_property(&name) && !sql::RESERVED.contains(&name.as_str()) {
                let known: Vec<&str> = self.properties().chain(sql::RESERVED).collect();
                let what = "input property for the SQL parameter";
                self.source.unknown(place.below(line), "sql_parameter", what, &name, known);
            }
        }
    }

    fn check_query(&self, sql: &str, place: Place) {
        let word = sql::first_word(sql);
        if !["SELECT", "WITH", "VALUES"].contains(&word.as_str()) {
            let message = format!("a query begins with SELECT, WITH or VALUES, not {word:?}");
            self.source.error_with(place, "sql_kind", message, "what changes rows belongs in `statements`");
        }
        self.check_parameters(sql, place);
    }
}

/// Reads the `table` of the tool called `name`.
pub fn read(source: Source<'_>, name: &str, table: Node, config: &Config) -> Option<ToolDefinition> {
    let mut fields = Fields::of(source, table)?;
    let description = fields.required_text("description").map(|text| text.value.trim().to_owned()).unwrap_or_default();
    let kind = if fields.has("kind") {
        fields.word("kind", &KINDS)
    } else {
        source.error_with(
            Place::START,
            "missing_key",
            "the key \"kind\" is missing",
            "kind is \"sqlite\", \"http\" or \"workflow\"",
        );
        None
    };
    let timeout =
        fields.number("timeout_seconds", 0.001..=600.0).unwrap_or(if kind == Some("workflow") { 600.0 } else { 10.0 });
    let most = fields.integer("max_result_bytes", 256..=1_048_576).unwrap_or(16_384);
    let schema = schema(&mut fields);
    let mut annotations = annotations(&mut fields, kind);
    let context = Context { source, config, schema: &schema };
    let mut parts = Map::new();
    match kind {
        Some("sqlite") => sqlite::read(context, &mut fields, &mut parts, &mut annotations.value),
        Some("http") => http::read(context, &mut fields, &mut parts),
        Some("workflow") => workflow::read(context, &mut fields, &mut parts),
        // Whatever stands in the part of an unknown kind cannot be judged.
        _ => KINDS.iter().for_each(|kind| drop(fields.take(kind))),
    }
    if !annotations.idempotent_is_set && matches!(kind, Some("sqlite" | "workflow")) && !annotations.value.read_only {
        // The platform records each call's key with its effect, so a repeat has none; a workflow's start joins the
        // execution that the key began.
        annotations.value.idempotent = true;
    }
    let approval = approval::read(context, &mut fields, &mut parts);
    fields.finish();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    let timeout_ms = (timeout * 1_000.0) as u64;
    Some(ToolDefinition {
        spec: ToolSpec { name: name.to_owned(), description, input_schema: schema },
        annotations: annotations.value,
        approval,
        kind: kind?.to_owned(),
        config: Value::Object(parts),
        timeout_ms,
        max_result_bytes: usize::try_from(most).unwrap_or(16_384),
    })
}

struct ReadAnnotations {
    value: Annotations,
    idempotent_is_set: bool,
}

fn annotations(fields: &mut Fields<'_>, kind: Option<&str>) -> ReadAnnotations {
    let open_world = kind == Some("http");
    let mut value = Annotations { open_world, ..Annotations::default() };
    let mut idempotent_is_set = false;
    if let Some(mut table) = fields.table("annotations") {
        let source = table.source;
        value.read_only = table.boolean("read_only").unwrap_or(false);
        value.destructive = table.boolean("destructive").unwrap_or(false);
        idempotent_is_set = table.has("idempotent");
        value.idempotent = table.boolean("idempotent").unwrap_or(false);
        value.open_world = table.boolean("open_world").unwrap_or(open_world);
        if value.read_only && value.destructive {
            source.error(table.place, "invalid_value", "a tool cannot be both read_only and destructive");
        }
        table.finish();
    }
    ReadAnnotations { value, idempotent_is_set }
}

/// Reads and checks the schema of the arguments; absent means that there are none.
fn schema(fields: &mut Fields<'_>) -> Value {
    let source = fields.source;
    let Some(entry) = fields.take("input_schema") else {
        return json!({ "type": "object", "properties": {}, "additionalProperties": false });
    };
    let mut schema = entry.node.json();
    let Some(object) = schema.as_object_mut() else {
        source.error(
            entry.node.place,
            "wrong_type",
            format!("\"input_schema\" must be a table, not {}", entry.node.kind()),
        );
        return json!({ "type": "object" });
    };
    match object.get("type") {
        None => drop(object.insert("type".to_owned(), json!("object"))),
        Some(kind) if kind == "object" => {}
        Some(_) => source.error(
            entry.node.deepest(&["type"]).place,
            "schema_invalid",
            "the type of the arguments must be \"object\"",
        ),
    }
    if let Data::Table(properties) = &entry.node.deepest(&["properties"]).data {
        for property in properties.iter().filter(|property| sql::RESERVED.contains(&property.key.as_str())) {
            let message = format!("{:?} is given by the platform and cannot come from the model", property.key);
            source.error_with(property.place, "reserved_name", message, "choose another name for this property");
        }
    }
    required_exist(source, &entry.node, &schema);
    if let Err(error) = jsonschema::options().with_draft(Draft::Draft202012).build(&schema) {
        let path = error.instance_path().to_string();
        let path: Vec<&str> = path.split('/').skip(1).collect();
        let place = if path.is_empty() { entry.place } else { entry.node.deepest(&path).place };
        source.error(place, "schema_invalid", format!("this is not a valid JSON Schema: {error}"));
    }
    schema
}

/// A required property that is not declared is nearly always a slip of the pen.
fn required_exist(source: Source<'_>, node: &Node, schema: &Value) {
    let properties: Vec<&str> = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|map| map.keys().map(String::as_str))
        .collect();
    if let Data::List(required) = &node.deepest(&["required"]).data {
        for item in required {
            if let Data::Text(name) = &item.data
                && !properties.contains(&name.as_str())
            {
                source.unknown(item.place, "schema_invalid", "property", name, properties.iter().copied());
            }
        }
    }
}
