//! `bedplate workflow fork`: an execution again, from a visit of a state on.

use super::{
    history, json_argument,
    run::{self, Watch},
};
use crate::{
    client::{Client, encode},
    error::{Error, Kind},
    target::Target,
};
use serde_json::{Value, json as value};

/// Let a new execution go on from where another one entered a state
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The execution
    execution: String,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Place,
    /// Another input for the state: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// Under which definition: the one that the execution has, or the workflow's present one
    #[arg(long, value_parser = ["pinned", "current"], default_value = "pinned")]
    definition: String,
    /// What the new execution is called
    #[arg(long = "execution-name", value_name = "NAME")]
    name: Option<String>,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// Print the new execution as JSON
    #[arg(long)]
    json: bool,
}

/// Where to fork.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// The latest visit of this state
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
    /// The `seq` of an entry of the history
    #[arg(long, value_name = "SEQ")]
    at: Option<u64>,
}

/// Forks, and follows the new execution.
///
/// # Errors
/// When there is no such visit, the execution cannot be forked there, or the new one does not succeed.
pub fn run(args: &Args) -> Result<(), Error> {
    let input = args.input.as_deref().map(|given| json_argument("--input", given)).transpose()?;
    super::super::with_client(&args.target, true, async |client| {
        let mut body = value!({ "at": place(client, args).await?, "definition": args.definition });
        if let Some(input) = input {
            body["input"] = input;
        }
        if let Some(name) = &args.name {
            body["name"] = name.as_str().into();
        }
        let started = client.post(&format!("/v1/executions/{}/fork", encode(&args.execution)), &body).await?;
        run::follow(client, &started, None, Watch { json: args.json, wait: !args.no_wait }).await
    })
}

async fn place(client: &Client, args: &Args) -> Result<u64, Error> {
    let Some(state) = &args.place.state else { return Ok(args.place.at.unwrap_or_default()) };
    let events = history::after(client, &args.execution, None).await?;
    let entered = |event: &&Value| {
        event["type"].as_str().is_some_and(|kind| kind.ends_with("StateEntered")) && event["state"] == state.as_str()
    };
    let visit = events.iter().rev().find(entered).and_then(|event| event["seq"].as_u64());
    visit.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("{} never entered a state {state}", args.execution))
            .hint(format!("`bedplate workflow history {}` lists the states that it entered", args.execution))
    })
}
