"""kill -9 under a thousand executions: what was acknowledged ends, with its own output, and no effect is doubled.

*Lost*: acknowledged, and not ended well. *Doubled*: more keys of a task that may be repeated than there are
executions, or a second effect of one that may not, counted at the receiver. A task that may not be repeated and was cut
off ends as `States.TaskFailed`, which the workflow catches.
"""

import heapq
import os
import random
import shutil
import time

import pytest
from clients import Clients
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


class Load(Clients):
    """Clients that together keep so many executions under way."""

    def __init__(self, server, seed):
        # By id: the execution's number.
        self.acknowledged = {}
        self.asked = 0
        # When each ends at the earliest.
        self.ends = []
        super().__init__(server, seed, CLIENTS)

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
        body = {"input": {"number": number, "seconds": seconds}}
        started = self.insist("/v1/workflows/durable/executions", name("key"), body)
        if started:
            with self.lock:
                self.acknowledged[started["id"]] = number
                heapq.heappush(self.ends, time.monotonic() + seconds)


def statuses(server):
    """Returns how every execution stands, by its id."""
    pages = server.pages("/v1/executions?limit=200", "executions")
    return {execution["id"]: execution["status"] for page in pages for execution in page}


def settled(server):
    deadline = time.monotonic() + 180
    while True:
        if "RUNNING" not in statuses(server).values() or time.monotonic() > deadline:
            # One that ended meanwhile moved to a page that was read already, so all are read again.
            return statuses(server)
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
