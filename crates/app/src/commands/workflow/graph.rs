//! `bedplate workflow graph`: a definition as a drawing: text, Mermaid or DOT. It needs no server.

use super::file_text;
use crate::{
    error::{Error, Kind},
    target::Target,
    terminal::{json, one_line, say},
};
use serde_json::{Map, Value, json as value};
use std::path::Path;

/// Draw a workflow
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A workflow's name, or @FILE with a definition
    #[arg(value_name = "NAME|@FILE")]
    what: String,
    #[command(flatten)]
    target: Target,
    /// In which form
    #[arg(long, default_value = "text", value_parser = ["text", "mermaid", "dot"])]
    format: String,
    /// Print states and transitions as JSON
    #[arg(long)]
    json: bool,
}

/// Draws the workflow.
///
/// # Errors
/// When there is no such file, or it is no definition.
pub fn run(args: &Args) -> Result<(), Error> {
    let file = match args.what.strip_prefix('@') {
        Some(file) => Path::new(file).to_owned(),
        None if Path::new(&args.what).components().count() != 1 => {
            return Err(Error::new(Kind::Usage, format!("{:?} is no name of a workflow", args.what)));
        }
        None => args.target.project.join(format!("workflows/{}.asl.json", args.what)),
    };
    let text = file_text(&file)?;
    let definition: Value = serde_json::from_str(&text)
        .map_err(|error| Error::new(Kind::Problems, format!("{} is no definition: {error}", file.display())))?;
    let mut graph = Graph::default();
    if graph.add(&definition, None, 0).is_none() {
        return Err(Error::new(Kind::Problems, format!("{} is no definition: it has no states", file.display()))
            .hint("`bedplate check` says what is missing"));
    }
    if args.json {
        json(&value!({ "states": graph.states.iter().map(State::json).collect::<Vec<_>>(),
            "transitions": graph.edges.iter().map(Edge::json).collect::<Vec<_>>() }));
        return Ok(());
    }
    say(match args.format.as_str() {
        "mermaid" => graph.mermaid(),
        "dot" => graph.dot(),
        _ => graph.text(),
    });
    Ok(())
}

#[derive(Debug, Default)]
struct Graph {
    states: Vec<State>,
    edges: Vec<Edge>,
}

#[derive(Debug)]
struct State {
    name: String,
    kind: String,
    /// What a task calls.
    resource: Option<String>,
    /// The state whose branch or iteration it is in, and which branch, from 1.
    within: Option<(usize, usize)>,
    depth: usize,
    ends: bool,
    first: bool,
}

#[derive(Debug)]
struct Edge {
    from: usize,
    to: String,
    label: String,
}

impl State {
    fn json(&self) -> Value {
        value!({ "name": self.name, "type": self.kind, "resource": self.resource, "first": self.first, "ends": self.ends })
    }
}

impl Edge {
    fn json(&self) -> Value {
        value!({ "from": self.from, "to": self.to, "label": self.label })
    }
}

