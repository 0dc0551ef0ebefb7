//! Journals, keys and documents in one SQLite file, for one process at a time.
//!
//! One thread writes and groups commits (`writer`), two read (`readers`), one copies the write-ahead log back
//! (`checkpointer`). No caller's thread ever touches the disk.

mod append;
mod blobs;
mod bundle;
mod checkpointer;
mod claims;
mod connection;
mod delete;
mod documents;
mod fork;
mod head;
mod journal;
mod keys;
mod list;
mod lock;
mod pieces;
mod place;
mod read;
mod readers;
mod schema;
mod signals;
mod snapshots;
mod writer;

use crate::{
    calls::{Calls, CallsError},
    rules::{Now, system_now},
};
use bedplate_core::{
    port::{documents::Documents, journal::Journal, keys::Keys, ledger::Ledger, records::Records},
    time::Timestamp,
};
use checkpointer::Notice;
use documents::SqliteDocuments;
use journal::SqliteJournal;
use keys::SqliteKeys;
use lock::{FolderLock, LockError};
use readers::Readers;
use schema::Version;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};
use tokio::sync::oneshot;
use writer::{Checkpoint, Writer, WriterHandle};

/// The name of the file in the data folder.
const FILE: &str = "bedplate.db";

/// How many threads read.
const READERS: usize = 2;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Where the age of blobs is read from; the machine's clock by default. Nothing else in a store reads a clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self { now: Arc::new(system_now) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// A folder that could not be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("failed to open {folder}: {} has it open; stop it or choose another data folder", holder(.pid))]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The other process, when it could be found out.
        pid: Option<u32>,
    },
    /// A newer program wrote it.
    #[error(
        "failed to open {folder}: its data has version {found} and this program reads up to {newest}; use a newer program"
    )]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// The version that was found.
        found: i64,
        /// The newest version that this program knows.
        newest: i64,
    },
    /// The folder could not be made or used.
    #[error("failed to open {folder}: {source}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not open or read the file.
    #[error("failed to open {folder}: {message}")]
    Sqlite {
        /// The folder.
        folder: PathBuf,
        /// What SQLite said.
        message: String,
    },
}

/// An open store. Dropping it closes it; the ports that it gave then fail.
pub struct Store {
    writer: Arc<WriterHandle>,
    readers: Arc<Readers>,
    keys: Arc<SqliteKeys>,
    notice: Arc<Notice>,
    threads: Vec<JoinHandle<()>>,
    calls: Calls,
    boot: u64,
    /// Released last, after every thread has ended.
    _lock: FolderLock,
}

impl Store {
    /// Opens the store in `folder`, makes it when there is none, and brings an older one to this version. What an
    /// earlier process had claimed is due at once.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let folder = folder.as_ref();
        let io = |source| OpenError::Io { folder: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let lock = FolderLock::take(folder).map_err(|error| match error {
            LockError::Held(pid) => OpenError::Locked { folder: folder.to_owned(), pid },
            LockError::Io(error) => io(error),
        })?;
        let calls = Calls::open(folder).map_err(|error| match error {
            CallsError::Newer(found, newest) => OpenError::Newer { folder: folder.to_owned(), found, newest },
            CallsError::Failed(message) => OpenError::Sqlite { folder: folder.to_owned(), message },
        })?;
        let connections = Connections::open(folder, options.now)?;
        let boot = connections.writer.boot;
        let notice = Arc::new(Notice::default());
        let committed = notice.clone();
        let (writer, writing) = WriterHandle::start(connections.writer, move || committed.committed()).map_err(io)?;
        let (readers, mut threads) = Readers::start(connections.readers).map_err(io)?;
        threads.push(checkpointer::start(connections.checkpointer, notice.clone(), writer.clone()).map_err(io)?);
        threads.push(writing);
        let keys = Arc::new(SqliteKeys::new(writer.clone(), readers.clone()));
        Ok(Self { writer, readers, keys, notice, threads, calls, boot, _lock: lock })
    }

    /// Returns the journals.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(SqliteJournal { writer: self.writer.clone(), readers: self.readers.clone(), recent: Arc::default() })
    }

    /// Returns the keys.
    #[must_use]
    pub fn keys(&self) -> Arc<dyn Keys> {
        self.keys.clone()
    }

    /// Returns the documents.
    #[must_use]
    pub fn documents(&self) -> Arc<dyn Documents> {
        Arc::new(SqliteDocuments { writer: self.writer.clone(), readers: self.readers.clone() })
    }

    /// Returns the ledger.
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.calls.ledger()
    }

    /// Returns the call records.
    #[must_use]
    pub fn records(&self) -> Arc<dyn Records> {
        self.calls.records()
    }

    /// Returns how often the store was opened, this time included.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Copies the write-ahead log back into the file and cuts it, as far as readers allow.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn checkpoint(&self) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        self.writer.checkpoint(Checkpoint::Truncate, Some(reply));
        answer.await.unwrap_or_else(|_| Err("the store is closed".into()))
    }

    /// Writes what is queued, copies the log back and ends all threads. Blocks for as long as that takes.
    pub fn close(self) {
        // Dropping does it.
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.notice.stop();
        self.readers.close();
        self.writer.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to flush.
            let _ = thread.join();
        }
    }
}

struct Connections {
    writer: Writer,
    readers: Vec<rusqlite::Connection>,
    checkpointer: rusqlite::Connection,
}

impl Connections {
    fn open(folder: &Path, now: Now) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        let sqlite =
            |error: rusqlite::Error| OpenError::Sqlite { folder: folder.to_owned(), message: error.to_string() };
        let mut conn = connection::writer(&path).map_err(sqlite)?;
        if let Version::Newer(found) = schema::migrate(&mut conn).map_err(sqlite)? {
            return Err(OpenError::Newer { folder: folder.to_owned(), found, newest: schema::NEWEST });
        }
        let boot = schema::count_boot(&conn).map_err(sqlite)?;
        let orphans = claims::orphans(&conn).map_err(sqlite)?.into();
        let readers = (0..READERS).map(|_| connection::reader(&path)).collect::<Result<_, _>>().map_err(sqlite)?;
        let checkpointer = connection::checkpointer(&path).map_err(sqlite)?;
        Ok(Self { writer: Writer { conn, boot, orphans, now }, readers, checkpointer })
    }
}

fn holder(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
