//! The threads that read. Each has its own connection; a read sees one state of the store from beginning to end.

use super::writer::StoreFailure;
use rusqlite::{Connection, Result};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// A piece of work; none ends the thread that takes it.
type Work = Option<Box<dyn FnOnce(&mut Connection) + Send>>;

/// The way to the reading threads.
pub(super) struct Readers {
    sender: Sender<Work>,
    threads: usize,
}

impl Readers {
    /// Starts a thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<(Arc<Self>, Vec<JoinHandle<()>>)> {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::new();
        for connection in connections {
            let receiver = receiver.clone();
            let builder = std::thread::Builder::new().name("journal-reader".into());
            threads.push(builder.spawn(move || serve(connection, &receiver))?);
        }
        Ok((Arc::new(Self { sender, threads: threads.len() }), threads))
    }

    /// Has a reader do `work` within one read transaction.
    pub(super) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: StoreFailure,
        F: FnOnce(&Connection) -> Result<Result<T, E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let closed = || E::store_failed("the store is closed".into());
        let job = move |connection: &mut Connection| {
            let read = |connection: &mut Connection| work(&*connection.transaction()?);
            let outcome = read(connection).unwrap_or_else(|error| Err(E::store_failed(error.to_string())));
            // A caller that went away does not want the answer.
            let _ = reply.send(outcome);
        };
        self.sender.send(Some(Box::new(job))).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks all threads to end after what is queued.
    pub(super) fn close(&self) {
        for _ in 0..self.threads {
            // A thread that is gone needs no message.
            let _ = self.sender.send(None);
        }
    }
}

fn serve(mut connection: Connection, receiver: &Mutex<Receiver<Work>>) {
    loop {
        let work = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match work {
            Ok(Some(job)) => job(&mut connection),
            Ok(None) | Err(_) => return,
        }
    }
}
