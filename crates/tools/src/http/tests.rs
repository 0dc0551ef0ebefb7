//! HTTP tools against a server of this test.

use super::{Http, HttpLimits, KIND};
use crate::kind::Kind;
use bedplate_core::{
    id::UserId,
    message::ToolResultContent,
    port::{
        Caller,
        tools::{ToolCall, ToolError, ToolErrorKind},
    },
    time::Timestamp,
    tool::{Annotations, Approval, ToolDefinition, ToolOutput, ToolSpec},
};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server that gives one prepared answer after the other, the last one again and again, and keeps what it was asked.
/// An empty answer closes the connection; `hang` never answers.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut answers) = (Arc::clone(&asked), answers.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !is_whole(&request) {
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(count) => request.extend_from_slice(&buffer[..count]),
                    }
                }
                kept.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
                if answer == "hang" {
                    std::mem::forget(stream);
                    continue;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn tool(&self, method: &str, path: &str) -> ToolDefinition {
        let address = format!("127.0.0.1:{}", self.port);
        tool(json!({ "method": method, "url": format!("http://{address}{path}"), "allow_private": [address] }))
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let mut length =
        head.lines().filter_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
    length.next_back().and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0) <= body.len()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn tool(http: Value) -> ToolDefinition {
    ToolDefinition {
        spec: ToolSpec { name: "t".to_owned(), description: "d".to_owned(), input_schema: json!({ "type": "object" }) },
        annotations: Annotations { read_only: true, ..Annotations::default() },
        approval: Approval::default(),
        kind: KIND.to_owned(),
        config: json!({ "http": http, "retry": { "max_attempts": 3 } }),
        timeout_ms: 2_000,
        max_result_bytes: 16_384,
    }
}

fn kind(lookup: &'static [&'static str]) -> Http {
    let secrets = Arc::new(|name: &str| (name == "TOKEN").then(|| "s3cr\"et value".to_owned()));
    let limits = HttpLimits { max_response_bytes: 10_000, ..HttpLimits::default() };
    let lookup = move |_: String| {
        let found: Vec<IpAddr> = lookup.iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(async move { Ok(found) }) as bedplate_core::port::BoxFuture<'static, _>
    };
    Http::with_lookup(secrets, &limits, &(Arc::new(lookup) as bedplate_net::Lookup))
}

async fn call(tool: &ToolDefinition, input: Value) -> Result<ToolOutput, ToolError> {
    call_with(&kind(&["127.0.0.1"]), tool, input).await
}

async fn call_with(kind: &Http, tool: &ToolDefinition, input: Value) -> Result<ToolOutput, ToolError> {
    let now = Timestamp(1_774_746_000_000);
    let call = ToolCall {
        caller: Caller { user: UserId::from("ann"), ..Caller::default() },
        tool: Arc::new(tool.clone()),
        input,
        idempotency_key: "key-1".to_owned(),
        deadline: now.after(Duration::from_secs(20)),
        now,
    };
    kind.call(call).await
}

fn text(output: &ToolOutput) -> String {
    serde_json::to_string(&output.content).unwrap()
}

#[tokio::test]
async fn arguments_go_where_the_file_says_and_only_there() {
    let ok = answer("200 OK", "content-type: application/json; charset=utf-8\r\n", "{\"ok\":[1]}");
    let server = Server::start(&[&ok]).await;
    let mut tool = server.tool("POST", "/v1/cities/{city}/x");
    tool.config["http"]["query"] = json!({ "units": "{units}", "lang": "{lang}" });
    tool.config["http"]["headers"] = json!({ "authorization": "Bearer {secret:TOKEN}", "host": "evil.example" });
    tool.config["http"]["body"] = json!("json");
    let input = json!({ "city": "São Paulo/../?#&", "units": "a&b=c d", "note": "hi", "list": [1] });
    let output = call(&tool, input).await.unwrap();
    assert_eq!(output.content, [ToolResultContent::Json { json: json!({ "ok": [1] }) }]);
    let asked = server.asked().remove(0);
    assert!(
        asked.starts_with("POST /v1/cities/S%C3%A3o%20Paulo%2F..%2F%3F%23%26/x?units=a%26b%3Dc+d HTTP/1.1"),
        "{asked}"
    );
    assert!(
        asked.contains("authorization: Bearer s3cr\"et value\r\n") && asked.contains("idempotency-key: key-1\r\n"),
        "{asked}"
    );
    assert!(asked.ends_with("{\"note\":\"hi\",\"list\":[1]}") && !asked.contains("evil.example"), "{asked}");
}

