//! `bedplate costs`: what model calls cost, as a table with bars.

use crate::{
    client::encode,
    error::Error,
    target::Target,
    terminal::{json, one_line, say, table},
};
use serde_json::{Value, json as value};

/// How many characters the longest bar has.
const BAR: usize = 24;

/// Show what model calls cost, and how the budgets stand
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate costs
  bedplate costs --by model --from 24h
  bedplate costs --by day,user --from 2026-11-01 --to 2026-12-01
  bedplate costs --by tag:project --json")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// What the rows are by, up to three of: minute, hour, day, month, model, route, provider, target, key, team, user,
    /// agent, session, run, error, cache, tag:NAME
    #[arg(long, default_value = "day", value_delimiter = ',')]
    by: Vec<String>,
    /// From this time on: a day, RFC 3339, or a length back from now
    #[arg(long, default_value = "30d")]
    from: String,
    /// Before this time, in the same forms; default: now
    #[arg(long)]
    to: Option<String>,
    /// Only calls of this user
    #[arg(long)]
    user: Option<String>,
    /// Only calls of this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only calls with this tag, as NAME=VALUE
    #[arg(long)]
    tag: Option<String>,
    /// Print JSON: the answers of /v1/costs and /v1/budgets
    #[arg(long)]
    json: bool,
}

/// Prints the table.
///
/// # Errors
/// When the server refuses.
pub fn run(args: Args) -> Result<(), Error> {
    super::with_client(&args.target, false, async |client| {
        let mut path = format!("/v1/costs?by={}&from={}", encode(&args.by.join(",")), encode(&args.from));
        let rest = [("to", &args.to), ("user_id", &args.user), ("agent", &args.agent), ("tag", &args.tag)];
        for (name, given) in rest {
            if let Some(given) = given {
                path.push_str(&format!("&{name}={}", encode(given)));
            }
        }
        let costs = client.get(&path).await?;
        let budgets = client.get("/v1/budgets").await?;
        if args.json {
            json(&value!({ "costs": costs, "budgets": budgets["budgets"] }));
        } else {
            show_costs(&costs);
            show_budgets(&budgets["budgets"]);
        }
        Ok(())
    })
}

fn show_costs(costs: &Value) {
    let by: Vec<&str> = costs["by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let rows: Vec<&Value> = costs["rows"].as_array().into_iter().flatten().collect();
    if rows.is_empty() {
        say("no calls in this time");
        return;
    }
    let money = |row: &Value| row["cost_usd"].as_f64().unwrap_or(0.0);
    let calls = |row: &Value| row["calls"].as_f64().unwrap_or(0.0);
    let most = rows.iter().map(|row| money(row)).fold(0.0, f64::max);
    // Where nothing costs anything, a bar of calls says more than none.
    let size = |row: &Value| if most > 0.0 { money(row) } else { calls(row) };
    let largest = rows.iter().map(|row| size(row)).fold(0.0, f64::max);
    let line = |name: String, row: &Value, bar: String| {
        let tokens = |name: &str| row[name].as_u64().unwrap_or(0);
        let p50 = row["latency_ms"]["p50"].as_f64().map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
        let input = tokens("input_tokens") + tokens("cache_read_tokens") + tokens("cache_write_tokens");
        [
            name,
            dollars(row),
            tokens("calls").to_string(),
            tokens("errors").to_string(),
            input.to_string(),
            tokens("output_tokens").to_string(),
            p50,
            bar,
        ]
    };
    let name = |row: &Value| {
        let parts = by.iter().map(|by| one_line(row[*by].as_str().unwrap_or("-"), 32));
        parts.collect::<Vec<_>>().join("  ")
    };
    let mut lines: Vec<[String; 8]> = rows.iter().map(|row| line(name(row), row, bar(size(row), largest))).collect();
    lines.push(line("all".to_owned(), &costs["total"], String::new()));
    let heading = by.join(", ").to_uppercase();
    table([&heading, "US$", "CALLS", "ERRORS", "INPUT", "OUTPUT", "P50", ""], &lines);
    let unpriced = costs["total"]["unpriced_calls"].as_u64().unwrap_or(0);
    if unpriced > 0 {
        say(format!("{unpriced} calls went to models without a price; [prices] in bedplate.toml sets one"));
    }
}

fn show_budgets(budgets: &Value) {
    let rows: Vec<[String; 5]> = budgets
        .as_array()
        .into_iter()
        .flatten()
        .map(|budget| {
            let used = budget["used"].as_f64().unwrap_or(0.0);
            let who = budget["who"].as_str().map_or_else(String::new, |who| format!(" {}", one_line(who, 24)));
            let text = |name: &str| budget[name].as_str().unwrap_or("-");
            [
                format!("{}{who}", one_line(text("name"), 24)),
                format!("{:.2} of {:.2}", number(budget, "spent_usd"), number(budget, "limit_usd")),
                format!("{:.0} %", used * 100.0),
                format!("{}, then {}", text("period"), text("action")),
                bar(used.min(1.0), 1.0),
            ]
        })
        .collect();
    if !rows.is_empty() {
        say("");
        table(["BUDGET", "US$", "USED", "PERIOD", ""], &rows);
    }
}

fn number(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap_or(0.0)
}

fn dollars(row: &Value) -> String {
    let amount = number(row, "cost_usd");
    if amount > 0.0 && amount < 0.01 { format!("{amount:.6}") } else { format!("{amount:.2}") }
}

/// Returns a bar of `value` where `largest` is the longest, to an eighth of a character.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "few characters"
)]
fn bar(value: f64, largest: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if largest <= 0.0 || value <= 0.0 {
        return String::new();
    }
    let eighths = ((value / largest * (BAR * 8) as f64).round() as usize).clamp(1, BAR * 8);
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_is_as_long_as_its_part_and_never_invisible_where_there_is_something() {
        assert_eq!(bar(0.0, 10.0), "");
        assert_eq!(bar(1e-9, 10.0), "▏");
        assert_eq!(bar(10.0, 10.0).chars().count(), 24);
        assert_eq!(bar(5.0, 10.0), "█".repeat(12));
        assert_eq!(bar(3.0, 0.0), "");
    }
}
