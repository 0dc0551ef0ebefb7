//! The `[sqlite]` part of a tool's file.

use super::Context;
use crate::{fields::Fields, node::Data, sql};
use bedplate_core::tool::Annotations;
use serde_json::{Map, Value, json};

/// Reads the part into `parts["sqlite"]`.
pub fn read(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    parts: &mut Map<String, Value>,
    annotations: &mut Annotations,
) {
    let source = context.source;
    let Some(mut table) = fields.table("sqlite") else {
        source.error(fields.place, "missing_key", "a tool of the kind \"sqlite\" needs a table [sqlite]");
        return;
    };
    let mut part = Map::new();
    if let Some(database) = table.required_text("database") {
        context.check_database(&database.value, database.place);
        part.insert("database".to_owned(), json!(database.value));
    }
    let (has_query, has_statements, has_result) = (table.has("query"), table.has("statements"), table.has("result"));
    if let Some(query) = table.text("query") {
        context.check_query(&query.value, query.text);
        part.insert("query".to_owned(), json!(query.value.trim()));
    }
    if let Some(rows) = table.integer("max_rows", 1..=10_000) {
        part.insert("max_rows".to_owned(), json!(rows));
    }
    if let Some(empty) = table.text("empty") {
        part.insert("empty".to_owned(), json!(empty.value));
    }
    let statements = statements(context, &mut table);
    if !statements.is_empty() {
        part.insert("statements".to_owned(), json!(statements));
    }
    if let Some(result) = table.text("result") {
        context.check_query(&result.value, result.text);
        part.insert("result".to_owned(), json!(result.value.trim()));
    }
    let form = match (annotations.read_only, has_query, has_statements, has_result) {
        (true, true, false, false) | (false, false, true, _) => None,
        (true, false, false, _) => Some("a read-only tool needs a `query`"),
        (true, ..) => Some("a read-only tool has a `query`, and neither `statements` nor a `result`"),
        (false, true, false, false) => Some("a tool with only a `query` must say read_only = true in [annotations]"),
        (false, true, ..) => Some("a tool that writes has `statements` and a `result`, and no `query`"),
        (false, false, false, _) => Some("a tool needs a `query` (read_only = true) or `statements`"),
    };
    if let Some(message) = form {
        source.error(table.place, "invalid_value", message);
    }
    table.finish();
    parts.insert("sqlite".to_owned(), Value::Object(part));
}

fn statements(context: Context<'_>, table: &mut Fields<'_>) -> Vec<Value> {
    let source = context.source;
    let Some(entry) = table.take("statements") else { return Vec::new() };
    let Data::List(items) = entry.node.data else {
        source.error(entry.node.place, "wrong_type", "\"statements\" must be a list of tables");
        return Vec::new();
    };
    if items.is_empty() {
        source.error(entry.node.place, "invalid_value", "\"statements\" is empty");
    }
    let mut statements = Vec::with_capacity(items.len());
    for item in items {
        let Some(mut fields) = Fields::of(source, item) else { continue };
        let mut statement = Map::new();
        if let Some(text) = fields.required_text("sql") {
            let word = sql::first_word(&text.value);
            if !["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"].contains(&word.as_str()) {
                let message = format!("a statement begins with INSERT, UPDATE, DELETE, REPLACE or WITH, not {word:?}");
                source.error_with(text.text, "sql_kind", message, "what is read belongs in `query` or `result`");
            }
            context.check_parameters(&text.value, text.text);
            statement.insert("sql".to_owned(), json!(text.value.trim()));
        }
        if let Some(changes) = fields.integer("changes", 0..=1_000_000) {
            statement.insert("changes".to_owned(), json!(changes));
        }
        if let Some(otherwise) = fields.text("otherwise") {
            if !statement.contains_key("changes") {
                source.error(otherwise.place, "invalid_value", "`otherwise` has no meaning without `changes`");
            }
            statement.insert("otherwise".to_owned(), json!(otherwise.value));
        }
        fields.finish();
        statements.push(Value::Object(statement));
    }
    statements
}
