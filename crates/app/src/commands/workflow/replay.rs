//! `bedplate workflow replay`: the machine decides again on what an execution's journal recorded.

use crate::{client::encode, error::Error, target::Target};

/// Feed an execution's recorded results to the machine and compare its decisions with the journal
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The execution
    execution: String,
    #[command(flatten)]
    target: Target,
    /// Up to this `seq` of the history; default: all of it
    #[arg(long, value_name = "SEQ")]
    at: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Replays.
///
/// # Errors
/// When there is no such execution, or the machine decides otherwise.
pub fn run(args: &Args) -> Result<(), Error> {
    super::super::with_client(&args.target, false, async |client| {
        let at = args.at.map(|at| format!("?at={at}")).unwrap_or_default();
        let replay = client.get(&format!("/v1/executions/{}/replay{at}", encode(&args.execution))).await?;
        super::super::runs::report(&replay, args.json)
    })
}
