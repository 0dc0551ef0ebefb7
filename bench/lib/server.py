"""Starts the server under test on a free port of loopback, and reads what it costs."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path


class Server:
    """One `bedplate up`; `start` may be called again on the same data folder."""

    def __init__(self, binary, project, data):
        self.binary, self.project, self.data = binary, project, Path(data)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Starts it and returns the seconds until `/readyz` answered 200."""
        command = [self.binary, "up", self.project, "--listen", self.address, "--data", self.data, "--model", "rehearsal"]
        foreign = ("ANTHROPIC_", "OPENAI_", "AWS_", "BEDPLATE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.begin = time.perf_counter()
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit(f"bedplate ended: {self.process.stderr.read().decode()}")
            if time.perf_counter() - self.begin > 60:
                raise SystemExit("bedplate was not ready after 60 s")
            # The peer is asked as often.
            time.sleep(0.002)
        return time.perf_counter() - self.begin

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def post(self, path, body, statuses=(200,)):
        return self._ask("POST", path, json.dumps(body), statuses)

    def get(self, path):
        return self._ask("GET", path, None, (200,))

    def _ask(self, method, path, body, statuses):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        if response.status not in statuses:
            raise SystemExit(f"{method} {path} answered {response.status} {answer}")
        return answer

    def metric(self, name):
        """Returns the value of a metric without labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return next(float(line.split()[1]) for line in lines if line.split(" ")[0] == name)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))

    def stop(self):
        """Stops it in good order, so that what it keeps is on disk as it stays there."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
