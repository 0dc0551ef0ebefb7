//! The commands: one file each, with its arguments and its function.

pub mod chat;
pub mod check;
pub mod completions;
pub mod doctor;
pub mod init;
pub mod keys;
pub mod openapi;
pub mod runs;
pub mod sessions;
pub mod up;

use crate::{
    client::{Client, Target},
    error::Error,
};

/// Runs `work` against the target's server and prints its error as the command's.
fn with_client<F>(target: &Target, drive: bool, work: impl FnOnce(Client) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    runtime()?.block_on(async {
        let client = Client::connect(target, None, drive).await?;
        work(client).await
    })
}

/// Returns the asynchronous runtime that a command runs on.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed(format!("failed to start threads: {error}")))
}
