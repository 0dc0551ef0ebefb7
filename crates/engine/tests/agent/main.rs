//! The agent machine, driven as the runtime drives it: apply events, match intents, let time pass, match again.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod approval;
mod bench;
mod cancel;
mod conversation;
mod fold;
mod limits;
mod pains;
mod policy;
mod random;
mod recovery;
mod retry;
mod snapshot;
mod tools;
mod turn;
mod window;
