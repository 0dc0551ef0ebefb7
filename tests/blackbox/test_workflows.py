"""Workflows over the native API: definitions kept byte for byte, executions watched and steered, people asked."""

import json
import time

import pytest
import requests
from harness import PROJECTS, Bedplate

ODD = """{
  "Comment": "blanks and the order of keys are the writer's",
  "States":   { "A": {"Type":"Pass",  "Next": "B"},
                "B": {"End": true, "Type": "Pass", "Result": {"z": 1, "a": 2}} },
  "StartAt": "A"
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("workflows") / "data"
    server = Bedplate(PROJECTS / "scripted", data).start()
    yield server
    server.assert_healthy()
    assert server.stop() == 0


@pytest.fixture
def call(server):
    def call(method, path, body=None, status=200, **headers):
        reply = requests.request(method, server.url + path, json=body, headers=headers, timeout=70)
        assert reply.status_code == status, (reply.status_code, reply.text)
        return reply.json()

    return call


def put(call, name, definition, status=201):
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return call("PUT", f"/v1/workflows/{name}", {"definition": text}, status)


def until(call, execution, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        said = call("GET", f"/v1/executions/{execution}")
        if condition(said) or time.monotonic() > deadline:
            assert condition(said), said
            return said
        time.sleep(0.02)


def test_a_definition_comes_back_byte_for_byte(call):
    made = put(call, "odd", ODD)
    assert made["definition"] == ODD and made["valid"] and made["states"] == 2 and made["origin"] == "api"
    assert call("GET", "/v1/workflows/odd")["definition"] == ODD
    assert "odd" in [workflow["name"] for workflow in call("GET", "/v1/workflows")["workflows"]]


def test_a_write_over_somebody_elses_change_is_refused(call):
    first = put(call, "shared", ODD)
    changed = call("PUT", "/v1/workflows/shared", {"definition": ODD + " ", "if_revision": first["revision"]})
    assert changed["revision"] != first["revision"]
    late = call("PUT", "/v1/workflows/shared", {"definition": ODD, "if_revision": first["revision"]}, 409)
    assert late["error"]["code"] == "workflow_changed"


def test_a_broken_definition_is_refused_with_every_problem_at_its_place(call):
    broken = ODD.replace('"Next": "B"', '"Next": "C"')
    said = put(call, "broken", broken, 400)
    assert said["error"]["code"] == "invalid_definition"
    assert any(one["line"] == 3 and one["pointer"] for one in said["diagnostics"]), said
    judged = call("POST", "/v1/workflows/any/validate", {"definition": broken})
    assert not judged["valid"] and judged["diagnostics"] == said["diagnostics"]
    assert call("GET", "/v1/workflows/broken", status=404)["error"]["code"] == "workflow_not_found"


def test_an_execution_shows_what_each_state_did(call):
    put(call, "two", ODD)
    done = call("POST", "/v1/workflows/two/executions", {"input": {"n": 1}, "wait_seconds": 20})
    assert done["status"] == "SUCCEEDED" and done["ended_at"]
    said = call("GET", f"/v1/executions/{done['id']}")
    assert said["output"] == {"z": 1, "a": 2} and said["definition"] == ODD
    assert {name: state["status"] for name, state in said["states"].items()} == {"A": "done", "B": "done"}
    assert said["states"]["A"]["input"] == {"n": 1} and said["states"]["B"]["output"] == {"z": 1, "a": 2}
    history = call("GET", f"/v1/executions/{done['id']}/history?limit=2")
    assert [event["id"] for event in history["events"]] == [1, 2] and history["next_after"] == 2
    listed = call("GET", "/v1/executions?workflow=two&status=SUCCEEDED")["executions"]
    assert [execution["id"] for execution in listed] == [done["id"]]


def test_a_repeat_with_its_key_joins_the_execution(call):
    put(call, "slow", {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}})
    key = {"Idempotency-Key": "k1"}
    first = call("POST", "/v1/workflows/slow/executions", {"input": {"a": 1}}, 202, **key)
    again = call("POST", "/v1/workflows/slow/executions", {"input": {"a": 1}}, 200, **key)
    assert again["id"] == first["id"] and again["joined"]
    other = call("POST", "/v1/workflows/slow/executions", {"input": {"a": 2}}, 409, **key)
    assert other["error"]["code"] == "idempotency_key_reused"
    said = until(call, first["id"], lambda said: said["states"].get("W", {}).get("status") == "waiting")
    assert said["status"] == "RUNNING"
    stopped = call("POST", f"/v1/executions/{first['id']}/stop", {"error": "E", "cause": "enough"})
    assert stopped["status"] == "ABORTED"
    said = call("GET", f"/v1/executions/{first['id']}")
    assert (said["error"], said["cause"], said["states"]["W"]["status"]) == ("E", "enough", "aborted")
    assert said["redrivable"]


APPROVAL = {
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::bedplate:approval.waitForTaskToken",
            "TimeoutSeconds": 600,
            "Parameters": {"question": "Pay back?", "amount.$": "$.amount", "token.$": "$$.Task.Token"},
            "Catch": [{"ErrorEquals": ["Approval.Refused"], "Next": "No"}],
            "Next": "Yes",
        },
        "Yes": {"Type": "Succeed"},
        "No": {"Type": "Pass", "Result": "refused", "End": True},
    },
}


@pytest.mark.parametrize(("approved", "last"), [(True, "Yes"), (False, "No")])
def test_a_person_decides_in_the_inbox(call, approved, last):
    name = f"approval-{last}"
    put(call, name, APPROVAL)
    started = call("POST", f"/v1/workflows/{name}/executions", {"input": {"amount": 12}}, 202)
    said = until(call, started["id"], lambda said: said["waiting"] == 1)
    assert said["states"]["Ask"]["status"] == "waiting" and said["states"]["Ask"]["deadline"]
    (question,) = [one for one in call("GET", "/v1/approvals")["approvals"] if one["run_id"] == started["id"]]
    assert question["question"] == "Pay back?" and question["source"] == "workflow" and question["deadline"]
    assert question["input"] == {"question": "Pay back?", "amount": 12}, "the token is nobody's business"
    answer = f"/v1/runs/{started['id']}/calls/{question['call']}/answer"
    call("POST", answer, {"approved": approved, "note": "seen"})
    said = until(call, started["id"], lambda said: said["status"] == "SUCCEEDED")
    assert last in said["states"]
    if approved:
        assert said["output"]["approved"] is True and said["output"]["note"] == "seen"
    else:
        assert said["states"]["Ask"]["status"] == "caught"
    assert call("POST", answer, {"approved": True}, 409)["error"]["code"] == "question_not_open"


def test_a_state_is_tested_alone(call):
    said = call(
        "POST",
        "/v1/workflows/test",
        {"definition": ODD, "state": "B", "input": {"x": 1}, "inspection": "DEBUG"},
    )
    assert said["status"] == "SUCCEEDED" and said["output"] == {"z": 1, "a": 2}
    assert said["inspection"]["input"] == {"x": 1} and said["inspection"]["result"] == {"z": 1, "a": 2}
    assert call("POST", "/v1/workflows/test", {"definition": "{", "input": {}}, 400)["error"]["code"] == "invalid_definition"


def test_a_workflow_is_removed_and_its_name_is_free_again(call):
    put(call, "gone", ODD)
    assert call("DELETE", "/v1/workflows/gone") == {"deleted": True}
    assert call("GET", "/v1/workflows/gone", status=404)["error"]["code"] == "workflow_not_found"
    put(call, "gone", ODD)


def test_an_execution_goes_on_after_the_process_was_killed(tmp_path):
    server = Bedplate(PROJECTS / "scripted", tmp_path / "data").start()

    def call(method, path, body=None):
        reply = requests.request(method, server.url + path, json=body, timeout=30)
        assert reply.ok, reply.text
        return reply.json()

    states = {"W": {"Type": "Wait", "Seconds": 2, "Next": "P"}, "P": {"Type": "Pass", "Result": "kept", "End": True}}
    call("PUT", "/v1/workflows/durable", {"definition": json.dumps({"StartAt": "W", "States": states})})
    started = [call("POST", "/v1/workflows/durable/executions", {"input": at})["id"] for at in range(20)]
    server.kill()
    server.start()
    for execution in started:
        deadline = time.monotonic() + 30
        while (said := call("GET", f"/v1/executions/{execution}"))["status"] == "RUNNING":
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert (said["status"], said["output"]) == ("SUCCEEDED", "kept")
    server.assert_healthy()
    assert server.stop() == 0
