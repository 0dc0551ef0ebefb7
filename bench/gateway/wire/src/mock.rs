//! The mock: it answers Chat Completions and Converse with a fixed reply of about 1 KB, whole, or in paced chunks.

use crate::{
    STACK_BYTES,
    wire::{Connection, find},
};
use std::{
    fmt::Write as _,
    io,
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// What every reply says: about 700 characters.
fn words() -> String {
    "The quick brown fox jumps over the lazy dog. ".repeat(16).trim_end().to_owned()
}

struct Replies {
    chat: Vec<u8>,
    converse: Vec<u8>,
    models: Vec<u8>,
    chunks: usize,
    pause: Duration,
}

/// Serves on `port` of loopback until the process ends.
pub fn serve(port: u16, chunks: usize, pause_ms: u64) -> io::Result<()> {
    let text = words();
    let chat = format!(
        "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\",\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"logprobs\":null,\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":200,\"completion_tokens\":160,\"total_tokens\":360}}}}"
    );
    let converse = format!(
        "{{\"output\":{{\"message\":{{\"role\":\"assistant\",\"content\":[{{\"text\":\"{text}\"}}]}}}},\
         \"stopReason\":\"end_turn\",\"usage\":{{\"inputTokens\":200,\"outputTokens\":160,\"totalTokens\":360}},\
         \"metrics\":{{\"latencyMs\":1}}}}"
    );
    let models = "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"created\":1,\"owned_by\":\"bench\"}]}";
    let replies = Arc::new(Replies {
        chat: answer(&chat),
        converse: answer(&converse),
        models: answer(models),
        chunks,
        pause: Duration::from_millis(pause_ms),
    });
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    for stream in listener.incoming() {
        let (stream, replies) = (stream?, Arc::clone(&replies));
        thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            // A gateway that goes away closes its connections, which is no news.
            let _ = Connection::of(stream).and_then(|connection| connected(connection, &replies));
        })?;
    }
    Ok(())
}

fn answer(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    format!("{head} {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn connected(mut connection: Connection, replies: &Replies) -> io::Result<()> {
    while let Some(request) = connection.message()? {
        let line = request.head.lines().next().unwrap_or_default();
        if line.contains("/converse") {
            connection.send(&replies.converse)?;
        } else if line.starts_with("post") && line.contains("/chat/completions") {
            let streamed = find(&request.body, b"\"stream\":true").or(find(&request.body, b"\"stream\": true"));
            match streamed {
                Some(_) => stream(&mut connection, replies)?,
                None => connection.send(&replies.chat)?,
            }
        } else {
            connection.send(&replies.models)?;
        }
    }
    Ok(())
}

/// Sends a stream: its chunks at their times, the end, the usage, and the last word.
fn stream(connection: &mut Connection, replies: &Replies) -> io::Result<()> {
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let begun = Instant::now();
    let mut out = String::new();
    let mut event = |connection: &mut Connection, data: &str| {
        out.clear();
        let _ = write!(out, "{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8);
        connection.send(out.as_bytes())
    };
    let shell = |choices: &str, rest: &str| {
        format!(
            "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\
             \"choices\":[{choices}]{rest}}}"
        )
    };
    for index in 0..replies.chunks {
        let due = replies.pause * u32::try_from(index).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_sub(begun.elapsed()));
        let delta = format!("{{\"index\":0,\"delta\":{{\"content\":\"word{index} \"}},\"finish_reason\":null}}");
        event(connection, &shell(&delta, ""))?;
    }
    event(connection, &shell("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}", ""))?;
    let usage = ",\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":160,\"total_tokens\":360}";
    event(connection, &shell("", usage))?;
    event(connection, "[DONE]")?;
    connection.send(b"0\r\n\r\n")
}
