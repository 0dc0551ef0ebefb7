//! `bedplate init`: makes a small project that runs.

use crate::{
    error::{Error, Kind},
    terminal::say,
};
use std::path::PathBuf;

/// Make a small project that runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bedplate init shop && bedplate up shop")]
pub struct Args {
    /// The folder to make it in; it must be new or empty
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Makes the project.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn run(args: &Args) -> Result<(), Error> {
    let folder = args.folder.display();
    let made = bedplate_project::Project::init(&args.folder)
        .map_err(|error| Error::new(Kind::Failed, error.to_string()).hint("name a folder that is new or empty"))?;
    for file in made {
        say(format!("made {}", file));
    }
    say(format!("\nnext: bedplate up {folder}"));
    Ok(())
}
