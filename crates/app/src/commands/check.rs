//! `bedplate check`: every problem of a project, with file, line and hint.

use crate::{
    compose,
    error::{Error, Kind},
    terminal::{json, say},
};
use std::path::PathBuf;

/// Check a project and report every problem
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate check examples/mangaassist
  bedplate check shop --json")]
pub struct Args {
    /// The project folder
    #[arg(default_value = ".", value_name = "PROJECT")]
    project: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks the project.
///
/// # Errors
/// [`Kind::Problems`] when it has an error; warnings alone are none.
pub fn run(args: &Args) -> Result<(), Error> {
    let (project, problems) = compose::load(&args.project);
    if args.json {
        json(&serde_json::json!({ "problems": problems }));
    } else {
        for problem in &problems {
            say(problem);
        }
    }
    match project {
        Some(project) if !args.json => {
            say(format!("{}: {} agents, {} problems", args.project.display(), project.agents.len(), problems.len()));
            Ok(())
        }
        Some(_) => Ok(()),
        None => Err(Error::new(Kind::Problems, format!("{} has problems", args.project.display()))),
    }
}
