"""Forks, replays and children of executions over the native API: bad places are refused, and nothing is lost by a kill."""

import shutil

import pytest
from harness import REPO, Bedplate, error_code

EXAMPLES = REPO / "examples" / "workflows"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forks")
    project = folder / "project"
    shutil.copytree(EXAMPLES, project)
    server = Bedplate(project, folder / "data").start()
    yield server
    server.assert_healthy()
    assert server.stop() == 0


def started(server, name, given, wait=30):
    made = server.post(f"/v1/workflows/{name}/executions", {"input": given, "wait_seconds": wait})
    assert made.status_code in (200, 202), made.text
    return made.json()["id"]


def history(server, execution):
    return server.get(f"/v1/executions/{execution}/history?limit=200").json()["events"]


def entry(server, execution, state):
    return next(one["seq"] for one in history(server, execution) if one["state"] == state and "Entered" in one["type"])


def test_places_that_cannot_be_forked_from_are_refused_with_a_code(server):
    done = started(server, "fan-out", {"question": "Is it?"})
    end = history(server, done)[-1]["seq"]
    at = entry(server, done, "Draft")
    fork = f"/v1/executions/{done}/fork"
    for body, status, code in [
        ({"at": 0}, 404, None), ({"at": end + 1000}, 404, None), ({"at": 1}, 404, None), ({"at": end}, 409, "not_forkable"),
        ({"at": at + 1, "input": {}}, 400, "no_entry"), ({"at": at, "name": "no name!"}, 400, "invalid_name"),
        ({"at": at, "input": "x" * 300_000}, 413, "input_too_large"), ({"at": at, "definition": "other"}, 400, None),
        ({"at": -1}, 400, None), ({"at": at, "more": 1}, 400, None), ({}, 400, None),
    ]:
        refused = server.post(fork, body)
        assert refused.status_code == status, (body if len(str(body)) < 200 else "large", refused.text)
        if code:
            assert error_code(refused) == code
    assert server.post(fork, {"at": at, "name": "twice"}).status_code == 201
    assert error_code(server.post(fork, {"at": at, "name": "twice"})) == "execution_exists"
    agents = server.get(f"/v1/runs/{done}/children").json()["children"]
    assert {one["kind"] for one in agents} == {"agent"} and len(agents) >= 4
    # Each kind of run is forked and replayed by its own routes.
    assert server.post(f"/v1/executions/{agents[0]['run_id']}/fork", {"at": 3}).status_code == 404
    assert server.get(f"/v1/executions/{agents[0]['run_id']}/replay").status_code == 404
    assert server.post(f"/v1/runs/{done}/fork", {}).status_code == 404
    assert server.get(f"/v1/executions/{done}/replay?at={end + 1}").status_code == 404


def test_a_fork_from_every_state_ends_like_its_original_and_replays_without_a_difference(server):
    done = started(server, "fan-out", {"question": "Shall we?"})
    original = server.get(f"/v1/executions/{done}").json()
    for one in [event for event in history(server, done) if "Entered" in event["type"]]:
        made = server.post(f"/v1/executions/{done}/fork", {"at": one["seq"]})
        assert made.status_code == 201, (one, made.text)
        fork = made.json()
        assert fork["forked_from"] == {"id": done, "at": one["seq"] - 1}
        ended = wait(server, fork["id"])
        assert (ended["status"], ended["output"]) == ("SUCCEEDED", original["output"]), one
        replay = server.get(f"/v1/executions/{fork['id']}/replay").json()
        assert replay["same"], replay
    assert server.get(f"/v1/executions/{done}").json() == original


