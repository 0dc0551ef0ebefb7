"""What strangers send to each face: too much, too deep, too slow, no text. Each gets a clear error in its own shape, and
the process is untouched."""

import socket
import time
from urllib.parse import urlsplit

import pytest

MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"

# A face: its path, and how its errors are known.
FACES = {
    "native": ("/v1/agents/plain/invoke", lambda answer: answer.json()["error"]["code"]),
    "contract": ("/agent", lambda answer: answer.json()["code"]),
    "chat": ("/v1/chat/completions", lambda answer: answer.json()["error"]["type"]),
    "messages": ("/v1/messages", lambda answer: answer.json()["error"]["type"]),
    "tokens": ("/v1/messages/count_tokens", lambda answer: answer.json()["error"]["type"]),
    "batches": ("/v1/batches", lambda answer: answer.json()["error"]["type"]),
    "jobs": ("/v1/jobs", lambda answer: answer.json()["error"]["code"]),
    "converse": ("/model/plain/converse", lambda answer: answer.headers["x-amzn-errortype"]),
    "converse-stream": ("/model/plain/converse-stream", lambda answer: answer.headers["x-amzn-errortype"]),
    "invoke": ("/model/plain/invoke", lambda answer: answer.headers["x-amzn-errortype"]),
    "invoke-stream": ("/model/plain/invoke-with-response-stream", lambda answer: answer.headers["x-amzn-errortype"]),
    "container": ("/invocations", lambda answer: answer.json()["error"]["code"]),
    "runtime": ("/runtimes/plain/invocations", lambda answer: answer.headers["x-amzn-errortype"]),
    "harness": ("/harnesses/invoke?harnessArn=a%2Fplain", lambda answer: answer.headers["x-amzn-errortype"]),
    "step-functions": ("/", lambda answer: answer.headers["x-amzn-errortype"]),
}
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[1]",
    "no text": b'{"messages":"\xff\xfe"}',
    "zero bytes": b"\x00" * 1000,
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "a deep field": b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "half a character": b'{"model":"\xe6\xbc',
    "a large number": b'{"max_tokens":1e999999,"messages":[]}',
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_cannot_be_read_is_refused_in_the_faces_own_shape(scripted, face, body):
    path, kind = FACES[face]
    headers = {"content-type": "application/json", "x-amz-target": "AWSStepFunctions.CreateStateMachine"}
    answer = scripted.request("POST", path, data=BODIES[body], headers=headers)
    assert 400 <= answer.status_code < 500, f"{answer.status_code} {answer.text[:300]}"
    assert kind(answer), answer.text[:300]


@pytest.mark.parametrize("face", FACES)
def test_a_body_over_the_limit_is_refused_and_not_kept(scripted, face):
    path, kind = FACES[face]
    headers = {"content-type": "application/json", "x-amz-target": "AWSStepFunctions.CreateStateMachine"}
    answer = scripted.request("POST", path, data=b" " * (5 * 1024 * 1024), headers=headers)
    assert answer.status_code == 413 and kind(answer), answer.text[:300]


def connect(server):
    host = urlsplit(server.url).netloc.split(":")
    return socket.create_connection((host[0], int(host[1])), timeout=60)


def test_slow_senders_of_heads_and_bodies_are_hung_up_on_and_hold_nobody_up(scripted):
    heads = [connect(scripted) for _ in range(60)]
    for one in heads:
        one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
    bodies = [connect(scripted) for _ in range(60)]
    for one in bodies:
        one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{")
    started = time.monotonic()
    assert scripted.post("/v1/chat/completions", {"model": "plain", "messages": [{"role": "user", "content": "Hi"}]}).ok
    assert time.monotonic() - started < 10
    for one in heads:
        # Hung up on, with or without a word.
        while one.recv(4096):
            pass
    for one in bodies:
        assert b" 408 " in one.recv(4096)
        one.close()
    scripted.assert_healthy()


def test_a_broken_event_stream_frame_as_a_body_is_refused(scripted):
    frame = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2\x48\xeb\x7d\x98\xc8\xff"
    for body in (frame, frame[:7], b"\xff" * 16, frame[:-1] + b"\x00"):
        answer = scripted.request(
            "POST", "/model/plain/converse-stream", data=body, headers={"content-type": "application/vnd.amazon.eventstream"}
        )
        assert answer.status_code == 400 and answer.headers["x-amzn-errortype"] == "ValidationException"
