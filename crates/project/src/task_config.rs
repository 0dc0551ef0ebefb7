//! The parts of `bedplate.toml` that say what a workflow's tasks reach: functions, connections, endpoints of AWS, buckets.
//!
//! What is read becomes the object `{functions, connections, aws, buckets}` that the room of tasks reads back.

use crate::{
    config::{Config, WorkflowConfig},
    fields::{Fields, Text},
    node::{Data, Entry},
    problem::{Place, Source},
};
use serde_json::{Map, Value, json};
use std::path::{Component, Path};

/// Reads the tables into `config`; what they name elsewhere in the project is returned to be checked.
pub fn read(fields: &mut Fields<'_>, config: &mut Config) -> Vec<(Place, String)> {
    let mut agents = Vec::new();
    let mut tasks = Map::new();
    let functions = tables(fields, "functions", "a function");
    let functions = functions.into_iter().map(|(name, table)| (name, function(table, config, &mut agents)));
    tasks.insert("functions".to_owned(), Value::Object(functions.collect()));
    let connections = tables(fields, "connections", "a connection");
    let connections = connections.into_iter().map(|(name, table)| (name, connection(table, config)));
    tasks.insert("connections".to_owned(), Value::Object(connections.collect()));
    if let Some(table) = fields.table("aws_endpoints") {
        tasks.insert("aws".to_owned(), aws(table));
    }
    let buckets = tables(fields, "buckets", "a bucket");
    let buckets = buckets.into_iter().filter_map(|(name, table)| Some((name, bucket(table)?)));
    tasks.insert("buckets".to_owned(), Value::Object(buckets.collect()));
    config.tasks = Value::Object(tasks);
    for (name, table) in tables(fields, "workflows", "a workflow") {
        let place = table.place;
        config.workflows.insert(name, WorkflowConfig { line: place.line, column: place.column, ..workflow(table) });
    }
    agents
}

/// Reports buckets that results cannot be written to: neither a folder that is writable nor behind an endpoint.
pub fn check_outputs(source: Source<'_>, buckets: &[Text], tasks: &Value) {
    let endpoints = &tasks["aws"]["endpoints"];
    let behind_endpoint = ["s3", "default"].iter().any(|service| !endpoints[*service].is_null());
    for bucket in buckets {
        let (name, folder) = (&bucket.value, &tasks["buckets"][bucket.value.as_str()]);
        if folder.is_null() && !behind_endpoint {
            let message = format!("results cannot be written to the bucket {name:?}: nothing says where it is");
            let hint = "declare [buckets.NAME] with a folder and writable = true, or s3 in [aws_endpoints]";
            source.error_with(bucket.place, "unknown_bucket", message, hint);
        } else if !folder.is_null() && folder["writable"] != true {
            let message = format!("results cannot be written to the bucket {name:?}: its folder is not writable");
            source.error_with(bucket.place, "read_only_bucket", message, "add writable = true to its table");
        }
    }
}

/// Takes the table `key`, whose keys are names as AWS allows them and whose values are tables.
fn tables<'a>(fields: &mut Fields<'a>, key: &'static str, what: &str) -> Vec<(String, Fields<'a>)> {
    let Some(mut table) = fields.table(key) else { return Vec::new() };
    let source = table.source;
    let mut found = Vec::new();
    for Entry { key, place, node } in table.rest() {
        check_name(source, place, what, &key);
        if let Some(mut fields) = Fields::of(source, node) {
            fields.place = place;
            found.push((key, fields));
        }
    }
    found
}

/// Reports a `name` that no resource ARN could name.
pub fn check_name(source: Source<'_>, place: Place, what: &str, name: &str) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > 80 || !name.bytes().all(fits) {
        let hint = "use letters, digits, _, - and ., at most 80";
        source.error_with(place, "invalid_name", format!("{name:?} is no valid name of {what}"), hint);
    }
}

fn function(mut table: Fields<'_>, config: &Config, agents: &mut Vec<(Place, String)>) -> Value {
    let source = table.source;
    let kinds: Vec<&str> = ["url", "command", "agent"].into_iter().filter(|kind| table.has(kind)).collect();
    if kinds.len() != 1 {
        let message = match kinds.as_slice() {
            [] => "nothing says what the function is".to_owned(),
            _ => format!("a function is one of {}, not several", kinds.join(", ")),
        };
        let hint = "give it `url` (an HTTP endpoint), `command` (a program) or `agent` (one of the project)";
        source.error_with(table.place, "missing_key", message, hint);
    }
    let mut part = Map::new();
    if let Some(url) = table.text("url") {
        check_url(source, &url);
        part.insert("url".to_owned(), json!(url.value));
    }
    let command = table.texts("command");
    if kinds.contains(&"command") {
        if command.first().is_none_or(|program| program.value.is_empty()) {
            source.error(table.place, "invalid_value", "\"command\" is empty: it is a list, the program first");
        }
        part.insert("command".to_owned(), command.into_iter().map(|text| Value::from(text.value)).collect());
    }
    if let Some(agent) = table.text("agent") {
        part.insert("agent".to_owned(), json!(agent.value));
        agents.push((agent.place, agent.value));
    }
    part.insert("headers".to_owned(), Value::Object(headers(&mut table, config)));
    let env = table.texts("env");
    for name in &env {
        check_secret(source, config, name.place, &name.value);
    }
    part.insert("env".to_owned(), env.into_iter().map(|text| Value::from(text.value)).collect());
    let timeout = table.number("timeout_seconds", 0.001..=900.0).unwrap_or(60.0);
    part.insert("timeout_seconds".to_owned(), json!(timeout));
    part.insert("idempotent".to_owned(), json!(table.boolean("idempotent").unwrap_or(false)));
    table.finish();
    Value::Object(part)
}

