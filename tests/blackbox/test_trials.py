"""Executions that began with prepared answers: also after `kill -9` no task of theirs calls a service."""

import json

import pytest
from test_bulk import wait

CALL = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "nobody"}}
RETRY = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 3, "MaxAttempts": 1}]
MACHINE = {
    "QueryLanguage": "JSONata",
    "StartAt": "Ask",
    "States": {
        "Ask": {**CALL, "Retry": RETRY, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "Items": [1, 2, 3],
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Rest",
                "States": {"Rest": {"Type": "Wait", "Seconds": 3, "Next": "Work"}, "Work": {**CALL, "End": True}},
            },
            "End": True,
        },
    },
}
MOCKS = {
    "StateMachines": {"trial": {"TestCases": {"Well": {"Ask": "Second", "Work": "Done"}}}},
    "MockedResponses": {
        "Second": {"0": {"Throw": {"Error": "Busy", "Cause": "later"}}, "1": {"Return": {"said": "yes"}}},
        "Done": {"0": {"Return": {"done": True}}},
    },
}


@pytest.fixture
def server(start, tmp_path):
    folder = tmp_path / "project"
    (folder / "workflows").mkdir(parents=True)
    (folder / "agents").mkdir()
    (folder / "agents" / "plain.md").write_text("---\ndescription: Plain.\nmodel: default\n---\nBe plain.\n")
    (folder / "bedplate.toml").write_text('[project]\nname = "trials"\ndefault_agent = "plain"\n')
    (folder / "workflows" / "trial.asl.json").write_text(json.dumps(MACHINE))
    (folder / "workflows" / "trial.mocks.json").write_text(json.dumps(MOCKS))
    return start(folder)


def test_a_trial_keeps_its_answers_across_kills_also_in_the_children_of_a_map(server):
    made = server.post("/v1/workflows/trial/executions", {"mocks": "Well"})
    assert made.status_code == 202, made.text
    path = f"/v1/executions/{made.json()['id']}"
    look = lambda: server.get(f"{path}/history").text  # noqa: E731
    # Killed while a retry waits: the first answer was given, and the second is to come.
    wait("the first answer did not come", look, lambda said: "Busy" in said)
    server.kill()
    server.start()
    # Killed while the children wait: none has come to its task.
    wait("the Map did not begin", look, lambda said: "MapRunStarted" in said)
    children = lambda: server.get(f"/v1/runs/{made.json()['id']}/children").json()["children"]  # noqa: E731
    wait("the children did not begin", children, lambda found: len(found) == 3)
    server.kill()
    server.start()
    over = wait("it did not end", lambda: server.get(path).json(), lambda found: found["status"] != "RUNNING")
    assert (over["status"], over["output"]) == ("SUCCEEDED", [{"done": True}] * 3), over
    # Without the answers the function is one that nobody configured.
    plain = server.post("/v1/workflows/trial/executions", {"wait_seconds": 30}).json()
    assert plain["status"] == "FAILED", plain
