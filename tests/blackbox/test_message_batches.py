"""Batches of Messages calls, as Anthropic's own client handles them, across `kill -9`."""

import time

import anthropic
import pytest
from harness import name
from test_bulk import Listener, Upstream, wait, write_project

ROWS = 60


@pytest.fixture(scope="module")
def upstream():
    return Upstream()


@pytest.fixture(scope="module")
def project(tmp_path_factory, upstream):
    return write_project(tmp_path_factory.mktemp("batches") / "project", upstream, Listener())


def client(server, **more):
    return anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0, **more)


def request(custom_id, text, model="up", **more):
    params = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}]} | more
    return {"custom_id": custom_id, "params": params}


def ended(api, batch, seconds=60):
    look = lambda: api.messages.batches.retrieve(batch.id)  # noqa: E731
    return wait("the batch did not end", look, lambda found: found.processing_status == "ended", seconds)


def results(api, batch):
    return {line.custom_id: line.result for line in api.messages.batches.results(batch.id)}


def test_a_batch_answers_each_request_in_the_clients_own_types(start, project):
    api = client(start(project))
    requests = [request(f"r{n}", f"question\n{n}") for n in range(10)]
    requests += [request("broken", "x", "broken"), request("nobody", "x", "nobody"), request("wrong", "x", max_tokens=-1)]
    batch = api.messages.batches.create(requests=requests)
    assert (batch.type, batch.processing_status, batch.request_counts.processing) == ("message_batch", "in_progress", 13)
    assert batch.results_url is None and batch.ended_at is None
    assert (batch.expires_at - batch.created_at).total_seconds() == 86_400
    over = ended(api, batch)
    assert over.ended_at >= over.created_at and over.results_url.endswith(f"/v1/messages/batches/{batch.id}/results")
    counts = over.request_counts
    assert (counts.succeeded, counts.errored, counts.processing, counts.canceled, counts.expired) == (10, 3, 0, 0, 0)
    found = results(api, batch)
    for n in range(10):
        result = found[f"r{n}"]
        assert result.type == "succeeded" and result.message.content[0].text == f"re: question\n{n}"
        assert result.message.role == "assistant" and result.message.usage.output_tokens == 1
    kinds = {custom_id: found[custom_id].error.error.type for custom_id in ("broken", "nobody", "wrong")}
    assert kinds == {"broken": "permission_error", "nobody": "not_found_error", "wrong": "invalid_request_error"}
    assert all(found[custom_id].type == "errored" for custom_id in kinds)


def test_an_outage_of_the_provider_costs_no_request(start, tmp_path):
    upstream = Upstream()
    upstream.away = True
    server = start(write_project(tmp_path / "project", upstream, Listener()))
    api = client(server)
    batch = api.messages.batches.create(requests=[request("a", "Hello")])
    look = lambda: server.get("/v1/records?limit=5", token=True).json()["records"]  # noqa: E731
    wait("no attempt failed", look, len)
    upstream.away = False
    over = ended(api, batch, 120)
    assert (over.request_counts.succeeded, over.request_counts.errored) == (1, 0), results(api, batch)
    assert results(api, batch)["a"].message.content[0].text == "re: Hello"


def test_batches_are_listed_both_ways_and_deleted_when_they_are_over(start, project):
    server = start(project)
    api = client(server)
    made = []
    for n in range(5):
        made.append(api.messages.batches.create(requests=[request("a", f"list {n}")]))
        time.sleep(0.002)  # An id's order is that of milliseconds.
    ids = [batch.id for batch in reversed(made)]
    assert [batch.id for batch in api.messages.batches.list(limit=2)] == ids, "pages follow each other"
    page = api.messages.batches.list(limit=2, before_id=ids[3])
    assert [batch.id for batch in page.data] == ids[1:3] and page.has_more
    assert [batch.id for batch in api.messages.batches.list(limit=2, before_id=ids[1]).data] == ids[:1]
    for batch in made:
        ended(api, batch)
    gone = api.messages.batches.delete(ids[0])
    assert (gone.id, gone.type) == (ids[0], "message_batch_deleted")
    for look in (api.messages.batches.retrieve, api.messages.batches.delete, api.messages.batches.cancel):
        with pytest.raises(anthropic.NotFoundError):
            look(ids[0])
    assert server.get(f"/v1/messages/batches/{ids[0]}/results").status_code == 404
    # OpenAI's clients see none of them, and no file of theirs.
    assert server.get("/v1/batches").json()["data"] == [] and server.get("/v1/files").json()["data"] == []
    assert server.get(f"/v1/batches/{ids[1]}").status_code == 404


