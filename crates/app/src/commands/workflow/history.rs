//! `bedplate workflow history`: the events of an execution, as AWS names them.

use crate::{
    client::{Client, encode},
    error::Error,
    target::Target,
    terminal::{json, one_line, say, table},
};
use serde_json::Value;

/// Show the events of an execution
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The execution
    execution: String,
    #[command(flatten)]
    target: Target,
    /// The latest first
    #[arg(long)]
    reverse: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows the events.
///
/// # Errors
/// When there is no such execution.
pub fn run(args: &Args) -> Result<(), Error> {
    super::super::with_client(&args.target, false, async |client| {
        let mut events = after(client, &args.execution, None).await?;
        if args.reverse {
            events.reverse();
        }
        if args.json {
            json(&events);
        } else if events.is_empty() {
            say("nothing yet");
        } else {
            let rows: Vec<[String; 5]> = events.iter().map(row).collect();
            table(["ID", "AFTER", "AT", "EVENT", "WHAT"], &rows);
        }
        Ok(())
    })
}

/// Returns the events of an execution after the one with the id `last`.
pub(super) async fn after(client: &Client, execution: &str, last: Option<u64>) -> Result<Vec<Value>, Error> {
    let mut events = Vec::new();
    let mut after = last;
    loop {
        let from = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let page = client.get(&format!("/v1/executions/{}/history?limit=200{from}", encode(execution))).await?;
        events.extend(page["events"].as_array().cloned().unwrap_or_default());
        match page["next_after"].as_u64() {
            Some(next) => after = Some(next),
            None => return Ok(events),
        }
    }
}

fn row(event: &Value) -> [String; 5] {
    [
        event["id"].to_string(),
        event["previous_event_id"].to_string(),
        one_line(event["at"].as_str().unwrap_or_default(), 23),
        one_line(event["type"].as_str().unwrap_or_default(), 32),
        one_line(&event.get("details").filter(|it| !it.is_null()).map(ToString::to_string).unwrap_or_default(), 100),
    ]
}
