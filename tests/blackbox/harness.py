"""Starts the real binary, talks to it, stops or kills it; everything on loopback and in temporary folders."""

import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import requests

REPO = Path(__file__).resolve().parents[2]
PROJECTS = Path(__file__).resolve().parent / "projects"
SHOP = REPO / "examples" / "mangaassist"
START_SECONDS = 60


def binary():
    """Returns the path of the binary under test: $BEDPLATE_BIN, else the release build of this repository."""
    given = os.environ.get("BEDPLATE_BIN")
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPO / "target"))
    path = Path(given) if given else target / "release" / "bedplate"
    if not path.exists():
        raise SystemExit(f"{path} does not exist: build it, or name another with BEDPLATE_BIN")
    return str(path.resolve())


def environment(**more):
    """Returns an environment without anything that could lead to a real model, plus `more`."""
    foreign = ("AWS_", "ANTHROPIC_", "OPENAI_", "OLLAMA_", "BEDPLATE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "RUST_BACKTRACE": "1"} | more


def run(*arguments, stdin=None, timeout=60, cwd=None, **env):
    """Runs one command of the command line to its end and returns it, with its output as text."""
    return subprocess.run(
        [binary(), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env=environment(**env),
    )


class Bedplate:
    """One server on its own data folder; it can be stopped, killed and started again."""

    def __init__(self, project, data, *arguments, **env):
        self.project = Path(project)
        self.data = Path(data)
        self.arguments = arguments or ("--model", "rehearsal")
        self.env = env
        self.process = None
        self.url = None
        self.token = None
        self.log = self.data.with_name(self.data.name + ".log")

    def start(self):
        """Starts it and returns when it is ready."""
        command = [binary(), "up", self.project, "--listen", "127.0.0.1:0", "--data", self.data, *self.arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment(**self.env)
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.output()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the server was not ready after {START_SECONDS} s:\n{self.output()}")
            time.sleep(0.005)
        return self

    def _is_ready(self):
        try:
            said = json.loads((self.data / "server.json").read_text())
        except (OSError, ValueError):
            return False
        # The file of a server that was killed is still there; its process is not this one.
        if said["pid"] != self.process.pid:
            return False
        self.url, self.token = said["url"].rstrip("/"), said["token"]
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self):
        """Asks it to end, waits for that, and returns the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop within 20 s:\n{self.output()}") from None

    def kill(self):
        """Kills it as a power cut would, for the process."""
        self.process.kill()
        self.process.wait()

    def output(self):
        """Returns what it printed so far, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def assert_healthy(self):
        """Fails when the process ended or a panic is in its log."""
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.output()}"
        assert "panicked" not in self.output(), self.output()

    # Requests. `token=True` speaks as the administrator; otherwise as a client without credentials.

    def request(self, method, path, token=False, headers=None, **options):
        headers = dict(headers or {})
        if token:
            headers["authorization"] = f"Bearer {self.token}"
        options.setdefault("timeout", 60)
        return requests.request(method, f"{self.url}{path}", headers=headers, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, json=body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def pages(self, path, what, **options):
        """Returns the pages of a list, each as its items; `path` has a query already."""
        pages, cursor = [], None
        while True:
            page = self.get(path + (f"&cursor={cursor}" if cursor else ""), **options).json()
            pages.append(page[what])
            cursor = page["next_cursor"]
            if cursor is None:
                return pages

    def agent(self, query, **fields):
        """Asks through the documents' contract and returns the answer's JSON, which must be a 200."""
        answer = self.post("/agent", {"query": query, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def invoke(self, agent, text, key=None, **fields):
        """Starts a turn through the native API and returns the response, whatever it is."""
        headers = {"idempotency-key": key} if key else {}
        return self.post(f"/v1/agents/{agent}/invoke", {"input": text, **fields}, headers=headers)

    def turn(self, agent, text, key=None, **fields):
        """Starts a turn, which must be accepted, and returns its JSON."""
        answer = self.invoke(agent, text, key, **fields)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def events(self, run):
        """Returns the whole journal of a run, page by page."""
        events, after = [], 0
        while after is not None:
            page = self.get(f"/v1/runs/{run}/events?after={after}&limit=200", token=True).json()
            events += page["events"]
            after = page["next_after"]
        return events

    def wait_for(self, what, run, condition, seconds=30):
        """Returns the view of a run as soon as `condition` holds for it; fails with `what` after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            view = self.get(f"/v1/runs/{run}", token=True).json()
            if condition(view):
                return view
            assert time.monotonic() < deadline, f"{what} after {seconds} s; the run is {json.dumps(view, indent=1)}"
            time.sleep(0.02)


def name(prefix):
    """Returns a name that nothing else in this test run has."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def error_code(response):
    """Returns the stable code of an error in the native or the documents' form."""
    body = response.json()
    return body["error"]["code"] if isinstance(body.get("error"), dict) else body.get("code")
