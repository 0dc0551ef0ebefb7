"""The systems that are compared: how each is installed, started before the mock, and asked."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# Other figures need other versions: these are what the table speaks of.
PYPI = {
    "vllm-router": "vllm-router==0.1.17",
    "smg": "smg==1.13.*",
    "tensorzero": "tensorzero==2026.6.*",
    "litellm": "litellm[proxy]==1.106.*",
}
LITELLM_KEY = "sk-bench-0000"


def nginx():
    """Returns where nginx is; none where it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def install(cache, names):
    """Installs the peers from PyPI, each into an environment of its own; returns those that are there."""
    there = []
    for name in names:
        home = cache / name
        mark = home / ".installed"
        if not (mark.is_file() and mark.read_text() == PYPI[name]):
            print(f"installing {PYPI[name]} into {home}", file=sys.stderr)
            shutil.rmtree(home, ignore_errors=True)
            venv = [sys.executable, "-m", "venv", home]
            pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYPI[name]]
            if any(subprocess.run(command).returncode != 0 for command in (venv, pip)):
                print(f"{name} cannot be installed: it is left out", file=sys.stderr)
                continue
            mark.write_text(PYPI[name])
        there.append(name)
    return there


class System:
    """A process before the mock. `start` may be called again."""

    path = "/v1/chat/completions"
    model = "bench"
    headers = ()
    patience = 30

    def __init__(self, name, port, mock, tmp):
        self.name, self.port, self.mock, self.tmp = name, port, mock, Path(tmp) / name
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def command(self):
        """Returns the command, after it has written what the command reads."""
        raise NotImplementedError

    def environment(self):
        foreign = ("ANTHROPIC_", "OPENAI_", "AWS_", "BEDPLATE_", "RUST_LOG")
        return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}

    def start(self, probe):
        """Starts it and waits until it answers the body `probe`."""
        self.tmp.mkdir(parents=True, exist_ok=True)
        log = (self.tmp / "output.log").open("wb")
        command = list(map(str, self.command()))
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(), cwd=self.tmp, start_new_session=True
        )
        begun = time.monotonic()
        while not self._answers(probe):
            if self.process.poll() is not None or time.monotonic() - begun > self.patience:
                said = (self.tmp / "output.log").read_text(errors="replace")[-1500:]
                self.stop()
                raise RuntimeError(f"{self.name} does not answer:\n{said}")
            time.sleep(0.1)

    def _answers(self, probe):
        request = urllib.request.Request(f"http://{self.address}{self.path}", probe, {"content-type": "application/json"})
        for header in self.headers:
            request.add_header(*header.split(": ", 1))
        try:
            return urllib.request.urlopen(request, timeout=10).status == 200
        except (OSError, urllib.error.URLError):
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            # It leads a group of its own, which is this process's to end.
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def processes(self):
        """Returns the process ids of it and of all that it started."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        found = {self.process.pid}
        while True:
            more = {child for child, parent in parents.items() if parent in found} - found
            if not more:
                return found
            found |= more

    def cpu_seconds(self):
        """Returns the processor time that it has taken so far."""
        ticks = 0
        for pid in self.processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        total = 0
        for pid in self.processes():
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
        return total


class Bedplate(System):
    """The binary under test, with its records on; `path`, `model` and `headers` say which way through it."""

    def __init__(self, name, port, mock, tmp, binary):
        super().__init__(name, port, mock, tmp)
        self.binary = binary

    def command(self):
        project = self.tmp / "project"
        shutil.rmtree(self.tmp / "data", ignore_errors=True)
        (project / "agents").mkdir(parents=True, exist_ok=True)
        (project / "agents" / "bench.md").write_text("---\ndescription: Never asked.\nmodel: bench\n---\nNever asked.\n")
        (project / "bedplate.toml").write_text(
            f"""[project]
name = "gateway-bench"
description = "Two routes to the mock."
default_agent = "bench"

[models.mock]
provider = "openai"
model = "bench"
base_url = "http://{self.mock}/v1"

