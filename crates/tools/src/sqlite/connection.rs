//! Connections that can do only what a tool may do, for only as long as it may take.

use crate::kind::{config_problem, failed};
use bedplate_core::port::tools::ToolError;
use rusqlite::{
    Connection, OpenFlags,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The table in which the effects of calls are recorded; no tool's own SQL reaches it.
pub const EFFECTS: &str = "_bedplate_effects";

/// After how many steps of SQLite's machine the limits are looked at.
const STEPS: i32 = 2_000;
/// The largest value or row in bytes.
const MAX_VALUE_BYTES: i32 = 16 * 1024 * 1024;
/// How long a statement waits for another writer at most.
const MAX_BUSY: Duration = Duration::from_secs(5);

/// When work on a connection must stop.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The time that it may take.
    pub time: Duration,
    until: Instant,
    abandoned: Arc<AtomicBool>,
}

impl Limits {
    /// Returns limits that end after `time`, or when the returned guard is dropped.
    pub fn new(time: Duration) -> (Self, Abandon) {
        let abandoned = Arc::new(AtomicBool::new(false));
        let limits = Self { time, until: Instant::now() + time, abandoned: Arc::clone(&abandoned) };
        (limits, Abandon(abandoned))
    }

    /// Returns whether the work must stop.
    pub fn over(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.until
    }
}

/// Stops the work of its limits when it is dropped.
#[derive(Debug)]
pub struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Opens a connection that cannot write: the file is opened so, SQLite is told so, and each statement is looked at.
pub fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    guard(&mut connection, Some(authorize_read))?;
    Ok(connection)
}

/// Opens a connection that can write; [`guard_writes`] must be on while a tool's own SQL runs.
pub fn read_write(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The recorded effect must survive a loss of power with the journal entry that follows it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Lets only rows be read and changed on `connection`, and the effects not at all; or lifts that.
pub fn guard_writes(connection: &mut Connection, on: bool) -> rusqlite::Result<()> {
    guard(connection, on.then_some(authorize_write))
}

/// Applies the limits of time to what runs on `connection` from now on.
pub fn limit(connection: &mut Connection, limits: &Limits) -> rusqlite::Result<()> {
    connection.busy_timeout(limits.time.min(MAX_BUSY))?;
    let limits = limits.clone();
    connection.progress_handler(STEPS, Some(move || limits.over()))
}

/// Says what a failure of SQLite means for the model. Paths of files do not appear in it.
pub fn tool_error(error: &rusqlite::Error, limits: &Limits) -> ToolError {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => failed(format!(
            "the query took longer than {} ms and was stopped; it changed nothing",
            limits.time.as_millis()
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            failed("the database is busy; nothing changed, try again")
        }
        Some(ErrorCode::ConstraintViolation) => {
            failed(format!("the database refused this: {}; nothing changed", reason(error)))
        }
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            config_problem(format!("the tool's SQL does what the tool may not do: {}", reason(error)))
        }
        Some(ErrorCode::CannotOpen) => config_problem("the tool's database cannot be opened"),
        _ => failed(format!("the query failed: {}; nothing changed", reason(error))),
    }
}

/// Returns SQLite's own words without the SQL.
pub fn reason(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => message.clone().unwrap_or_else(|| code.to_string()),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn open(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    connection.busy_timeout(MAX_BUSY)?;
    Ok(connection)
}

fn guard(connection: &mut Connection, rule: Option<fn(AuthContext<'_>) -> Authorization>) -> rusqlite::Result<()> {
    connection.authorizer(rule)
}

fn authorize_read(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Read { table_name, .. } if table_name.eq_ignore_ascii_case(EFFECTS) => Authorization::Deny,
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } => function(function_name),
        // Full-text search asks for this on its own to notice changes.
        AuthAction::Pragma { pragma_name: "data_version", pragma_value: None } => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

fn authorize_write(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
            if hidden(table_name) =>
        {
            Authorization::Deny
        }
        AuthAction::Insert { .. } | AuthAction::Delete { .. } | AuthAction::Update { .. } => Authorization::Allow,
        _ => authorize_read(context),
    }
}

/// Tables that a tool's statements never change: the recorded effects, and SQLite's own (the schema).
fn hidden(table: &str) -> bool {
    let table = table.to_ascii_lowercase();
    table == EFFECTS || table == "sqlite_master" || table == "sqlite_schema"
}

fn function(name: &str) -> Authorization {
    match name.to_ascii_lowercase().as_str() {
        "load_extension" | "readfile" | "writefile" | "edit" | "fts3_tokenizer" => Authorization::Deny,
        _ => Authorization::Allow,
    }
}
