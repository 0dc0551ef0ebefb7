//! `bedplate workflow`: workflows on the terminal; one file for each subcommand.

mod fork;
mod graph;
mod history;
mod list;
mod redrive;
mod replay;
mod run;
mod show;
mod test;

use crate::error::{Error, Kind};
use serde_json::Value;
use std::{io::Read, path::Path};

/// Run, list, show, redrive, fork, replay, test and draw workflows
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate workflow run refund shop --input '{\"order\": \"MA-10001\"}'
  bedplate workflow run refund shop --mocks HappyPath
  bedplate workflow history EXECUTION shop --json
  bedplate workflow fork EXECUTION shop --state Refund --input @smaller.json
  bedplate workflow graph refund shop --format mermaid")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Args),
    List(list::Args),
    Show(show::Args),
    History(history::Args),
    Redrive(redrive::Args),
    Fork(fork::Args),
    Replay(replay::Args),
    Test(test::Args),
    Graph(graph::Args),
}

/// Does what the subcommand says.
///
/// # Errors
/// When the workflow or execution does not exist, the server refuses, or the execution does not succeed.
pub fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::Run(args) => run::run(args),
        Command::List(args) => list::run(&args),
        Command::Show(args) => show::run(&args),
        Command::History(args) => history::run(&args),
        Command::Redrive(args) => redrive::run(&args),
        Command::Fork(args) => fork::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Test(args) => test::run(args),
        Command::Graph(args) => graph::run(&args),
    }
}

/// Returns the JSON that an argument says: the text itself, `@FILE`, or `-` for standard input.
fn json_argument(name: &str, given: &str) -> Result<Value, Error> {
    let text = match given {
        "-" => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Error::failed(format!("failed to read standard input: {error}")))?;
            text
        }
        _ => match given.strip_prefix('@') {
            Some(file) => file_text(Path::new(file))?,
            None => given.to_owned(),
        },
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::new(Kind::Usage, format!("{name} is no JSON: {error}"))
            .hint("write JSON, @FILE, or - for standard input")
    })
}

fn file_text(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file)
        .map_err(|error| Error::new(Kind::NotFound, format!("failed to read {}: {error}", file.display())))
}

/// Returns whether `text` is the id of an execution, rather than the name of a workflow.
fn is_execution(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
