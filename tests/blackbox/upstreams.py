"""Model servers that are played: Bedrock, which checks signatures as botocore makes them, and Chat Completions."""

import json
import re
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS, SECRET, TOKEN, REGION = "AKIDOUTBOUND", "an/outbound+secret", "a-session-token", "eu-west-1"
WORDS = ["Dreizehn ", "und ", "– ünïcode 🌊"]


class Upstream:
    """One server for all dialects; `requests` holds what came: path, headers, body, and for AWS the signature's check."""

    def __init__(self):
        self.requests = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.upstream = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Played:
    """A model server whose `answer`, given the path and the body, says a status, a media type and a text."""

    def __init__(self):
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                """Says nothing."""

            def do_POST(self):  # noqa: N802, the library's name
                status, kind, text = played.answer(self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
                body = text.encode()
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    # Whoever asked was killed, as some tests do.
                    pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, path, body):
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802, the library's name
        body = self.rfile.read(int(self.headers["content-length"]))
        authorization = self.headers.get("authorization", "")
        signed = authorization.startswith("AWS4-HMAC-SHA256")
        good = signed and expected_signature(self, body) == authorization.rpartition("Signature=")[2]
        self.server.upstream.requests.append({"path": self.path, "headers": self.headers, "body": body, "signature": good})
        if self.path.endswith("/converse"):
            self.whole(CONVERSE)
        elif self.path.endswith("/converse-stream"):
            self.pieces("application/vnd.amazon.eventstream", [frame(kind, data) for kind, data in converse_events()])
        elif self.path.endswith("/invoke"):
            self.whole(MESSAGE)
        elif json.loads(body).get("stream"):
            asked = (json.loads(body).get("stream_options") or {}).get("include_usage")
            self.pieces("text/event-stream", [f"data: {line}\n\n".encode() for line in chat_lines(asked)])
        else:
            self.whole(CHAT)

    def whole(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pieces(self, kind, pieces):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        data = b"".join(pieces)
        # Cut where no piece ends.
        for at in range(0, len(data), 37):
            piece = data[at : at + 37]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        """Says nothing."""


def expected_signature(handler, body):
    """Returns the signature that botocore makes of the request as it came."""
    authorization = handler.headers["authorization"]
    names = re.search(r"SignedHeaders=([^,]+)", authorization)[1].split(";")
    service = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", authorization)[1]
    url = f"http://{handler.headers['host']}{handler.path}"
    request = AWSRequest("POST", url, headers={name: handler.headers[name] for name in names}, data=body)
    request.context["timestamp"] = handler.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(ACCESS, SECRET, TOKEN), service, REGION)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def frame(kind, document):
    """Returns a frame of AWS's event streams."""
    payload = json.dumps(document).encode()
    headers = b""
    for name, value in [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")]:
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    message = prelude + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


USAGE = {"inputTokens": 12, "outputTokens": 5, "totalTokens": 17}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "".join(WORDS)}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "metrics": {"latencyMs": 42},
    "additionalModelResponseFields": {"not": {"ours": [1]}},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "".join(WORDS)}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 5},
    "not_ours": {"a": 1},
}
CHAT = {
    "id": "chatcmpl-theirs",
    "object": "chat.completion",
    "created": 1,
    "model": "theirs-0001",
    "system_fingerprint": "fp_theirs",
    "not_ours": {"a": [1, 2]},
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
}


def converse_events():
    yield "messageStart", {"role": "assistant", "p": "abcdef"}
    for word in WORDS:
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}, "p": "abc"}
    yield "contentBlockStop", {"contentBlockIndex": 0, "p": "ab"}
    yield "messageStop", {"stopReason": "end_turn", "p": "a"}
    yield "metadata", {"usage": USAGE, "metrics": {"latencyMs": 42}, "p": "abcd"}


def chat_lines(usage):
    shell = {"id": "chatcmpl-theirs", "object": "chat.completion.chunk", "created": 1, "model": "theirs-0001", "not_ours": 7}
    for word in WORDS:
        yield json.dumps(shell | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
    yield json.dumps(shell | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage:
        yield json.dumps(shell | {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}})
    yield "[DONE]"
