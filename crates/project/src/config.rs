//! `bedplate.toml`: the project, its server, models, routes, databases and secrets.

use crate::{
    fields::{Fields, check_name},
    node::{Data, Entry, Node},
    problem::{Place, Source},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The name of the file.
pub const FILE: &str = "bedplate.toml";

/// What `bedplate.toml` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The project's name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The agent that a request without a name means.
    pub default_agent: Option<String>,
    /// The server.
    pub server: ServerConfig,
    /// Models by name.
    pub models: BTreeMap<String, ModelConfig>,
    /// Routes by name; there is always one called `default`.
    pub routes: BTreeMap<String, RouteTarget>,
    /// Model ids that clients send, and the route each means.
    pub model_ids: BTreeMap<String, String>,
    /// Databases, sorted by name.
    pub databases: Vec<DatabaseConfig>,
    /// The names of the secrets that tools may use; values come from the environment.
    pub secrets: Vec<String>,
}

/// How the server listens and whom it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address, `host:port`.
    pub listen: Option<String>,
    /// Origins besides the loopback ones.
    pub allowed_origins: Vec<String>,
    /// `Host` values besides the loopback ones.
    pub allowed_hosts: Vec<String>,
}

/// A model that a route can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    /// Who provides it.
    pub provider: Provider,
    /// The provider's own id of the model; for `scripted` the file of the script.
    pub model: String,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// Where the provider is, when not at its usual address.
    pub base_url: Option<String>,
    /// The most output tokens of a reply.
    pub max_tokens: Option<u32>,
}

/// Who provides a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's Chat Completions API, or a server that speaks it.
    OpenAi,
    /// The embedded stand-in.
    Rehearsal,
    /// Replies from a file, for tests.
    Scripted,
}

impl Provider {
    const WORDS: [&'static str; 4] = ["anthropic", "openai", "rehearsal", "scripted"];

    /// Returns the word for it in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Rehearsal => "rehearsal",
            Self::Scripted => "scripted",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Anthropic, Self::OpenAi, Self::Rehearsal, Self::Scripted].into_iter().find(|one| one.as_str() == word)
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// The first real model that is found, else rehearsal.
    Auto,
    /// The embedded stand-in.
    Rehearsal,
    /// A model by its name in the file.
    Model(String),
}

/// A SQLite database that tools use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Its name.
    pub name: String,
    /// The files that it is built from, in order.
    pub seed: Vec<PathBuf>,
}

