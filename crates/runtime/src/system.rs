//! The real clock and the real randomness, for whoever composes a process.

use bedplate_core::{
    port::{
        BoxFuture,
        clock::{Clock, Entropy},
    },
    time::Timestamp,
};
use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

/// How many draws one reading of the system's randomness serves: a step draws once, and a system call a step is dear.
const POOLED: usize = 64;

/// The machine's clock; sleeping needs a Tokio runtime with its timer enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // The wall clock may be set while we sleep, so what is left is looked at again.
            loop {
                let left = until.since(Self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left).await;
            }
        })
    }
}

/// The operating system's randomness, read ahead for each thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bytes(&self) -> [u8; 16] {
        thread_local! {
            static POOL: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
        }
        POOL.with_borrow_mut(|pool| {
            if let Some(bytes) = pool.pop() {
                return bytes;
            }
            let mut fresh = [0; 16 * POOLED];
            getrandom::fill(&mut fresh).expect("the operating system has randomness to give");
            pool.extend(fresh.chunks_exact(16).filter_map(|chunk| <[u8; 16]>::try_from(chunk).ok()));
            pool.pop().expect("the pool was just filled")
        })
    }
}
