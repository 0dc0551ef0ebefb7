//! How clients learn what becomes of their turns.

use super::server::Server;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|(name, data)| match name.as_str() {
            "entry" => data["type"].as_str(),
            "started" | "done" | "error" => Some(name),
            _ => None,
        })
        .collect()
}

#[test]
fn the_stream_of_a_queued_turn_shows_its_own_events_and_not_only_its_end() {
    let server = Server::start();
    let turn = |text: &str, background: bool| json!({ "input": text, "session_id": "s", "background": background });
    let first = server.ask("POST", "/v1/agents/slow/invoke", &turn("one", true)).json();
    assert_eq!(first["status"], "running");
    let events: Vec<_> = server.stream("POST", "/v1/agents/slow/invoke", &[], &turn("two", false)).collect();
    let (_, started) = &events[0];
    assert_eq!(started["queued_behind"], first["turn"], "{started}");
    let names = names(&events);
    let began = names.iter().position(|name| *name == "queued_turn_started").expect("it begins in its stream");
    let rest = &names[began..];
    assert!(rest.contains(&"model_called") && rest.contains(&"model_replied"), "{names:?}");
    assert_eq!(names.last(), Some(&"done"));
    assert!(events.iter().any(|(name, data)| name == "delta" && data["text"].is_string()), "its words come live");
    let (_, done) = events.last().expect("there is an end");
    assert_eq!((&done["turn"], &done["status"]), (&started["turn"], &json!("completed")));
}

#[test]
fn a_stream_that_joins_an_ended_turn_gives_all_of_it_and_the_answer() {
    let server = Server::start();
    let (path, turn) = ("/v1/agents/first/invoke", json!({ "input": "Hi", "session_id": "s" }));
    let key = ["idempotency-key: once"];
    let whole: Vec<_> = server.stream("POST", path, &key, &turn).collect();
    // Another turn lies behind it by now, which is none of its business.
    assert_eq!(server.ask("POST", path, &json!({ "input": "More", "session_id": "s" })).status, 200);
    for _ in 0..20 {
        let again: Vec<_> = server.stream("POST", path, &key, &turn).collect();
        assert_eq!(names(&again), names(&whole));
        let (done, before) = (&again.last().expect("an end").1, &whole.last().expect("an end").1);
        assert_eq!((&done["joined"], &done["output"]), (&json!(true), &before["output"]));
    }
}

#[test]
fn a_stream_ends_with_the_question_when_a_person_must_answer_and_goes_on_after() {
    let server = Server::start();
    let (path, turn) = ("/v1/agents/asks/invoke", json!({ "input": "Note it", "session_id": "s" }));
    let events: Vec<_> = server.stream("POST", path, &["idempotency-key: k"], &turn).collect();
    assert!(names(&events).contains(&"question_asked"), "{:?}", names(&events));
    let (_, done) = events.last().expect("an end");
    assert_eq!(done["status"], "waiting");
    let asked = events.iter().find(|(_, data)| data["type"] == "question_asked").expect("it is in the stream");
    assert_eq!(asked.1["deadline"], done["questions"][0]["deadline"], "both say the time in one form");
    let (run, call) = (done["run_id"].as_str().expect("a run"), &done["questions"][0]["call"]);
    let answer = server.ask("POST", &format!("/v1/runs/{run}/calls/{call}/answer"), &json!({ "approved": true }));
    assert_eq!(answer.status, 200, "{answer:?}");
    let events: Vec<_> = server.stream("POST", path, &["idempotency-key: k"], &turn).collect();
    let (_, done) = events.last().expect("an end");
    assert_eq!((&done["status"], &done["output"]["text"]), (&json!("completed"), &json!("Noted.")));
}

#[test]
fn whoever_asks_for_a_thing_does_not_approve_it() {
    let server = Server::start();
    let customer = server.key(&json!({ "name": "ann", "user_id": "ann" }));
    let staff = server.key(&json!({ "name": "staff" }));
    let turn = json!({ "input": "Note it" });
    let waiting = server.send("POST", "/v1/agents/asks/invoke", &[&customer], &turn).json();
    let (run, call) = (waiting["run_id"].as_str().expect("a run"), &waiting["questions"][0]["call"]);
    let path = format!("/v1/runs/{run}/calls/{call}/answer");
    let refused = server.send("POST", &path, &[&customer], &json!({ "approved": true }));
    assert_eq!((refused.status, refused.code()), (403, "not_an_approver".to_owned()), "{refused:?}");
    assert_eq!(server.send("POST", &path, &[&staff], &json!({ "approved": true })).status, 200);
}