/// Reads the file's `table`. `folder` is where seeds are looked for. Agents' and tools' use of it is checked elsewhere.
pub fn read(source: Source<'_>, table: Node, folder: &Path) -> (Config, Places) {
    let mut config = Config::default();
    let mut places = Places::default();
    let Some(mut fields) = Fields::of(source, table) else { return (config, places) };
    match fields.table("project") {
        Some(mut project) => {
            if let Some(name) = project.required_text("name") {
                check_name(source, name.place, "a project", &name.value);
                config.name = name.value;
            }
            config.description = project.text("description").map(|text| text.value).unwrap_or_default();
            if let Some(agent) = project.text("default_agent") {
                places.default_agent = Some(agent.place);
                config.default_agent = Some(agent.value);
            }
            project.finish();
        }
        None => source.error_with(
            Place::START,
            "missing_key",
            "the table [project] is missing",
            "add [project] with a name",
        ),
    }
    if let Some(mut server) = fields.table("server") {
        config.server = ServerConfig {
            listen: server.text("listen").map(|listen| {
                if listen.value.parse::<std::net::SocketAddr>().is_err() && !is_host_and_port(&listen.value) {
                    let message = format!("{:?} is no address", listen.value);
                    source.error_with(
                        listen.place,
                        "invalid_value",
                        message,
                        "write host:port, for example 127.0.0.1:7878",
                    );
                }
                listen.value
            }),
            allowed_origins: server.texts("allowed_origins").into_iter().map(|text| text.value).collect(),
            allowed_hosts: server.texts("allowed_hosts").into_iter().map(|text| text.value).collect(),
        };
        server.finish();
    }
    for (entry, fields) in named(&mut fields, "models", "a model") {
        if let Some(model) = model(fields) {
            config.models.insert(entry, model);
        }
    }
    let mut targets = Vec::new();
    for (name, mut route) in named(&mut fields, "routes", "a route") {
        if let Some(target) = route.required_text("model") {
            let place = target.place;
            let target = match target.value.as_str() {
                "auto" => RouteTarget::Auto,
                "rehearsal" => RouteTarget::Rehearsal,
                _ => RouteTarget::Model(target.value),
            };
            targets.push((place, target.clone()));
            config.routes.insert(name, target);
        }
        route.finish();
    }
    for (place, target) in targets {
        if let RouteTarget::Model(name) = target {
            if !config.models.contains_key(&name) {
                let known = config.models.keys().map(String::as_str).chain(["auto", "rehearsal"]);
                source.unknown(place, "unknown_model", "model", &name, known);
            }
        }
    }
    config.routes.entry("default".to_owned()).or_insert(RouteTarget::Auto);
    if let Some(mut ids) = fields.table("model_ids") {
        for Entry { key, node, .. } in ids.rest() {
            match node.data {
                Data::Text(route) if config.routes.contains_key(&route) => drop(config.model_ids.insert(key, route)),
                Data::Text(route) => {
                    source.unknown(
                        node.place,
                        "unknown_route",
                        "route",
                        &route,
                        config.routes.keys().map(String::as_str),
                    );
                }
                _ => source.error(node.place, "wrong_type", format!("a route's name is needed, not {}", node.kind())),
            }
        }
    }
    for (name, mut database) in named(&mut fields, "databases", "a database") {
        let seed = database
            .texts("seed")
            .into_iter()
            .filter_map(|file| seed(source, folder, &file.value, file.place))
            .collect();
        database.finish();
        config.databases.push(DatabaseConfig { name, seed });
    }
    config.databases.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(mut secrets) = fields.table("secrets") {
        for name in secrets.texts("names") {
            let first = |c: char| c.is_ascii_alphabetic() || c == '_';
            let valid = name.value.starts_with(first) && name.value.chars().all(|c| first(c) || c.is_ascii_digit());
            if !valid {
                source.error(
                    name.place,
                    "invalid_name",
                    format!("{:?} is no name of an environment variable", name.value),
                );
            }
            config.secrets.push(name.value);
        }
        secrets.finish();
    }
    fields.finish();
    (config, places)
}

/// Where things stand that are checked once everything is read.
#[derive(Debug, Default)]
pub struct Places {
    pub default_agent: Option<Place>,
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

fn model(mut fields: Fields<'_>) -> Option<ModelConfig> {
    let source = fields.source;
    let provider = fields.has("provider").then(|| fields.word("provider", &Provider::WORDS));
    if provider.is_none() {
        source.error(fields.place, "missing_key", "the key \"provider\" is missing");
    }
    let provider = provider.flatten().and_then(Provider::of);
    let model = match provider {
        Some(Provider::Rehearsal) => fields.text("model").map_or_else(|| "rehearsal".to_owned(), |text| text.value),
        _ => fields.required_text("model").map(|text| text.value).unwrap_or_default(),
    };
    let base_url = fields.text("base_url").map(|url| {
        if !url.value.starts_with("http://") && !url.value.starts_with("https://") {
            source.error(url.place, "invalid_value", "\"base_url\" must begin with http:// or https://");
        }
        url.value
    });
    let api_key_env = fields.text("api_key_env").map(|text| text.value);
    let max_tokens = fields.integer("max_tokens", 1..=1_000_000).and_then(|count| u32::try_from(count).ok());
    // An author's guess at a key setting is the most dangerous mistake: a secret in a file that is shared.
    if fields.has("api_key") {
        if let Some(entry) = fields.take("api_key") {
            let hint = "write api_key_env = \"NAME\" and set that variable in the environment";
            source.error_with(entry.place, "secret_in_file", "a key does not belong in this file", hint);
        }
    }
    fields.finish();
    Some(ModelConfig { provider: provider?, model, api_key_env, base_url, max_tokens })
}

fn seed(source: Source<'_>, folder: &Path, name: &str, place: Place) -> Option<PathBuf> {
    let path = Path::new(name);
    let inside =
        path.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
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
