//! The public function-calling cases (Berkeley Function Calling Leaderboard), scored as their authors score them.

use super::support::{NOW, calls, request};
use bedplate_core::{message::Message, port::model::ToolChoice, tool::ToolSpec};
use serde_json::{Map, Value};
use std::{collections::HashMap, path::PathBuf, time::Instant};

#[derive(Default)]
struct Score {
    cases: usize,
    chosen: usize,
    matched: usize,
    slowest: f64,
    spent: f64,
}

#[test]
fn unseen_functions_are_chosen_and_filled() {
    let folder = std::env::var_os("BEDPLATE_CASES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases"), PathBuf::from)
        .join("bfcl");
    if !folder.is_dir() {
        println!("skipped: no cases at {}; set BEDPLATE_CASES", folder.display());
        return;
    }
    // File, least share of right functions, least share of full matches.
    let floors = [
        ("simple_python", 0.88, 0.62),
        ("multiple", 0.87, 0.55),
        ("parallel", 0.47, 0.22),
        ("parallel_multiple", 0.45, 0.17),
        ("live_simple", 0.72, 0.27),
        ("live_parallel", 0.0, 0.0),
        ("live_parallel_multiple", 0.0, 0.0),
        ("irrelevance", 0.7, 0.7),
        ("live_relevance", 0.5, 0.5),
    ];
    println!("{:<24}{:>7}{:>10}{:>10}{:>12}{:>12}", "file", "cases", "function", "match", "mean ms", "slowest ms");
    let mut failures = Vec::new();
    for (name, least_chosen, least_matched) in floors {
        let score = score(&folder, name);
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let share = |count: usize| count as f64 / score.cases.max(1) as f64;
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let mean = score.spent / score.cases.max(1) as f64;
        println!(
            "{name:<24}{:>7}{:>9.1}%{:>9.1}%{mean:>12.2}{:>12.2}",
            score.cases,
            100.0 * share(score.chosen),
            100.0 * share(score.matched),
            score.slowest
        );
        if share(score.chosen) < least_chosen || share(score.matched) < least_matched {
            failures.push(name);
        }
    }
    assert!(failures.is_empty(), "below the floor: {failures:?}");
}

fn score(folder: &std::path::Path, name: &str) -> Score {
    let answers: HashMap<String, Value> = lines(&folder.join(format!("{name}.answers.jsonl")))
        .into_iter()
        .map(|line| (line["id"].as_str().unwrap_or_default().to_owned(), line["ground_truth"].clone()))
        .collect();
    let verbose = std::env::var("BFCL_SHOW").unwrap_or_default() == name;
    let mut score = Score::default();
    for case in lines(&folder.join(format!("{name}.jsonl"))) {
        let tools: Vec<ToolSpec> = case["function"].as_array().into_iter().flatten().map(tool).collect();
        let messages: Vec<Message> = case["question"][0]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|message| message["role"] == "user")
            .map(|message| Message::user(message["content"].as_str().unwrap_or_default()))
            .collect();
        let request = request(&messages, &tools, ToolChoice::Auto);
        let start = Instant::now();
        let reply = bedplate_rehearsal::reply(&request, NOW);
        let spent = start.elapsed().as_secs_f64() * 1e3;
        score.spent += spent;
        score.slowest = score.slowest.max(spent);
        score.cases += 1;
        let made: Vec<(String, Map<String, Value>)> = calls(&reply)
            .into_iter()
            .map(|call| (call.name, call.input.as_object().cloned().unwrap_or_default()))
            .collect();
        let (chosen, matched) = match (name, answers.get(case["id"].as_str().unwrap_or_default())) {
            ("irrelevance", _) => (made.is_empty(), made.is_empty()),
            ("live_relevance", _) => (!made.is_empty(), !made.is_empty()),
            (_, Some(wanted)) => judge(&made, wanted),
            (_, None) => continue,
        };
        score.chosen += usize::from(chosen);
        score.matched += usize::from(matched);
        if verbose && !matched {
            println!(
                "{} {}\n   {}\n   got    {}\n   wanted {}",
                if chosen { "~" } else { "x" },
                case["id"],
                messages.last().map(Message::text).unwrap_or_default(),
                if made.is_empty() { reply.message.text() } else { serde_json::to_string(&made).unwrap() },
                answers.get(case["id"].as_str().unwrap_or_default()).unwrap_or(&Value::Null)
            );
        }
    }
    score
}

fn lines(path: &std::path::Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tool(function: &Value) -> ToolSpec {
    ToolSpec {
        name: function["name"].as_str().unwrap_or_default().into(),
        description: function["description"].as_str().unwrap_or_default().into(),
        input_schema: schema(&function["parameters"]),
    }
}

/// Turns the cases' own type names into JSON Schema's.
fn schema(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let value = match (key.as_str(), value.as_str()) {
                    ("type", Some("dict")) => "object".into(),
                    ("type", Some("float")) => "number".into(),
                    ("type", Some("tuple")) => "array".into(),
                    ("type", Some("any")) => "string".into(),
                    _ => schema(value),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(list) => list.iter().map(schema).collect(),
        other => other.clone(),
    }
}

/// Returns whether the functions are right, and whether the arguments are too. The order of calls does not count.
fn judge(made: &[(String, Map<String, Value>)], wanted: &Value) -> (bool, bool) {
    let mut wanted: Vec<(&String, &Map<String, Value>)> = wanted
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|call| call.as_object()?.iter().next().and_then(|(name, params)| Some((name, params.as_object()?))))
        .collect();
    let mut names: Vec<&String> = made.iter().map(|(name, _)| name).collect();
    let mut right: Vec<&String> = wanted.iter().map(|(name, _)| *name).collect();
    names.sort();
    right.sort();
    let chosen = names == right;
    let matched = chosen
        && made.iter().all(|(name, args)| {
            let found = wanted.iter().position(|(other, params)| *other == name && arguments(args, params));
            found.map(|index| wanted.remove(index)).is_some()
        });
    (chosen, matched)
}

fn arguments(args: &Map<String, Value>, params: &Map<String, Value>) -> bool {
    let optional = |accepted: &Value| accepted.as_array().is_some_and(|list| list.iter().any(|value| value == ""));
    args.iter().all(|(name, value)| {
        params.get(name).and_then(Value::as_array).is_some_and(|list| list.iter().any(|accepted| same(value, accepted)))
    }) && params.iter().all(|(name, accepted)| args.contains_key(name) || optional(accepted))
}

fn same(value: &Value, accepted: &Value) -> bool {
    match (value, accepted) {
        (Value::String(a), Value::String(b)) => plain(a) == plain(b),
        (Value::Number(a), Value::Number(b)) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        // The members of an accepted object are lists of accepted values.
        (Value::Object(a), Value::Object(b)) => {
            arguments(a, b)
                || a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}

fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, ' ' | ',' | '.' | '/' | '-' | '_' | '*' | '^'))
        .collect::<String>()
        .to_lowercase()
        .replace('\'', "\"")
}