#[tokio::test]
async fn an_argument_cannot_leave_its_part_of_the_path_or_of_a_header() {
    let server = Server::start(&[&answer("200 OK", "", "x")]).await;
    let mut tool = server.tool("GET", "/public/{a}{b}/end");
    for (a, b) in [("..", ""), (".", "."), (".", ""), ("", "..")] {
        let error = call(&tool, json!({ "a": a, "b": b })).await.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::InvalidInput, "{a}{b}");
    }
    assert_eq!(call(&tool, json!({ "a": "x" })).await.unwrap_err().kind, ToolErrorKind::InvalidInput);
    tool.config["http"]["headers"] = json!({ "x-note": "{note}" });
    let injected = json!({ "a": "x", "b": "y", "note": "a\r\nx-admin: 1" });
    assert_eq!(call(&tool, injected).await.unwrap_err().kind, ToolErrorKind::InvalidInput);
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_in_every_notation() {
    let server = Server::start(&[&answer("200 OK", "", "inside")]).await;
    let port = server.port;
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "192.168.0.1",
        "localhost",
        "inside.example",
        "127.0.0.1.nip.example",
    ] {
        let error = call(&tool(json!({ "url": format!("http://{host}:{port}/") })), json!({})).await.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::Failed, "{host}");
        assert!(error.message.contains("not public"), "{host}: {error}");
    }
    // The permission is for one host and port.
    let other = json!({ "url": format!("http://127.0.0.1:{port}/"), "allow_private": ["127.0.0.1:1", "localhost:80"] });
    assert!(call(&tool(other), json!({})).await.unwrap_err().message.contains("not public"));
    // A name with one public and one private address is refused as a whole.
    let mixed = kind(&["93.184.216.34", "127.0.0.1"]);
    let error = call_with(&mixed, &tool(json!({ "url": format!("http://mixed.example:{port}/") })), json!({}))
        .await
        .unwrap_err();
    assert!(error.message.contains("not public"), "{error}");
    assert_eq!(server.asked(), Vec::<String>::new());
    let named =
        json!({ "url": format!("http://inside.example:{port}/"), "allow_private": [format!("inside.example:{port}")] });
    assert_eq!(call(&tool(named), json!({})).await.unwrap(), ToolOutput::text("inside"));
}

#[tokio::test]
async fn a_redirect_to_the_inside_is_not_followed() {
    let inside = Server::start(&[&answer("200 OK", "", "secret")]).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", inside.port);
    let server = Server::start(&[&answer("302 Found", &location, "")]).await;
    let output = call(&server.tool("GET", "/"), json!({})).await.unwrap();
    assert!(output.is_error && text(&output).contains("not followed"), "{}", text(&output));
    assert_eq!(inside.asked().len(), 0);
}

