//! Calls that write: all statements, the recorded effect and the result in one transaction.

use super::{
    Config, Databases, Parameters, Statement,
    connection::{self, EFFECTS, Limits},
    rows,
};
use crate::kind::{config_problem, failed, outcome_unknown};
use bedplate_core::{port::tools::ToolError, time::Timestamp, tool::ToolOutput};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::{path::Path, time::Duration};

/// Runs the tool's statements once for the call's idempotency key: a repeat returns the first result.
pub async fn run(
    databases: &Databases,
    config: Config,
    parameters: Parameters,
    now: Timestamp,
    time: Duration,
    bytes: usize,
) -> Result<ToolOutput, ToolError> {
    let file = databases.file(&config.database).map_err(config_problem)?.to_owned();
    if parameters.idempotency_key().is_empty() {
        return Err(config_problem("a call that writes needs an idempotency key"));
    }
    let (limits, _abandon) = Limits::new(time);
    let work = tokio::task::spawn_blocking(move || {
        let effect = Effect { config: &config, parameters: &parameters, now, limits: &limits, bytes };
        effect.run(&file)
    });
    work.await.map_err(|_| outcome_unknown("the work was stopped"))?
}

/// One call's effect.
struct Effect<'a> {
    config: &'a Config,
    parameters: &'a Parameters,
    now: Timestamp,
    limits: &'a Limits,
    bytes: usize,
}

/// Why a transaction is undone.
enum Undo {
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// A statement changed another number of rows than it must.
    Refused(String),
}

impl From<rusqlite::Error> for Undo {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Effect<'_> {
    fn run(&self, file: &Path) -> Result<ToolOutput, ToolError> {
        let error = |error: &rusqlite::Error| connection::tool_error(error, self.limits);
        let mut connection = connection::read_write(file).map_err(|e| error(&e))?;
        connection::limit(&mut connection, self.limits).map_err(|e| error(&e))?;
        // The transaction's own statements are not a tool's SQL; the guard is only on while that runs.
        connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| error(&e))?;
        match self.within(&mut connection) {
            Ok((output, false)) => {
                self.undo(&mut connection);
                Ok(output)
            }
            Ok((output, true)) => self.commit(&mut connection).map(|()| output),
            Err(Undo::Refused(text)) => {
                self.undo(&mut connection);
                Ok(ToolOutput::error(text))
            }
            Err(Undo::Sqlite(e)) => {
                self.undo(&mut connection);
                Err(error(&e))
            }
        }
    }

    /// Returns the output, and whether there is something to commit.
    fn within(&self, connection: &mut Connection) -> Result<(ToolOutput, bool), Undo> {
        if let Some(output) = self.recorded(connection)? {
            return Ok((output, false));
        }
        connection::guard_writes(connection, true)?;
        for statement in &self.config.statements {
            self.apply(connection, statement)?;
        }
        let output = self.result(connection)?;
        connection::guard_writes(connection, false)?;
        self.record(connection, &output)?;
        Ok((output, true))
    }

    fn recorded(&self, connection: &Connection) -> rusqlite::Result<Option<ToolOutput>> {
        let sql = format!("SELECT result FROM {EFFECTS} WHERE key = ?");
        let text: Option<String> =
            connection.query_row(&sql, [self.parameters.idempotency_key()], |row| row.get(0)).optional()?;
        Ok(text.map(|text| {
            serde_json::from_str(&text)
                .unwrap_or_else(|_| ToolOutput::text("This was already done by an earlier attempt."))
        }))
    }

    fn apply(&self, connection: &Connection, statement: &Statement) -> Result<(), Undo> {
        let mut prepared = connection.prepare(&statement.sql)?;
        self.parameters.bind(&mut prepared)?;
        let changed = prepared.raw_execute()? as u64;
        match statement.changes {
            Some(expected) if expected != changed => {
                let plain =
                    || format!("This would have changed {changed} rows instead of {expected}; nothing was done.");
                Err(Undo::Refused(statement.otherwise.clone().unwrap_or_else(plain)))
            }
            _ => Ok(()),
        }
    }

    fn result(&self, connection: &Connection) -> Result<ToolOutput, Undo> {
        let Some(sql) = &self.config.result else { return Ok(ToolOutput::text("Done.")) };
        let mut statement = connection.prepare(sql)?;
        if !statement.readonly() {
            return Err(Undo::Refused(
                "The tool's result is not a query that only reads; nothing was done.".to_owned(),
            ));
        }
        self.parameters.bind(&mut statement)?;
        let rows = rows::collect(&mut statement, self.config.max_rows, self.bytes, self.limits)?;
        Ok(rows.output(self.config.empty.as_deref().or(Some("Done."))))
    }

    fn record(&self, connection: &Connection, output: &ToolOutput) -> rusqlite::Result<()> {
        let text =
            serde_json::to_string(output).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let at = jiff::Timestamp::from_millisecond(self.now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
        let sql = format!("INSERT INTO {EFFECTS} (key, result, at) VALUES (?, ?, ?)");
        connection.execute(&sql, [self.parameters.idempotency_key(), &text, &at])?;
        Ok(())
    }

    fn commit(&self, connection: &mut Connection) -> Result<(), ToolError> {
        if self.limits.over() {
            self.undo(connection);
            return Err(failed("the time was up before the work was done; nothing changed"));
        }
        match connection.execute_batch("COMMIT") {
            Ok(()) => Ok(()),
            Err(error) => {
                self.undo(connection);
                match error.sqlite_error_code() {
                    // Deferred constraints and a busy file are found at the commit, and leave it undone.
                    Some(
                        ErrorCode::ConstraintViolation | ErrorCode::DatabaseBusy | ErrorCode::OperationInterrupted,
                    ) => Err(connection::tool_error(&error, self.limits)),
                    _ => Err(outcome_unknown("the database failed while it made the change durable")),
                }
            }
        }
    }

    /// Rolls back. A failure needs no handling: closing the connection rolls back too.
    fn undo(&self, connection: &mut Connection) {
        let _ = connection::guard_writes(connection, false);
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
}
