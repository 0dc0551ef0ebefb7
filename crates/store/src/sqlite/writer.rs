//! The one thread that writes: it takes whatever is queued, commits it as one transaction, and answers.
//!
//! Invariant: grouping never waits. A group is what came while the one before was written. An operation checks
//! everything before it writes anything, so a refused one leaves no trace in the group's transaction; when SQLite itself
//! fails, the group is rolled back and each operation is tried alone, so that none fails for another's sake.

use crate::rules::Now;
use rusqlite::{Connection, Error, Result, ffi};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How many operations one transaction holds at most.
const GROUP: usize = 1024;

/// How long the thread looks for the next step of a run that was alone before it sleeps. To wake it takes longer than the
/// run needs between two steps, and a busy store never comes to look.
const LOOK: Duration = Duration::from_micros(100);

/// An error of a port that can say that the store itself failed.
pub(super) trait StoreFailure: Send + 'static {
    /// Returns the error for a store that failed with `message`.
    fn store_failed(message: String) -> Self;
}

/// What an operation is given: the connection in its transaction, and what the writer keeps in memory.
pub(super) struct Writer {
    /// The connection; a transaction is open.
    pub(super) conn: Connection,
    /// How often the file was opened.
    pub(super) boot: u64,
    /// Runs that an earlier process had claimed and that wait for recovery, most urgent first.
    pub(super) orphans: VecDeque<i64>,
    /// The time, for the age of blobs.
    pub(super) now: Now,
}

/// The way to the writer's thread.
pub(super) struct WriterHandle {
    sender: Sender<Command>,
}

/// How thoroughly the write-ahead log is copied back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// So that the log begins anew with the next write.
    Restart,
    /// And its file is cut to nothing.
    Truncate,
}

enum Command {
    Operation(Box<dyn Operation>),
    Checkpoint(Checkpoint, Option<oneshot::Sender<Result<(), String>>>),
    Close,
}

trait Operation: Send {
    /// Does the work inside an open transaction; called again after a rollback.
    fn attempt(&mut self, writer: &mut Writer) -> Result<()>;

    /// Answers the caller after the commit, or with the store's failure.
    fn reply(self: Box<Self>, failure: Option<&str>);
}

struct Job<T, E, F> {
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Operation for Job<T, E, F>
where
    T: Send,
    E: StoreFailure,
    F: FnMut(&mut Writer) -> Result<Result<T, E>> + Send,
{
    fn attempt(&mut self, writer: &mut Writer) -> Result<()> {
        self.outcome = Some((self.work)(writer)?);
        Ok(())
    }

    fn reply(self: Box<Self>, failure: Option<&str>) {
        let message = failure.unwrap_or("the operation was not attempted");
        let outcome = match (failure, self.outcome) {
            (None, Some(outcome)) => outcome,
            _ => Err(E::store_failed(message.to_owned())),
        };
        // A caller that went away does not want the answer.
        let _ = self.reply.send(outcome);
    }
}

impl WriterHandle {
    /// Starts the writer's thread; `committed` is called after every commit.
    pub(super) fn start(
        writer: Writer,
        committed: impl Fn() + Send + 'static,
    ) -> std::io::Result<(Arc<Self>, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("journal-writer".into())
            .spawn(move || Loop { writer, committed, broken: None }.run(&receiver))?;
        Ok((Arc::new(Self { sender }), thread))
    }

    /// Has the writer do `work` in a transaction; returns when it is durable. `work` checks before it writes, and may
    /// be called again after a rollback. An operation that was begun is carried out also when the caller goes away.
    pub(super) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: StoreFailure,
        F: FnMut(&mut Writer) -> Result<Result<T, E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let closed = || E::store_failed("the store is closed".into());
        self.sender.send(Command::Operation(Box::new(Job { work, outcome: None, reply }))).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks for a checkpoint after the present group.
    pub(super) fn checkpoint(&self, kind: Checkpoint, reply: Option<oneshot::Sender<Result<(), String>>>) {
        // Without a writer there is nothing to copy back.
        let _ = self.sender.send(Command::Checkpoint(kind, reply));
    }

