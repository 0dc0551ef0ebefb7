//! `bedplate chat`: a conversation on the terminal.

use crate::{
    client::{Client, ServerEvent, encode},
    error::{Error, Kind},
    target::Target,
    terminal::{one_line, printable, say, stream},
};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};

/// Talk to an agent on the terminal
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bedplate chat examples/mangaassist
  bedplate chat examples/mangaassist --user alice --message \"where is my order?\"
  echo \"what is 25 * 47?\" | bedplate chat examples/mangaassist")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// The agent; default: the project's
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The user to speak for
    #[arg(long, value_name = "USER", default_value = "anonymous")]
    user: String,
    /// The session to go on with; default: a new one
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// Say this and end
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// The model of every route `auto`, when no server runs yet
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Talks until the input ends.
///
/// # Errors
/// When the server refuses, or the turn of `--message` does not complete.
pub fn run(args: Args) -> Result<(), Error> {
    super::runtime()?.block_on(async {
        let client = Client::connect(&args.target, args.model.clone(), true).await?;
        let mut chat = Chat::open(client, &args).await?;
        let outcome = match &args.message {
            Some(text) => chat.turn(text).await,
            None => chat.converse().await,
        };
        chat.client.close().await;
        outcome
    })
}

struct Chat {
    client: Client,
    agent: String,
    user: String,
    session: Option<String>,
}

impl Chat {
    async fn open(client: Client, args: &Args) -> Result<Self, Error> {
        let info = client.get("/v1/info").await?;
        let agent = match &args.agent {
            Some(name) => name.clone(),
            None => info["default_agent"].as_str().map(str::to_owned).ok_or_else(|| {
                Error::new(Kind::Usage, "the project has no default agent").hint("name one with --agent")
            })?,
        };
        if let Some(notice) = info["notice"].as_str() {
            say(format!("({notice})"));
        }
        Ok(Self { client, agent, user: args.user.clone(), session: args.session.clone() })
    }

    async fn converse(&mut self) -> Result<(), Error> {
        let interactive = std::io::stdin().is_terminal();
        loop {
            if interactive {
                stream("\nyou> ");
            }
            let Some(line) = read_line()? else { return Ok(()) };
            if line.trim().is_empty() {
                continue;
            }
            match self.turn(&line).await {
                // In a conversation one failed turn is not the end.
                Err(error) if interactive => crate::terminal::complain(&error),
                outcome => outcome?,
            }
        }
    }

    async fn turn(&mut self, text: &str) -> Result<(), Error> {
        let path = format!("/v1/agents/{}/invoke", encode(&self.agent));
        let key = format!("chat-{:032x}", rand::random::<u128>());
        let mut view = TurnView::default();
        loop {
            // The first round starts the turn; every later one joins it by its key, after a person answered.
            let body = json!({ "input": text, "user_id": self.user, "session_id": self.session });
            let mut events = self.client.stream(&path, &body, &key).await?;
            let done = loop {
                let Some(event) = events.next().await? else {
                    return Err(Error::failed("the stream ended before the turn did"));
                };
                match event.name.as_str() {
                    "started" => self.session = event.data["session_id"].as_str().map(str::to_owned),
                    "error" => return Err(Error::failed(text_of(&event.data["message"]))),
                    "done" => break event.data,
                    _ => view.show(&event),
                }
            };
            view.end();
            if done["status"] != "waiting" {
                return outcome(&done);
            }
            self.ask_all(&done).await?;
        }
    }

    /// Asks the person about every open question.
    async fn ask_all(&self, done: &Value) -> Result<(), Error> {
        for question in done["questions"].as_array().into_iter().flatten() {
            say(format!("\n? {}", one_line(&text_of(&question["question"]), 400)));
            if !question["preview"].is_null() {
                say(format!("  {}", one_line(&question["preview"].to_string(), 400)));
            }
            stream("  allow? [y/N] ");
            let answer = read_line()?.unwrap_or_default();
            let approved = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
            let path = format!("/v1/runs/{}/calls/{}/answer", text_of(&question["run_id"]), question["call"]);
            self.client.post(&path, &json!({ "approved": approved })).await?;
        }
        Ok(())
    }
}

fn outcome(done: &Value) -> Result<(), Error> {
    match done["error"]["message"].as_str() {
        Some(message) => {
            Err(Error::new(Kind::Turn, format!("the turn ended as {}: {}", done["status"], printable(message))))
        }
        None => Ok(()),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read_line() -> Result<Option<String>, Error> {
    // What was asked must be seen before the answer is read; a closed output is noticed by the next write.
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    let read = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Error::failed(format!("failed to read the input: {error}")))?;
    Ok((read > 0).then_some(line))
}

/// What of a turn stands on the terminal.
#[derive(Default)]
struct TurnView {
    open_text: bool,
    streamed: bool,
    /// The position of the last entry shown.
    shown: u64,
}

impl TurnView {
    fn show(&mut self, event: &ServerEvent) {
        match event.name.as_str() {
            "delta" if event.data["kind"] == "text" => {
                self.open_text = true;
                self.streamed = true;
                stream(&printable(event.data["text"].as_str().unwrap_or_default()));
            }
            "entry" => {
                let seq = event.data["seq"].as_u64().unwrap_or_default();
                if seq > self.shown {
                    self.shown = seq;
                    self.show_entry(&event.data);
                }
            }
            "restart" => {
                self.end();
                say("(the model was cut off; it starts again)");
                self.streamed = false;
            }
            _ => {}
        }
    }

    fn show_entry(&mut self, entry: &Value) {
        match entry["type"].as_str() {
            Some("model_replied") => {
                let blocks = entry["message"]["content"].as_array();
                for block in blocks.into_iter().flatten() {
                    match block["type"].as_str() {
                        Some("text") if !self.streamed => {
                            say(printable(block["text"].as_str().unwrap_or_default()));
                        }
                        Some("tool_use") => {
                            self.end();
                            let (name, input) =
                                (block["name"].as_str().unwrap_or_default(), block["input"].to_string());
                            say(format!("  → {name} {}", one_line(&input, 160)));
                        }
                        _ => {}
                    }
                }
                self.end();
                self.streamed = false;
            }
            Some("tool_returned") => {
                let text = entry["output"]["content"][0]["text"].as_str().map(str::to_owned);
                let text = text.unwrap_or_else(|| entry["output"]["content"][0]["json"].to_string());
                say(format!("  ← {}", one_line(&text, 160)));
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open_text) {
            say("");
        }
    }
}