#[test]
fn a_background_start_that_is_said_again_tells_how_the_turn_ended() {
    let server = Server::start();
    let turn = json!({ "input": "Hi", "session_id": "s", "background": true });
    let start = || server.send("POST", "/v1/agents/slow/invoke", &["idempotency-key: k"], &turn);
    let first = start();
    assert_eq!((first.status, &first.json()["status"]), (202, &json!("running")));
    let run = first.json()["run_id"].as_str().expect("a run").to_owned();
    let events = server.stream("GET", &format!("/v1/runs/{run}/events"), &[], &Value::Null);
    assert!(events.into_iter().any(|(_, data)| data["type"] == "turn_ended"));
    let again = start();
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("completed")), "{again:?}");
    assert_eq!(again.json()["output"]["text"], "Finally.");
}

#[test]
fn a_turn_that_waits_for_another_is_not_said_to_run() {
    let server = Server::start();
    let turn = json!({ "input": "Note it", "session_id": "s", "background": true });
    let run = server.ask("POST", "/v1/agents/asks/invoke", &turn).json()["run_id"].as_str().expect("a run").to_owned();
    let events = server.stream("GET", &format!("/v1/runs/{run}/events"), &[], &Value::Null);
    assert!(events.into_iter().any(|(_, data)| data["type"] == "question_asked"));
    server.ask("POST", "/v1/agents/asks/invoke", &turn);
    let view = server.ask("GET", &format!("/v1/runs/{run}"), &Value::Null).json();
    let states: Vec<&str> =
        view["turns"].as_array().into_iter().flatten().filter_map(|turn| turn["status"].as_str()).collect();
    assert_eq!(states, ["running", "queued"]);
}

#[test]
fn a_stream_that_is_resumed_past_the_end_still_hears_what_comes() {
    let server = Server::start();
    let first = server.ask("POST", "/v1/agents/first/invoke", &json!({ "input": "Hi", "session_id": "s" })).json();
    let run = first["run_id"].as_str().expect("a run").to_owned();
    let last = format!("last-event-id: {run}:9999");
    let mut events = server.stream("GET", &format!("/v1/runs/{run}/events"), &[&last], &Value::Null);
    assert_eq!(events.next().map(|(name, _)| name).as_deref(), Some("caught_up"));
    server.ask("POST", "/v1/agents/first/invoke", &json!({ "input": "More", "session_id": "s" }));
    assert!(events.any(|(_, data)| data["type"] == "turn_ended"));
}

#[test]
fn a_server_that_is_asked_to_stop_does_not_wait_for_its_readers() {
    let mut server = Server::start();
    let turn = json!({ "input": "Hi", "session_id": "s" });
    let run = server.ask("POST", "/v1/agents/first/invoke", &turn).json()["run_id"].as_str().expect("a run").to_owned();
    let mut idle = server.stream("GET", &format!("/v1/runs/{run}/events"), &[], &Value::Null);
    assert!(idle.any(|(name, _)| name == "caught_up"));
    let mut busy = server.stream("POST", "/v1/agents/slow/invoke", &[], &json!({ "input": "Hi", "session_id": "t" }));
    assert!(busy.any(|(_, data)| data["type"] == "model_called"));
    let began = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "it took {:?}", began.elapsed());
    let last = idle.next().expect("the stream says why it ends");
    assert_eq!((last.0.as_str(), &last.1["code"]), ("error", &json!("shutting_down")));
    assert!(idle.next().is_none() && !busy.any(|(name, _)| name == "done"));
    // What was cut goes on at the next start.
    server.start_again_at("127.0.0.1:0");
    let view = server.ask("GET", "/v1/sessions/t", &Value::Null).json();
    let run = view["run_id"].as_str().expect("a run");
    let mut events = server.stream("GET", &format!("/v1/runs/{run}/events"), &[], &Value::Null);
    assert!(events.any(|(_, data)| data["type"] == "turn_ended" && data["outcome"] == "completed"));
}
