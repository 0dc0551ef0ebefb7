//! `bedplate doctor`: what is set up, what is missing, and what to do.

use crate::{
    compose,
    data::DataFolder,
    error::Error,
    target::Target,
    terminal::{json, say},
};
use serde::Serialize;

/// Tell what is set up, what is missing, and what to do
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bedplate doctor shop --json")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    Note,
    Bad,
}

/// Looks at everything and tells; it changes nothing.
///
/// # Errors
/// When threads cannot be started.
pub fn run(args: &Args) -> Result<(), Error> {
    let mut findings = vec![project(args), data(args), server(args)];
    findings.push(super::runtime()?.block_on(model()));
    if args.json {
        json(&findings);
        return Ok(());
    }
    for finding in &findings {
        let mark = match finding.state {
            State::Good => "ok  ",
            State::Note => "note",
            State::Bad => "bad ",
        };
        say(format!("{mark}  {:<8} {}", finding.what, finding.detail));
        if let Some(todo) = &finding.todo {
            say(format!("                → {todo}"));
        }
    }
    Ok(())
}

fn project(args: &Args) -> Finding {
    let folder = args.target.project.display();
    let (project, problems) = compose::load(&args.target.project);
    match project {
        Some(project) => Finding {
            what: "project",
            state: if problems.is_empty() { State::Good } else { State::Note },
            detail: format!("{folder}: {} agents, {} warnings", project.agents.len(), problems.len()),
            todo: (!problems.is_empty()).then(|| format!("bedplate check {folder}")),
        },
        None => Finding {
            what: "project",
            state: State::Bad,
            detail: format!("{folder} has {} problems", problems.len()),
            todo: Some(format!("bedplate check {folder}, or bedplate init for a new one")),
        },
    }
}

fn data(args: &Args) -> Finding {
    let path = args.target.data.clone().unwrap_or_else(|| args.target.project.join(".bedplate"));
    let store = path.join("bedplate.db");
    match std::fs::metadata(&store) {
        Ok(meta) => Finding {
            what: "data",
            state: State::Good,
            detail: format!("{} ({} KiB)", store.display(), meta.len() / 1024),
            todo: None,
        },
        Err(_) => Finding {
            what: "data",
            state: State::Note,
            detail: format!("{} is not there yet", store.display()),
            todo: Some("the first `bedplate up` makes it".into()),
        },
    }
}

fn server(args: &Args) -> Finding {
    let running = DataFolder::of(&args.target.project, args.target.data.as_deref()).announced();
    match running {
        Some(running) => Finding {
            what: "server",
            state: State::Good,
            detail: format!("{} (process {})", running.url, running.pid),
            todo: None,
        },
        None => Finding {
            what: "server",
            state: State::Note,
            detail: "none announced".into(),
            todo: Some(format!("bedplate up {}", args.target.project.display())),
        },
    }
}

async fn model() -> Finding {
    match compose::discover().await {
        Some(found) => Finding { what: "model", state: State::Good, detail: found, todo: None },
        None => Finding {
            what: "model",
            state: State::Note,
            detail:
                "no model key and no local model server; the rehearsal stand-in answers, which is no foundation model"
                    .into(),
            todo: Some("set ANTHROPIC_API_KEY or OPENAI_API_KEY, or start Ollama".into()),
        },
    }
}
