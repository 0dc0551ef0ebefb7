//! A thread with a connection that does one piece of work after another.

use rusqlite::Connection;
use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

enum Command {
    Now(Work),
    /// Work that can wait for more of its kind; only ever one at a time.
    Soon(Duration, Work),
    Close,
}

/// The way to the thread.
pub(super) struct Worker {
    sender: Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    pub(super) fn start(name: &str, conn: Connection) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || serve(conn, &receiver))?;
        Ok(Self { sender, thread: Mutex::new(Some(thread)) })
    }

    /// Has the thread do `work` and returns what came of it; an error is what SQLite said, or that the store is closed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        let job: Work = Box::new(move |conn| {
            // A caller that went away does not want the answer.
            let _ = reply.send(work(conn).map_err(|error| error.to_string()));
        });
        self.sender.send(Command::Now(job)).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Has the thread do `work` after `wait`, or when it closes.
    pub(super) fn soon(&self, wait: Duration, work: impl FnOnce(&mut Connection) + Send + 'static) {
        // A thread that is gone has done what could wait.
        let _ = self.sender.send(Command::Soon(wait, Box::new(work)));
    }

    /// Does what is queued and ends the thread. Blocks for as long as that takes.
    pub(super) fn close(&self) {
        // A thread that is gone, or that panicked, has nothing left to do.
        let _ = self.sender.send(Command::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn closed() -> String {
    "the store is closed".into()
}

fn serve(mut conn: Connection, commands: &Receiver<Command>) {
    let mut waiting: Option<(Instant, Work)> = None;
    loop {
        let command = match &waiting {
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((due, _)) => commands.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match command {
            Ok(Command::Now(work)) => work(&mut conn),
            Ok(Command::Soon(wait, work)) => {
                if let Some((_, earlier)) = waiting.replace((Instant::now() + wait, work)) {
                    earlier(&mut conn);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some((_, work)) = waiting.take() {
                    work(&mut conn);
                }
            }
            Ok(Command::Close) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Some((_, work)) = waiting {
        work(&mut conn);
    }
}
