"""The other side of the kill test: a server that has effects, and counts them by idempotency key."""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Counts how often each tool was executed under each key. It works slowly, so that a kill falls into the middle."""

    def __init__(self, seconds=0.015):
        self.executions = {"look": Counter(), "bump": Counter(), "once": Counter()}
        self.seconds = seconds
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.receiver = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server.server_port

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def execute(self, tool, key):
        """Has the effect; a repeat of `bump` under a key that is known has none, as its receiver promises."""
        time.sleep(self.seconds / 2)
        with self.lock:
            self.executions[tool][key] += 1
            count = len(self.executions[tool])
        # The effect has happened; whoever dies from here on does not hear of it.
        time.sleep(self.seconds / 2)
        return count


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        """Says nothing: clients are killed here on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def respond(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        tool = self.path.strip("/")
        count = self.server.receiver.execute(tool, self.headers.get("idempotency-key"))
        body = json.dumps({"count": count}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = respond

    def log_message(self, *_):
        """Says nothing."""
