//! The model of a recording: a server of Chat Completions that streams the recorded reply to the recorded question.

use super::case::{Case, plain};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// A running upstream. It lives on a thread of its own, because the lives of its clients end abruptly.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    recordings: BTreeMap<String, Vec<Value>>,
    systems: BTreeMap<String, String>,
    mismatches: Mutex<Vec<String>>,
}

impl Upstream {
    pub fn start(cases: &[Case]) -> Self {
        let shared = Arc::new(Shared {
            recordings: cases.iter().map(|case| (case.name(), case.messages.clone())).collect(),
            systems: cases.iter().map(|case| (case.name(), case.system.clone())).collect(),
            mismatches: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().route("/v1/chat/completions", post(complete)).with_state(Arc::clone(&shared));
        std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
            tokio.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, app).await.expect("it serves");
            });
        });
        Self { address, shared }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Asserts that every request held the recording, word for word, up to where it asked.
    pub fn assert_all_requests_matched(&self) {
        let mismatches = self.shared.mismatches.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(mismatches.is_empty(), "{} mismatches, the first: {}", mismatches.len(), mismatches[0]);
    }
}

async fn complete(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    match shared.reply(&body) {
        Ok(chunks) => ([(header::CONTENT_TYPE, "text/event-stream")], chunks).into_response(),
        Err(message) => {
            let error = json!({ "error": { "message": message, "type": "invalid_request_error" } });
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    }
}

impl Shared {
    fn reply(&self, body: &Value) -> Result<String, String> {
        let name = body["model"].as_str().unwrap_or_default();
        let recorded = self.recordings.get(name).ok_or("no such conversation")?;
        let asked = body["messages"].as_array().ok_or("no messages")?;
        let (system, asked) = asked.split_first().ok_or("no messages")?;
        let same_system = system["content"].as_str() == self.systems.get(name).map(String::as_str);
        let matches = same_system
            && asked.len() <= recorded.len()
            && asked.iter().zip(recorded).all(|(asked, recorded)| plain(asked) == plain(recorded));
        if !matches {
            let differs = asked.iter().zip(recorded).position(|(asked, recorded)| plain(asked) != plain(recorded));
            let at = differs.unwrap_or(recorded.len());
            let pair = (asked.get(at).map(plain), recorded.get(at).map(plain));
            let message =
                format!("{name}: {} messages asked; message {at} differs (asked, recorded): {pair:?}", asked.len());
            self.mismatches.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
            return Err(message);
        }
        let reply = recorded.get(asked.len()).ok_or("the recording ends here")?;
        Ok(stream(name, reply))
    }
}

/// Returns a reply as a stream whose texts and arguments come in pieces.
fn stream(model: &str, reply: &Value) -> String {
    let mut out = String::new();
    let mut send = |delta: Value, finish: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice] });
        out.push_str(&format!("data: {chunk}\n\n"));
    };
    send(json!({ "role": "assistant" }), Value::Null);
    for piece in pieces(reply["content"].as_str().unwrap_or_default()) {
        send(json!({ "content": piece }), Value::Null);
    }
    let calls = reply["tool_calls"].as_array().cloned().unwrap_or_default();
    for (index, call) in calls.iter().enumerate() {
        let function = json!({ "name": call["function"]["name"], "arguments": "" });
        send(
            json!({ "tool_calls": [{ "index": index, "id": call["id"], "type": "function", "function": function }] }),
            Value::Null,
        );
        for piece in pieces(call["function"]["arguments"].as_str().unwrap_or_default()) {
            send(json!({ "tool_calls": [{ "index": index, "function": { "arguments": piece } }] }), Value::Null);
        }
    }
    send(json!({}), json!(if calls.is_empty() { "stop" } else { "tool_calls" }));
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 });
    let last = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [], "usage": usage });
    out.push_str(&format!("data: {last}\n\ndata: [DONE]\n\n"));
    out
}

/// Cuts a text into pieces of a few characters.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(17).map(|piece| piece.iter().collect()).collect()
}
