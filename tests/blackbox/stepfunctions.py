"""Runs the recorded Step Functions cases over boto3 against a server, one kind or one case at a time."""

import collections
import contextlib
import io
import json
import os
import re
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]

# What the service began to tell on 25 July 2024; recordings from before lack it.
LATER = ("encryptionConfiguration",)


def cases():
    """Returns the folder of the recorded cases, or none."""
    folder = Path(os.environ.get("BEDPLATE_CASES", REPO / ".." / "shared" / "cases")) / "asl"
    return folder.resolve() if (folder / "run_endpoint.py").exists() else None


def run(url, out, kinds, only="", mock_url=None, ignore=()):
    """Runs cases with their own runner and returns its rows; what it prints is dropped. Fields that are named in
    `ignore` are not compared."""
    folder = cases()
    file = folder / "run_endpoint.py"
    source = file.read_text()
    assert "IGN = {" in source, "the runner has another form"
    source = source.replace("IGN = {", "IGN = {" + "".join(f'"{name}", ' for name in ignore), 1)
    arguments = ["run_endpoint.py", url, str(folder), str(out), "--kinds", kinds, "--filter", only]
    if mock_url:
        arguments += ["--mock-url", mock_url]
    before = sys.argv, dict(os.environ)
    sys.argv = arguments
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, str(file), "exec"), {"__name__": "__main__", "__file__": str(file)})
    finally:
        sys.argv = before[0]
        os.environ.clear()
        os.environ.update(before[1])
    with open(out) as lines:
        return [json.loads(line) for line in lines]


def text(content):
    """Returns an object of a recording's bucket as the text that it is."""
    return content if isinstance(content, str) else json.dumps(content)


def objects(bucket):
    """Returns the objects that the recordings find in a bucket, by name, and how many of them find which text."""
    found = collections.defaultdict(collections.Counter)
    for file in sorted((cases() / "execution").glob("*.json")):
        held = json.loads(file.read_text()).get("s3") or {}
        for name, content in held.get(bucket, {}).items():
            found[name][text(content)] += 1
    return found


def load(row):
    """Returns the case of a row."""
    with open(row["file"]) as file:
        return json.load(file)


def why_odd(case):
    """Returns why the recorded history of an execution cannot be had as it is recorded, by rules that name no case; or
    none. `docs/reference/states-language-deviations.md` has the reasons at length."""
    said = json.dumps([case["expected"], case["mocks"]])
    given = json.dumps([case.get("definition"), case.get("definition_text"), case.get("input")])
    day, month, year = case["source"]["recorded"].split(",")[0].split("-")
    recorded = f"{year}-{month}-{day}"
    if "mapRunArn" in said and recorded < "2024-08":
        return "the service counts the events of map runs otherwise since August 2024"
    if "context_object" in case["features"] and '"RedriveCount"' not in said and recorded < "2023-11-15":
        return "its context object is older than redrives"
    accounts = set(re.findall(r"arn:aws:[a-z]+:[a-z0-9-]*:(\d{12}):", said))
    if accounts - set(re.findall(r"\d{12}", given)) - {"111111111111"}:
        return "it names an account that its own input does not"
    if case["task_class"] == "activity":
        return "what a worker does, or that there is none, is no prepared answer"
    return None


def why_unusable(case):
    """Returns why a recorded conversation cannot be answered as it is recorded, by rules that name no case; or none."""
    for step in case["steps"]:
        expected, sent = step.get("expected"), json.dumps(step["params"])
        if not isinstance(expected, dict):
            if isinstance(expected, str) and expected.startswith("Parameter validation failed"):
                return "it expects the client's own validation, which the runner switches off"
            if isinstance(expected, str) and expected.startswith("An error occurred"):
                return "it expects the words of a client that may retry, which the runner's may not"
            continue
        if "event_timestamp" in expected:
            return "what it expects of StartExecution is a record of CloudWatch Logs"
        if '"nextToken": "stub"' in sent:
            return "its paging token is lost"
        said = json.dumps(expected)
        if "log-group:log_group_name" in said and "log-group:log_group_name" not in "".join(
            json.dumps(other["params"]) for other in case["steps"]
        ):
            return "it expects a log group that nobody named"
        if "lambda" in sent and step["op"] == "CreateStateMachine" and "expects_error" not in step:
            return "it calls a Lambda function that the recording does not hold"
    return None

