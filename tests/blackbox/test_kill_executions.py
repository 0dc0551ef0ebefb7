"""kill -9 under a thousand executions: what was acknowledged ends, with its own output, and no effect is doubled.

*Lost*: acknowledged, and not ended well. *Doubled*: more keys of a task that may be repeated than there are
executions, or a second effect of one that may not, counted at the receiver. A task that may not be repeated and was cut
off ends as `States.TaskFailed`, which the workflow catches.
"""

import heapq
import os
import random
import shutil
import threading
import time

import pytest
import requests
from harness import PROJECTS, name
from receiver import Receiver

KILLS = int(os.environ.get("BEDPLATE_KILLS", "5"))
SEED = int(os.environ.get("BEDPLATE_KILL_SEED", str(random.randrange(1_000_000))))
CLIENTS, UNDER_WAY = 8, 1000


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


class Load:
    """Clients that together keep so many executions under way, and repeat a start until they know that it was taken."""

    def __init__(self, server, seed):
        self.server = server
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        # By id: the execution's number.
        self.acknowledged = {}
        self.asked = 0
        self.repeats = 0
        self.faults = []
        # When each ends at the earliest.
        self.ends = []
        self.threads = [threading.Thread(target=self.client, args=(random.Random(seed + n),)) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def under_way(self):
        with self.lock:
            while self.ends and self.ends[0] < time.monotonic():
                heapq.heappop(self.ends)
            return len(self.ends)

    def client(self, chance):
        while not self.stopping.is_set():
            if self.under_way() < UNDER_WAY:
                self.start_one(chance.randrange(1, 12))
            else:
                time.sleep(0.01)

    def start_one(self, seconds):
        with self.lock:
            self.asked += 1
            number = self.asked
        key, body = name("key"), {"input": {"number": number, "seconds": seconds}}
        while True:
            try:
                answer = requests.post(
                    f"{self.server.url}/v1/workflows/durable/executions", json=body, headers={"idempotency-key": key}, timeout=60)
            except requests.RequestException:
                # Killed: whether it was taken is not known, so it is sent again under the same key.
                self.repeats += 1
                if self.stopping.is_set() and self.server.process.poll() is not None:
                    return
                time.sleep(0.01)
                continue
            if answer.status_code == 503:
                time.sleep(0.01)
                continue
            with self.lock:
                if answer.status_code in (200, 202):
                    self.acknowledged[answer.json()["id"]] = number
                    heapq.heappush(self.ends, time.monotonic() + seconds)
                else:
                    self.faults.append((answer.status_code, answer.text))
            return

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(180)
            assert not thread.is_alive(), "a client still waits for an answer"


def statuses(server):
    """Returns how every execution stands, by its id."""
    found, cursor = {}, None
    while True:
        page = server.get("/v1/executions?limit=200" + (f"&cursor={cursor}" if cursor else "")).json()
        found |= {execution["id"]: execution["status"] for execution in page["executions"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def settled(server):
    deadline = time.monotonic() + 180
    while True:
        found = statuses(server)
        if "RUNNING" not in found.values() or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def test_kill_9_under_a_thousand_executions_loses_none_and_doubles_no_effect(start, tmp_path, receiver):
    project = tmp_path / "project"
    shutil.copytree(PROJECTS / "kill-executions", project)
    config = project / "bedplate.toml"
    config.write_text(config.read_text().replace("PORT", str(receiver.port)))
    chance = random.Random(SEED)
    server = start(project)
    load = Load(server, SEED)
    counts = []
    try:
        deadline = time.monotonic() + 60
        while load.under_way() < UNDER_WAY and time.monotonic() < deadline:
            time.sleep(0.05)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.15, 0.9))
            counts.append(load.under_way())
            server.kill()
            server.start()
    finally:
        load.stop()
    found = settled(server)
    lost = {run: found.get(run) for run in load.acknowledged if found.get(run) != "SUCCEEDED"}
    outputs = {run: server.get(f"/v1/executions/{run}").json()["output"] for run in load.acknowledged}
    wrong = {run: output for run, output in outputs.items() if output != {"kept": load.acknowledged[run]}}
    bumps, once = receiver.executions["bump"], receiver.executions["once"]
    doubled = max(0, len(bumps) - len(found)) + sum(count - 1 for count in once.values())
    unknown = len(found) - len(once)
    print(
        f"\nkill -9: seed {SEED}, kills {KILLS}, under {sum(counts) // len(counts)} executions, "
        f"acknowledged {len(load.acknowledged)}, lost {len(lost)}, doubled {doubled} "
        f"(starts {load.repeats} repeated, idempotent tasks {sum(bumps.values()) - len(bumps)} repeated, "
        f"{max(0, unknown)} never had their effect)"
    )
    assert load.faults == []
    assert lost == {} and wrong == {}
    assert doubled == 0 and None not in bumps and None not in once
    assert len(bumps) == len(found), "an effect is missing"
    assert sum(counts) > 0, "there was no load"
