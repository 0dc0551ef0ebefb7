//! Building a database from its seeds.

use super::databases::{DatabaseSpec, OpenError};
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Builds the database `spec` as the new file `target`.
pub fn build(spec: &DatabaseSpec, target: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { name: spec.name.clone(), source };
    match fs::remove_file(target) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(OpenError::Io { name: spec.name.clone(), source });
        }
        _ => {}
    }
    let mut connection = Connection::open(target).map_err(sqlite)?;
    // The file has no name that matters until it is whole, so nothing needs to survive a crash on the way.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(sqlite)?;
    for file in &spec.seed {
        apply(&mut connection, file).map_err(|message| OpenError::Seed {
            name: spec.name.clone(),
            file: file.clone(),
            message,
        })?;
    }
    connection.close().map_err(|(_, source)| sqlite(source))
}

fn apply(connection: &mut Connection, file: &PathBuf) -> Result<(), String> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("sql") => {
            let script = fs::read_to_string(file).map_err(|error| error.to_string())?;
            connection.execute_batch(&script).map_err(|error| describe(&error, &script))
        }
        Some("csv") => fill(connection, file),
        _ => Err("a seed is a .sql or a .csv file".to_owned()),
    }
}

/// Fills the table of the file's stem: the header names the columns, an empty field is NULL.
fn fill(connection: &mut Connection, file: &PathBuf) -> Result<(), String> {
    let table = file.file_stem().and_then(|stem| stem.to_str()).ok_or("its name is no table's name")?;
    let mut reader = csv::ReaderBuilder::new().from_path(file).map_err(|error| error.to_string())?;
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    // A byte order mark, as spreadsheets write it, is not part of the first column's name.
    let columns: Vec<String> = header.iter().map(|name| quoted(name.trim().trim_start_matches('\u{feff}'))).collect();
    let places = vec!["?"; columns.len()].join(", ");
    let sql = format!("INSERT INTO {} ({}) VALUES ({places})", quoted(table), columns.join(", "));
    let transaction = connection.transaction().map_err(|error| describe(&error, ""))?;
    {
        let mut insert = transaction.prepare(&sql).map_err(|error| format!("line 1: {}", describe(&error, "")))?;
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let fields = record.iter().map(|field| (!field.is_empty()).then_some(field));
            insert
                .execute(rusqlite::params_from_iter(fields))
                .map_err(|error| format!("line {line}: {}", describe(&error, "")))?;
        }
    }
    transaction.commit().map_err(|error| describe(&error, ""))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns SQLite's words, with the line of `script` where it stopped if it says that.
fn describe(error: &rusqlite::Error, script: &str) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } if !script.is_empty() => {
            // The statement's text is a tail of the script; its own offset counts from its start.
            let start = script.len().saturating_sub(sql.len());
            let at = start + usize::try_from(*offset).unwrap_or(0);
            let line = script.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
            format!("line {line}: {msg}")
        }
        other => super::connection::reason(other),
    }
}
