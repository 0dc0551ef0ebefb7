//! The `[workflow]` part of a tool's file.

use super::Context;
use crate::fields::Fields;
use serde_json::{Map, Value, json};

/// Reads the part into `parts["workflow"]`. Whether there is such a workflow is checked once all files are read.
pub(super) fn read(context: Context<'_>, fields: &mut Fields<'_>, parts: &mut Map<String, Value>) {
    let Some(mut table) = fields.table("workflow") else {
        let message = "a tool of the kind \"workflow\" needs a table [workflow]";
        context.source.error(fields.place, "missing_key", message);
        return;
    };
    if let Some(name) = table.required_text("name") {
        let place = json!({ "line": name.place.line, "column": name.place.column });
        parts.insert("workflow".to_owned(), json!({ "name": name.value }));
        parts.insert(PLACE.to_owned(), place);
    }
    table.finish();
}

/// Where the place of the name is kept until it is checked.
pub const PLACE: &str = "workflow_place";
