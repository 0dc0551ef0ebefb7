//! Rows as the model reads them: JSON objects in the order of the columns.

use super::connection::Limits;
use bedplate_core::{message::ToolResultContent, tool::ToolOutput};
use rusqlite::{Row, Statement, types::ValueRef};
use serde_json::{Map, Value, json};

/// How many rows beyond those shown are counted before the count becomes "more than".
const MAX_COUNTED: u64 = 10_000;

/// What a query gave.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<Value>,
    /// How many more rows there were.
    more: u64,
}

/// Reads the rows of a bound `statement`: at most `most` of them and at most `bytes` of their JSON; the rest is counted
/// as far as [`MAX_COUNTED`]. The first row is always taken.
pub fn collect(statement: &mut Statement<'_>, most: usize, bytes: usize, limits: &Limits) -> rusqlite::Result<Rows> {
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found = Rows::default();
    let mut left = bytes;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if found.more > 0 || found.rows.len() >= most {
            found.more += 1;
        } else {
            let object = object(&names, row)?;
            let size = object.to_string().len() + 1;
            if size > left && !found.rows.is_empty() {
                found.more += 1;
            } else {
                left = left.saturating_sub(size);
                found.rows.push(object);
            }
        }
        if found.more > MAX_COUNTED || (found.more > 0 && limits.over()) {
            found.more = found.more.max(MAX_COUNTED + 1);
            break;
        }
    }
    Ok(found)
}

impl Rows {
    /// Returns the first row.
    pub fn first(self) -> Option<Value> {
        self.rows.into_iter().next()
    }

    /// Returns the output that says these rows, or `empty` when there is none.
    pub fn output(self, empty: Option<&str>) -> ToolOutput {
        if self.rows.is_empty() {
            return ToolOutput::text(empty.unwrap_or("No rows."));
        }
        let shown = self.rows.len();
        let mut content = vec![ToolResultContent::Json { json: Value::Array(self.rows) }];
        if self.more > 0 {
            let more = if self.more > MAX_COUNTED { format!("more than {MAX_COUNTED}") } else { self.more.to_string() };
            content.push(ToolResultContent::text(format!(
                "[Only the first {shown} rows are shown: … {more} more rows. Narrow the question to see others.]"
            )));
        }
        ToolOutput { content, is_error: false }
    }
}

/// NULL is null; a blob is told by its size, since no model reads it.
fn object(names: &[String], row: &Row<'_>) -> rusqlite::Result<Value> {
    let mut object = Map::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => json!(value),
            ValueRef::Real(value) => json!(value),
            ValueRef::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Value::String(format!("<{} bytes>", bytes.len())),
        };
        object.insert(name.clone(), value);
    }
    Ok(Value::Object(object))
}
