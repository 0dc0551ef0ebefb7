//! Reading `bedplate.toml`.

use crate::{
    config::{Config, DatabaseConfig, RouteTarget, ServerConfig},
    fields::{Fields, check_name},
    model_table,
    node::{Data, Entry, Node},
    problem::{Place, Source},
    route_file, task_config, usage_file,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};

/// Reads the file's `table`. `folder` is where seeds are looked for. Agents' and tools' use of it is checked elsewhere.
pub fn read(source: Source<'_>, table: Node, folder: &Path) -> (Config, Places) {
    let mut config = Config::default();
    let mut places = Places::default();
    let Some(mut fields) = Fields::of(source, table) else { return (config, places) };
    match fields.table("project") {
        Some(table) => project(table, &mut config, &mut places),
        None => {
            let hint = "add [project] with a name";
            source.error_with(Place::START, "missing_key", "the table [project] is missing", hint);
        }
    }
    if let Some(table) = fields.table("server") {
        config.server = server(table);
    }
    // A model that is declared with a mistake is still known; the mistake says enough.
    let mut declared = Vec::new();
    for (name, fields) in named(&mut fields, "models", "a model") {
        if let Some(model) = model_table::model(fields) {
            config.models.insert(name.clone(), model);
        }
        declared.push(name);
    }
    let mut routes = BTreeMap::new();
    for (name, fields) in named(&mut fields, "routes", "a route") {
        if let Some(route) = route_file::route(fields, folder) {
            routes.insert(name, route);
        }
    }
    route_file::check_names(source, &declared, &routes);
    config.routes = routes.into_iter().map(|(name, route)| (name, route.target)).collect();
    config.routes.entry("default".to_owned()).or_insert(RouteTarget::Auto);
    if let Some(table) = fields.table("model_ids") {
        config.model_ids = model_ids(table, &config.routes);
    }
    for (name, mut database) in named(&mut fields, "databases", "a database") {
        let files = database.texts("seed").into_iter();
        let seed = files.filter_map(|file| seed(source, folder, &file.value, file.place)).collect();
        database.finish();
        config.databases.push(DatabaseConfig { name, seed });
    }
    config.databases.sort_by(|a, b| a.name.cmp(&b.name));
    let mut output_buckets = Vec::new();
    if let Some(mut bulk) = fields.table("bulk") {
        let number = |value: i64| u32::try_from(value).ok();
        let concurrency = bulk.integer("concurrency", 1..=1_024).and_then(number);
        config.bulk.concurrency = concurrency.unwrap_or(config.bulk.concurrency);
        config.bulk.per_minute = bulk.integer("per_minute", 1..=1_000_000).and_then(number);
        config.bulk.private_webhooks = bulk.texts("private_webhooks").into_iter().map(|text| text.value).collect();
        output_buckets = bulk.texts("output_buckets");
        bulk.finish();
    }
    if let Some(mut store) = fields.table("store") {
        config.retention_days = store.integer("retention_days", 1..=36_500).and_then(|days| u32::try_from(days).ok());
        store.finish();
    }
    if let Some(table) = fields.table("secrets") {
        config.secrets = secrets(table);
    }
    config.usage = usage_file::read(&mut fields, &config);
    places.function_agents = task_config::read(&mut fields, &mut config);
    task_config::check_outputs(source, &output_buckets, &config.tasks);
    config.bulk.output_buckets = output_buckets.into_iter().map(|text| text.value).collect();
    fields.finish();
    (config, places)
}

fn project(mut table: Fields<'_>, config: &mut Config, places: &mut Places) {
    if let Some(name) = table.required_text("name") {
        check_name(table.source, name.place, "a project", &name.value);
        config.name = name.value;
    }
    config.description = table.text("description").map(|text| text.value).unwrap_or_default();
    if let Some(agent) = table.text("default_agent") {
        places.default_agent = Some(agent.place);
        config.default_agent = Some(agent.value);
    }
    table.finish();
}

fn server(mut table: Fields<'_>) -> ServerConfig {
    let source = table.source;
    let listen = table.text("listen").map(|listen| {
        if listen.value.parse::<SocketAddr>().is_err() && !is_host_and_port(&listen.value) {
            let message = format!("{:?} is no address", listen.value);
            source.error_with(listen.place, "invalid_value", message, "write host:port, for example 127.0.0.1:7878");
        }
        listen.value
    });
    let allowed_origins = table.texts("allowed_origins").into_iter().map(|text| text.value).collect();
    let allowed_hosts = table.texts("allowed_hosts").into_iter().map(|text| text.value).collect();
    table.finish();
    ServerConfig { listen, allowed_origins, allowed_hosts }
}

fn model_ids(mut table: Fields<'_>, routes: &BTreeMap<String, RouteTarget>) -> BTreeMap<String, String> {
    let source = table.source;
    let mut ids = BTreeMap::new();
    for Entry { key, node, .. } in table.rest() {
        match node.data {
            Data::Text(route) => {
                if !routes.contains_key(&route) {
                    source.unknown(node.place, "unknown_route", "route", &route, routes.keys().map(String::as_str));
                }
                ids.insert(key, route);
            }
            _ => source.error(node.place, "wrong_type", format!("a route's name is needed, not {}", node.kind())),
        }
    }
    ids
}

fn secrets(mut table: Fields<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for name in table.texts("names") {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.value.starts_with(first) || !name.value.chars().all(|c| first(c) || c.is_ascii_digit()) {
            let message = format!("{:?} is no name of an environment variable", name.value);
            table.source.error(name.place, "invalid_name", message);
        }
        names.push(name.value);
    }
    table.finish();
    names
}

/// Where things stand that are checked once everything is read.
#[derive(Debug, Default)]
pub struct Places {
    pub default_agent: Option<Place>,
    /// The agents that functions are.
    pub function_agents: Vec<(Place, String)>,
}

/// Takes the table `key`, whose keys are names and whose values are tables.
fn named<'a>(fields: &mut Fields<'a>, key: &'static str, what: &str) -> Vec<(String, Fields<'a>)> {
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

fn seed(source: Source<'_>, folder: &Path, name: &str, place: Place) -> Option<PathBuf> {
    let path = Path::new(name);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let extension = path.extension().and_then(|extension| extension.to_str());
    if !inside {
        source.error(place, "invalid_value", format!("{name:?} must lie within the project folder"));
    } else if !matches!(extension, Some("sql" | "csv")) {
        source.error(place, "invalid_value", format!("{name:?} is neither a .sql nor a .csv file"));
    } else if !folder.join(path).is_file() {
        source.error(place, "missing_file", format!("there is no file {name:?} in the project folder"));
    } else {
        return Some(folder.join(path));
    }
    None
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
            && port.parse::<u16>().is_ok()
    })
}
