"""`bedplate workflow`: running, listing, showing, redriving, testing and drawing on the command line."""

import json
import shutil

import pytest
from harness import REPO, Bedplate, run

EXAMPLES = REPO / "examples" / "workflows"
GIVEN = json.dumps({"user_id": "user123", "research_query": "Research AWS AI services"})


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """The examples behind a running server, and how commands name it."""
    folder = tmp_path_factory.mktemp("flows")
    project = folder / "project"
    shutil.copytree(EXAMPLES, project)
    server = Bedplate(project, folder / "data").start()
    yield (project, "--data", folder / "data")
    server.assert_healthy()
    assert server.stop() == 0


def flow(*arguments):
    return run("workflow", *arguments)


def test_a_run_shows_each_state_and_ends_with_its_output(target):
    done = flow("run", "research", *target, "--input", GIVEN, "--json")
    assert done.returncode == 0, done.stderr
    execution = json.loads(done.stdout)
    assert execution["status"] == "SUCCEEDED" and execution["output"]["final_result"]["response"].strip()
    assert [line for line in done.stderr.splitlines() if line.startswith("->")] == [
        "-> ResearchAgent", "-> AnalysisAgent", "-> SummaryAgent"]
    listed = json.loads(flow("list", *target, "--executions", "--workflow", "research", "--json").stdout)
    assert execution["id"] in [one["id"] for one in listed]
    shown = flow("show", execution["id"], *target)
    assert shown.returncode == 0 and "SummaryAgent" in shown.stdout
    events = json.loads(flow("history", execution["id"], *target, "--json").stdout)
    assert [events[0]["type"], events[-1]["type"]] == ["ExecutionStarted", "ExecutionSucceeded"]
    back = json.loads(flow("history", execution["id"], *target, "--reverse", "--json").stdout)
    assert back == events[::-1]


def test_prepared_answers_stand_in_for_tasks(target):
    done = flow("run", "research", *target, "--input", GIVEN, "--mocks", "HappyPath", "--json")
    assert json.loads(done.stdout)["output"]["final_result"] == {"response": "It is the data."}, done.stderr
    failed = flow("run", "research", *target, "--input", GIVEN, "--mocks", "ResearchFails")
    assert failed.returncode == 6 and "the agent gave no answer" in failed.stdout + failed.stderr
    unknown = flow("run", "research", *target, "--input", GIVEN, "--mocks", "Nonsense")
    assert unknown.returncode == 5 and "HappyPath" in unknown.stderr


def test_a_failed_execution_is_redriven(target):
    failed = flow("run", "research", *target, "--input", GIVEN, "--mocks", "ResearchFails", "--json")
    execution = json.loads(failed.stdout)
    again = flow("redrive", execution["id"], *target, "--json")
    # The same answers are prepared still, so that it fails again; that it ran again is what counts.
    assert json.loads(again.stdout)["redrives"] == 1, again.stderr


def test_an_execution_is_forked_at_a_state_and_replayed(target):
    done = flow("run", "refund-approval", *target, "--input", '{"order": "7", "amount": 20}', "--json")
    execution = json.loads(done.stdout)
    events = json.loads(flow("history", execution["id"], *target, "--json").stdout)
    entered = [event for event in events if event["type"].endswith("StateEntered")]
    first = entered[0]
    forked = flow("fork", execution["id"], *target, "--state", first["state"], "--input",
                  '{"order": "8", "amount": 10}', "--execution-name", "smaller", "--json")
    assert forked.returncode == 0, forked.stderr
    fork = json.loads(forked.stdout)
    assert fork["output"] == {"order": "8", "amount": 10, "refunded": True}
    assert (fork["forked_from"]["id"], fork["name"]) == (execution["id"], "smaller")
    again = flow("fork", execution["id"], *target, "--at", str(entered[-1]["seq"]), "--json")
    assert json.loads(again.stdout)["output"] == execution["output"], again.stderr
    replayed = flow("replay", fork["id"], *target)
    assert replayed.returncode == 0 and "decides the same" in replayed.stdout, replayed.stdout + replayed.stderr
    assert flow("fork", execution["id"], *target, "--state", "Nowhere").returncode == 4
    assert flow("fork", execution["id"], *target).returncode == 2


