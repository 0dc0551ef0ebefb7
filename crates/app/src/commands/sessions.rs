//! `bedplate sessions`: conversations on the terminal.

use crate::{
    client::{Client, encode},
    error::Error,
    target::Target,
    terminal::{json, printable, say},
};
use serde_json::Value;

/// List, show and delete sessions
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate sessions list shop --user alice --json
  bedplate sessions show c1 shop --user alice
  bedplate sessions delete c1 shop --user alice
  bedplate sessions forget alice shop           everything of a person")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List sessions, latest first
    List {
        #[command(flatten)]
        target: Target,
        /// Only this user's
        #[arg(long)]
        user: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the messages of a session
    Show {
        /// The session
        session: String,
        #[command(flatten)]
        target: Target,
        /// Whose it is
        #[arg(long, default_value = "anonymous")]
        user: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a session
    Delete {
        /// The session
        session: String,
        #[command(flatten)]
        target: Target,
        /// Whose it is
        #[arg(long)]
        user: String,
    },
    /// Delete everything of a person: all sessions and what only they hold
    Forget {
        /// The person, as requests name them
        user: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Does what the subcommand says.
///
/// # Errors
/// When the session does not exist or the server refuses.
pub fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::List { target, user, limit, json } => super::with_client(&target, false, async |client| {
            let user = user.map(|user| format!("&user_id={}", encode(&user))).unwrap_or_default();
            let page = client.get(&format!("/v1/sessions?limit={limit}{user}")).await?;
            super::runs::list(&page["sessions"], json);
            Ok(())
        }),
        Command::Show { session, target, user, json: as_json } => super::with_client(&target, false, async |client| {
            let mut messages = Vec::new();
            let mut cursor = String::new();
            loop {
                let path =
                    format!("/v1/sessions/{}/messages?limit=200&user_id={}{cursor}", encode(&session), encode(&user));
                let page = client.get(&path).await?;
                messages.extend(page["messages"].as_array().cloned().unwrap_or_default());
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={}", encode(next)),
                    None => break,
                }
            }
            if as_json {
                json(&messages);
            } else {
                messages.iter().for_each(show);
            }
            Ok(())
        }),
        Command::Delete { session, target, user } => super::with_client(&target, false, async |client| {
            delete(client, &format!("/v1/sessions/{}?user_id={}", encode(&session), encode(&user))).await
        }),
        Command::Forget { user, target } => super::with_client(&target, false, async |client| {
            delete(client, &format!("/v1/users/{}", encode(&user))).await
        }),
    }
}

async fn delete(client: &Client, path: &str) -> Result<(), Error> {
    let deleted = client.delete(path).await?;
    say(format!("deleted {} runs and {} blobs", deleted["runs"], deleted["blobs"]));
    Ok(())
}

fn show(message: &Value) {
    for block in message["content"].as_array().into_iter().flatten() {
        let text = match block["type"].as_str() {
            Some("text") => block["text"].as_str().unwrap_or_default().to_owned(),
            Some("tool_use") => format!("→ {} {}", block["name"].as_str().unwrap_or_default(), block["input"]),
            Some("tool_result") => format!("← {}", block["content"]),
            Some(other) => format!("({other})"),
            None => continue,
        };
        say(format!("{:>9}  {}", message["role"].as_str().unwrap_or_default(), printable(&text)));
    }
}
