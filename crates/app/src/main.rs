//! The binary `bedplate`: parses the command line and runs one command.

mod client;
mod commands;
mod compose;
mod data;
mod error;
mod target;
mod terminal;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An agent platform in one binary and one folder of plain files.
#[derive(Debug, Parser)]
#[command(name = "bedplate", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  bedplate init shop && bedplate up shop      make a project and serve it
  bedplate chat shop                          talk to its agent
  bedplate runs list shop --json              what ran, for a program
  bedplate doctor shop                        what is set up, what is missing

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 the project has problems, 4 not found, 5 refused, 6 the turn or execution did not complete";

#[derive(Debug, Subcommand)]
enum Command {
    Up(commands::up::Args),
    Chat(commands::chat::Args),
    Init(commands::init::Args),
    Check(commands::check::Args),
    Costs(commands::costs::Args),
    Runs(commands::runs::Args),
    Routes(commands::routes::Args),
    Sessions(commands::sessions::Args),
    Workflow(commands::workflow::Args),
    Keys(commands::keys::Args),
    Doctor(commands::doctor::Args),
    Completions(commands::completions::Args),
    #[command(hide = true)]
    Openapi(commands::openapi::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let outcome = match command {
        Command::Up(args) => commands::up::run(args),
        Command::Chat(args) => commands::chat::run(args),
        Command::Init(args) => commands::init::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Costs(args) => commands::costs::run(args),
        Command::Runs(args) => commands::runs::run(args),
        Command::Routes(args) => commands::routes::run(args),
        Command::Sessions(args) => commands::sessions::run(args),
        Command::Workflow(args) => commands::workflow::run(args),
        Command::Keys(args) => commands::keys::run(args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Completions(args) => commands::completions::run::<Cli>(&args),
        Command::Openapi(args) => commands::openapi::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&error);
            ExitCode::from(error.kind.code())
        }
    }
}
