"""Who is let in, and what those who are not get to see."""

import json
import subprocess
import time

import pytest
from harness import SHOP, binary, environment, error_code, run


ORDERS_OF_BOB = ("MA-10083", "MA-10095", "MA-10106", "MA-10157", "MA-10184", "MA-10201", "MA-10211", "MA-10221")


def create_key(server, key_name, *arguments):
    """Makes a key with the command line, as an operator does, and returns its text and id."""
    made = run("keys", "create", key_name, server.project, "--data", server.data, "--json", *arguments)
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    return key["key"], key["id"]


# -- without keys, on loopback ----------------------------------------------------------------------------------------


def test_on_loopback_without_keys_any_or_no_credential_is_let_in_and_the_start_says_so(start):
    server = start()
    signature = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00"
    for headers in ({}, {"x-api-key": "YOUR_KEY"}, {"authorization": "Bearer whatever"}, {"authorization": signature}):
        answer = server.get("/v1/agents", headers=headers)
        assert answer.status_code == 200, answer.text
    assert server.get("/v1/info").json()["open"] is True
    assert "no API key exists" in server.output() and "is let in" in server.output()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7878", "127.0.0.1.evil.example", "192.168.0.4", "localhost.evil.example"])
def test_a_foreign_host_is_refused_against_dns_rebinding(shop, host):
    answer = shop.get("/v1/agents", headers={"host": host})
    assert answer.status_code == 403 and error_code(answer) == "foreign_host"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example"])
def test_a_foreign_origin_is_refused_and_gets_no_cors_header(shop, origin):
    answer = shop.post("/agent", {"query": "Hi"}, headers={"origin": origin})
    assert answer.status_code == 403 and error_code(answer) == "foreign_origin"
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_of_another_port_on_this_machine_is_let_in(shop):
    origin = "http://localhost:5173"
    answer = shop.post("/agent", {"query": "Hello!"}, headers={"origin": origin})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin


def test_cors_stands_on_errors_too_so_that_a_page_can_show_them(shop):
    origin = {"origin": "http://localhost:5173"}
    answers = [
        shop.post("/agent", {}, headers=origin),
        shop.request("POST", "/agent", data=b"{", headers=origin),
        shop.get("/v1/runs/nope", headers=origin),
        shop.get("/no/such/path", headers=origin),
        shop.delete("/v1/agents", headers=origin),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 404, 404, 405]
    for answer in answers:
        assert answer.headers.get("access-control-allow-origin") == origin["origin"], answer.url
        assert answer.headers["x-request-id"]


