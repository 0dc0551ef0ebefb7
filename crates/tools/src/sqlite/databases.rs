//! The project's databases: files under the data folder, built from seeds when they do not exist, and never again.

use super::{bind, connection, seed};
use bedplate_core::tool::ToolDefinition;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// A database as the project declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSpec {
    /// Its name, which tools use.
    pub name: String,
    /// The files that it is built from, in order: `.sql` scripts, and `.csv` tables of the name of the file.
    pub seed: Vec<PathBuf>,
}

/// The databases of a project by name.
#[derive(Debug, Default)]
pub struct Databases {
    files: BTreeMap<String, PathBuf>,
}

/// A database that could not be opened or built.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder or a file in it cannot be used.
    #[error("failed to open database {name}: {source}")]
    Io {
        /// The database.
        name: String,
        /// What failed.
        source: io::Error,
    },
    /// SQLite cannot use the file.
    #[error("failed to open database {name}: {}", connection::reason(.source))]
    Sqlite {
        /// The database.
        name: String,
        /// What failed.
        source: rusqlite::Error,
    },
    /// A seed is wrong.
    #[error("failed to build database {name}: {file}: {message}", file = .file.display())]
    Seed {
        /// The database.
        name: String,
        /// The seed.
        file: PathBuf,
        /// What is wrong with it, with the line where that is known.
        message: String,
    },
}

impl Databases {
    /// Opens the databases `specs` in `<data_dir>/databases`, and builds those that do not exist: into a file beside,
    /// which gets its name when it is whole, so that a crash leaves no half-built one. It blocks.
    ///
    /// # Errors
    /// [`OpenError`] of the first database that cannot be had.
    pub fn open(data_dir: &Path, specs: &[DatabaseSpec]) -> Result<Self, OpenError> {
        let folder = data_dir.join("databases");
        let mut files = BTreeMap::new();
        for spec in specs {
            let name = || spec.name.clone();
            fs::create_dir_all(&folder).map_err(|source| OpenError::Io { name: name(), source })?;
            let file = folder.join(format!("{}.db", spec.name));
            if !file.exists() {
                build(spec, &file)?;
            }
            ready(&file).map_err(|source| OpenError::Sqlite { name: name(), source })?;
            files.insert(name(), file);
        }
        Ok(Self { files })
    }

    /// Builds the databases `specs` in `folder`, which should be empty, to check seeds and the SQL of tools without
    /// touching a project's data.
    ///
    /// # Errors
    /// Every [`OpenError`], together with the databases that could be built.
    pub fn rehearse(folder: &Path, specs: &[DatabaseSpec]) -> (Self, Vec<OpenError>) {
        let mut all = Self::default();
        let mut errors = Vec::new();
        for spec in specs {
            match Self::open(folder, std::slice::from_ref(spec)) {
                Ok(one) => all.files.extend(one.files),
                Err(error) => errors.push(error),
            }
        }
        (all, errors)
    }

    /// Returns the names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Returns the file of the database called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn file(&self, name: &str) -> Result<&Path, String> {
        self.files.get(name).map(PathBuf::as_path).ok_or_else(|| format!("there is no database {name:?}"))
    }

    /// Checks that `sql` is one statement that reads, with parameters that `tool` has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_query(&self, database: &str, sql: &str, tool: &ToolDefinition) -> Result<(), String> {
        let connection = connection::read_only(self.file(database)?).map_err(|error| connection::reason(&error))?;
        check(&connection, sql, tool, true)
    }

    /// Checks that `sql` is one statement that changes rows, with parameters that `tool` has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_statement(&self, database: &str, sql: &str, tool: &ToolDefinition) -> Result<(), String> {
        let mut connection =
            connection::read_write(self.file(database)?).map_err(|error| connection::reason(&error))?;
        connection::guard_writes(&mut connection, true).map_err(|error| connection::reason(&error))?;
        check(&connection, sql, tool, false)
    }
}

fn check(connection: &rusqlite::Connection, sql: &str, tool: &ToolDefinition, reads: bool) -> Result<(), String> {
    let statement = connection.prepare(sql).map_err(|error| connection::reason(&error))?;
    if reads && (!statement.readonly() || statement.column_count() == 0) {
        return Err("it is not a query that only reads".to_owned());
    }
    if !reads && statement.readonly() {
        return Err("it changes nothing; what is read belongs in `result`".to_owned());
    }
    bind::check_names(&statement, &tool.spec.input_schema)
}

/// Brings a database that exists into the form that tools need; nothing happens when it has it.
fn ready(file: &Path) -> rusqlite::Result<()> {
    let connection = connection::read_write(file)?;
    // Readers and the writer do not wait for each other.
    let _mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {} (key TEXT PRIMARY KEY, result TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID",
        connection::EFFECTS
    ))
}

fn build(spec: &DatabaseSpec, file: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { name: spec.name.clone(), source };
    let half = file.with_extension(format!("building-{}", std::process::id()));
    let result = seed::build(spec, &half).and_then(|()| {
        fs::File::open(&half).and_then(|file| file.sync_all()).map_err(io)?;
        fs::rename(&half, file).map_err(io)?;
        match file.parent() {
            Some(folder) => fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io),
            None => Ok(()),
        }
    });
    if result.is_err() {
        // What is left of the attempt is of no use; the error that matters is the first one.
        let _ = fs::remove_file(&half);
    }
    result
}
