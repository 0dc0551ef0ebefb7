//! What `bedplate.toml` says tasks may reach, as the project loader hands it over.

use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// What tasks may reach.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Functions by name.
    pub functions: BTreeMap<String, Function>,
    /// Connections of `http:invoke` by name.
    pub connections: BTreeMap<String, Connection>,
    /// Endpoints of AWS's services.
    pub aws: Aws,
    /// Buckets that are folders, by name.
    pub buckets: BTreeMap<String, Bucket>,
}

/// A function: exactly one of `url`, `command` and `agent` is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Function {
    /// An HTTP endpoint.
    pub url: Option<String>,
    /// A program and its arguments.
    pub command: Vec<String>,
    /// An agent of the project.
    pub agent: Option<String>,
    /// Headers for the endpoint, which may hold `{secret:NAME}`.
    pub headers: BTreeMap<String, String>,
    /// Secrets that the program finds in its environment.
    pub env: Vec<String>,
    /// How long a call may take.
    pub timeout_seconds: f64,
    /// Whether a call may be repeated under its idempotency key.
    pub idempotent: bool,
}

/// Where `http:invoke` may go, and with which credential.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// What an address must begin with.
    pub endpoints: Vec<String>,
    /// `none`, `api_key`, `basic` or `bearer`.
    pub auth: Auth,
    /// The header of an API key.
    pub header: Option<String>,
    /// The name of a basic credential.
    pub username: Option<String>,
    /// The name of the secret.
    pub secret: Option<String>,
    /// Headers of every request, which may hold `{secret:NAME}`.
    pub headers: BTreeMap<String, String>,
    /// `host:port`s that may be private addresses.
    pub allow_private: Vec<String>,
}

/// How a connection says who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A key in a header.
    ApiKey,
    /// A name and a password.
    Basic,
    /// A token.
    Bearer,
}

/// Where AWS's services are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Aws {
    /// The region; absent: `us-east-1`.
    pub region: Option<String>,
    /// The environment variable of the access key's id.
    pub access_key_id_env: Option<String>,
    /// The environment variable of the secret key.
    pub secret_access_key_env: Option<String>,
    /// The environment variable of the session's token.
    pub session_token_env: Option<String>,
    /// Addresses by service; `aws` is AWS itself, `default` is for services without one.
    pub endpoints: BTreeMap<String, String>,
}

/// A bucket that is a folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Bucket {
    /// The folder within the project.
    pub folder: PathBuf,
    /// Whether objects may be written.
    pub writable: bool,
}
