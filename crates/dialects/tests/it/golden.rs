//! The golden matrix: each fixture goes in once and comes out in every dialect; the snapshots stand beside this file.

use crate::{
    converse,
    support::{DIALECTS, assert_well_formed, decode, encode, render, reply_of, whole},
};
use bedplate_core::port::model::{ModelEvent, ModelRequest};
use bedplate_dialects::{anthropic_messages, bedrock_converse, openai_chat, openai_responses};
use serde_json::Value;
use std::{fmt::Write, fs, path::PathBuf};

fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
        .into_iter()
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect()
}

fn pretty(body: &[u8]) -> String {
    serde_json::to_string_pretty(&serde_json::from_slice::<Value>(body).unwrap()).unwrap()
}

fn without_stream(body: &[u8]) -> Value {
    let mut body: Value = serde_json::from_slice(body).unwrap();
    let fields = body.as_object_mut().unwrap();
    fields.remove("stream");
    fields.remove("stream_options");
    body
}

fn dialect_of(name: &str) -> &'static str {
    match name.split_once('-').unwrap().0 {
        "openai" => "openai",
        "responses" => "responses",
        _ => "anthropic",
    }
}

fn read(name: &str, body: &[u8]) -> ModelRequest {
    match name.split_once('-').unwrap().0 {
        "openai" => openai_chat::decode_request(body).unwrap().request,
        "responses" => openai_responses::decode_request(body).unwrap(),
        "anthropic" => anthropic_messages::decode_request(body).unwrap().request,
        "converse" => bedrock_converse::decode_request(body, converse::MODEL).unwrap(),
        _ => anthropic_messages::decode_invoke(body, "anthropic.claude-3-5-sonnet-20240620-v1:0").unwrap(),
    }
}

#[test]
fn a_request_of_any_dialect_is_said_in_every_dialect() {
    for (name, body) in fixtures("requests") {
        let request = read(&name, &body);
        let mut out = String::new();
        let options = openai_chat::EncodeOptions { stream: true, ..Default::default() };
        match openai_chat::encode_request(&request, options) {
            Ok((body, _)) => writeln!(out, "== openai\n{}", pretty(&body.to_json())).unwrap(),
            Err(error) => writeln!(out, "== openai refused: {error}").unwrap(),
        }
        match openai_responses::encode_request(&request, true) {
            Ok((body, _)) => writeln!(out, "== responses\n{}", pretty(&body.to_json())).unwrap(),
            Err(error) => writeln!(out, "== responses refused: {error}").unwrap(),
        }
        for bedrock in [false, true] {
            let title = if bedrock { "bedrock" } else { "anthropic" };
            let options = anthropic_messages::EncodeOptions { stream: true, bedrock, ..Default::default() };
            match anthropic_messages::encode_request(&request, options) {
                Ok((body, _)) => writeln!(out, "== {title}\n{}", pretty(&body.to_json())).unwrap(),
                Err(error) => writeln!(out, "== {title} refused: {error}").unwrap(),
            }
        }
        match bedrock_converse::encode_request(&request) {
            Ok((body, _)) => writeln!(out, "== converse\n{}", pretty(&body.to_json())).unwrap(),
            Err(error) => writeln!(out, "== converse refused: {error}").unwrap(),
        }
        // Asked for whole, a body differs by what it says of the stream alone.
        let whole = openai_chat::EncodeOptions { stream: false, ..Default::default() };
        if let (Ok((streamed, _)), Ok((whole, _))) =
            (openai_chat::encode_request(&request, options), openai_chat::encode_request(&request, whole))
        {
            assert_eq!(without_stream(&streamed.to_json()), without_stream(&whole.to_json()), "{name}");
            assert_eq!(serde_json::from_slice::<Value>(&whole.to_json()).unwrap().get("stream"), None, "{name}");
        }
        let messages = |stream| anthropic_messages::EncodeOptions { stream, ..Default::default() };
        if let (Ok((streamed, _)), Ok((whole, _))) = (
            anthropic_messages::encode_request(&request, messages(true)),
            anthropic_messages::encode_request(&request, messages(false)),
        ) {
            assert_eq!(without_stream(&streamed.to_json()), without_stream(&whole.to_json()), "{name}");
        }
        insta::assert_snapshot!(format!("request__{name}"), out);
    }
}

