"""Bedplate's side of each figure. Every function starts a server of its own on a fresh data folder."""

import base64
import json
import os
import re
import shutil
import statistics
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from server import Server

REPO = Path(__file__).resolve().parents[2]
PROJECT = REPO / "bench" / "project"
SHOP = REPO / "examples" / "mangaassist"


class Bench:
    """What is measured with: the binary, the load generator, a folder on the disk that counts."""

    def __init__(self, binary, load, tmp):
        self.binary, self.load, self.tmp = str(binary), str(load), Path(tmp)

    @contextmanager
    def server(self, project=PROJECT, name="data"):
        data = self.tmp / name
        shutil.rmtree(data, ignore_errors=True)
        server = Server(self.binary, project, data)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(data, ignore_errors=True)

    def run_load(self, *arguments):
        done = subprocess.run([self.load, *map(str, arguments)], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise SystemExit(f"load {arguments[0]}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def steps(self, seconds):
        """Durable steps a second with 256 runs at once, and the time of a run of 3 steps, one at a time."""
        with self.server() as server:
            nine = self.run_load("steps", server.address, "steps9", 256, 2, seconds)
            looks = self.run_load("steps", server.address, "looks9", 256, 2, seconds)
            twenty_nine = self.run_load("steps", server.address, "steps29", 256, 2, seconds)
        with self.server() as server:
            three = self.run_load("latency", server.address, "steps3", 50, 400)
        return {"runs_of_9": nine, "runs_of_29": twenty_nine, "looks_of_9": looks, "three_steps": three}

    def in_process(self, seconds):
        """The runtime alone, without HTTP: crates/runtime/examples/steps.rs; none when it is not there."""
        if not (REPO / "crates" / "runtime" / "examples" / "steps.rs").exists():
            return None
        environment = os.environ | {"TMPDIR": str(self.tmp)}
        command = ["cargo", "build", "--release", "--quiet", "--locked", "-p", "bedplate-runtime", "--example", "steps"]
        subprocess.run(command, check=True, cwd=REPO)
        target = Path(os.environ.get("CARGO_TARGET_DIR", REPO / "target"))
        program = target / "release" / "examples" / "steps"

        def run(at_once, iterations):
            return subprocess.run(
                [program, str(at_once), str(seconds), str(iterations)],
                check=True, capture_output=True, text=True, env=environment, timeout=120).stdout

        one, four = run(1, 1), run(1, 4)
        p50, unit = re.search(r"p50 ([\d.]+)(ns|µs|ms|s)", one).groups()
        scale = {"ns": 1e-6, "µs": 1e-3, "ms": 1, "s": 1e3}[unit]
        rate = lambda text: float(re.search(r"([\d.]+) steps/s", text)[1])
        return {"three_steps_p50_ms": float(p50) * scale, "steps_per_s_3": rate(one), "steps_per_s_9": rate(four)}

    def disk(self, lengths):
        """What a conversation of 2 KB turns that do not compress costs on disk, after a stop in good order."""
        project = self.tmp / "talks"
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(PROJECT, project)
        results = []
        for turns in lengths:
            letters = lambda: base64.urlsafe_b64encode(os.urandom(768)).decode()
            steps = "".join(f'[[step]]\ntext = "{letters()}"\n' for _ in range(turns))
            (project / "scripts" / "talks.toml").write_text(f'order = "run"\nstream = false\n{steps}')
            data = self.tmp / f"disk{turns}"
            shutil.rmtree(data, ignore_errors=True)
            server = Server(self.binary, project, data)
            server.start()
            empty_after_start = size_of(data)
            talked = self.run_load("turns", server.address, "talks", "one", turns)
            server.stop()
            disk, content = size_of(data), turns * 2048
            results.append({"turns": turns, "content_bytes": content, "disk_bytes": disk, "ratio": disk / content,
                            "empty_bytes": empty_after_start, "turns_per_s": talked["turns_per_s"]})
            shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(project, ignore_errors=True)
        return results

    def memory(self, waiting):
        """Resident memory at rest, and how much each session adds that waits and is watched."""
        with self.server(SHOP) as server:
            time.sleep(2)
            idle = server.resident_bytes()
        with self.server() as server:
            time.sleep(2)
            before = server.resident_bytes()
            command = [self.load, "waiting", server.address, "waits", str(waiting)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
                said = load.stdout.readline()
                if said.strip() != f"held {waiting}":
                    raise SystemExit(f"load waiting: {said} {load.stderr.read()}")
                # A run that has nothing to do leaves memory after a while; both figures are told, and the one that
                # stays counts, as that of a peer whose handlers suspend at once.
                time.sleep(3)
                at_once = server.resident_bytes()
                deadline = time.monotonic() + 60
                while server.metric("bedplate_loaded_runs") > 0 and time.monotonic() < deadline:
                    time.sleep(1)
                after = server.resident_bytes()
                load.stdin.close()
        return {"idle_bytes": idle, "idle_bench_bytes": before, "waiting": waiting,
                "bytes_each": (after - before) / waiting, "bytes_each_at_once": (at_once - before) / waiting}

    def starts(self, count):
        """The second and later starts of the shop: until /readyz, and until the first answer of an agent."""
        data = self.tmp / "starts"
        shutil.rmtree(data, ignore_errors=True)
        server = Server(self.binary, SHOP, data)
        first = server.start() * 1000
        server.stop()
        ready, answered = [], []
        for _ in range(count):
            ready.append(server.start() * 1000)
            said = server.post("/agent", {"user_id": "bench", "conversation_id": "one", "query": "What time is it?"})
            answered.append((time.perf_counter() - server.begin) * 1000)
            if said["status"] != "completed":
                raise SystemExit(f"the agent answered {said}")
            server.stop()
        shutil.rmtree(data, ignore_errors=True)
        return {"first_ready_ms": first, "ready_ms": statistics.median(ready), "first_answer_ms": statistics.median(answered)}


def size_of(folder):
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
