//! The `[approval]` part of a tool's file.

use super::Context;
use crate::{fields::Fields, template};
use bedplate_core::tool::{Approval, ApprovalMode};
use serde_json::{Map, Value, json};

/// Reads the rule; its preview goes into `parts["preview"]`.
pub fn read(context: Context<'_>, fields: &mut Fields<'_>, parts: &mut Map<String, Value>) -> Approval {
    let source = context.source;
    let mut approval = Approval::default();
    let Some(mut table) = fields.table("approval") else { return approval };
    let has_preview = table.has("preview");
    let is_known = |path: &str| known(context, has_preview, path);
    let (mode_is_set, when_is_set) = (table.has("mode"), table.has("when"));
    match table.word("mode", &["always", "never"]) {
        Some("never") => {}
        // A rule that cannot be read, or says only how to ask, asks.
        _ => approval.mode = ApprovalMode::Always,
    }
    if let Some(when) = table.text("when") {
        template::check_expression(source, when.text, &when.value, is_known);
        approval.mode = ApprovalMode::When(when.value.trim().to_owned());
    }
    if mode_is_set == when_is_set {
        source.error(table.place, "invalid_value", "[approval] has either `when` or `mode`");
    }
    if let Some(seconds) = table.integer("deadline_seconds", 1..=31_536_000) {
        approval.deadline_seconds = seconds.unsigned_abs();
    }
    if let Some(question) = table.text("question") {
        template::check(source, question.text, &question.value, is_known);
        approval.question = Some(question.value);
    }
    if let Some(preview) = table.table("preview") {
        let own = parts.get("sqlite").and_then(|part| part.get("database")).cloned();
        let preview = read_preview(context, preview, own);
        parts.insert("preview".to_owned(), preview);
    }
    table.finish();
    approval
}

fn read_preview(context: Context<'_>, mut table: Fields<'_>, own_database: Option<Value>) -> Value {
    let mut preview = Map::new();
    match table.text("database") {
        Some(database) => {
            context.check_database(&database.value, database.place);
            preview.insert("database".to_owned(), json!(database.value));
        }
        None => match own_database {
            Some(database) => drop(preview.insert("database".to_owned(), database)),
            None => context.source.error(table.place, "missing_key", "the preview needs a \"database\""),
        },
    }
    if let Some(query) = table.required_text("query") {
        context.check_query(&query.value, query.text);
        preview.insert("query".to_owned(), json!(query.value.trim()));
    }
    if let Some(empty) = table.text("empty") {
        preview.insert("empty".to_owned(), json!(empty.value));
    }
    table.finish();
    Value::Object(preview)
}

/// Whether `path` is `input`, one of its properties, or `preview` where there is one.
fn known(context: Context<'_>, has_preview: bool, path: &str) -> Result<(), String> {
    let mut words = path.split('.');
    match (words.next(), words.next()) {
        (Some("preview"), _) if !has_preview => Err("add [approval.preview] with a query".to_owned()),
        (Some("input"), Some(property)) if !context.has_property(property) => {
            let properties: Vec<&str> = context.properties().collect();
            Err(match properties.is_empty() {
                true => "the tool has no input properties".to_owned(),
                false => format!("the input properties are: {}", properties.join(", ")),
            })
        }
        _ => template::one_of(&["input", "preview"], path),
    }
}
