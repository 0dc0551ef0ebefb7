//! Which project and data folder a command is about.

use std::path::PathBuf;

/// Which project a command is about.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// The project folder
    #[arg(default_value = ".", value_name = "PROJECT")]
    pub project: PathBuf,
    /// The data folder; default: .bedplate in the project
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}
