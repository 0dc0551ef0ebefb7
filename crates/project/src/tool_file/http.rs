//! The `[http]` and `[retry]` parts of a tool's file.

use super::Context;
use crate::{
    fields::Fields,
    node::{Data, Entry},
    problem::Place,
};
use serde_json::{Map, Value, json};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Reads the parts into `parts["http"]` and `parts["retry"]`.
pub fn read(context: Context<'_>, fields: &mut Fields<'_>, parts: &mut Map<String, Value>) {
    let source = context.source;
    let Some(mut table) = fields.table("http") else {
        source.error(fields.place, "missing_key", "a tool of the kind \"http\" needs a table [http]");
        return;
    };
    let method = if table.has("method") { table.word("method", &METHODS) } else { Some("GET") };
    let mut part = Map::new();
    part.insert("method".to_owned(), json!(method));
    if let Some(url) = table.required_text("url") {
        check_url(context, &url.value, url.place);
        part.insert("url".to_owned(), json!(url.value));
    }
    for key in ["query", "headers"] {
        let values = texts(context, &mut table, key);
        part.insert(key.to_owned(), Value::Object(values));
    }
    let has_body = matches!(method, Some("POST" | "PUT" | "PATCH"));
    let body = match table.has("body") {
        true => table.word("body", &["json", "none"]),
        false => Some(if has_body { "json" } else { "none" }),
    };
    if body == Some("json") && !has_body {
        source.error(table.place, "invalid_value", "only POST, PUT and PATCH have a body");
    }
    part.insert("body".to_owned(), json!(body));
    let allowed = table.texts("allow_private");
    for address in &allowed {
        let parts = address.value.rsplit_once(':');
        if !parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            let message = format!("{:?} is not of the form host:port", address.value);
            source.error(address.place, "invalid_value", message);
        }
    }
    part.insert("allow_private".to_owned(), allowed.into_iter().map(|text| Value::from(text.value)).collect());
    table.finish();
    parts.insert("http".to_owned(), Value::Object(part));
    if let Some(mut retry) = fields.table("retry") {
        let attempts = retry.integer("max_attempts", 1..=10).unwrap_or(3);
        retry.finish();
        parts.insert("retry".to_owned(), json!({ "max_attempts": attempts }));
    }
}

fn check_url(context: Context<'_>, url: &str, place: Place) {
    let source = context.source;
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        source.error(place, "invalid_value", "\"url\" must begin with https:// or http://");
        return;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains(['{', '}', '@']) {
        let hint = "the model must not choose the server that is called";
        source.error_with(place, "invalid_value", "the host of \"url\" must be fixed, and hold no credentials", hint);
    }
    check_placeholders(context, &rest[authority.len()..], place, false);
}

fn texts(context: Context<'_>, table: &mut Fields<'_>, key: &'static str) -> Map<String, Value> {
    let Some(mut inner) = table.table(key) else { return Map::new() };
    let mut found = Map::new();
    let is_headers = key == "headers";
    for Entry { key: name, place, node } in inner.rest() {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match node.data {
            Data::Text(value) => {
                if is_headers && (name.is_empty() || !name.bytes().all(token)) {
                    context.source.error(place, "invalid_name", format!("{name:?} is no name of a header"));
                }
                check_placeholders(context, &value, node.place, true);
                found.insert(name, Value::from(value));
            }
            _ => context.source.error(node.place, "wrong_type", format!("{name:?} must be a text")),
        }
    }
    found
}

/// Checks `{property}` and `{secret:NAME}` in `text`.
fn check_placeholders(context: Context<'_>, text: &str, place: Place, secrets: bool) {
    let source = context.source;
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let Some(end) = rest[start..].find('}') else {
            source.error(place, "template_syntax", "a \"{\" is not closed");
            return;
        };
        let name = &rest[start + 1..start + end];
        match name.strip_prefix("secret:") {
            Some(secret) if secrets && context.config.secrets.iter().any(|known| known == secret) => {}
            Some(secret) if secrets => {
                let hint = "add it to the `names` of [secrets] in bedplate.toml";
                source.error_with(place, "unknown_secret", format!("the secret {secret:?} is not declared"), hint);
            }
            Some(_) => source.error(place, "invalid_value", "a secret belongs in `headers` or `query`, not in `url`"),
            None if context.has_property(name) => {}
            None => source.unknown(place, "template_variable", "input property", name, context.properties()),
        }
        rest = &rest[start + end + 1..];
    }
}
