//! Read-only calls.

use super::{
    Config, Databases, Parameters, connection,
    connection::Limits,
    rows::{self, Rows},
};
use crate::kind::{config_problem, failed};
use bedplate_core::{port::tools::ToolError, tool::ToolOutput};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};

/// Runs the tool's query.
pub async fn run(
    databases: &Databases,
    config: Config,
    parameters: Parameters,
    time: Duration,
    bytes: usize,
) -> Result<ToolOutput, ToolError> {
    let file = databases.file(&config.database).map_err(config_problem)?.to_owned();
    let sql = config.query.ok_or_else(|| config_problem("the tool has no query"))?;
    let rows = query(file, sql, parameters, time, config.max_rows, bytes).await?;
    Ok(rows.output(config.empty.as_deref()))
}

/// Returns the first row of a read-only query, as an approval's preview wants it.
///
/// # Errors
/// When the query cannot run here, or did not end in `time`.
pub async fn preview_row(
    databases: &Databases,
    database: &str,
    sql: String,
    parameters: Parameters,
    time: Duration,
) -> Result<Option<Value>, ToolError> {
    let file = databases.file(database).map_err(config_problem)?.to_owned();
    Ok(query(file, sql, parameters, time, 1, usize::MAX).await?.first())
}

async fn query(
    file: PathBuf,
    sql: String,
    parameters: Parameters,
    time: Duration,
    max_rows: usize,
    bytes: usize,
) -> Result<Rows, ToolError> {
    let (limits, _abandon) = Limits::new(time);
    let work = tokio::task::spawn_blocking(move || {
        read(&file, &sql, &parameters, &limits, max_rows, bytes)
            .map_err(|error| connection::tool_error(&error, &limits))
            .and_then(|rows| {
                rows.ok_or_else(|| config_problem("a read-only tool's SQL must be a query that only reads"))
            })
    });
    work.await.map_err(|_| failed("the query was stopped"))?
}

/// Returns none when the SQL is no read.
fn read(
    file: &std::path::Path,
    sql: &str,
    parameters: &Parameters,
    limits: &Limits,
    max_rows: usize,
    bytes: usize,
) -> rusqlite::Result<Option<Rows>> {
    let mut connection = connection::read_only(file)?;
    connection::limit(&mut connection, limits)?;
    let mut statement = connection.prepare(sql)?;
    if !statement.readonly() {
        return Ok(None);
    }
    parameters.bind(&mut statement)?;
    rows::collect(&mut statement, max_rows, bytes, limits).map(Some)
}
