//! `bedplate workflow redrive`: an execution that failed goes on from where it failed.

use super::run::{self, Watch};
use crate::{client::encode, error::Error, target::Target};
use serde_json::json as value;

/// Let a failed execution go on from the states that failed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The execution
    execution: String,
    #[command(flatten)]
    target: Target,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Redrives.
///
/// # Errors
/// When it cannot be redriven, or does not succeed this time either.
pub fn run(args: &Args) -> Result<(), Error> {
    super::super::with_client(&args.target, true, async |client| {
        let last = super::history::after(client, &args.execution, None).await?.last().and_then(|it| it["id"].as_u64());
        let started = client.post(&format!("/v1/executions/{}/redrive", encode(&args.execution)), &value!({})).await?;
        let watch = Watch { json: args.json, wait: !args.no_wait };
        run::follow(client, &started, last, watch).await
    })
}
