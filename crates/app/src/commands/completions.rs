//! `bedplate completions`: scripts that complete the command line.

use crate::{error::Error, terminal::stream};
use clap::CommandFactory;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bedplate completions bash > /etc/bash_completion.d/bedplate")]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the script for the command line `C`.
///
/// # Errors
/// None; the signature is that of every command.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of every command")]
pub fn run<C: CommandFactory>(args: &Args) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "bedplate", &mut script);
    stream(&String::from_utf8_lossy(&script));
    Ok(())
}