def test_a_fork_of_a_trial_is_answered_by_the_prepared_answers_and_calls_no_agent(server):
    asked = {"input": {"user_id": "u", "research_query": "What is a model?"}, "wait_seconds": 30, "mocks": "HappyPath"}
    done = server.post("/v1/workflows/research/executions", asked).json()["id"]
    expected = server.get(f"/v1/executions/{done}").json()["output"]
    assert expected["final_result"] == {"response": "It is the data."}
    forked_from = done
    for state in ("AnalysisAgent", "ResearchAgent", "SummaryAgent"):
        # Each is a fork of the one before: the answers go on to forks of forks, and are not used up.
        made = server.post(f"/v1/executions/{forked_from}/fork", {"at": entry(server, forked_from, state)})
        assert made.status_code == 201, made.text
        fork = made.json()["id"]
        ended = wait(server, fork)
        assert (ended["status"], ended["output"]) == ("SUCCEEDED", expected), state
        assert server.get(f"/v1/runs/{fork}/children").json()["children"] == [], "an agent was called"
        forked_from = fork
    # A fork that is refused leaves no answers to whoever takes its name.
    at = entry(server, done, "AnalysisAgent")
    assert server.post(f"/v1/executions/{done}/fork", {"at": at + 1, "input": {}, "name": "taken"}).status_code == 400
    plain = {"input": asked["input"], "wait_seconds": 30, "name": "taken"}
    plain = server.post("/v1/workflows/research/executions", plain).json()["id"]
    assert wait(server, plain)["output"]["final_result"] != expected["final_result"]


def test_a_fork_that_is_asked_for_twice_with_one_key_is_made_once(server):
    asks = started(server, "refund-approval", {"order": "I", "amount": 70}, wait=0)
    waiting(server, asks)
    path, key = f"/v1/executions/{asks}/fork", {"idempotency-key": "fork-1"}
    body = {"at": entry(server, asks, "AskAPerson"), "input": {"order": "I", "amount": 71}}
    made, again = server.post(path, body, headers=key), server.post(path, body, headers=key)
    assert (made.status_code, again.status_code) == (201, 200), again.text
    assert again.json()["joined"] and {**again.json(), "joined": None} == {**made.json(), "joined": None}
    for other in ({**body, "input": {"order": "I", "amount": 72}}, {"at": body["at"]}, {**body, "definition": "current"}):
        refused = server.post(path, other, headers=key)
        assert (refused.status_code, error_code(refused)) == (409, "idempotency_key_reused"), other
    named = {**body, "name": "named-once"}
    assert [server.post(path, named, headers=key).status_code for _ in range(2)] == [201, 200]
    assert error_code(server.post(path, named)) == "execution_exists"
    # Without a key, each request makes one.
    assert server.post(path, body).json()["id"] != server.post(path, body).json()["id"]
    assert server.post(path, body, headers={"idempotency-key": ""}).status_code == 400
    server.kill()
    server.start()
    assert server.post(path, body, headers=key).json()["id"] == made.json()["id"]


def test_a_fork_survives_kill_and_asks_under_its_own_token(server):
    asks = started(server, "refund-approval", {"order": "K", "amount": 70}, wait=0)
    task = waiting(server, asks)
    fork = server.post(f"/v1/executions/{asks}/fork", {"at": entry(server, asks, "AskAPerson"), "input": {"order": "K", "amount": 71}}).json()["id"]
    own = waiting(server, fork)
    assert own["token"] != task["token"] and own["input"]["amount"] == 71 and own["deadline"]
    server.kill()
    server.start()
    assert waiting(server, fork)["token"] == own["token"]
    assert server.post(f"/v1/runs/{fork}/calls/{own['call']}/answer", {"approved": True}).status_code == 200
    assert wait(server, fork)["output"] == {"order": "K", "amount": 71, "refunded": True}
    assert server.get(f"/v1/executions/{asks}").json()["status"] == "RUNNING"
    assert server.post(f"/v1/executions/{asks}/stop", {}).status_code == 200


def test_children_of_a_map_run_are_listed_with_its_sums_and_a_page_goes_on_where_the_last_ended(server):
    done = started(server, "review-batch", {})
    shown = server.get(f"/v1/executions/{done}").json()
    (run,) = shown["map_runs"]
    assert (run["state"], run["status"], run["total"], run["succeeded"]) == ("Reviews", "SUCCEEDED", 10, 10)
    seen = [child for page in server.pages(f"/v1/runs/{done}/children?limit=4", "children") for child in page]
    assert len({one["run_id"] for one in seen}) == 10 and {one["name"] for one in seen} == {run["arn"]}
    assert server.get(f"/v1/runs/{'0' * 32}/children").status_code == 404


def waiting(server, execution):
    for _ in range(400):
        tasks = server.get(f"/v1/executions/{execution}").json()["tasks"]
        if tasks:
            return tasks[0]
    raise AssertionError("no task waits")


def wait(server, execution):
    for _ in range(2_000):
        shown = server.get(f"/v1/executions/{execution}").json()
        if shown["status"] != "RUNNING":
            return shown
    raise AssertionError("it does not end")