fn connection(mut table: Fields<'_>, config: &Config) -> Value {
    let source = table.source;
    let place = table.place;
    let mut part = Map::new();
    let endpoints = table.texts("endpoints");
    if endpoints.is_empty() {
        let hint = "endpoints = [\"https://api.example.com/v1/\"]: requests go nowhere else with it";
        source.error_with(place, "missing_key", "the key \"endpoints\" is missing", hint);
    }
    for endpoint in &endpoints {
        check_url(source, endpoint);
    }
    part.insert("endpoints".to_owned(), endpoints.into_iter().map(|text| Value::from(text.value)).collect());
    let auth = match table.has("auth") {
        true => table.word("auth", &["none", "api_key", "basic", "bearer"]).unwrap_or("none"),
        false => "none",
    };
    part.insert("auth".to_owned(), json!(auth));
    let needed: &[&'static str] = match auth {
        "api_key" => &["header", "secret"],
        "basic" => &["username", "secret"],
        "bearer" => &["secret"],
        _ => &[],
    };
    for key in ["header", "username", "secret"] {
        let text = if needed.contains(&key) { table.required_text(key) } else { table.text(key) };
        let Some(text) = text else { continue };
        if !needed.contains(&key) {
            source.error(text.place, "invalid_value", format!("{key:?} has no meaning with auth = {auth:?}"));
        }
        if key == "secret" {
            check_secret(source, config, text.place, &text.value);
        }
        part.insert(key.to_owned(), json!(text.value));
    }
    part.insert("headers".to_owned(), Value::Object(headers(&mut table, config)));
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
    Value::Object(part)
}

/// Keys of `[aws_endpoints]` that name no service.
const AWS_KEYS: [&str; 4] = ["region", "access_key_id_env", "secret_access_key_env", "session_token_env"];

fn aws(mut table: Fields<'_>) -> Value {
    let source = table.source;
    let mut part = Map::new();
    for key in AWS_KEYS {
        if let Some(text) = table.text(key) {
            part.insert(key.to_owned(), json!(text.value));
        }
    }
    if part.contains_key("access_key_id_env") != part.contains_key("secret_access_key_env") {
        let message = "\"access_key_id_env\" and \"secret_access_key_env\" belong together";
        source.error(table.place, "missing_key", message);
    }
    let mut endpoints = Map::new();
    for Entry { key, place, node } in table.rest() {
        check_name(source, place, "a service", &key);
        match node.data {
            Data::Text(value) => {
                if value != "aws" {
                    check_url(source, &Text { value: value.clone(), place: node.place, text: node.text });
                }
                endpoints.insert(key, json!(value));
            }
            _ => source.error(node.place, "wrong_type", format!("{key:?} must be a text, not {}", node.kind())),
        }
    }
    part.insert("endpoints".to_owned(), Value::Object(endpoints));
    Value::Object(part)
}

fn bucket(mut table: Fields<'_>) -> Option<Value> {
    let source = table.source;
    let folder = table.required_text("folder");
    let writable = table.boolean("writable").unwrap_or(false);
    table.finish();
    let folder = folder?;
    let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside(Path::new(&folder.value)) {
        let message = format!("{:?} must lie within the project folder", folder.value);
        source.error(folder.place, "invalid_value", message);
    }
    Some(json!({ "folder": folder.value, "writable": writable }))
}

fn workflow(mut table: Fields<'_>) -> WorkflowConfig {
    let express = match table.has("type") {
        true => table.word("type", &["STANDARD", "EXPRESS"]) == Some("EXPRESS"),
        false => false,
    };
    let role = table.text("role").map(|text| text.value);
    let logging = table.table("logging").map(|mut logging| {
        let level = logging.word("level", &["ALL", "ERROR", "FATAL", "OFF"]).unwrap_or("OFF");
        let data = logging.boolean("include_execution_data").unwrap_or(false);
        logging.finish();
        json!({ "level": level, "includeExecutionData": data })
    });
    table.finish();
    WorkflowConfig { express, role, logging, ..WorkflowConfig::default() }
}

fn headers(table: &mut Fields<'_>, config: &Config) -> Map<String, Value> {
    let source = table.source;
    let Some(mut inner) = table.table("headers") else { return Map::new() };
    let mut found = Map::new();
    for Entry { key, place, node } in inner.rest() {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if key.is_empty() || !key.bytes().all(token) {
            source.error(place, "invalid_name", format!("{key:?} is no name of a header"));
        }
        match node.data {
            Data::Text(value) => {
                for part in value.split("{secret:").skip(1) {
                    match part.split_once('}') {
                        Some((name, _)) => check_secret(source, config, node.place, name),
                        None => source.error(node.place, "template_syntax", "a \"{\" is not closed"),
                    }
                }
                found.insert(key, Value::from(value));
            }
            _ => source.error(node.place, "wrong_type", format!("{key:?} must be a text")),
        }
    }
    found
}

fn check_secret(source: Source<'_>, config: &Config, place: Place, name: &str) {
    if !config.secrets.iter().any(|known| known == name) {
        let hint = "add it to the `names` of [secrets] in bedplate.toml";
        source.error_with(place, "unknown_secret", format!("the secret {name:?} is not declared"), hint);
    }
}

fn check_url(source: Source<'_>, url: &Text) {
    let rest = url.value.strip_prefix("https://").or_else(|| url.value.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if authority.is_none_or(|authority| authority.is_empty() || authority.contains('@')) {
        let message = format!("{:?} is no address", url.value);
        source.error_with(url.place, "invalid_value", message, "write https://host/… or http://host:port/…");
    }
}
