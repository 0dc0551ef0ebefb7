//! The real binary as a server on a data folder of its own, and a client that sends exactly the bytes that a test wants.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on a project whose agents answer from scripts.
pub struct Server {
    pub folder: TempDir,
    process: Child,
    address: SocketAddr,
    token: String,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the stable code of a native error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        project(folder.path());
        let process = spawn(folder.path(), "127.0.0.1:0");
        let mut server = Self { folder, process, address: SocketAddr::from(([127, 0, 0, 1], 0)), token: String::new() };
        server.wait();
        server
    }

    /// Kills it as a power cut would, and starts it again.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.start_again_at("127.0.0.1:0");
    }

    /// Starts it again on its folder.
    pub fn start_again_at(&mut self, address: &str) {
        self.process = spawn(self.folder.path(), address);
        self.wait();
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("the server is there");
        self.process.wait().expect("it ends");
    }

    /// Asks it to stop, and returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status().expect("it can be asked");
        assert!(asked.success());
        self.process.wait().expect("it ends").code()
    }

    fn wait(&mut self) {
        let began = Instant::now();
        loop {
            let said = fs::read(data(self.folder.path()).join("server.json")).ok();
            let said: Option<Value> = said.and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(said) = said.filter(|said| said["pid"] == self.process.id()) {
                let url = said["url"].as_str().expect("an address");
                self.address = url.trim_start_matches("http://").parse().expect("an address");
                self.token = said["token"].as_str().expect("a token").to_owned();
                return;
            }
            assert!(self.process.try_wait().expect("it can be asked").is_none(), "the server ended");
            assert!(began.elapsed() < PATIENCE, "the server did not start");
            #[expect(clippy::disallowed_methods, reason = "the process has no other way to tell that it is over")]
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs a command of the binary on this server's folders.
    pub fn command(&self, words: &[&str]) -> Output {
        command(words).arg(self.folder.path()).arg("--data").arg(data(self.folder.path())).output().expect("it runs")
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream
    }

    /// Sends bytes as they are and reads the answer to the end of the connection.
    pub fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers");
        let text = String::from_utf8(answer).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Sends a request with these lines of head, as whoever the lines say.
    pub fn send(&self, method: &str, path: &str, lines: &[&str], body: &Value) -> Answer {
        self.raw(&request(method, path, lines, body))
    }

    /// Sends a request as the administrator.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let credential = format!("authorization: Bearer {}", self.token);
        self.send(method, path, &[&credential], body)
    }

    /// Makes a key and returns the line of head that carries it.
    pub fn key(&self, body: &Value) -> String {
        let made = self.ask("POST", "/v1/keys", body);
        assert_eq!(made.status, 201, "{made:?}");
        format!("x-api-key: {}", made.json()["key"].as_str().expect("a key"))
    }

    /// Starts a stream and returns its events one by one: name and data.
    pub fn stream(
        &self,
        method: &str,
        path: &str,
        lines: &[&str],
        body: &Value,
    ) -> impl Iterator<Item = (String, Value)> + use<> {
        let mut lines = lines.to_vec();
        lines.push("accept: text/event-stream");
        let mut stream = self.connect();
        stream.write_all(request(method, path, &lines, body).as_bytes()).expect("the server reads");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let mut name = String::new();
        std::iter::from_fn(move || {
            loop {
                let line = lines.next()?;
                if let Some(said) = line.strip_prefix("event: ") {
                    said.clone_into(&mut name);
                } else if let Some(data) = line.strip_prefix("data: ") {
                    return Some((name.clone(), serde_json::from_str(data).expect("data is JSON")));
                }
            }
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed before.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Returns a command of the binary that sees no model key of whoever runs the tests.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bedplate"));
    command.args(words).stdin(Stdio::null());
    for name in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "BEDPLATE_LOG"] {
        command.env_remove(name);
    }
    command
}

pub fn data(folder: &Path) -> PathBuf {
    folder.join("kept")
}

fn request(method: &str, path: &str, lines: &[&str], body: &Value) -> String {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
    )
}

fn spawn(folder: &Path, address: &str) -> Child {
    let mut up = command(&["up"]);
    up.arg(folder).arg("--data").arg(data(folder)).args(["--model", "rehearsal", "--listen", address]);
    up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts")
}

/// Writes the project: `first` and `second` answer at once, `slow` after a moment, and `asks` wants to note something,
/// which a person must allow.
pub fn project(folder: &Path) {
    let files = [
        ("bedplate.toml", CONFIG),
        ("agents/first.md", "---\ndescription: Answers.\nmodel: quick\n---\nYou answer.\n"),
        ("agents/second.md", "---\ndescription: Answers too.\nmodel: quick\n---\nYou answer too.\n"),
        ("agents/slow.md", "---\ndescription: Takes its time.\nmodel: slow\n---\nYou think.\n"),
        ("agents/asks.md", "---\ndescription: Asks first.\nmodel: asks\ntools: [note]\n---\nYou note.\n"),
        ("tools/note.toml", NOTE),
        ("data/schema.sql", "CREATE TABLE notes (text TEXT NOT NULL);\n"),
        ("scripts/quick.toml", "loop = true\n[[turn]]\n[[turn.step]]\ntext = \"Hello.\"\n"),
        ("scripts/slow.toml", "loop = true\n[[turn]]\n[[turn.step]]\ntext = \"Finally.\"\ndelay_ms = 600\n"),
        ("scripts/asks.toml", ASKS),
    ];
    for (file, text) in files {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    }
}

const CONFIG: &str = r#"
[project]
name = "serving"
description = "Agents that answer from scripts."
default_agent = "first"
[databases.notes]
seed = ["data/schema.sql"]
[models.quick]
provider = "scripted"
model = "scripts/quick.toml"
[models.slow]
provider = "scripted"
model = "scripts/slow.toml"
[models.asks]
provider = "scripted"
model = "scripts/asks.toml"
[routes.quick]
model = "quick"
[routes.slow]
model = "slow"
[routes.asks]
model = "asks"
[model_ids]
"vendor.model" = "quick"
"#;

const NOTE: &str = r#"
description = "Note something."
kind = "sqlite"
[annotations]
destructive = true
[input_schema]
type = "object"
required = ["text"]
additionalProperties = false
[input_schema.properties.text]
type = "string"
description = "What to note."
[sqlite]
database = "notes"
statements = [{ sql = "INSERT INTO notes (text) VALUES (:text)", changes = 1 }]
[approval]
mode = "always"
deadline_seconds = 3600
question = "Note {{ input.text }}?"
"#;

const ASKS: &str = r#"
loop = true
[[turn]]
[[turn.step]]
tool_use = [{ name = "note", input = { text = "milk" } }]
[[turn.step]]
text = "Noted."
"#;
