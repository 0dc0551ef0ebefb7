//! `bedplate runs`: journals on the terminal.

use crate::{
    client::{Client, encode},
    error::{Error, Kind},
    target::Target,
    terminal::{json, one_line, say, short_time, table},
};
use serde_json::{Value, json as value};

/// List, show, cancel, answer, fork and replay runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate runs list shop --status waiting
  bedplate runs show RUN shop --json
  bedplate runs answer RUN CALL shop --approve
  bedplate runs fork RUN shop --at 12 --session try-again")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List runs, latest first
    List {
        #[command(flatten)]
        target: Target,
        /// Only this user's
        #[arg(long)]
        user: Option<String>,
        /// Only in this state
        #[arg(long, value_parser = ["idle", "running", "waiting"])]
        status: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the journal of a run
    Show {
        /// The run
        run: String,
        #[command(flatten)]
        target: Target,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel the turn that is under way
    Cancel {
        /// The run
        run: String,
        #[command(flatten)]
        target: Target,
    },
    /// Answer a question of a run
    Answer {
        /// The run
        run: String,
        /// The call that waits
        call: u64,
        /// Let it run; without this it is refused
        #[arg(long)]
        approve: bool,
        /// A word to the model
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Copy a run up to a position into a new session
    Fork {
        /// The run
        run: String,
        /// The last position to keep; default: all
        #[arg(long)]
        at: Option<u64>,
        /// What the new session is called
        #[arg(long)]
        session: Option<String>,
        #[command(flatten)]
        target: Target,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Feed the recorded results to the machine and compare its decisions with the journal
    Replay {
        /// The run
        run: String,
        /// Up to this position; default: all
        #[arg(long)]
        at: Option<u64>,
        #[command(flatten)]
        target: Target,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Does what the subcommand says.
///
/// # Errors
/// When the run does not exist or the server refuses.
pub fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::List { target, user, status, limit, json } => super::with_client(&target, false, async |client| {
            let mut path = format!("/v1/runs?limit={limit}");
            for (name, given) in [("user_id", user), ("status", status)] {
                if let Some(given) = given {
                    path += &format!("&{name}={}", encode(&given));
                }
            }
            let page = client.get(&path).await?;
            list(&page["runs"], json);
            Ok(())
        }),
        Command::Show { run, target, json } => super::with_client(&target, false, async |client| {
            show(client, &run, json).await?;
            Ok(())
        }),
        Command::Cancel { run, target } => super::with_client(&target, true, async |client| {
            let answer = client.post(&format!("/v1/runs/{}/cancel", encode(&run)), &value!({})).await?;
            say(if answer["cancelled"] == true { "cancelled" } else { "no turn was under way" });
            Ok(())
        }),
        Command::Answer { run, call, approve, note, target } => super::with_client(&target, true, async |client| {
            let body = value!({ "approved": approve, "note": note });
            client.post(&format!("/v1/runs/{}/calls/{call}/answer", encode(&run)), &body).await?;
            say(if approve { "approved" } else { "refused" });
            Ok(())
        }),
        Command::Fork { run, at, session, target, json } => super::with_client(&target, false, async |client| {
            let body = value!({ "at": at, "session_id": session });
            let forked = client.post(&format!("/v1/runs/{}/fork", encode(&run)), &body).await?;
            list(&Value::Array(vec![forked]), json);
            Ok(())
        }),
        Command::Replay { run, at, target, json } => super::with_client(&target, false, async |client| {
            let at = at.map(|at| format!("?at={at}")).unwrap_or_default();
            let replay = client.get(&format!("/v1/runs/{}/replay{at}", encode(&run))).await?;
            report(&replay, json)
        }),
    }
}

/// Prints runs or sessions.
pub(super) fn list(runs: &Value, as_json: bool) {
    if as_json {
        json(runs);
        return;
    }
    let cell = |run: &Value, name: &str, limit| one_line(run[name].as_str().unwrap_or_default(), limit);
    let rows: Vec<[String; 6]> = runs
        .as_array()
        .into_iter()
        .flatten()
        .map(|run| {
            [
                cell(run, "run_id", 32),
                cell(run, "status", 8),
                cell(run, "agent", 20),
                cell(run, "user_id", 20),
                short_time(run["touched_at"].as_str().unwrap_or_default()),
                cell(run, "title", 60),
            ]
        })
        .collect();
    if rows.is_empty() {
        say("none yet; `bedplate chat` starts one");
    } else {
        table(["RUN", "STATUS", "AGENT", "USER", "TOUCHED", "TITLE"], &rows);
    }
}

async fn show(client: &Client, run: &str, as_json: bool) -> Result<(), Error> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page = client.get(&format!("/v1/runs/{}/events?limit=200&after={after}", encode(run))).await?;
        events.extend(page["events"].as_array().cloned().unwrap_or_default());
        match page["next_after"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    if as_json {
        json(&events);
        return Ok(());
    }
    let rows: Vec<[String; 4]> = events
        .iter()
        .map(|event| {
            let mut rest = event.clone();
            if let Some(fields) = rest.as_object_mut() {
                fields.retain(|name, _| !matches!(name.as_str(), "seq" | "at" | "type"));
            }
            [
                event["seq"].to_string(),
                one_line(event["at"].as_str().unwrap_or_default(), 23),
                one_line(event["type"].as_str().unwrap_or_default(), 24),
                one_line(&rest.to_string(), 120),
            ]
        })
        .collect();
    table(["SEQ", "AT", "EVENT", "WHAT"], &rows);
    Ok(())
}

/// Prints what a replay found; an error where the machine decides otherwise than the journal says.
pub(super) fn report(replay: &Value, as_json: bool) -> Result<(), Error> {
    if as_json {
        json(replay);
    } else {
        for difference in replay["differences"].as_array().into_iter().flatten() {
            say(one_line(difference.as_str().unwrap_or_default(), 400));
        }
        let same = if replay["same"] == true { "decides the same" } else { "decides otherwise" };
        say(format!("{} events: the machine {same}", replay["events"]));
    }
    if replay["same"] == true {
        return Ok(());
    }
    Err(Error::new(Kind::Failed, "the machine of this version decides otherwise than the journal says"))
}
