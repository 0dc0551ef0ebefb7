//! The commands: one file each, with its arguments and its function.

pub mod chat;
pub mod check;
pub mod completions;
pub mod costs;
pub mod doctor;
pub mod init;
pub mod keys;
pub mod openapi;
pub mod routes;
pub mod runs;
pub mod sessions;
pub mod up;
pub mod workflow;

use crate::{client::Client, error::Error, target::Target};

/// Runs `work` against the target's server. A server that is started for it ends with it, whatever becomes of it.
fn with_client(
    target: &Target,
    drive: bool,
    work: impl AsyncFnOnce(&Client) -> Result<(), Error>,
) -> Result<(), Error> {
    runtime()?.block_on(async {
        let client = Client::connect(target, None, drive).await?;
        let outcome = work(&client).await;
        client.close().await;
        outcome
    })
}

/// Returns the asynchronous runtime that a command runs on.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed(format!("failed to start threads: {error}")))
}
