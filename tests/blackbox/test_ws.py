"""What the native API carries, over a WebSocket."""

import json
import time

import pytest
from harness import name, run
from websocket import Refused, WebSocket


def opened(server, **options):
    ws = WebSocket(server.url, **options)
    assert ws.receive() == {"type": "ready"}
    return ws


def ends(identifier):
    return lambda message: message.get("id") == identifier and message["type"] in ("end", "response", "error")


def test_a_turn_is_told_as_it_happens_and_ends(scripted):
    ws = opened(scripted)
    ws.send(type="invoke", id="a", agent="plain", body={"input": "Hi", "session_id": name("ws")})
    said = ws.until(ends("a"))
    assert said[-1] == {"type": "end", "id": "a"}
    names = [message["event"] for message in said[:-1]]
    assert names[0] == "started" and names[-1] == "done" and "entry" in names
    assert said[-2]["data"]["status"] == "completed" and all(message["id"] == "a" for message in said)


def test_turns_of_one_connection_go_side_by_side(scripted):
    ws = opened(scripted)
    for identifier in ("slow", "fast"):
        agent = "slow" if identifier == "slow" else "plain"
        ws.send(type="invoke", id=identifier, agent=agent, body={"input": "Hi"})
    said = ws.until(ends("fast"))
    assert not [message for message in said if message["id"] == "slow" and message["type"] == "end"]
    ws.send(type="stop", id="slow")
    assert ws.until(ends("slow"))[-1] == {"type": "end", "id": "slow"}


def test_a_stream_is_taken_up_after_the_connection_was_lost(scripted):
    session = name("ws")
    ws = opened(scripted)
    ws.send(type="invoke", id="a", agent="plain", body={"input": "Hi", "session_id": session})
    said = ws.until(ends("a"))
    entries = [message["data"]["seq"] for message in said if message.get("event") == "entry"]
    run_id = said[0]["data"]["run_id"]
    ws.close()
    again = opened(scripted)
    again.send(type="subscribe", id="b", run=run_id, after=entries[1])
    told = again.until(lambda message: message.get("event") == "caught_up")
    assert [message["data"]["seq"] for message in told if message["event"] == "entry"] == entries[2:]


def test_a_turn_is_cancelled_over_the_connection(scripted):
    ws = opened(scripted)
    ws.send(type="invoke", id="a", agent="hangs", body={"input": "Hi"})
    run_id = ws.until(lambda message: message.get("event") == "started")[-1]["data"]["run_id"]
    ws.send(type="cancel", id="c", run=run_id)
    said = ws.until(ends("a"))
    replies = [message for message in said if message["id"] == "c"]
    if not replies:
        replies = ws.until(ends("c"))
    assert replies[-1]["status"] == 200 and replies[-1]["body"] == {"cancelled": True}
    done = [message for message in said if message.get("event") == "done"][-1]
    assert done["data"]["status"] == "cancelled"


def test_a_question_is_answered_over_the_connection(scripted):
    ws = opened(scripted)
    ws.send(type="invoke", id="a", agent="pays", body={"input": "Pay", "session_id": name("ws")})
    done = [message for message in ws.until(ends("a")) if message.get("event") == "done"][-1]["data"]
    assert done["status"] == "waiting", done
    question = done["questions"][0]
    ws.send(type="answer", id="b", run=done["run_id"], call=question["call"], approved=False, note="no")
    assert ws.until(ends("b"))[-1]["body"] == {"answered": True}
    ws.send(type="answer", id="c", run=done["run_id"], call=question["call"], approved=True)
    assert ws.until(ends("c"))[-1]["code"] == "question_not_open"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", '{"type":"nothing"}', '{"type":"invoke"}', '{"type":"stop","id":"x"}', "[" * 100_000,
     '{"type":"cancel","id":"' + "x" * 100 + '","run":"a"}', '{"type":"auth","key":"x"}'],
)
def test_what_is_no_message_is_told_and_the_connection_goes_on(scripted, text):
    ws = opened(scripted)
    ws.send_frame(text.encode())
    assert ws.receive()["type"] == "error"
    ws.send(type="ping")
    assert ws.receive() == {"type": "pong"}


