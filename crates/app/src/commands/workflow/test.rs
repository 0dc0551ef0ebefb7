//! `bedplate workflow test`: one state, with an input and prepared answers, as TestState does.

use super::{file_text, json_argument};
use crate::{
    client::encode,
    error::{Error, Kind},
    target::Target,
    terminal::{json, one_line, printable, say},
};
use serde_json::{Value, json as value};
use std::path::Path;

/// Test one state of a workflow, without starting an execution
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate workflow test refund shop --state Amount --input '{\"price\": 12}'
  bedplate workflow test @state.json shop --input @input.json --inspect DEBUG
  bedplate workflow test refund shop --state Pay --mock '{\"error\": {\"error\": \"Busy\", \"cause\": \"later\"}}'")]
pub struct Args {
    /// A workflow's name, or @FILE with a definition or a single state
    #[arg(value_name = "NAME|@FILE")]
    what: String,
    #[command(flatten)]
    target: Target,
    /// The state; not needed for a file with a single one
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
    /// The input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// The variables
    #[arg(long, value_name = "JSON")]
    variables: Option<String>,
    /// The context object
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
    /// What the task answers: {"result": …} or {"error": {"error", "cause"}}
    #[arg(long, value_name = "JSON")]
    mock: Option<String>,
    /// How much is told
    #[arg(long, default_value = "INFO", value_parser = ["INFO", "DEBUG", "TRACE"])]
    inspect: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tests the state.
///
/// # Errors
/// When there is no such state, or it fails.
pub fn run(args: Args) -> Result<(), Error> {
    let mut body = value!({ "input": json_argument("--input", &args.input)?, "inspection": args.inspect });
    for (name, given) in [("variables", &args.variables), ("context", &args.context), ("mock", &args.mock)] {
        if let Some(given) = given {
            body[name] = json_argument(&format!("--{name}"), given)?;
        }
    }
    if let Some(state) = &args.state {
        body["state"] = value!(state);
    }
    super::super::with_client(&args.target, false, async |client| {
        let definition = match args.what.strip_prefix('@') {
            Some(file) => Value::String(file_text(Path::new(file))?),
            None => client.get(&format!("/v1/workflows/{}", encode(&args.what))).await?["definition"].take(),
        };
        body["definition"] = definition;
        let tested = client.post("/v1/workflows/test", &body).await?;
        if args.json {
            json(&tested);
        } else {
            report(&tested);
        }
        match tested["status"].as_str() {
            Some("SUCCEEDED" | "CAUGHT_ERROR") => Ok(()),
            status => Err(Error::new(Kind::Turn, format!("the state ended as {}", status.unwrap_or("unknown")))),
        }
    })
}

fn report(tested: &Value) {
    say(one_line(tested["status"].as_str().unwrap_or_default(), 40));
    for (name, shown) in [("error", "error"), ("cause", "cause"), ("next_state", "next state")] {
        if let Some(said) = tested[name].as_str() {
            say(format!("{shown}: {}", printable(said)));
        }
    }
    for name in ["output", "inspection"] {
        if let Some(value) = tested.get(name).filter(|value| !value.is_null()) {
            say(format!("{name}:"));
            json(value);
        }
    }
}
