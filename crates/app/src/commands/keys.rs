//! `bedplate keys`: API keys.

use crate::{
    client::encode,
    error::Error,
    target::Target,
    terminal::{json, one_line, say, short_time, table},
};
use serde_json::{Value, json as value};

/// Create, list and revoke API keys
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate keys create shop-backend
  bedplate keys create alice --user alice --agents mangaassist --expires 30d
  bedplate keys create lambda --aws
  bedplate keys revoke 0123456789ab")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print it, once
    Create {
        /// What people call it
        name: String,
        #[command(flatten)]
        target: Target,
        /// The user that it speaks for; default: requests name the user
        #[arg(long)]
        user: Option<String>,
        /// The team that it belongs to, for limits, budgets and bills
        #[arg(long)]
        team: Option<String>,
        /// The agents that it may use; default: all
        #[arg(long, value_delimiter = ',')]
        agents: Option<Vec<String>>,
        /// An access key for AWS's clients, which sign their requests with it
        #[arg(long)]
        aws: bool,
        /// When it ends: 90s, 15m, 12h, 30d
        #[arg(long, value_parser = seconds)]
        expires: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys, newest first
    List {
        #[command(flatten)]
        target: Target,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key from now on
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Does what the subcommand says.
///
/// # Errors
/// When the server refuses.
pub fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::Create { name, target, user, team, agents, aws, expires, json: as_json } => {
            super::with_client(&target, false, async |client| {
                let body = value!({ "name": name, "user_id": user, "team": team, "agents": agents, "aws": aws, "expires_in_seconds": expires });
                let key = client.post("/v1/keys", &body).await?;
                if as_json {
                    json(&key);
                } else {
                    let text = |name: &str| key[name].as_str().unwrap_or_default();
                    if aws {
                        say(format!("AWS_ACCESS_KEY_ID={}", text("access_key_id")));
                        say(format!("AWS_SECRET_ACCESS_KEY={}", text("secret_access_key")));
                    } else {
                        say(text("key"));
                    }
                    crate::terminal::remark("keep it now: it is not shown again");
                }
                Ok(())
            })
        }
        Command::List { target, json: as_json } => super::with_client(&target, false, async |client| {
            let page = client.get("/v1/keys").await?;
            list(&page["keys"], as_json);
            Ok(())
        }),
        Command::Revoke { id, target } => super::with_client(&target, false, async |client| {
            client.delete(&format!("/v1/keys/{}", encode(&id))).await?;
            say("revoked");
            Ok(())
        }),
    }
}

fn list(keys: &Value, as_json: bool) {
    if as_json {
        json(keys);
        return;
    }
    let text = |key: &Value, name: &str| one_line(key[name].as_str().unwrap_or("-"), 24);
    let rows: Vec<[String; 6]> = keys
        .as_array()
        .into_iter()
        .flatten()
        .map(|key| {
            let state = match (&key["revoked_at"], &key["expires_at"]) {
                (Value::String(_), _) => "revoked".to_owned(),
                (_, Value::String(end)) => format!("until {}", short_time(end)),
                _ => "active".to_owned(),
            };
            let agents = key["agents"].as_array().map_or_else(
                || "all".to_owned(),
                |agents| agents.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            );
            [
                text(key, "id"),
                text(key, "name"),
                text(key, "user_id"),
                agents,
                short_time(key["created_at"].as_str().unwrap_or_default()),
                state,
            ]
        })
        .collect();
    if rows.is_empty() {
        say("none: requests without a key are let in, on loopback only; `bedplate keys create NAME` makes one");
    } else {
        table(["ID", "NAME", "USER", "AGENTS", "CREATED", "STATE"], &rows);
    }
}

/// Parses a length of time such as `30d` into seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "write a number and a unit: 90s, 15m, 12h, 30d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_length_of_time_has_a_unit_and_is_not_nothing() {
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("30d"), Ok(2_592_000));
        for text in ["", "5", "d", "-1h", "0s", "1é", "99999999999999999999d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
