//! What the documents of the catalog say. Fields are added with a default, never renamed.

use bedplate_core::{id::ContentHash, time::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The type of a state machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// Durable executions.
    #[default]
    Standard,
    /// Short executions that nobody looks at afterwards.
    Express,
}

impl Kind {
    /// Returns the type as AWS writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Express => "EXPRESS",
        }
    }
}

/// Who declares a state machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A caller of the API.
    #[default]
    Api,
    /// A file of the project.
    Project,
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What is said about logs; kept and shown, and nothing else is done with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logging {
    /// `ALL`, `ERROR`, `FATAL` or `OFF`.
    pub level: String,
    /// Whether inputs and outputs are logged.
    pub include_execution_data: bool,
    /// Where logs would go, as the caller says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destinations: Option<Value>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: "OFF".into(), include_execution_data: false, destinations: None }
    }
}

/// A state machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// The hash of its definition's text.
    pub definition: ContentHash,
    /// The role that the caller names; kept and shown.
    pub role: String,
    /// What is said about logs.
    #[serde(default)]
    pub logging: Logging,
    /// Whether traces are wanted.
    #[serde(default)]
    pub tracing: bool,
    /// What encrypts it, as the caller says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Value>,
    /// Its tags in the order of their keys.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Which state of it this is; none: it was never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// How many versions were published, deleted ones included.
    #[serde(default)]
    pub versions: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who declares it.
    #[serde(default)]
    pub origin: Origin,
}

/// A version: a state machine as it was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 1.
    pub number: u64,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was published.
    pub created_at: Timestamp,
    /// The state machine as it was.
    pub machine: Machine,
}

/// A version that an alias leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The version's number.
    pub version: u64,
    /// How many of 100 executions it gets.
    pub weight: u32,
}

/// An alias of a state machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// The state machine's name.
    pub machine: String,
    /// Its name.
    pub name: String,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it leads: one version, or two.
    pub routes: Vec<Route>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An activity: a queue of tasks that workers poll.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Its name.
    pub name: String,
    /// What encrypts it, as the caller says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Value>,
    /// Its tags in the order of their keys.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: Timestamp,
}