[models.mock-bedrock]
provider = "bedrock"
model = "bench"
region = "us-east-1"
base_url = "http://{self.mock}"
api_key_env = "BENCH_KEY"

[routes.default]
model = "mock"

[routes.bench]
model = "mock"

[routes.bench-bedrock]
model = "mock-bedrock"
"""
        )
        return [self.binary, "up", project, "--listen", self.address, "--data", self.tmp / "data", "--model", "rehearsal"]

    def environment(self):
        return super().environment() | {"BENCH_KEY": "bench"}


class Nginx(System):
    """The practical limit: it reads nothing of what it passes."""

    def command(self):
        (self.tmp / "logs").mkdir(exist_ok=True)
        (self.tmp / "nginx.conf").write_text(
            f"""worker_processes auto;
daemon off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    upstream mock {{ server {self.mock}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        keepalive_requests 1000000000;
        client_body_buffer_size 64k;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""
        )
        return [nginx(), "-p", self.tmp, "-c", "nginx.conf", "-e", "error.log"]


class VllmRouter(System):
    def __init__(self, name, port, mock, tmp, home):
        super().__init__(name, port, mock, tmp)
        self.home = home

    def command(self):
        return [
            self.home / "bin" / "vllm-router", "--host", "127.0.0.1", "--port", self.port, "--worker-urls", f"http://{self.mock}",
            "--policy", "round_robin", "--log-level", "error", "--prometheus-port", self.port + 1,
        ]


class Smg(System):
    def __init__(self, name, port, mock, tmp, home):
        super().__init__(name, port, mock, tmp)
        self.home = home

    def command(self):
        return [
            self.home / "bin" / "smg", "launch", "--host", "127.0.0.1", "--port", self.port, "--worker-urls", f"http://{self.mock}",
            "--policy", "round_robin", "--log-level", "error", "--prometheus-port", self.port + 1, "--backend", "openai",
            "--disable-tokenizer-autoload",
        ]


class TensorZero(System):
    path = "/openai/v1/chat/completions"
    model = "tensorzero::model_name::bench"

    def __init__(self, name, port, mock, tmp, home):
        super().__init__(name, port, mock, tmp)
        self.home = home

    def command(self):
        (self.tmp / "tensorzero.toml").write_text(
            f"""[gateway]
bind_address = "127.0.0.1:{self.port}"
observability.enabled = false

[models.bench]
routing = ["mock"]

[models.bench.providers.mock]
type = "openai"
model_name = "bench"
api_base = "http://{self.mock}/v1/"
api_key_location = "none"
"""
        )
        (self.tmp / "serve.py").write_text(
            """import asyncio
from tensorzero.tensorzero import _start_http_gateway

async def main():
    gateway = await _start_http_gateway(
        config_file="tensorzero.toml", clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=True
    )
    open("address", "w").write(gateway.base_url)
    await asyncio.Event().wait()

asyncio.run(main())
"""
        )
        (self.tmp / "address").unlink(missing_ok=True)
        return [self.home / "bin" / "python", "serve.py"]

    def _answers(self, probe):
        # It chooses its port itself.
        try:
            self.port = int(re.search(r":(\d+)", (self.tmp / "address").read_text())[1])
        except (OSError, TypeError):
            return False
        return super()._answers(probe)


class LiteLlm(System):
    patience = 120
    headers = (f"authorization: Bearer {LITELLM_KEY}",)

    def __init__(self, name, port, mock, tmp, home):
        super().__init__(name, port, mock, tmp)
        self.home = home

    def command(self):
        (self.tmp / "config.yaml").write_text(
            f"""model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://{self.mock}/v1
      api_key: none
general_settings:
  master_key: {LITELLM_KEY}
"""
        )
        return [self.home / "bin" / "python", self.home / "bin" / "litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", self.port]

    def environment(self):
        return super().environment() | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}


PYTHON_PEERS = {"vllm-router": VllmRouter, "smg": Smg, "tensorzero": TensorZero, "litellm": LiteLlm}
