//! `bedplate workflow list`: the workflows of a project, or the executions of one.

use crate::{
    client::encode,
    error::Error,
    target::Target,
    terminal::{json, one_line, say, short_time, table},
};
use serde_json::Value;

/// List workflows, or with --executions what ran
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// List executions, latest first
    #[arg(long)]
    executions: bool,
    /// Only executions of this workflow
    #[arg(long, value_name = "NAME", requires = "executions")]
    workflow: Option<String>,
    /// Only executions in this state
    #[arg(long, requires = "executions", value_parser = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])]
    status: Option<String>,
    /// How many executions at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists.
///
/// # Errors
/// When the server refuses.
pub fn run(args: &Args) -> Result<(), Error> {
    super::super::with_client(&args.target, false, async |client| {
        if !args.executions {
            let page = client.get("/v1/workflows").await?;
            workflows(&page["workflows"], args.json);
            return Ok(());
        }
        let mut path = format!("/v1/executions?limit={}", args.limit);
        for (name, given) in [("workflow", &args.workflow), ("status", &args.status)] {
            if let Some(given) = given {
                path += &format!("&{name}={}", encode(given));
            }
        }
        let page = client.get(&path).await?;
        executions(&page["executions"], args.json);
        Ok(())
    })
}

fn cell(row: &Value, name: &str, limit: usize) -> String {
    one_line(row[name].as_str().unwrap_or_default(), limit)
}

fn workflows(list: &Value, as_json: bool) {
    if as_json {
        return json(list);
    }
    let row = |one: &Value| {
        [
            cell(one, "name", 40),
            cell(one, "kind", 8),
            cell(one, "origin", 8),
            one["states"].to_string(),
            one["running"].to_string(),
            one["last"]["status"].as_str().unwrap_or("-").to_owned(),
            cell(one, "comment", 60),
        ]
    };
    let rows: Vec<[String; 7]> = list.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        say("none yet; a file workflows/<name>.asl.json makes one");
    } else {
        table(["WORKFLOW", "KIND", "ORIGIN", "STATES", "RUNNING", "LAST", "COMMENT"], &rows);
    }
}

fn executions(list: &Value, as_json: bool) {
    if as_json {
        return json(list);
    }
    let row = |one: &Value| {
        [
            cell(one, "id", 32),
            cell(one, "status", 16),
            cell(one, "workflow", 30),
            short_time(one["started_at"].as_str().unwrap_or_default()),
            cell(one, "name", 60),
        ]
    };
    let rows: Vec<[String; 5]> = list.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        say("none yet; `bedplate workflow run` starts one");
    } else {
        table(["EXECUTION", "STATUS", "WORKFLOW", "STARTED", "NAME"], &rows);
    }
}
