"""kill -9 under load: what was acknowledged is neither lost nor doubled.

*Acknowledged*: the server answered a start with 200 or 202. *Lost*: acknowledged, and neither ended nor waiting on a
question that is shown. *Doubled*: two effects under one intent, counted at the receiver: for a tool whose receiver
knows repeats by their key, more keys than calls; for one that may not be repeated, a second execution that no person
allowed.
"""

import json
import os
import random
import shutil
import time

import pytest
from clients import Clients
from harness import PROJECTS, name
from receiver import Receiver

KILLS = int(os.environ.get("BEDPLATE_KILLS", "20"))
SEED = int(os.environ.get("BEDPLATE_KILL_SEED", str(random.randrange(1_000_000))))
CLIENTS = 12
# How many questions are left open over the rest of the kills; the others are refused as they come.
LEFT_OPEN = 5


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def project(tmp_path, receiver):
    folder = tmp_path / "project"
    shutil.copytree(PROJECTS / "kill", folder)
    for tool in (folder / "tools").iterdir():
        tool.write_text(tool.read_text().replace("PORT", str(receiver.port)))
    return folder


class Load(Clients):
    """Clients that start turns."""

    def __init__(self, server, seed):
        self.acknowledged = []
        super().__init__(server, seed, CLIENTS)

    def client(self, chance):
        while not self.stopping.is_set():
            session = name("s")
            # One or two turns on a session; the second is sometimes sent while the first is under way.
            for _ in range(chance.choice((1, 1, 2))):
                self.start_one(session, background=chance.random() < 0.4)
            if chance.random() < 0.4:
                time.sleep(0.03)

    def start_one(self, session, background):
        key, body = name("key"), {"input": "Go", "session_id": session, "user_id": "load", "background": background}
        turn = self.insist("/v1/agents/worker/invoke", key, body)
        if turn:
            with self.lock:
                self.acknowledged.append((session, key, turn["run_id"], turn["turn"]))


def questions(server):
    return server.get("/v1/approvals", token=True).json()["approvals"]


def answer(server, question, approved):
    path = f"/v1/runs/{question['run_id']}/calls/{question['call']}/answer"
    done = server.post(path, {"approved": approved}, token=True)
    assert done.status_code in (200, 409), done.text


def refuse_all_but(server, left):
    """Refuses the open questions but `left`; returns how many there were."""
    open_ones = questions(server)
    for question in open_ones:
        assert question["kind"] == "outcome_unknown" and question["tool"] == "once", question
    for question in open_ones[left:]:
        answer(server, question, approved=False)
    return len(open_ones)


def runs(server):
    return [run for page in server.pages("/v1/runs?limit=200", "runs", token=True) for run in page]


def settle(server):
    """Waits until no run is under way, and returns all runs."""
    deadline = time.monotonic() + 90
    while True:
        found = runs(server)
        busy = [run for run in found if run["status"] == "running"]
        if not busy or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_kill_9_under_load_loses_nothing_and_doubles_nothing(start, project, receiver):
    chance = random.Random(SEED)
    server = start(project)
    load = Load(server, SEED)
    asked = 0
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.15, 0.9))
            server.kill()
            server.start()
            asked += refuse_all_but(server, LEFT_OPEN)
    finally:
        load.stop()
    found = settle(server)

    # Lost.
    shown = {(question["run_id"]) for question in questions(server)}
    ended = waiting = 0
    lost = []
    by_run = {}
    for session, key, run, turn in load.acknowledged:
        by_run.setdefault(run, set()).add(turn)
    for run, turns in by_run.items():
        view = server.get(f"/v1/runs/{run}", token=True).json()
        outcomes = {turn["turn"]: turn["status"] for turn in view["turns"]}
        for turn in turns:
            if outcomes.get(turn) == "completed":
                ended += 1
            elif view["status"] == "waiting" and run in shown:
                # The turn itself waits, or it is queued behind the one that does.
                waiting += 1
            else:
                lost.append((run, turn, outcomes.get(turn), view["status"]))

    # Doubled.
    journals = {run["run_id"]: server.events(run["run_id"]) for run in found}
    calls = {"look": 0, "bump": 0, "once": 0}
    turns = 0
    for journal in journals.values():
        requested = [event for event in journal if event["type"] == "tool_requested"]
        returned = [event["call"] for event in journal if event["type"] == "tool_returned"]
        assert len(returned) == len(set(returned)), "a call was closed twice"
        for event in requested:
            calls[event["name"]] += 1
        turns += sum(event["type"] in ("turn_started", "turn_queued") for event in journal)
    doubled_keys = max(0, len(receiver.executions["bump"]) - calls["bump"]) + max(0, len(receiver.executions["once"]) - calls["once"])
    doubled_executions = sum(count - 1 for count in receiver.executions["once"].values())
    doubled_turns = max(0, turns - len({(session, key) for session, key, *_ in load.acknowledged}))
    repeated = sum(count - 1 for count in receiver.executions["bump"].values())
    print(
        f"\nkill -9: seed {SEED}, kills {KILLS}, acknowledged {len(load.acknowledged)}, completed {ended}, "
        f"waiting on a shown question {waiting}, lost {len(lost)}, "
        f"doubled {doubled_keys + doubled_executions + doubled_turns} "
        f"(starts {load.repeats} repeated, idempotent calls {repeated} repeated, questions asked {asked})"
    )
    assert load.faults == []
    assert lost == []
    assert doubled_turns == 0 and doubled_keys == 0 and doubled_executions == 0
    assert None not in receiver.executions["bump"] and None not in receiver.executions["once"]
    assert len(load.acknowledged) >= KILLS, "there was hardly any load"
    assert "panicked" not in server.output(), server.output()

    # What was left open: each is allowed, is done, and had at most the one execution before.
    for question in questions(server):
        before = sum(receiver.executions["once"].values())
        answer(server, question, approved=True)
        server.wait_for(
            "the allowed call was not made", question["run_id"],
            lambda view: view["status"] == "idle" or any(q["call"] != question["call"] for q in view["questions"]))
        after = sum(receiver.executions["once"].values())
        # One for the call that was allowed, and one for a turn that was queued behind it.
        assert 1 <= after - before <= 2
    assert len(receiver.executions["once"]) <= calls["once"] + len(by_run)
    for run in random.Random(SEED).sample(sorted(journals), min(40, len(journals))):
        replay = server.get(f"/v1/runs/{run}/replay", token=True).json()
        assert replay["same"] is True, json.dumps([replay["differences"], journals[run]])
    assert server.stop() == 0