    /// Asks the writer to end after what is queued.
    pub(super) fn close(&self) {
        let _ = self.sender.send(Command::Close);
    }
}

struct Loop<F> {
    writer: Writer,
    committed: F,
    /// Why nothing is written any more.
    broken: Option<String>,
}

impl<F: Fn()> Loop<F> {
    fn run(mut self, commands: &Receiver<Command>) {
        let mut next = commands.recv().ok();
        while let Some(command) = next.take() {
            match command {
                Command::Operation(operation) => {
                    let (alone, left) = self.group(operation, commands);
                    next = if alone && left.is_none() { look(commands) } else { left };
                }
                Command::Checkpoint(kind, reply) => {
                    let outcome = checkpoint(&self.writer.conn, kind).map_err(|error| error.to_string());
                    if let Some(reply) = reply {
                        let _ = reply.send(outcome);
                    }
                }
                Command::Close => break,
            }
            if next.is_none() {
                next = commands.recv().ok();
            }
        }
        // Whatever is still queued is answered by its dropped reply. The log is copied back as far as readers allow;
        // what is not is read from it at the next start.
        let _ = checkpoint(&self.writer.conn, Checkpoint::Truncate);
    }

    /// Writes `first` and what is queued behind it; returns whether it was alone, and a command that ended the group.
    fn group(&mut self, first: Box<dyn Operation>, commands: &Receiver<Command>) -> (bool, Option<Command>) {
        let mut operations = Vec::with_capacity(16);
        let mut queued = Some(first);
        let mut left = None;
        let mut outcome = self.begin();
        while let Some(mut operation) = queued.take() {
            if outcome.is_ok() {
                outcome = operation.attempt(&mut self.writer);
            }
            operations.push(operation);
            if operations.len() < GROUP {
                match commands.try_recv() {
                    Ok(Command::Operation(operation)) => queued = Some(operation),
                    Ok(other) => left = Some(other),
                    Err(_) => {}
                }
            }
        }
        let alone = operations.len() == 1;
        match self.end(outcome) {
            Ok(()) => operations.into_iter().for_each(|operation| operation.reply(None)),
            Err(_) if !alone => operations.into_iter().for_each(|operation| self.alone(operation)),
            Err(error) => operations.into_iter().for_each(|operation| operation.reply(Some(&error.to_string()))),
        }
        (alone, left)
    }

    fn alone(&mut self, mut operation: Box<dyn Operation>) {
        let outcome = self.begin().and_then(|()| operation.attempt(&mut self.writer));
        match self.end(outcome) {
            Ok(()) => operation.reply(None),
            Err(error) => operation.reply(Some(&error.to_string())),
        }
    }

    fn begin(&self) -> Result<()> {
        match &self.broken {
            None => self.writer.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop),
            Some(reason) => Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(reason.clone()))),
        }
    }

    fn end(&mut self, outcome: Result<()>) -> Result<()> {
        let conn = &self.writer.conn;
        let outcome = outcome.and_then(|()| conn.prepare_cached("COMMIT")?.execute([]).map(drop));
        match &outcome {
            Ok(()) => (self.committed)(),
            Err(error) => {
                if is_lost_sync(error) {
                    // The kernel may forget the pages that it could not write: a second sync would lie.
                    self.broken = Some(format!("the disk failed and the store must be reopened: {error}"));
                }
                if !conn.is_autocommit() && conn.execute_batch("ROLLBACK").is_err() {
                    self.broken = Some(format!("a failed transaction could not be rolled back: {error}"));
                }
            }
        }
        outcome
    }
}

/// Returns a command that comes within [`LOOK`]; others may use the processor meanwhile.
fn look(commands: &Receiver<Command>) -> Option<Command> {
    let until = Instant::now() + LOOK;
    loop {
        match commands.try_recv() {
            Ok(command) => return Some(command),
            Err(_) if Instant::now() >= until => return None,
            Err(_) => std::thread::yield_now(),
        }
    }
}

fn checkpoint(conn: &Connection, kind: Checkpoint) -> Result<()> {
    let mode = match kind {
        Checkpoint::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    conn.query_row(mode, [], |_| Ok(()))
}

fn is_lost_sync(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(failure, _)
        if [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC].contains(&failure.extended_code))
}
