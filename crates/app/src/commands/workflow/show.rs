//! `bedplate workflow show`: a workflow with its definition, or an execution with its states.

use crate::{
    client::encode,
    error::Error,
    target::Target,
    terminal::{json, one_line, printable, say, table},
};
use serde_json::Value;

/// Show a workflow, or an execution with its states
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A workflow's name, or an execution's id
    #[arg(value_name = "NAME|EXECUTION")]
    what: String,
    #[command(flatten)]
    target: Target,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows.
///
/// # Errors
/// When there is no such workflow or execution.
pub fn run(args: &Args) -> Result<(), Error> {
    super::super::with_client(&args.target, false, async |client| {
        let kind = if super::is_execution(&args.what) { "executions" } else { "workflows" };
        let found = client.get(&format!("/v1/{kind}/{}", encode(&args.what))).await?;
        match (args.json, kind) {
            (true, _) => json(&found),
            (false, "executions") => execution(&found),
            (false, _) => workflow(&found),
        }
        Ok(())
    })
}

fn workflow(workflow: &Value) {
    let text = |name: &str| one_line(workflow[name].as_str().unwrap_or("-"), 200);
    say(format!("{}  {}  {}  {}", text("name"), text("kind"), text("query_language"), text("arn")));
    for diagnostic in workflow["diagnostics"].as_array().into_iter().flatten() {
        let part = |name: &str| printable(diagnostic[name].as_str().unwrap_or_default());
        say(format!("{}: {}: {}", diagnostic["line"], part("severity"), part("message")));
    }
    let mocks = workflow["mocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !mocks.is_empty() {
        let names: Vec<&str> = mocks.iter().filter_map(Value::as_str).collect();
        say(format!("mocks: {}", names.join(", ")));
    }
    say(printable(workflow["definition"].as_str().unwrap_or_default()));
}

/// Prints an execution: how it stands, what each state did, what it waits for.
pub(super) fn execution(execution: &Value) {
    let text = |name: &str| one_line(execution[name].as_str().unwrap_or("-"), 200);
    say(format!("{}  {}  {}  {}", text("id"), text("workflow"), text("status"), text("name")));
    for name in ["error", "cause"] {
        if let Some(said) = execution[name].as_str() {
            say(format!("{name}: {}", printable(said)));
        }
    }
    let row = |(name, state): (&String, &Value)| {
        let count = |name: &str| state[name].as_u64().unwrap_or_default().to_string();
        [
            one_line(name, 40),
            one_line(state["status"].as_str().unwrap_or_default(), 10),
            count("entered"),
            count("failed"),
            count("retried"),
            one_line(&state.get("output").map(ToString::to_string).unwrap_or_default(), 80),
        ]
    };
    let rows: Vec<[String; 6]> = execution["states"].as_object().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        table(["STATE", "STATUS", "ENTERED", "FAILED", "RETRIED", "OUTPUT"], &rows);
    }
    for child in execution["children"].as_array().into_iter().flatten() {
        let part = |name: &str| one_line(child[name].as_str().unwrap_or("-"), 60);
        say(format!("child: {} {} {} {}", part("kind"), part("name"), part("id"), part("status")));
    }
    waiting(execution);
    if let Some(output) = execution.get("output").filter(|output| !output.is_null()) {
        say("output:");
        json(output);
    }
}

/// The resource of a task that a person decides.
const APPROVAL: &str = "arn:aws:states:::bedplate:approval.waitForTaskToken";

/// Says what an execution waits for, and how that is answered.
pub(super) fn waiting(execution: &Value) {
    let id = execution["id"].as_str().unwrap_or_default();
    for task in execution["tasks"].as_array().into_iter().flatten() {
        let part = |name: &str| one_line(task[name].as_str().unwrap_or_default(), 400);
        if task["resource"] == APPROVAL {
            let asked = ["question", "message"].iter().find_map(|name| task["input"][*name].as_str());
            say(format!(
                "waits for a person: {}",
                one_line(asked.unwrap_or_else(|| task["state"].as_str().unwrap_or("?")), 200)
            ));
            say(format!("  bedplate runs answer {id} {} --approve", task["call"]));
        } else if part("kind") != "task" {
            say(format!("waits for a {}: state {}, token {}", part("kind"), part("state"), part("token")));
        }
    }
    // A turn of an agent that the execution waits for may wait for a person itself.
    for child in execution["children"].as_array().into_iter().flatten() {
        if child["status"] == "waiting" {
            let part = |name: &str| one_line(child[name].as_str().unwrap_or_default(), 60);
            say(format!("the {} {} waits for a person: bedplate runs show {}", part("kind"), part("name"), part("id")));
        }
    }
}
