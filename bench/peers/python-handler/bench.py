"""Measures how long the Python handler takes from the start of its process to ready and to its first answer.

Bedrock and DynamoDB are played by a mock in this process, so that nothing but Python, boto3 and loopback is in the
figures; in reality both answers come later. The first start, which finds cold caches, is reported apart from the
median of the others. Prints one line of JSON.
"""

import argparse
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

ANSWER = "The answer of the mock."
MODEL_ID = "anthropic.claude-3-5-sonnet-20240620-v1:0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="starts that are measured, after one that is not")
    parser.add_argument("--tmp", default=None, help="not used; every peer takes it")
    options = parser.parse_args()

    mock = ThreadingHTTPServer(("127.0.0.1", 0), Mock)
    mock.calls = []
    threading.Thread(target=mock.serve_forever, daemon=True).start()
    cold = one_start(mock.server_port)
    starts = [one_start(mock.server_port) for _ in range(options.starts)]
    expected = ["Query", "PutItem", "invoke", "PutItem"] * (1 + len(starts))
    if mock.calls != expected:
        raise SystemExit(f"the handler made other calls than it should: {mock.calls}")
    mock.shutdown()

    print(
        json.dumps(
            {
                "peer": "python-handler",
                "python": platform.python_version(),
                "boto3": version("boto3"),
                "starts": len(starts),
                "ready_ms": round(statistics.median(start["ready_ms"] for start in starts), 1),
                "first_answer_ms": round(statistics.median(start["first_answer_ms"] for start in starts), 1),
                "cold_ready_ms": round(cold["ready_ms"], 1),
                "cold_first_answer_ms": round(cold["first_answer_ms"], 1),
                "rss_bytes": round(statistics.median(start["rss_bytes"] for start in starts)),
            }
        )
    )


def one_start(mock_port: int) -> dict:
    """Starts the handler, waits for ready, asks once, stops it; returns the times in milliseconds and its memory."""
    port = free_port()
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "handler.py")
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, program, str(port)], env=environment(mock_port))
    try:
        while not is_ready(port):
            if process.poll() is not None or time.perf_counter() - begin > 60:
                raise SystemExit("the handler did not become ready")
            time.sleep(0.002)
        ready = time.perf_counter()
        status, answer = post(port, {"user_id": "bench", "conversation_id": "one", "query": "What time is it?"})
        answered = time.perf_counter()
        if status != 200 or answer["response"] != ANSWER:
            raise SystemExit(f"the handler answered {status} {answer}")
        return {
            "ready_ms": (ready - begin) * 1000,
            "first_answer_ms": (answered - begin) * 1000,
            "rss_bytes": resident_bytes(process.pid),
        }
    finally:
        process.kill()
        process.wait()


def environment(mock_port: int) -> dict:
    """Returns an environment in which boto3 reaches the mock only, whatever the user's own AWS settings are."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{mock_port}",
        "NO_PROXY": "127.0.0.1",
        "MODEL_ID": MODEL_ID,
        "MEMORY_TABLE": "agent-memory",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def post(port: int, body: dict) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/agent", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


class Mock(BaseHTTPRequestHandler):
    """Plays Bedrock's InvokeModel and the two DynamoDB calls that the handler makes, and notes which were made."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/model/") and self.path.endswith("/invoke"):
            self.server.calls.append("invoke")
            self.send("application/json", anthropic_answer())
            return
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.server.calls.append(operation)
        found = {"Items": [], "Count": 0, "ScannedCount": 0}
        self.send("application/x-amz-json-1.0", found if operation == "Query" else {})

    def send(self, content_type: str, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def anthropic_answer() -> dict:
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "claude-3-5-sonnet-20240620",
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 6},
    }


if __name__ == "__main__":
    main()
