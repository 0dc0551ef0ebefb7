//! A simulated process: its own single-threaded Tokio runtime, so that dropping it kills everything in it at once.

use bedplate_runtime::{Options, Runtime};
use bedplate_testkit::sim::SimJournal;
use std::{
    future::{Future, poll_fn},
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

#[derive(Default)]
struct Parking {
    parked: bool,
    waker: Option<Waker>,
}

/// A process.
pub struct Process {
    pub journal: SimJournal,
    pub runtime: Runtime,
    tokio: tokio::runtime::Runtime,
    parking: Arc<Mutex<Parking>>,
}

impl Process {
    /// Starts a process over `journal`.
    pub fn start(journal: SimJournal, options: impl FnOnce(SimJournal) -> Options) -> Self {
        let parking: Arc<Mutex<Parking>> = Arc::default();
        let seen = Arc::clone(&parking);
        let park = move || {
            let mut parking = seen.lock().unwrap_or_else(PoisonError::into_inner);
            parking.parked = true;
            if let Some(waker) = parking.waker.take() {
                waker.wake();
            }
        };
        let tokio = tokio::runtime::Builder::new_current_thread().on_thread_park(park).build().expect("a runtime");
        let runtime = tokio.block_on(async { Runtime::start(options(journal.clone())) });
        Self { journal, runtime, tokio, parking }
    }

    /// Runs everything in the process until all of it waits.
    pub fn settle(&self) {
        let lock = || self.parking.lock().unwrap_or_else(PoisonError::into_inner);
        lock().parked = false;
        self.tokio.block_on(poll_fn(|cx| {
            let mut parking = lock();
            if parking.parked {
                return Poll::Ready(());
            }
            parking.waker = Some(cx.waker().clone());
            Poll::Pending
        }));
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.tokio.spawn(future);
    }
}