/// Returns the reply that `events` are, in core form and in every dialect, streamed and whole.
fn said_everywhere(events: &[ModelEvent]) -> String {
    assert_well_formed(events);
    let reply = reply_of(events);
    let mut out = format!("== core\n{}\n", serde_json::to_string_pretty(&reply).unwrap());
    for dialect in DIALECTS {
        let stream = encode(dialect, events);
        writeln!(out, "== {dialect} streamed\n{}", String::from_utf8(stream).unwrap().trim_end()).unwrap();
        writeln!(out, "== {dialect} whole\n{}", pretty(&render(dialect, &reply))).unwrap();
    }
    writeln!(out, "== converse streamed\n{}", converse::lines(&converse::encode(events))).unwrap();
    writeln!(out, "== converse whole\n{}", pretty(&converse::render(&reply))).unwrap();
    out
}

#[test]
fn a_stream_of_any_dialect_is_streamed_on_in_every_dialect() {
    for (name, body) in fixtures("streams") {
        let events = decode(dialect_of(&name), &[&body]).unwrap();
        insta::assert_snapshot!(format!("stream__{name}"), said_everywhere(&events));
    }
}

/// Reads a stream of Converse as it stands in a fixture: a frame a line, its kind and its JSON.
fn frames(body: &[u8]) -> Vec<(String, String)> {
    let lines = std::str::from_utf8(body).unwrap().lines();
    lines.map(|line| line.split_once(' ').map(|(kind, json)| (kind.to_owned(), json.to_owned())).unwrap()).collect()
}

#[test]
fn a_stream_of_frames_is_streamed_on_in_every_dialect() {
    for (name, body) in fixtures("frames") {
        let frames = frames(&body);
        let events = converse::decode_lines(&frames).unwrap();
        insta::assert_snapshot!(format!("frames__{name}"), said_everywhere(&events));
        let stop = frames.iter().position(|(kind, _)| kind == "messageStop").unwrap();
        for end in 0..=stop {
            assert!(converse::decode_lines(&frames[..end]).is_err(), "{name} ended before frame {end}");
        }
    }
}

#[test]
fn a_whole_reply_of_any_dialect_is_said_in_every_dialect() {
    for (name, body) in fixtures("replies") {
        let reply = match name.starts_with("converse-") {
            true => converse::whole(&body),
            false => whole(dialect_of(&name), &body),
        };
        let mut out = format!("== core\n{}\n", serde_json::to_string_pretty(&reply).unwrap());
        for dialect in DIALECTS {
            writeln!(out, "== {dialect}\n{}", pretty(&render(dialect, &reply))).unwrap();
        }
        writeln!(out, "== converse\n{}", pretty(&converse::render(&reply))).unwrap();
        insta::assert_snapshot!(format!("reply__{name}"), out);
    }
}

#[test]
fn a_stream_gives_the_same_events_wherever_it_is_cut() {
    for (name, body) in fixtures("streams") {
        let dialect = dialect_of(&name);
        let crlf = String::from_utf8(body.clone()).unwrap().replace('\n', "\r\n").into_bytes();
        let expected = decode(dialect, &[&body]).unwrap();
        for body in [&body, &crlf] {
            // With the other line ends only what lies around them can differ.
            let near_end = |at: &usize| body[at.saturating_sub(2)..*at].contains(&b'\n') || body[*at] == b'\n';
            let other = std::ptr::eq(body, &crlf);
            for cut in (0..body.len()).filter(|at| !other || near_end(at)) {
                let (head, tail) = body.split_at(cut);
                assert_eq!(decode(dialect, &[head, tail]).unwrap(), expected, "{name} cut at byte {cut}");
            }
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(decode(dialect, &bytes).unwrap(), expected, "{name} byte by byte");
        }
    }
}

#[test]
fn a_stream_that_ends_early_is_an_error_wherever_it_ends() {
    for (name, body) in fixtures("streams") {
        let dialect = dialect_of(&name);
        let expected = decode(dialect, &[&body]).unwrap();
        // What may be missing at the end is said by the dialect: Messages needs its `message_stop`; a chunk with a
        // finish reason is the last that Chat Completions needs, usage and `[DONE]` may be cut.
        let text = std::str::from_utf8(&body).unwrap();
        let needed = match dialect {
            // The event that holds the whole response is the last; what a line end is cut off of is whole.
            "responses" => text.trim_end().len(),
            "anthropic" => text.rfind("{\"type\":\"message_stop\"}").unwrap() + "{\"type\":\"message_stop\"}".len(),
            _ => text.match_indices("\"finish_reason\":\"").last().unwrap().0,
        };
        for end in 0..needed {
            let result = decode(dialect, &[&body[..end]]);
            assert!(
                result.is_err(),
                "{name} ended at byte {end} of {} and gave {:?}",
                body.len(),
                result.map(|events| events.len())
            );
        }
        assert_eq!(decode(dialect, &[&body]).unwrap(), expected);
    }
}
