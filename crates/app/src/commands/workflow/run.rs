//! `bedplate workflow run`: starts an execution and shows what it does until it ends or waits for somebody.

use super::{history, json_argument, show};
use crate::{
    client::{Client, encode},
    error::{Error, Kind},
    target::Target,
    terminal::{json, one_line, printable, remark},
};
use serde_json::{Value, json as value};
use std::time::Duration;

/// How long between two looks at an execution. Its events lie in the journal, so none is missed in between.
const LOOK: Duration = Duration::from_millis(150);

/// Start an execution and follow it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The workflow
    name: String,
    #[command(flatten)]
    target: Target,
    /// The input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// What the execution is called; a repeat with the same name and input joins it
    #[arg(long = "execution-name", value_name = "NAME")]
    execution: Option<String>,
    /// Answer tasks from this case of workflows/<name>.mocks.json
    #[arg(long, value_name = "CASE")]
    mocks: Option<String>,
    /// The model of every route `auto`, when no server runs yet
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// Print the execution as JSON
    #[arg(long)]
    json: bool,
}

/// How an execution is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub json: bool,
    pub wait: bool,
}

/// Runs the workflow.
///
/// # Errors
/// When it cannot be started, or the execution does not succeed.
pub fn run(args: Args) -> Result<(), Error> {
    let input = json_argument("--input", &args.input)?;
    super::super::runtime()?.block_on(async {
        let client = Client::connect(&args.target, args.model.clone(), true).await?;
        let outcome = start(&client, &args, input).await;
        client.close().await;
        outcome
    })
}

async fn start(client: &Client, args: &Args, input: Value) -> Result<(), Error> {
    let mut body = value!({ "input": input });
    for (name, given) in [("name", &args.execution), ("mocks", &args.mocks)] {
        if let Some(given) = given {
            body[name] = value!(given);
        }
    }
    let started = client.post(&format!("/v1/workflows/{}/executions", encode(&args.name)), &body).await?;
    follow(client, &started, None, Watch { json: args.json, wait: !args.no_wait }).await
}

/// Shows the events of an execution after `last` as they come, then the execution itself.
pub(super) async fn follow(client: &Client, started: &Value, last: Option<u64>, watch: Watch) -> Result<(), Error> {
    let id = started["id"].as_str().unwrap_or_default().to_owned();
    if !watch.wait {
        return finish(started, watch);
    }
    let mut last = last;
    loop {
        // The execution first: what its end wrote is then in the history that is read after it.
        let now = client.get(&format!("/v1/executions/{}", encode(&id))).await?;
        for event in history::after(client, &id, last).await? {
            last = event["id"].as_u64().or(last);
            progress(&event);
        }
        if now["status"] != "RUNNING" || only_waits(&now) {
            return finish(&now, watch);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns whether nothing goes on without somebody from outside.
fn only_waits(execution: &Value) -> bool {
    let tasks = execution["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let outside = |task: &&Value| task["kind"] == "approval" || task["kind"] == "callback";
    let running = tasks.iter().any(|task| !outside(&task));
    let moves = execution["states"].as_object().into_iter().flatten().any(|(_, state)| {
        state["status"] == "retrying" || (state["status"] == "waiting" && state.get("token").is_none())
    });
    tasks.iter().any(|task| outside(&task)) && !running && !moves
}

/// Writes one line about an event that people care for to standard error.
fn progress(event: &Value) {
    let kind = event["type"].as_str().unwrap_or_default();
    let detail = |name: &str| event["details"][name].as_str().unwrap_or_default();
    let state = event["state"].as_str().unwrap_or_else(|| detail("name"));
    let line = match kind {
        _ if kind.ends_with("StateEntered") => format!("-> {state}"),
        _ if kind.ends_with("StateExited") => {
            format!("<- {state}  {}", one_line(detail("output"), 100))
        }
        _ if kind.ends_with("Failed") || kind.ends_with("TimedOut") || kind.ends_with("Aborted") => {
            format!(" ! {state}  {kind} {}: {}", detail("error"), one_line(detail("cause"), 200))
        }
        _ => return,
    };
    remark(&printable(&line));
}

fn finish(execution: &Value, watch: Watch) -> Result<(), Error> {
    if watch.json {
        json(execution);
    } else {
        show::execution(execution);
    }
    match execution["status"].as_str() {
        Some("RUNNING" | "SUCCEEDED") => Ok(()),
        status => Err(Error::new(
            Kind::Turn,
            format!(
                "the execution ended as {}: {}",
                status.unwrap_or("unknown"),
                printable(execution["error"].as_str().unwrap_or("no error is named"))
            ),
        )
        .hint("`bedplate workflow history` shows what happened, `bedplate workflow redrive` goes on from there")),
    }
}