def test_a_cancelled_batch_says_which_requests_were_left_out(start, project):
    api = client(start(project))
    total = 1_000
    batch = api.messages.batches.create(requests=[request(f"c{n}", f"cancel {n}") for n in range(total)])
    with pytest.raises(anthropic.BadRequestError):
        api.messages.batches.delete(batch.id)
    with pytest.raises(anthropic.AnthropicError):
        api.messages.batches.results(batch.id)
    stopped = api.messages.batches.cancel(batch.id)
    assert stopped.processing_status == "canceling" and stopped.cancel_initiated_at
    over = ended(api, batch)
    counts = over.request_counts
    assert counts.canceled > 0 and counts.succeeded + counts.canceled == total
    kinds = [result.type for result in results(api, batch).values()]
    assert (kinds.count("succeeded"), kinds.count("canceled")) == (counts.succeeded, counts.canceled)


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [request("a", "x"), request("a", "y")],
        [request("with space", "x")],
        [request("a", "x", stream=True)],
        [{"custom_id": "a"}],
        [{"custom_id": "a", "params": [1]}],
    ],
)
def test_a_wrong_batch_is_refused_whole(start, project, upstream, requests):
    server = start(project)
    before = len(upstream.asked)
    with pytest.raises(anthropic.BadRequestError) as refused:
        client(server).messages.batches.create(requests=requests)
    assert refused.value.body["type"] == "error" and refused.value.body["error"]["type"] == "invalid_request_error"
    assert server.get("/v1/messages/batches").json()["data"] == [] and len(upstream.asked) == before
    for body in (b"", b"[", b'{"requests": 5}', b"\xff"):
        assert server.request("POST", "/v1/messages/batches", data=body).status_code == 400


def test_a_kill_in_the_middle_loses_no_request_and_repeats_none_that_was_finished(start, project, upstream):
    mark = name("kill")
    server = start(project)
    batch = client(server).messages.batches.create(requests=[request(f"k{n}", f"{mark} {n}") for n in range(ROWS)])
    mine = lambda: [said for said in list(upstream.asked) if said.startswith(mark)]  # noqa: E731
    for share in (ROWS // 4, ROWS // 2):
        wait("the requests do not go on", mine, lambda asked, share=share: len(asked) >= share)
        server.kill()
        server.start()
    api = client(server)
    over = ended(api, batch)
    assert (over.request_counts.succeeded, over.request_counts.errored) == (ROWS, 0)
    lines = [line.custom_id for line in api.messages.batches.results(batch.id)]
    assert sorted(lines) == sorted(f"k{n}" for n in range(ROWS)), "each request is there once"
    # Only what was under way at a kill, at most four requests, may have been asked again.
    assert 0 <= len(mine()) - ROWS <= 2 * 4


def test_a_key_sees_only_the_batches_of_its_user_and_a_deleted_person_leaves_none(start, project):
    server = start(project)
    mine = client(server, default_headers={"x-bedplate-user": "ann"})
    batch = mine.messages.batches.create(requests=[request("a", "Hi")])
    ended(mine, batch)
    gone = server.delete("/v1/users/ann")
    assert gone.status_code == 200 and gone.json()["documents"] >= 2, gone.text
    assert server.get(f"/v1/messages/batches/{batch.id}").status_code == 404