impl Graph {
    /// Adds the states of a machine, nested ones after the state that holds them.
    fn add(&mut self, machine: &Value, within: Option<(usize, usize)>, depth: usize) -> Option<()> {
        let states = machine["States"].as_object()?;
        let start = machine["StartAt"].as_str().unwrap_or_default();
        for (name, state) in ordered(states, start) {
            let at = self.states.len();
            let text = |field: &str| state[field].as_str();
            let kind = text("Type").unwrap_or("?").to_owned();
            let ends = state["End"] == true || matches!(kind.as_str(), "Succeed" | "Fail");
            let resource = text("Resource").map(ToOwned::to_owned);
            self.states.push(State { name: name.clone(), kind, resource, within, depth, ends, first: name == start });
            let mut lead = |to: Option<&str>, label: String| {
                if let Some(to) = to {
                    self.edges.push(Edge { from: at, to: to.to_owned(), label });
                }
            };
            lead(text("Next"), String::new());
            for (index, rule) in state["Choices"].as_array().into_iter().flatten().enumerate() {
                lead(rule["Next"].as_str(), condition(rule, index));
            }
            lead(text("Default"), "otherwise".to_owned());
            for catcher in state["Catch"].as_array().into_iter().flatten() {
                let errors: Vec<&str> =
                    catcher["ErrorEquals"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                lead(catcher["Next"].as_str(), format!("on {}", errors.join(", ")));
            }
            let branches = state["Branches"].as_array().into_iter().flatten();
            let inner = ["ItemProcessor", "Iterator"].iter().filter_map(|name| state.get(*name));
            for (index, branch) in branches.chain(inner).enumerate() {
                // A definition nests no deeper than JSON is read.
                let _ = self.add(branch, Some((at, index + 1)), depth + 1);
            }
        }
        Some(())
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut branch = None;
        for (at, state) in self.states.iter().enumerate() {
            let pad = "  ".repeat(state.depth * 2);
            if state.within != branch {
                if let Some((_, number)) = state.within.filter(|_| state.first) {
                    lines.push(format!("{}  branch {number}:", "  ".repeat(state.depth * 2 - 1)));
                }
                branch = state.within;
            }
            let mark = if state.first { ">" } else { " " };
            let resource = state.resource.as_deref().map(|arn| format!("  {}", short(arn))).unwrap_or_default();
            let end = if state.ends { "  [end]" } else { "" };
            lines.push(format!("{pad}{mark} {} ({}){resource}{end}", one_line(&state.name, 80), state.kind));
            for edge in self.edges.iter().filter(|edge| edge.from == at) {
                let label =
                    if edge.label.is_empty() { String::new() } else { format!("  {}", one_line(&edge.label, 80)) };
                lines.push(format!("{pad}    -> {}{label}", one_line(&edge.to, 80)));
            }
        }
        lines.join("\n")
    }

    fn mermaid(&self) -> String {
        let mut lines = vec!["flowchart TD".to_owned()];
        for (at, state) in self.states.iter().enumerate() {
            let label = escaped(&format!("{} ({})", state.name, state.kind));
            lines.push(if state.kind == "Choice" {
                format!("  s{at}{{\"{label}\"}}")
            } else {
                format!("  s{at}[\"{label}\"]")
            });
        }
        lines.extend(self.lines("  {from} -->{label} {to}", |label| format!("|\"{}\"|", escaped(label))));
        lines.join("\n")
    }

    fn dot(&self) -> String {
        let mut lines = vec!["digraph workflow {".to_owned(), "  rankdir=TB; node [shape=box];".to_owned()];
        for (at, state) in self.states.iter().enumerate() {
            let shape = if state.kind == "Choice" { ", shape=diamond" } else { "" };
            lines.push(format!("  s{at} [label=\"{}\\n{}\"{shape}];", quoted(&state.name), state.kind));
        }
        lines.extend(self.lines("  {from} -> {to}{label};", |label| format!(" [label=\"{}\"]", quoted(label))));
        lines.push("}".to_owned());
        lines.join("\n")
    }

    /// Returns a line for each transition, and for each way into a branch.
    fn lines(&self, form: &str, label: impl Fn(&str) -> String) -> Vec<String> {
        let line = |from: usize, to: usize, said: &str| {
            let label = if said.is_empty() { String::new() } else { label(said) };
            form.replace("{from}", &format!("s{from}")).replace("{to}", &format!("s{to}")).replace("{label}", &label)
        };
        let named = |name: &str| self.states.iter().position(|state| state.name == name);
        let edges = self.edges.iter().filter_map(|edge| Some(line(edge.from, named(&edge.to)?, &edge.label)));
        let firsts = self.states.iter().enumerate().filter(|(_, state)| state.first);
        let into = firsts.filter_map(|(at, state)| {
            let (holder, number) = state.within?;
            Some(line(holder, at, &format!("branch {number}")))
        });
        edges.chain(into).collect()
    }
}

/// Returns the states in the order in which they are come to, those that nothing leads to last.
fn ordered<'a>(states: &'a Map<String, Value>, start: &'a str) -> Vec<(&'a String, &'a Value)> {
    let mut order: Vec<&str> = Vec::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        if order.contains(&name) || !states.contains_key(name) {
            continue;
        }
        order.push(name);
        let state = &states[name];
        let mut next: Vec<&str> = state["Next"].as_str().into_iter().collect();
        for list in ["Choices", "Catch"] {
            next.extend(state[list].as_array().into_iter().flatten().filter_map(|one| one["Next"].as_str()));
        }
        next.extend(state["Default"].as_str());
        open.extend(next.into_iter().rev());
    }
    let rest = states.keys().map(String::as_str).filter(|name| !order.contains(name));
    let all: Vec<&str> = order.iter().copied().chain(rest).collect();
    all.into_iter().filter_map(|name| states.get_key_value(name)).collect()
}

/// Returns the condition of a rule of a Choice in few words.
fn condition(rule: &Value, index: usize) -> String {
    if let Some(condition) = rule["Condition"].as_str() {
        return condition.trim_start_matches("{%").trim_end_matches("%}").trim().to_owned();
    }
    let mut fields = rule.as_object().into_iter().flatten();
    let test = fields.find(|(name, _)| !["Next", "Variable", "Comment", "Assign"].contains(&name.as_str()));
    match (rule["Variable"].as_str(), test) {
        (Some(variable), Some((operator, value))) => format!("{variable} {operator} {value}"),
        (None, Some((operator, _))) => operator.clone(),
        _ => format!("rule {}", index + 1),
    }
}

fn short(arn: &str) -> &str {
    arn.strip_prefix("arn:aws:states:::").unwrap_or(arn)
}

fn escaped(text: &str) -> String {
    text.replace('"', "#quot;").replace(['\n', '\r'], " ")
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"StartAt": "Ask", "States": {
        "End": {"Type": "Succeed"},
        "Ask": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Well?",
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "End"}]},
        "Well?": {"Type": "Choice", "Choices": [{"Variable": "$.ok", "BooleanEquals": true, "Next": "Both \"now\""}], "Default": "End"},
        "Both \"now\"": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": true}}},
            {"StartAt": "Two", "States": {"Two": {"Type": "Pass", "End": true}}}]}}}"#;

    fn graph() -> Graph {
        let mut graph = Graph::default();
        graph.add(&serde_json::from_str(TEXT).expect("JSON"), None, 0).expect("states");
        graph
    }

    #[test]
    fn a_drawing_shows_every_state_and_every_way_between_them() {
        let text = graph().text();
        for line in [
            "> Ask (Task)  lambda:invoke\n    -> Well?\n    -> End  on States.ALL",
            "    -> Both \"now\"  $.ok BooleanEquals true\n    -> End  otherwise",
            "    branch 1:\n    > One (Pass)  [end]\n    branch 2:\n    > Two (Pass)  [end]",
            "  End (Succeed)  [end]",
        ] {
            assert!(text.contains(line), "{line}\n---\n{text}");
        }
        let mermaid = graph().mermaid();
        assert!(mermaid.contains("s2[\"Both #quot;now#quot; (Parallel)\"]"), "{mermaid}");
        assert!(mermaid.contains("  s1 -->|\"$.ok BooleanEquals true\"| s2"), "{mermaid}");
        assert!(mermaid.contains("  s2 -->|\"branch 2\"| s4"), "{mermaid}");
        let dot = graph().dot();
        assert!(dot.contains("s0 -> s5 [label=\"on States.ALL\"];") && dot.ends_with('}'), "{dot}");
    }
}
