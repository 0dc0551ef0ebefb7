//! The command line beside a server, without one, and beside the wrong one.

use super::server::{Server, command, data, project};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, process::Output};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn rows(output: &Output) -> usize {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listed: Value = serde_json::from_slice(&output.stdout).expect("only JSON stands on standard output");
    listed.as_array().map_or(0, Vec::len)
}

#[test]
fn the_command_line_does_not_take_another_projects_server_for_its_own() {
    let other = Server::start();
    other.ask("POST", "/v1/agents/first/invoke", &json!({ "input": "Not yours", "session_id": "s" }));
    let mut killed = Server::start();
    killed.kill();
    // The address that the killed one left behind belongs to the other one now.
    let file = data(killed.folder.path()).join("server.json");
    let mut said: Value = serde_json::from_slice(&fs::read(&file).expect("it is left behind")).expect("JSON");
    let others: Value =
        serde_json::from_slice(&fs::read(data(other.folder.path()).join("server.json")).expect("it runs"))
            .expect("JSON");
    said["url"] = others["url"].clone();
    fs::write(&file, said.to_string()).expect("it can be written");
    assert_eq!(rows(&killed.command(&["runs", "list", "--json"])), 0);
    assert_eq!(rows(&other.command(&["runs", "list", "--json"])), 1);
}

#[test]
fn keys_are_made_and_revoked_with_and_without_a_server() {
    let mut server = Server::start();
    let made = server.command(&["keys", "create", "one", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).expect("only JSON");
    let line = format!("x-api-key: {}", made["key"].as_str().expect("a key"));
    assert_eq!(server.send("GET", "/v1/info", &[&line], &Value::Null).status, 200);
    assert_eq!(server.send("GET", "/v1/info", &[], &Value::Null).status, 401);
    server.kill();
    assert_eq!(rows(&server.command(&["keys", "list", "--json"])), 1);
    let revoked = server.command(&["keys", "revoke", made["id"].as_str().expect("an id")]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    server.kill_and_start();
    assert_eq!(server.send("GET", "/v1/info", &[&line], &Value::Null).status, 401);
}

#[test]
fn looking_at_a_folder_that_is_no_project_leaves_nothing_in_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nowhere = folder.path().join("nowhere");
    for words in [&["runs", "list"][..], &["doctor"], &["check"], &["up"]] {
        let ended = command(words).arg(&nowhere).output().expect("it runs");
        let expected = if words == ["doctor"] { 0 } else { 3 };
        assert_eq!(ended.status.code(), Some(expected), "{words:?}: {}", text(&ended.stderr));
        assert!(!nowhere.exists(), "{words:?} made something");
    }
}

#[test]
fn two_servers_on_one_data_folder_or_one_port_end_with_a_word_on_what_to_do() {
    let server = Server::start();
    let second = command(&["up", "--listen", "127.0.0.1:0", "--model", "rehearsal"])
        .arg(server.folder.path())
        .arg("--data")
        .arg(data(server.folder.path()))
        .output()
        .expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("has it open"), "{}", text(&second.stderr));
    // The first one is still found.
    assert_eq!(rows(&server.command(&["runs", "list", "--json"])), 0);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    project(folder.path());
    let address = taken.local_addr().expect("an address").to_string();
    let ended = command(&["up", "--listen", &address]).arg(folder.path()).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("another program has the port"), "{}", text(&ended.stderr));
}

#[test]
fn a_data_folder_that_cannot_be_made_is_said_in_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    project(folder.path());
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let ended = command(&["up", "--listen", "127.0.0.1:0"])
        .arg(folder.path())
        .arg("--data")
        .arg(file.join("below"))
        .output()
        .expect("it runs");
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("--data"), "{}", text(&ended.stderr));
}

#[test]
fn what_lies_in_the_data_folder_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    project(folder.path());
    // A folder that was there before may be open to everybody.
    fs::create_dir(data(folder.path())).expect("a folder");
    fs::set_permissions(data(folder.path()), fs::Permissions::from_mode(0o755)).expect("its mode can be set");
    let made = command(&["keys", "create", "one"])
        .arg(folder.path())
        .arg("--data")
        .arg(data(folder.path()))
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", text(&made.stderr));
    for file in ["pepper", "bedplate.db", "databases"] {
        let mode = fs::metadata(data(folder.path()).join(file)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} has mode {mode:o}");
    }
}

#[test]
fn a_server_on_all_addresses_is_found_by_the_command_line_and_by_any_name_with_a_key() {
    let first = Server::start();
    let key = first.key(&json!({ "name": "one" }));
    // The same folder, started anew where other machines reach it.
    let mut server = first;
    server.kill();
    server.start_again_at("0.0.0.0:0");
    assert_eq!(rows(&server.command(&["runs", "list", "--json"])), 0);
    let from = |host: &str, line: &str| {
        server.raw(&format!("GET /v1/info HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{line}\r\n")).status
    };
    assert_eq!(from("bedplate.lan:7878", &format!("{key}\r\n")), 200);
    assert_eq!(from("bedplate.lan:7878", ""), 401);
}

#[test]
fn the_log_has_no_secret_and_no_word_of_a_conversation() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    project(folder.path());
    let (data, words) = (data(folder.path()), "xyzzy-said-in-private");
    let said = command(&["chat", "--message", words, "--user", "ann"])
        .arg(folder.path())
        .arg("--data")
        .arg(&data)
        .env("BEDPLATE_LOG", "trace")
        .output()
        .expect("it runs");
    assert!(said.status.success(), "{}", text(&said.stderr));
    let made = command(&["keys", "create", "one"])
        .arg(folder.path())
        .arg("--data")
        .arg(&data)
        .env("BEDPLATE_LOG", "trace")
        .output()
        .expect("it runs");
    let key = text(&made.stdout);
    let secret = key.trim().rsplit('_').next().expect("a key has a secret part");
    for log in [text(&said.stderr), text(&made.stderr)] {
        assert!(!log.contains(words) && !log.contains(secret) && !log.contains("Bearer"), "{log}");
    }
}

#[test]
fn a_wrong_word_for_a_state_is_a_wrong_argument() {
    let ended = command(&["runs", "list", "--status", "sleeping"]).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(2));
}

#[test]
fn a_person_is_forgotten_only_when_that_is_what_was_said() {
    let server = Server::start();
    for session in ["one", "two"] {
        let turn = json!({ "input": "Hi", "session_id": session, "user_id": "ann" });
        assert_eq!(server.ask("POST", "/v1/agents/first/invoke", &turn).status, 200);
    }
    // The project stands where the session should: that deletes nothing.
    assert!(!server.command(&["sessions", "delete", "--user", "ann"]).status.success());
    assert_eq!(rows(&server.command(&["sessions", "list", "--json"])), 2);
    assert!(server.command(&["sessions", "delete", "one", "--user", "ann"]).status.success());
    assert_eq!(rows(&server.command(&["sessions", "list", "--json"])), 1);
    assert!(server.command(&["sessions", "forget", "ann"]).status.success());
    assert_eq!(rows(&server.command(&["sessions", "list", "--json"])), 0);
}
