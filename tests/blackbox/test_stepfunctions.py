"""Step Functions' API over boto3, held against recordings of the service itself; and what recordings do not show."""

import collections
import json
import shutil
import threading
import time
from pathlib import Path

import boto3
import pytest
import requests
import stepfunctions
from botocore.config import Config
from botocore.exceptions import ClientError
from harness import PROJECTS, Bedplate

ROLE = "arn:aws:iam::111111111111:role/sfn_role"
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
LEVELS = ("L1", "L2", "L3", "L4", "L5")

needs_cases = pytest.mark.skipif(stepfunctions.cases() is None, reason="there are no cases; set BEDPLATE_CASES")


def client(url):
    """Returns a client as code written for AWS has it; only the endpoint differs."""
    return boto3.client(
        "stepfunctions",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="111111111111",
        aws_secret_access_key="x",
        config=Config(retries={"max_attempts": 0}, inject_host_prefix=False, read_timeout=70),
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with what the recordings reach besides prepared answers: a bucket, and functions that give back what
    they are given."""
    folder = tmp_path_factory.mktemp("states") / "project"
    shutil.copytree(PROJECTS / "scripted", folder)
    (folder / "bucket").mkdir()
    with open(folder / "bedplate.toml", "a") as config:
        config.write('\n[buckets.test-bucket-uid00001]\nfolder = "bucket"\n')
        for name in ("sfn_lambda_uid00001", "lambda_func_uid00001"):
            config.write(f'\n[functions.{name}]\ncommand = ["cat"]\n')
    return folder


@pytest.fixture(scope="module")
def server(project, tmp_path_factory):
    """A server that takes prepared answers of tasks and hurries, as only a test's may."""
    data = tmp_path_factory.mktemp("states-data") / "data"
    flags = ("--model", "rehearsal", "--dev-task-mocks", "--dev-clock-speed", "4")
    server = Bedplate(project, data, *flags).start()
    yield server
    server.assert_healthy()
    assert server.stop() == 0


@pytest.fixture
def sfn(server):
    return client(server.url)


def clear(sfn):
    """Removes every state machine and activity, so that a conversation begins with none."""
    for machine in sfn.list_state_machines()["stateMachines"]:
        sfn.delete_state_machine(stateMachineArn=machine["stateMachineArn"])
    for activity in sfn.list_activities()["activities"]:
        sfn.delete_activity(activityArn=activity["activityArn"])


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def shares_of(rows):
    """Returns what part of the rows reaches each level."""
    told = {level: [row for row in rows if "exception" in row or row.get(level) is not None] for level in LEVELS}
    return {level: percent(sum(bool(row.get(level)) for row in rows), len(rows)) for level, rows in told.items()}


def print_table(rows):
    """Prints how many cases reach each level, by category and in all."""
    table = collections.defaultdict(lambda: {level: [0, 0] for level in LEVELS})
    for row in rows:
        for name in (row["category"], "all"):
            for level in LEVELS:
                if "exception" in row or row.get(level) is not None:
                    table[name][level][1] += 1
                    table[name][level][0] += bool(row.get(level))
    print()
    for name in sorted(table, key=lambda name: (name == "all", name)):
        cells = "  ".join(f"{level} {good:>3}/{of:<3}" for level, (good, of) in table[name].items())
        print(f"{name:<34} {cells}")


@needs_cases
def test_executions_have_the_outcome_and_history_that_the_service_recorded(server, project, tmp_path):
    bucket, hook = project / "bucket", f"{server.url}/dev/task-mocks"
    for name, contents in stepfunctions.objects("test-bucket-uid00001").items():
        (bucket / name).write_text(contents.most_common(1)[0][0])
    plain = stepfunctions.run(server.url, tmp_path / "out.jsonl", "execution", mock_url=hook)
    print("\nas the runner has it:", {level: round(share, 1) for level, share in shares_of(plain).items()})
    rows = []
    for row in plain:
        objects = (stepfunctions.load(row).get("s3") or {}).get("test-bucket-uid00001", {})
        if any((bucket / name).read_text() != stepfunctions.text(content) for name, content in objects.items()):
            # The recordings share names of objects, so that this one runs with its own.
            for name, content in objects.items():
                (bucket / name).write_text(stepfunctions.text(content))
            only = Path(row["file"]).name
            (row,) = stepfunctions.run(server.url, tmp_path / "one.jsonl", "execution", only, mock_url=hook)
        rows.append(row)
    assert shares_of(plain)["L3"] >= 99
    assert len(rows) > 300
    print_table(rows)
    shares = shares_of(rows)
    for row in rows:
        short = next((level for level in LEVELS if row.get(level) is False), None)
        if short or "exception" in row:
            print(short, Path(row["file"]).name, row.get("exception") or row.get("detail") or "")
    print({level: round(share, 1) for level, share in shares.items()})
    odd = collections.Counter()
    others = [0, 0]
    for row in rows:
        reason = stepfunctions.why_odd(stepfunctions.load(row))
        if reason:
            odd[reason] += row.get("L5") is False
        elif row.get("L5") is not None:
            others[1] += 1
            others[0] += row["L5"]
    print(f"L5 of the recordings that the service would make today: {others[0]} of {others[1]}")
    for reason, count in odd.items():
        print(f"  {count} short: {reason}")
    assert shares["L3"] >= 99 and shares["L4"] >= 98 and shares["L5"] >= 94
    assert percent(*others) >= 96


@needs_cases
def test_single_states_and_definitions_are_judged_as_the_service_judges_them(server, tmp_path):
    rows = stepfunctions.run(server.url, tmp_path / "out.jsonl", "test_state,validation")
    kinds = collections.Counter(row["kind"] for row in rows)
    full = collections.Counter(row["kind"] for row in rows if row.get("full"))
    for kind, count in kinds.items():
        print(f"{kind}: {full[kind]} of {count} match in full")
        assert percent(full[kind], count) >= 95, [row for row in rows if not row.get("full")]


@needs_cases
def test_conversations_go_as_the_service_recorded_them(server, sfn, tmp_path):
    asked = full = raw = 0
    unusable = collections.Counter()
    short = []
    for file in sorted((stepfunctions.cases() / "api").glob("*.json")):
        case = json.loads(file.read_text())
        if case.get("source", {}).get("oracle") == "localstack_text":
            continue
        clear(sfn)
        (row,) = stepfunctions.run(server.url, tmp_path / "raw.jsonl", "api", only=file.name)
        raw += bool(row.get("full"))
        asked += 1
        reason = stepfunctions.why_unusable(case)
        if reason:
            unusable[reason] += 1
            continue
        if not row.get("full"):
            clear(sfn)
            (row,) = stepfunctions.run(
                server.url, tmp_path / "out.jsonl", "api", only=file.name, ignore=stepfunctions.LATER
            )
        full += bool(row.get("full"))
        if not row.get("full"):
            short.append((file.name, row.get("bad") or row.get("exception")))
    usable = asked - sum(unusable.values())
    print(f"\napi: {full} of {usable} usable conversations match in full; {raw} of all {asked} to the letter")
    for reason, count in unusable.items():
        print(f"  {count} not usable: {reason}")
    for name, bad in short:
        print(" ", name, bad)
    assert percent(full, usable) >= 95


def wait(sfn, arn, seconds=20):
    """Waits for the end of an execution."""
    deadline = time.monotonic() + seconds
    while True:
        said = sfn.describe_execution(executionArn=arn)
        if said["status"] != "RUNNING" or time.monotonic() > deadline:
            return said
        time.sleep(0.02)


def make(sfn, name, definition, **more):
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return sfn.create_state_machine(name=name, definition=text, roleArn=ROLE, **more)["stateMachineArn"]


def code(call, **parameters):
    """Calls an operation that is refused and returns the error's code."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Message"], "an error says what is wrong"
    return caught.value.response["Error"]["Code"]


def test_a_repeated_start_under_one_name_is_one_execution(sfn):
    arn = make(sfn, "once", {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 30, "End": True}}})
    first = sfn.start_execution(stateMachineArn=arn, name="n", input="{}")
    again = sfn.start_execution(stateMachineArn=arn, name="n", input="{}")
    assert first["executionArn"] == again["executionArn"] and first["startDate"] == again["startDate"]
    assert code(sfn.start_execution, stateMachineArn=arn, name="n", input='{"other": 1}') == "ExecutionAlreadyExists"
    sfn.stop_execution(executionArn=first["executionArn"], error="E", cause="c")
    said = wait(sfn, first["executionArn"])
    assert (said["status"], said["error"], said["cause"]) == ("ABORTED", "E", "c")
    assert code(sfn.start_execution, stateMachineArn=arn, name="n", input="{}") == "ExecutionAlreadyExists"


def test_a_long_history_is_paged_in_both_directions_without_a_gap(sfn):
    states = {f"S{at}": {"Type": "Pass", "Next": f"S{at + 1}"} for at in range(120)}
    states["S120"] = {"Type": "Succeed"}
    arn = make(sfn, "long", {"StartAt": "S0", "States": states})
    execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
    assert wait(sfn, execution)["status"] == "SUCCEEDED"

    def read(reverse, size):
        ids, token = [], None
        while True:
            page = sfn.get_execution_history(
                executionArn=execution, reverseOrder=reverse, maxResults=size, **({"nextToken": token} if token else {})
            )
            assert len(page["events"]) <= size
            ids += [event["id"] for event in page["events"]]
            token = page.get("nextToken")
            if not token:
                return ids

    forwards = read(False, 7)
    assert forwards == list(range(1, len(forwards) + 1)) and len(forwards) == 2 + 2 * 121
    assert read(True, 100) == forwards[::-1]
    token = sfn.get_execution_history(executionArn=execution, maxResults=3)["nextToken"]
    other = sfn.start_execution(stateMachineArn=arn)["executionArn"]
    assert code(sfn.get_execution_history, executionArn=other, nextToken=token) == "InvalidToken"


def test_a_worker_polls_an_activity_and_its_answer_ends_the_task(sfn):
    activity = sfn.create_activity(name="work")["activityArn"]
    states = {"T": {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 60, "End": True}}
    arn = make(sfn, "worker", {"StartAt": "T", "States": states})
    execution = sfn.start_execution(stateMachineArn=arn, input='{"n": 1}')["executionArn"]
    task = sfn.get_activity_task(activityArn=activity, workerName="w1")
    assert json.loads(task["input"]) == {"n": 1}
    sfn.send_task_heartbeat(taskToken=task["taskToken"])
    assert code(sfn.send_task_success, taskToken=task["taskToken"], output="no json") == "InvalidOutput"
    sfn.send_task_success(taskToken=task["taskToken"], output='{"m": 2}')
    said = wait(sfn, execution)
    assert (said["status"], json.loads(said["output"])) == ("SUCCEEDED", {"m": 2})
    assert code(sfn.send_task_success, taskToken=task["taskToken"], output="{}") == "TaskTimedOut"
    assert code(sfn.send_task_heartbeat, taskToken="x") == "InvalidToken"
    assert code(sfn.get_activity_task, activityArn=activity + "-none") == "ActivityDoesNotExist"


def test_two_workers_never_get_one_task(sfn):
    activity = sfn.create_activity(name="many")["activityArn"]
    arn = make(sfn, "many", {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": activity, "End": True}}})
    executions = [sfn.start_execution(stateMachineArn=arn, input=str(at))["executionArn"] for at in range(20)]
    taken, lock = [], threading.Lock()

    def work():
        while True:
            with lock:
                if len(taken) >= len(executions):
                    return
            task = sfn.get_activity_task(activityArn=activity)
            if "input" not in task:
                return  # the others took the last ones while this poll was open
            with lock:
                taken.append(task["input"])
                full = len(taken) >= len(executions)
            sfn.send_task_success(taskToken=task["taskToken"], output=task["input"])
            if full:
                return

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for execution in executions:
        assert wait(sfn, execution)["status"] == "SUCCEEDED"
    with lock:
        assert sorted(taken, key=int) == [str(at) for at in range(20)]


def test_a_failed_execution_is_redriven_where_it_failed(server, sfn):
    arn = make(
        sfn,
        "redrive",
        {
            "StartAt": "A",
            "States": {
                "A": {"Type": "Pass", "Result": {"kept": True}, "Next": "B"},
                "B": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"}, "End": True},
            },
        },
    )

    def mock(answer):
        states = {"B": [answer]}
        reply = requests.post(
            f"{server.url}/dev/task-mocks", json={"stateMachineArn": arn, "states": states}, timeout=10
        )
        assert reply.status_code == 200, reply.text

    mock({"throw": {"error": "E", "cause": "down"}})
    execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
    failed = wait(sfn, execution)
    assert (failed["status"], failed["redriveStatus"]) == ("FAILED", "REDRIVABLE")
    mock({"return": {"ok": 1}})
    sfn.redrive_execution(executionArn=execution, clientToken="t1")
    said = wait(sfn, execution)
    assert (said["status"], json.loads(said["output"]), said["redriveCount"]) == ("SUCCEEDED", {"ok": 1}, 1)
    kinds = [event["type"] for event in sfn.get_execution_history(executionArn=execution)["events"]]
    assert "ExecutionRedriven" in kinds and kinds.count("PassStateEntered") == 1
    assert code(sfn.redrive_execution, executionArn=execution) == "ExecutionNotRedrivable"


def test_an_alias_sends_executions_where_its_weights_say(sfn):
    arn = make(sfn, "weights", PASS, publish=True)
    sfn.update_state_machine(
        stateMachineArn=arn,
        definition=json.dumps({"StartAt": "B", "States": {"B": {"Type": "Pass", "Result": 2, "End": True}}}),
        publish=True,
    )
    alias = sfn.create_state_machine_alias(
        name="live",
        routingConfiguration=[
            {"stateMachineVersionArn": f"{arn}:1", "weight": 50},
            {"stateMachineVersionArn": f"{arn}:2", "weight": 50},
        ],
    )["stateMachineAliasArn"]
    executions = [sfn.start_execution(stateMachineArn=alias)["executionArn"] for _ in range(40)]
    versions = collections.Counter(wait(sfn, execution)["stateMachineVersionArn"] for execution in executions)
    assert set(versions) == {f"{arn}:1", f"{arn}:2"}, versions
    assert code(sfn.delete_state_machine_version, stateMachineVersionArn=f"{arn}:1") == "ConflictException"
    listed = sfn.list_executions(stateMachineArn=f"{arn}:2")["executions"]
    assert len(listed) == versions[f"{arn}:2"]


def test_an_express_machine_answers_at_once(sfn):
    arn = make(sfn, "express", PASS, type="EXPRESS")
    said = sfn.start_sync_execution(stateMachineArn=arn, input='{"a": 1}')
    assert (said["status"], json.loads(said["output"])) == ("SUCCEEDED", {"a": 1})
    assert code(sfn.list_executions, stateMachineArn=arn) == "StateMachineTypeNotSupported"


def test_all_operations_of_the_services_model_are_known(sfn):
    missing = []
    for operation in sfn.meta.service_model.operation_names:
        reply = requests.post(
            sfn.meta.endpoint_url,
            data="{}",
            headers={"X-Amz-Target": f"AWSStepFunctions.{operation}", "Content-Type": "application/x-amz-json-1.0"},
            timeout=10,
        )
        assert reply.headers["content-type"] == "application/x-amz-json-1.0"
        if reply.status_code >= 500 or reply.json().get("__type") == "UnknownOperationException":
            missing.append((operation, reply.text))
    assert missing == []


@pytest.mark.parametrize("body", ["", "[]", "null", '{"stateMachineArn": 1}', '{"name": "\\ud800"}', "{" * 1000, "\xff"])
def test_garbage_is_refused_in_the_services_form(sfn, body):
    for target in ("AWSStepFunctions.CreateStateMachine", "AWSStepFunctions.GetExecutionHistory", "AWSStepFunctions.No", "x"):
        reply = requests.post(sfn.meta.endpoint_url, data=body.encode("latin-1"), headers={"X-Amz-Target": target}, timeout=10)
        assert reply.status_code == 400 and reply.json()["__type"] and reply.json()["message"], reply.text


def test_prepared_answers_are_not_taken_where_nobody_asked_for_that(shop):
    reply = requests.post(f"{shop.url}/dev/task-mocks", json={"stateMachineArn": "x", "states": {}}, timeout=10)
    assert reply.status_code in (404, 405)