def test_a_preflight_is_answered(shop):
    headers = {
        "origin": "http://localhost:5173",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-api-key",
    }
    answer = shop.request("OPTIONS", "/prod/agent", headers=headers)
    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] == headers["origin"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "content-type" in allowed and "x-api-key" in allowed
    assert "POST" in answer.headers["access-control-allow-methods"]


def test_a_request_id_is_kept_or_minted_and_stands_in_the_error(shop):
    given = shop.get("/v1/runs/nope", headers={"x-request-id": "my-own-id-1"})
    assert given.headers["x-request-id"] == "my-own-id-1" == given.json()["error"]["request_id"]
    hostile = shop.get("/v1/runs/nope", headers={"x-request-id": "<script>"})
    assert "<" not in hostile.headers["x-request-id"]


# -- with keys --------------------------------------------------------------------------------------------------------


def test_the_first_key_closes_the_door(start):
    server = start()
    assert server.get("/v1/agents").status_code == 200
    key, _ = create_key(server, "backend")
    for path in ("/v1/agents", "/v1/runs", "/v1/approvals", "/v1/models", "/v1/sessions"):
        answer = server.get(path)
        assert answer.status_code == 401 and error_code(answer) == "unauthorized", path
    flat = server.post("/agent", {"query": "Hi"})
    assert flat.status_code == 401 and isinstance(flat.json()["error"], str)
    aws = server.post("/model/anthropic.claude-3-haiku-20240307-v1:0/invoke", {})
    assert aws.status_code in (401, 403) and aws.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
        assert server.get("/v1/agents", headers=headers).status_code == 200
    assert server.get("/v1/agents", headers={"x-api-key": key[:-1] + ("a" if key[-1] != "a" else "b")}).status_code == 401
    # Whether it lives is nobody's secret.
    assert server.get("/healthz").status_code == 200 and server.get("/readyz").status_code == 200
    # The door stays closed after a restart.
    server.stop()
    server.start()
    assert server.get("/v1/agents").status_code == 401
    assert server.get("/v1/agents", headers={"x-api-key": key}).status_code == 200


def test_a_key_bound_to_a_user_speaks_for_nobody_else(start):
    server = start()
    bob, _ = create_key(server, "bob's phone", "--user", "bob")
    backend, _ = create_key(server, "backend")
    as_bob, as_backend = {"x-api-key": bob}, {"x-api-key": backend}
    said = server.post("/agent", {"query": "Show my orders"}, headers=as_bob)
    assert said.status_code == 200 and said.json()["user_id"] == "bob" and any(order in said.json()["response"] for order in ORDERS_OF_BOB)
    refused = server.post("/agent", {"query": "Show my orders", "user_id": "alice"}, headers=as_bob)
    assert refused.status_code == 403 and error_code(refused) == "user_mismatch"
    native = server.post("/v1/agents/mangaassist/invoke", {"input": "Hi", "user_id": "alice"}, headers=as_bob)
    assert native.status_code == 403 and error_code(native) == "user_mismatch"
    # What belongs to another user does not exist for him, whichever way he names it.
    theirs = server.post("/agent", {"query": "My name is Alice", "user_id": "alice", "conversation_id": "c1"}, headers=as_backend)
    assert theirs.status_code == 200
    runs = server.get("/v1/runs?user_id=alice", headers=as_backend).json()["runs"]
    run_id = runs[0]["run_id"]
    for path in (f"/v1/runs/{run_id}", f"/v1/runs/{run_id}/events", f"/v1/runs/{run_id}/replay", "/v1/sessions/c1"):
        assert server.get(path, headers=as_bob).status_code == 404, path
    for path in (f"/v1/runs/{run_id}/cancel", f"/v1/runs/{run_id}/fork", f"/v1/runs/{run_id}/calls/1/answer"):
        assert server.post(path, {"approved": True} if "answer" in path else {}, headers=as_bob).status_code == 404, path
    for path in ("/v1/runs?user_id=alice", "/v1/sessions?user_id=alice", "/v1/approvals?user_id=alice", "/v1/sessions/c1/messages?user_id=alice"):
        assert server.get(path, headers=as_bob).status_code == 403, path
    for path in ("/v1/sessions/c1?user_id=alice", "/v1/users/alice"):
        assert server.delete(path, headers=as_bob).status_code == 403, path
    assert {run["user_id"] for run in server.get("/v1/runs", headers=as_bob).json()["runs"]} == {"bob"}


def test_a_key_for_one_agent_reaches_no_other(start):
    server = start()
    key, _ = create_key(server, "research", "--agents", "researcher")
    headers = {"x-api-key": key}
    allowed = server.post("/agent", {"query": "Explain Bedrock", "agent_type": "researcher"}, headers=headers)
    assert allowed.status_code == 200, allowed.text
    for answer in (
        server.post("/agent", {"query": "Hi"}, headers=headers),
        server.post("/v1/agents/mangaassist/invoke", {"input": "Hi"}, headers=headers),
        server.get("/v1/targets", headers=headers),
    ):
        assert answer.status_code == 403 and error_code(answer) == "agent_not_allowed"


def test_a_revoked_and_an_expired_key_open_nothing(start):
    server = start()
    revoked, identifier = create_key(server, "old")
    expiring, _ = create_key(server, "short", "--expires", "1s")
    assert server.get("/v1/agents", headers={"x-api-key": revoked}).status_code == 200
    done = run("keys", "revoke", identifier, server.project, "--data", server.data)
    assert done.returncode == 0, done.stderr
    assert server.get("/v1/agents", headers={"x-api-key": revoked}).status_code == 401
    deadline = time.monotonic() + 10
    while server.get("/v1/agents", headers={"x-api-key": expiring}).status_code != 401:
        assert time.monotonic() < deadline, "the key did not expire"
        time.sleep(0.05)


def test_a_key_cannot_make_keys(start):
    server = start()
    key, _ = create_key(server, "backend")
    for answer in (
        server.get("/v1/keys", headers={"x-api-key": key}),
        server.post("/v1/keys", {"name": "mine"}, headers={"x-api-key": key}),
    ):
        assert answer.status_code == 403 and error_code(answer) == "admin_only"


def test_the_secret_of_a_key_is_not_in_the_data_folder(start):
    server = start()
    key, identifier = create_key(server, "backend")
    secret = key.removeprefix(f"bp_{identifier}_").encode()
    server.stop()
    for file in server.data.rglob("*"):
        if file.is_file():
            assert secret not in file.read_bytes(), file
    assert key not in server.output()


# -- where it listens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_listening_beyond_loopback_without_keys_refuses_to_start(tmp_path, address):
    command = [binary(), "up", SHOP, "--listen", address, "--data", tmp_path / "data", "--model", "rehearsal"]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, env=environment())
    assert ended.returncode not in (0, -9), ended.stdout
    assert "key" in ended.stderr and "bedplate keys create" in ended.stderr