#[tokio::test]
async fn a_secret_that_a_server_repeats_is_not_seen() {
    let body = "{\"you\":\"s3cr\\\"et value\",\"url\":\"?k=s3cr%22et%20value&j=s3cr%22et+value\"}";
    let echo = answer("200 OK", "content-type: application/json\r\n", body);
    let refused = answer("403 Forbidden", "", "bad token s3cr\"et value");
    // The cut of a long error falls within the secret.
    let long = answer("500 Internal Server Error", "", &format!("{}s3cr\"et value", "x".repeat(1_994)));
    let location = "location: https://other.example/?k=s3cr%22et%20value\r\n";
    let moved = answer("302 Found", location, "");
    let server = Server::start(&[&echo, &refused, &moved, &long]).await;
    let mut tool = server.tool("GET", "/");
    tool.config["http"]["query"] = json!({ "k": "{secret:TOKEN}" });
    tool.annotations = Annotations::default();
    for _ in 0..4 {
        let output = call(&tool, json!({})).await.unwrap();
        assert!(text(&output).contains("[secr") && !text(&output).contains("s3cr"), "{}", text(&output));
    }
    tool.config["http"]["query"] = json!({ "k": "{secret:OTHER}" });
    assert_eq!(call(&tool, json!({})).await.unwrap_err().kind, ToolErrorKind::Misconfigured);
    assert_eq!(kind(&[]).check(&tool), ["the secret OTHER is not set"]);
}

#[tokio::test]
async fn only_repeatable_tools_are_tried_again() {
    let busy = answer("503 Service Unavailable", "retry-after: 0\r\n", "later");
    let ok = answer("200 OK", "", "done");
    let server = Server::start(&[&busy, &busy, &ok]).await;
    let mut tool = server.tool("POST", "/");
    assert_eq!(call(&tool, json!({})).await.unwrap(), ToolOutput::text("done"));
    assert_eq!(server.asked().len(), 3);
    assert!(server.asked().iter().all(|asked| asked.contains("idempotency-key: key-1")));

    tool.annotations = Annotations::default();
    let server = Server::start(&[&busy, &ok]).await;
    tool.config["http"]["url"] = server.tool("POST", "/").config["http"]["url"].clone();
    tool.config["http"]["allow_private"] = server.tool("POST", "/").config["http"]["allow_private"].clone();
    let output = call(&tool, json!({})).await.unwrap();
    assert!(output.is_error && text(&output).contains("HTTP 503 Service Unavailable: later"), "{}", text(&output));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_the_outcome_of_an_effect_unknown() {
    for (lost, kinds) in [("hang", "answer within 300 ms"), ("", "connection was lost")] {
        let server = Server::start(&[lost]).await;
        let mut tool = server.tool("POST", "/");
        tool.timeout_ms = 300;
        let error = call(&tool, json!({})).await.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::Failed, "{error}");
        tool.annotations = Annotations::default();
        let error = call(&tool, json!({})).await.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::OutcomeUnknown, "{error}");
        assert!(error.message.contains(kinds), "{error}");
    }
    // Nothing listens: nothing was sent.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut tool = tool(json!({ "method": "POST", "url": format!("http://{address}/"), "allow_private": [address] }));
    tool.annotations = Annotations::default();
    assert_eq!(call(&tool, json!({})).await.unwrap_err().kind, ToolErrorKind::Failed);
}

#[tokio::test]
async fn a_long_or_strange_answer_is_bounded_and_told() {
    let long = answer("200 OK", "content-type: application/json\r\n", &format!("[{}1]", "1,".repeat(10_000)));
    let broken = answer("200 OK", "content-type: application/json\r\n", "{oops");
    let empty = answer("204 No Content", "", "");
    let server = Server::start(&[&long, &broken, &empty]).await;
    let tool = server.tool("GET", "/");
    let output = call(&tool, json!({})).await.unwrap();
    assert!(text(&output).contains("the rest was not read") && text(&output).len() < 11_000);
    assert_eq!(call(&tool, json!({})).await.unwrap(), ToolOutput::text("{oops"));
    assert_eq!(call(&tool, json!({})).await.unwrap(), ToolOutput::text("HTTP 204 No Content, without a body."));
}

#[test]
fn a_file_that_lets_the_model_choose_the_server_is_refused() {
    for url in [
        "http://{host}/",
        "https://api.{x}.example/",
        "file:///etc/passwd",
        "http://u:p@h.example/",
        "nonsense",
        "http://",
    ] {
        assert!(!kind(&[]).check(&tool(json!({ "url": url }))).is_empty(), "{url}");
    }
}
