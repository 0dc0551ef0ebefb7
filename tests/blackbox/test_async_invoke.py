"""Asynchronous invocations, as boto3's `bedrock-runtime` makes them: results lie in buckets, also after `kill -9`."""

import concurrent.futures
import json
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from harness import name, run
from test_bulk import Listener, Upstream, wait, write_project

MODEL = "anthropic.claude-test-v1:0"


@pytest.fixture(scope="module")
def upstream():
    return Upstream()


@pytest.fixture
def project(tmp_path, upstream):
    folder = write_project(tmp_path / "project", upstream, Listener())
    config = folder / "bedplate.toml"
    config.write_text(
        config.read_text().replace("[bulk]", '[bulk]\noutput_buckets = ["results"]')
        + f"""
[model_ids]
"{MODEL}" = "up"
"broken.model-v1" = "broken"
[buckets.results]
folder = "results"
writable = true
[buckets.closed]
folder = "closed"
writable = true
"""
    )
    (folder / "results").mkdir()
    return folder


def client(server):
    return boto3.client(
        "bedrock-runtime", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="x",
        aws_secret_access_key="y", config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def begin(api, text, uri="s3://results/out", model=MODEL, **more):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    output = {"s3OutputDataConfig": {"s3Uri": uri}}
    return api.start_async_invoke(modelId=model, modelInput=body, outputDataConfig=output, **more)["invocationArn"]


def ended(api, arn):
    look = lambda: api.get_async_invoke(invocationArn=arn)  # noqa: E731
    return wait("the invocation did not end", look, lambda found: found["status"] != "InProgress")


def result(project, arn, file="output.json", prefix="out"):
    return json.loads((project / "results" / prefix / arn.rpartition("/")[2] / file).read_text())


def test_the_result_of_an_invocation_lies_in_its_bucket(start, project):
    api = client(start(project))
    arn = begin(api, "Hello")
    over = ended(api, arn)
    assert over["status"] == "Completed" and over["invocationArn"] == arn, over
    assert over["modelArn"] == f"arn:aws:bedrock:us-east-1::foundation-model/{MODEL}"
    assert over["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"] == "s3://results/out"
    assert over["submitTime"] <= over["endTime"] and over["clientRequestToken"]
    assert result(project, arn)["content"][0]["text"] == "re: Hello"
    manifest = result(project, arn, "manifest.json")
    assert (manifest["status"], manifest["invocationArn"]) == ("Completed", arn)
    assert manifest["output"] == f"s3://results/out/{arn.rpartition('/')[2]}/output.json"
    bare = begin(api, "At the root", "s3://results")
    assert ended(api, bare)["status"] == "Completed" and result(project, bare, prefix="")["role"] == "assistant"


def test_a_failed_invocation_says_why(start, project):
    server = start(project)
    api = client(server)
    arn = begin(api, "Hello", model="broken.model-v1")
    over = ended(api, arn)
    assert over["status"] == "Failed" and over["failureMessage"], over
    manifest = result(project, arn, "manifest.json")
    assert (manifest["status"], manifest["failureMessage"]) == ("Failed", over["failureMessage"])
    assert server.get("/v1/jobs").json()["data"] == [], "an invocation is no job of the native API"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"uri": "s3://closed/x"}, "output_buckets"),
        ({"uri": "s3://unknown/x"}, "output_buckets"),
        ({"uri": "s3://results/../closed"}, "cannot be written"),
        ({"uri": "s3://results/.hidden"}, "cannot be written"),
        ({"tags": [{"key": "a b", "value": "c"}]}, "tag"),
        ({"tags": [{"key": f"t{n}", "value": "c"} for n in range(17)]}, "at most 16"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_model_is_asked(start, project, upstream, change, says):
    api = client(start(project))
    before = len(upstream.asked)
    with pytest.raises(ClientError) as refused:
        begin(api, "Hello", **change)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert says in refused.value.response["Error"]["Message"], refused.value
    assert api.list_async_invokes()["asyncInvokeSummaries"] == [] and len(upstream.asked) == before
    assert not list(project.glob("closed/**/*.json"))


def test_a_repeat_with_the_same_token_is_the_same_invocation(start, project, upstream):
    api = client(start(project))
    mark = name("token")
    arn = begin(api, mark, clientRequestToken="t-1")
    assert begin(api, mark, clientRequestToken="t-1") == arn
    with pytest.raises(api.exceptions.ConflictException):
        begin(api, mark + " other", clientRequestToken="t-1")
    ended(api, arn)
    assert [said for said in upstream.asked if said.startswith(mark)] == [mark]
    with pytest.raises(api.exceptions.ResourceNotFoundException):
        begin(api, "x", model="no.such-model")
    for wrong in (arn[:-4] + "zzzz", arn.replace("us-east-1", "eu-west-1")):
        with pytest.raises(api.exceptions.ValidationException):
            api.get_async_invoke(invocationArn=wrong)


def test_the_same_token_at_the_same_time_is_one_invocation_that_ends(start, project, upstream):
    api = client(start(project))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for n in range(10):
            mark = name("once")
            arns = list(pool.map(lambda _, n=n, mark=mark: begin(api, mark, clientRequestToken=f"same-{n}"), range(8)))
            assert len(set(arns)) == 1, arns
            assert ended(api, arns[0])["status"] == "Completed"
            assert result(project, arns[0], "manifest.json")["status"] == "Completed"
            assert [said for said in upstream.asked if said.startswith(mark)] == [mark]


def test_a_paid_result_waits_for_a_bucket_that_is_away(start, project, upstream):
    server = start(project)
    api = client(server)
    mark = name("away")
    upstream.gate.clear()
    try:
        arn = begin(api, mark)
        wait("the model is not asked", lambda: list(upstream.asked), lambda asked: mark in asked)
        (project / "results").rename(project / "elsewhere")
        (project / "results").write_text("no folder")
    finally:
        upstream.gate.set()
    wait("no write failed", server.output, lambda said: "the result of an invocation waits" in said)
    assert api.get_async_invoke(invocationArn=arn)["status"] == "InProgress"
    (project / "results").unlink()
    (project / "elsewhere").rename(project / "results")
    assert ended(api, arn)["status"] == "Completed"
    assert result(project, arn)["content"][0]["text"] == f"re: {mark}" and upstream.asked.count(mark) == 1


def test_invocations_are_listed_by_time_status_and_page(start, project):
    api = client(start(project))
    made = []
    for n in range(5):
        made.append(begin(api, f"list {n}"))
        time.sleep(0.002)  # An id's order is that of milliseconds.
    failed = begin(api, "fails", model="broken.model-v1")
    stands = {arn: ended(api, arn) for arn in [*made, failed]}
    arns = lambda **how: [one["invocationArn"] for one in api.list_async_invokes(**how)["asyncInvokeSummaries"]]  # noqa: E731
    assert arns() == [failed, *reversed(made)] and arns(sortOrder="Ascending") == [*made, failed]
    assert arns(statusEquals="Failed") == [failed] and arns(statusEquals="Completed", maxResults=2) == made[:2:-1]
    for order, expected in (("Descending", [failed, *reversed(made)]), ("Ascending", [*made, failed])):
        pages = api.get_paginator("list_async_invokes").paginate(sortOrder=order, PaginationConfig={"PageSize": 2})
        pages = [page["asyncInvokeSummaries"] for page in pages]
        assert [len(page) for page in pages] == [2, 2, 2]
        assert [one["invocationArn"] for page in pages for one in page] == expected
    middle = stands[made[2]]["submitTime"]
    assert set(arns(submitTimeAfter=middle)) == {*made[3:], failed} and arns(submitTimeBefore=middle) == made[1::-1]


def test_invocations_go_on_after_a_kill_and_each_has_its_result(start, project, upstream):
    server = start(project)
    mark = name("kill")
    made = [begin(client(server), f"{mark} {n}") for n in range(30)]
    asked = lambda: [said for said in list(upstream.asked) if said.startswith(mark)]  # noqa: E731
    wait("no invocation began", asked, lambda said: len(said) > 5)
    server.kill()
    server.start()
    api = client(server)
    for n, arn in enumerate(made):
        assert ended(api, arn)["status"] == "Completed"
        assert result(project, arn)["content"][0]["text"] == f"re: {mark} {n}"
    # Only what was under way at the kill, at most four calls, may have been asked again.
    assert 30 <= len(asked()) <= 34


def test_a_bucket_that_cannot_be_written_is_a_problem_of_the_project(project):
    config = project / "bedplate.toml"
    whole = config.read_text()
    assert run("check", project).returncode == 0
    for old, new, says in [
        ('["results"]', '["results", "nowhere"]', "nothing says where it is"),
        ('folder = "results"\nwritable = true', 'folder = "results"', "not writable"),
    ]:
        config.write_text(whole.replace(old, new))
        checked = run("check", project)
        said = checked.stdout + checked.stderr
        line = next(n for n, text in enumerate(config.read_text().splitlines(), 1) if "output_buckets" in text)
        assert checked.returncode != 0 and says in said and f"bedplate.toml:{line}:" in said, said
