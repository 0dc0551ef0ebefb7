//! The thread that copies the write-ahead log back into the file, beside the writer.
//!
//! A passive checkpoint never blocks the writer and does nearly all of the work. Only the writer can have the log begin
//! anew; it is asked to when the log has grown, and finds next to nothing left to copy. When nothing is written for a
//! while the log is cut to nothing.

use super::writer::{Checkpoint, WriterHandle};
use rusqlite::Connection;
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How long the log grows between two passive checkpoints.
const INTERVAL: Duration = Duration::from_millis(250);

/// After how many quiet intervals the log is cut.
const QUIET: u32 = 4;

/// From how many pages on the log begins anew: 64 MiB.
const LOG_PAGES: i64 = 16_384;

/// What the writer and the owner tell the checkpointer.
#[derive(Default)]
pub(super) struct Notice {
    written: AtomicBool,
    state: Mutex<bool>,
    changed: Condvar,
}

impl Notice {
    /// Says that something was committed.
    pub(super) fn committed(&self) {
        if !self.written.swap(true, Ordering::AcqRel) {
            let _guard = self.lock();
            self.changed.notify_all();
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something was written; returns false when the thread shall end.
    fn wait_for_writes(&self) -> bool {
        let idle = |stopped: &mut bool| !*stopped && !self.written.load(Ordering::Acquire);
        !*self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an interval; returns false when the thread shall end.
    fn wait_interval(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), INTERVAL, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Starts the thread.
pub(super) fn start(
    connection: Connection,
    notice: Arc<Notice>,
    writer: Arc<WriterHandle>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("journal-checkpoint".into()).spawn(move || run(&connection, &notice, &writer))
}

fn run(connection: &Connection, notice: &Notice, writer: &WriterHandle) {
    while notice.wait_for_writes() {
        let mut quiet = 0;
        while quiet < QUIET {
            if !notice.wait_interval() {
                return;
            }
            if notice.written.swap(false, Ordering::AcqRel) {
                quiet = 0;
                // Busy or failed: the next interval tries again, and the writer reports what it cannot write.
                let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)).unwrap_or(0);
                if pages >= LOG_PAGES {
                    writer.checkpoint(Checkpoint::Restart, None);
                }
            } else {
                quiet += 1;
            }
        }
        writer.checkpoint(Checkpoint::Truncate, None);
    }
}
