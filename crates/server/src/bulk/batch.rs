//! Batches: what is kept of one, and how OpenAI's clients see it.

use super::{shelf::Kept, who::Who};
use bedplate_core::id::UserId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where batches are.
pub(super) const BATCHES: &str = "batches";

/// The one completion window, and what it is in seconds.
pub(super) const WINDOW: (&str, i64) = ("24h", 86_400);

/// Whose clients made a batch, and see it: what its results look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Face {
    /// Rows come in a file; what ended well and the rest are two more.
    #[default]
    OpenAi,
    /// Rows come in the request; what became of all of them is one document that only the batch names.
    Anthropic,
}

/// What became of all rows, for clients of Anthropic's: the pieces of the batch's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) pieces: u32,
    pub(super) bytes: u64,
}

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

/// A batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) who: Who,
    pub(super) endpoint: String,
    pub(super) input_file_id: String,
    pub(super) completion_window: String,
    pub(super) status: Status,
    /// How it will have ended once its files are written.
    pub(super) ending: Option<Status>,
    pub(super) faults: Vec<Value>,
    pub(super) total: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) output_file_id: Option<String>,
    pub(super) error_file_id: Option<String>,
    /// Whether nothing is left of its rows but the files.
    pub(super) tidy: bool,
    #[serde(default)]
    pub(super) face: Face,
    /// Headers that each of its calls carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    /// Rows that a cancel, or the end of its time, left undone; known once it is over.
    #[serde(default)]
    pub(super) left_out: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) results: Option<Results>,
    pub(super) metadata: Value,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
    /// When it first had a status, in seconds since 1970.
    pub(super) since: serde_json::Map<String, Value>,
}

impl Kept for Batch {
    const COLLECTION: &'static str = BATCHES;

    fn id(&self) -> &str {
        &self.id
    }

    fn user(&self) -> &UserId {
        &self.who.user
    }
}

/// What the files of a batch of OpenAI's clients are for: what ended well, and the rest.
pub(super) const FILES: [&str; 2] = ["output", "error"];

/// Returns the part of a batch's id that names it, without what says that it is a batch.
pub(super) fn name_of(id: &str) -> &str {
    id.split_once('_').map_or(id, |(_, name)| name)
}

/// Returns the id of one of the [`FILES`] of a batch of this name.
pub(super) fn file_id(name: &str, which: &str) -> String {
    format!("file-{name}-{which}")
}

/// Returns the id of the pieces that the results of a batch of Anthropic's clients are in.
pub(super) fn results_id(batch: &str) -> String {
    format!("{batch}-results")
}

/// Returns the id of the pieces that its requests are in.
pub(super) fn requests_id(batch: &str) -> String {
    format!("{batch}-requests")
}

impl Batch {
    /// Returns a batch that is to be begun; `at` is now, in seconds since 1970.
    pub(super) fn new(face: Face, id: String, who: Who, endpoint: String, input_file_id: String, at: i64) -> Self {
        Self {
            id,
            who,
            endpoint,
            input_file_id,
            completion_window: WINDOW.0.to_owned(),
            status: Status::Validating,
            ending: None,
            faults: Vec::new(),
            total: 0,
            completed: 0,
            failed: 0,
            output_file_id: None,
            error_file_id: None,
            tidy: false,
            face,
            headers: BTreeMap::new(),
            left_out: 0,
            results: None,
            metadata: Value::Null,
            created_at: at,
            expires_at: at + WINDOW.1,
            since: serde_json::Map::new(),
        }
    }

    /// Returns the part of its id that names it, without what says that it is a batch.
    pub(super) fn name(&self) -> &str {
        name_of(&self.id)
    }

    /// Returns the id of the pieces that its results are in.
    pub(super) fn results_id(&self) -> String {
        results_id(&self.id)
    }

    pub(super) fn enter(&mut self, status: Status, at: i64) {
        self.status = status;
        let word = serde_json::to_value(status).ok().and_then(|word| word.as_str().map(|word| format!("{word}_at")));
        if let Some(word) = word {
            self.since.entry(word).or_insert(Value::from(at));
        }
    }

    /// Returns the batch as OpenAI's clients know it.
    pub(super) fn shown(&self) -> Value {
        let errors = (!self.faults.is_empty()).then(|| json!({ "object": "list", "data": self.faults }));
        let mut shown = json!({
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": errors,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "request_counts": { "total": self.total, "completed": self.completed, "failed": self.failed },
            "metadata": self.metadata,
        });
        for word in ["in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"] {
            let name = format!("{word}_at");
            shown[&name] = self.since.get(&name).cloned().unwrap_or_default();
        }
        shown
    }
}