def test_a_person_decides_about_a_large_refund(target):
    small = flow("run", "refund-approval", *target, "--input", '{"order": "7", "amount": 20}', "--json")
    assert json.loads(small.stdout)["output"] == {"order": "7", "amount": 20, "refunded": True}
    large = flow("run", "refund-approval", *target, "--input", '{"order": "7", "amount": 80, "reason": "late"}')
    assert large.returncode == 0 and "Refund 80 for order 7?" in large.stdout, large.stdout + large.stderr
    answer = next(line.split() for line in large.stdout.splitlines() if "runs answer" in line)
    answered = run("runs", "answer", answer[3], answer[4], *target, "--approve")
    assert answered.returncode == 0, answered.stderr
    refused = flow("run", "refund-approval", *target, "--input", '{"order": "8", "amount": 90}')
    answer = next(line.split() for line in refused.stdout.splitlines() if "runs answer" in line)
    assert run("runs", "answer", answer[3], answer[4], *target, "--note", "no").returncode == 0
    shown = json.loads(flow("show", answer[3], *target, "--json").stdout)
    assert shown["output"] == {"order": "8", "refunded": False, "note": "no"}


def test_a_fan_out_ends_with_a_draft(target):
    done = flow("run", "fan-out", *target, "--input", '{"question": "Is tea better than coffee?"}', "--json")
    output = json.loads(done.stdout)["output"]
    assert output["answer"].strip() and 1 <= output["rounds"] <= 3


def test_a_batch_reads_its_items_from_a_file(target):
    done = flow("run", "review-batch", *target, "--json")
    assert done.returncode == 0, done.stderr
    stars = [json.loads(line)["stars"] for line in (target[0] / "data" / "reviews.jsonl").open()]
    output = json.loads(done.stdout)["output"]
    assert [int(item["score"]) for item in output] == [given * 20 for given in stars], output


def test_a_state_is_tested_alone(target):
    tested = flow("test", "refund-approval", *target, "--state", "HowMuch", "--input", '{"amount": 80}', "--json")
    assert json.loads(tested.stdout)["next_state"] == "AskAPerson", tested.stderr
    mock = json.dumps({"error": {"error": "Busy", "cause": "later"}})
    failed = flow("test", "research", *target, "--state", "ResearchAgent", "--input", GIVEN, "--mock", mock)
    assert failed.returncode == 6 and "Busy" in failed.stdout


def test_workflows_are_listed_and_shown_as_they_are_written(target):
    names = [one["name"] for one in json.loads(flow("list", *target, "--json").stdout)]
    assert names == ["fan-out", "refund-approval", "research", "review-batch"]
    text = (target[0] / "workflows" / "research.asl.json").read_text()
    assert json.loads(flow("show", "research", *target, "--json").stdout)["definition"] == text
    assert flow("show", "nonsense", *target).returncode == 4


def test_a_drawing_needs_no_server(tmp_path):
    text = flow("graph", "refund-approval", EXAMPLES)
    assert text.returncode == 0 and "> HowMuch (Choice)" in text.stdout and "-> AskAPerson  otherwise" in text.stdout
    mermaid = flow("graph", "fan-out", EXAMPLES, "--format", "mermaid").stdout
    assert mermaid.startswith("flowchart TD") and "Facts (Task)" in mermaid
    assert flow("graph", "research", EXAMPLES, "--format", "dot").stdout.startswith("digraph workflow {")
    drawn = json.loads(flow("graph", "research", EXAMPLES, "--json").stdout)
    assert len(drawn["states"]) == 3 and len(drawn["transitions"]) == 2
    assert flow("graph", "nonsense", EXAMPLES).returncode == 4
    bad = flow("run", "research", EXAMPLES, "--data", tmp_path / "data", "--input", "{oops")
    assert bad.returncode == 2 and "--input is no JSON" in bad.stderr
