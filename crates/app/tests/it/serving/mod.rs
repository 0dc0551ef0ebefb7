//! The real binary under clients that do what they should not, and under an operator's accidents.
//!
//! What would be lost if these failed: that a key reaches only what it is for, that a client always learns how its turn
//! ended, and that the command line never speaks to another project's server.

mod cli;
mod server;
mod turns;

use serde_json::{Value, json};
use server::Server;
use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

#[test]
fn a_key_for_one_agent_takes_no_turn_in_a_session_of_another() {
    let server = Server::start();
    let backend = server.key(&json!({ "name": "backend" }));
    let second = server.key(&json!({ "name": "second only", "agents": ["second"] }));
    let turn = json!({ "input": "a secret", "session_id": "s", "user_id": "ann" });
    assert_eq!(server.send("POST", "/v1/agents/first/invoke", &[&backend], &turn).status, 200);
    let events =
        |server: &Server| server.ask("GET", "/v1/sessions/s?user_id=ann", &Value::Null).json()["events"].clone();
    let before = events(&server);
    for (path, body) in [
        ("/v1/agents/second/invoke", turn),
        (
            "/agent",
            json!({ "query": "what secret?", "conversation_id": "s", "user_id": "ann", "agent_type": "second" }),
        ),
    ] {
        let refused = server.send("POST", path, &[&second], &body);
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(refused.body.contains("agent_not_allowed"), "{refused:?}");
    }
    assert_eq!(events(&server), before, "a refused turn is not in the journal");
    // Its own sessions it may go on with.
    let own = json!({ "input": "hello", "session_id": "own", "user_id": "ann" });
    for _ in 0..2 {
        assert_eq!(server.send("POST", "/v1/agents/second/invoke", &[&second], &own).status, 200);
    }
}

#[test]
fn a_key_for_one_agent_calls_no_model_past_it() {
    let server = Server::start();
    let scoped = server.key(&json!({ "name": "scoped", "agents": ["second"] }));
    let backend = server.key(&json!({ "name": "backend" }));
    let body = json!({
        "anthropic_version": "bedrock-2023-05-31", "max_tokens": 10, "messages": [{ "role": "user", "content": "Hi" }],
    });
    let refused = server.send("POST", "/model/vendor.model/invoke", &[&scoped], &body);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.head.contains("x-amzn-errortype: AccessDeniedException"), "{refused:?}");
    assert_eq!(server.send("POST", "/model/vendor.model/invoke", &[&backend], &body).status, 200);
}

#[test]
fn errors_below_model_have_the_form_that_aws_clients_read() {
    let server = Server::start();
    let asked = json!({ "anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "messages": [{ "role": "user", "content": "Hi" }] });
    for (method, path, body, status) in [
        ("POST", "/model/%ff/invoke", &asked, 400),
        ("POST", "/model/none/invoke", &asked, 404),
        ("POST", "/model/none/invoke", &json!({}), 404),
        ("POST", "/model/none/converse", &json!({}), 404),
        ("GET", "/model/none/invoke", &asked, 405),
    ] {
        let answer = server.send(method, path, &[], body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["message"].is_string(), "{answer:?}");
        assert!(answer.head.contains("x-amzn-errortype: "), "{answer:?}");
    }
}

#[test]
fn a_name_that_no_address_can_hold_is_refused() {
    let server = Server::start();
    for name in [".", ".."] {
        let answer = server.ask("POST", "/v1/agents/first/invoke", &json!({ "input": "Hi", "session_id": name }));
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_identifier"), "{answer:?}");
    }
    // Everything else that is percent-encoded finds its session again.
    for (name, segment) in [("a/b", "a%2Fb"), ("%2e", "%252e"), ("ü ©", "%C3%BC%20%C2%A9"), ("a?b#c", "a%3Fb%23c")] {
        let turn = json!({ "input": "Hi", "session_id": name });
        assert_eq!(server.ask("POST", "/v1/agents/first/invoke", &turn).status, 200);
        let path = format!("/v1/sessions/{segment}/messages");
        assert_eq!(server.ask("GET", &path, &Value::Null).status, 200, "{path}");
    }
}

#[test]
fn a_page_of_another_site_gets_nothing_done_without_an_origin() {
    let server = Server::start();
    let body = json!({ "query": "Hi" });
    let refused = server.send("POST", "/agent", &["sec-fetch-site: cross-site", "sec-fetch-dest: empty"], &body);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("foreign_origin"), "{refused:?}");
    let link = ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
    assert_eq!(server.send("GET", "/", &link, &Value::Null).status, 200, "a link to the page is let in");
    let two = server.raw("GET /v1/info HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert_eq!((two.status, two.code().as_str()), (403, "foreign_host"));
}

#[test]
fn a_client_that_connects_and_says_nothing_is_hung_up_on() {
    let server = Server::start();
    let mut silent = server.connect();
    let mut half = server.connect();
    half.write_all(b"PRI * HT").expect("the server reads");
    let began = Instant::now();
    let mut rest = Vec::new();
    for client in [&mut silent, &mut half] {
        // A reset is a way to hang up too; only waiting on is none.
        let ended = client.read_to_end(&mut rest).is_ok_and(|_| true) || began.elapsed() < Duration::from_secs(29);
        assert!(ended, "the connection is still open");
    }
}