def test_frames_that_break_the_protocol_end_the_connection_and_nothing_else(scripted):
    for break_it in [
        lambda ws: ws.send_frame(b"\xff\xfe"),
        lambda ws: ws.send_frame(b"{}", masked=False),
        lambda ws: ws.send_frame(b"x", opcode=5),
        lambda ws: ws.send_frame(b"x" * (1024 * 1024 + 1)),
        lambda ws: ws.socket.sendall(b"\x81\xff" + b"\xff" * 8),
        lambda ws: ws.socket.sendall(b"\x00" * 64),
    ]:
        ws = opened(scripted)
        try:
            break_it(ws)
            while ws.receive() is not None:
                pass
        except (ConnectionError, OSError):
            pass
        ws.close()
    scripted.assert_healthy()
    assert scripted.get("/readyz").status_code == 200


def test_the_number_of_open_requests_is_bounded(scripted):
    ws = opened(scripted)
    for number in range(33):
        ws.send(type="invoke", id=str(number), agent="hangs", body={"input": "Hi"})
    refused = ws.until(lambda message: message["type"] == "error")[-1]
    assert refused["code"] == "too_many_streams"
    ws.send(type="invoke", id="1", agent="plain", body={"input": "Hi"})
    assert ws.until(lambda message: message["type"] == "error")[-1]["code"] == "id_in_use"
    runs = scripted.get("/v1/runs?agent=hangs&status=running&limit=200", token=True).json()["runs"]
    for found in runs:
        scripted.post(f"/v1/runs/{found['run_id']}/cancel", {}, token=True)
    ws.close()


def test_a_foreign_page_opens_no_connection(scripted):
    with pytest.raises(Refused) as refused:
        WebSocket(scripted.url, headers={"origin": "https://evil.example"})
    assert refused.value.status == 403
    opened(scripted, headers={"origin": "http://localhost:5173"})
    assert scripted.get("/v1/ws").status_code in (400, 426)


def test_a_client_says_who_it_is_in_one_of_three_ways_and_a_revoked_key_opens_nothing_more(start):
    server = start()
    made = run("keys", "create", "ws", server.project, "--data", server.data, "--json")
    key = json.loads(made.stdout)["key"]
    for options in ({"headers": {"x-api-key": key}}, {"headers": {"sec-websocket-protocol": f"bedplate, bedplate.key.{key}"}}):
        ws = opened(server, **options)
        ws.send(type="cancel", id="a", run="0" * 32)
        assert ws.receive()["code"] == "run_not_found"
    assert "sec-websocket-protocol: bedplate\r\n" in ws.head.lower() + "\r\n"
    late = WebSocket(server.url)
    late.send(type="auth", key=key)
    assert late.receive() == {"type": "ready"}
    for first in ({"type": "ping"}, {"type": "auth", "key": "bp_wrong"}):
        stranger = WebSocket(server.url)
        stranger.send(**first)
        assert stranger.receive()["code"] == "unauthorized" and stranger.receive() is None
    with pytest.raises(Refused) as refused:
        WebSocket(server.url, headers={"x-api-key": key[:-1] + "x"})
    assert refused.value.status == 401
    assert run("keys", "revoke", json.loads(made.stdout)["id"], server.project, "--data", server.data).returncode == 0
    late.send(type="cancel", id="b", run="0" * 32)
    assert late.receive()["code"] == "unauthorized"


def test_a_connection_ends_with_a_word_when_the_server_stops(start, scripted):
    server = start(scripted.project)
    ws = opened(server)
    ws.send(type="invoke", id="a", agent="hangs", body={"input": "Hi"})
    ws.until(lambda message: message.get("event") == "started")
    server.process.terminate()
    assert ws.until(lambda message: message["type"] == "error")[-1]["code"] == "shutting_down"
    assert server.process.wait(15) == 0


def test_a_containers_connection_answers_prompts(scripted):
    ws = WebSocket(scripted.url, path="/ws", headers={"X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": name("ws-session")})
    for text in ("Hi", "Once more"):
        ws.send(prompt=text)
        said = ws.until(lambda message: "response" in message or "error" in message)
        assert said[0] == {"event": {"messageStart": {"role": "assistant"}}} and said[-1]["status"] == "success"
        time.sleep(0.05)
    ws.send(nothing=1)
    assert ws.until(lambda message: "error" in message)
