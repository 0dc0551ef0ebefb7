"""Work that nobody waits for: files, batches and jobs, as OpenAI's client and plain HTTP handle them, across `kill -9`."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

import openai
import pytest
from harness import name
from upstreams import Played

ROWS = 60


class Upstream(Played):
    """A model server that counts which questions it answers; slow, so that a kill falls into the middle.

    It answers while `gate` is set, with 503 while it is `away`, and with 17 MiB where the question begins with `huge`.
    """

    def __init__(self, seconds=0.02):
        self.asked, self.lock, self.seconds = [], threading.Lock(), seconds
        self.gate, self.away = threading.Event(), False
        self.gate.set()
        super().__init__()

    def answer(self, path, body):
        content = body["messages"][-1]["content"]
        said = content if isinstance(content, str) else content[0]["text"]
        time.sleep(self.seconds)
        if self.away:
            return 503, "text/plain", ""
        with self.lock:
            self.asked.append(said)
        self.gate.wait(120)
        answer = "x" * (17 << 20) if said.startswith("huge") else f"re: {said}"
        reply = {
            "id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        chunk = dict(reply, object="chat.completion.chunk",
                     choices=[{"index": 0, "delta": {"content": answer}, "finish_reason": "stop"}])
        if body.get("stream"):
            return 200, "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        return 200, "application/json", json.dumps(reply)


class Listener:
    """Hears webhooks; the first word is answered with an error."""

    def __init__(self):
        self.heard = []
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.heard.append((dict(self.headers.items()), body))
                self.send_response(500 if len(listener.heard) == 1 else 204)
                self.send_header("content-length", "0")
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def upstream():
    return Upstream()


@pytest.fixture(scope="module")
def listener():
    return Listener()


@pytest.fixture(scope="module")
def project(tmp_path_factory, upstream, listener):
    return write_project(tmp_path_factory.mktemp("bulk") / "project", upstream, listener)


def write_project(folder, upstream, listener):
    """Writes a project whose route `up` leads to `upstream` and which may tell `listener`."""
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "plain.md").write_text("---\ndescription: Plain.\nmodel: up\n---\nBe plain.\n")
    (folder / "broken.toml").write_text('loop = true\n[[turn]]\n[[turn.step]]\nfail = { kind = "unauthorized", message = "no" }\n')
    (folder / "bedplate.toml").write_text(
        f"""
[project]
name = "bulk"
default_agent = "plain"
[bulk]
concurrency = 4
private_webhooks = ["{listener.address}"]
[models.up]
provider = "openai"
model = "m"
base_url = "{upstream.url}"
[routes.up]
model = "up"
[models.broken]
provider = "scripted"
model = "broken.toml"
[routes.broken]
model = "broken"
"""
    )
    return folder


def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)


def lines(rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def row(custom_id, text, model="up", **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body} | more


def upload(api, rows):
    return api.files.create(file=("rows.jsonl", rows if isinstance(rows, bytes) else lines(rows)), purpose="batch")


def batch_of(api, rows, **more):
    return api.batches.create(
        input_file_id=upload(api, rows).id, endpoint="/v1/chat/completions", completion_window="24h", **more
    )


def wait(what, look, is_over, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if is_over(found):
            return found
        assert time.monotonic() < deadline, f"{what}: {found}"
        time.sleep(0.05)


def ended(api, batch):
    over = ("completed", "failed", "cancelled", "expired")
    return wait("the batch did not end", lambda: api.batches.retrieve(batch.id), lambda found: found.status in over)


def results(api, file):
    return [json.loads(line) for line in api.files.content(file).text.splitlines()] if file else []


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was(start, project):
    api = client(start(project))
    content = bytes(range(256)) * 20_000
    file = api.files.create(file=("a b.bin", content), purpose="user_data")
    assert (file.bytes, file.filename, file.purpose, file.object) == (len(content), "a b.bin", "user_data", "file")
    assert api.files.content(file.id).content == content
    assert api.files.retrieve(file.id).id == file.id
    assert [found.id for found in api.files.list(purpose="user_data")] == [file.id]
    assert api.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        api.files.content(file.id)


def test_a_form_that_is_torn_or_lacks_a_field_leaves_nothing(start, project):
    server = start(project)
    kind = "multipart/form-data; boundary=x"
    for body, content_type in [
        (b"", kind),
        (b"--x\r\n", kind),
        (b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc', kind),
        (b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n', kind),
        (b"{}", "application/json"),
        (b"\xff\xfe", "multipart/form-data"),
    ]:
        answer = server.request("POST", "/v1/files", data=body, headers={"content-type": content_type})
        assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error", answer.text
    assert server.get("/v1/files").json()["data"] == []


# -- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_runs_every_row_and_says_what_became_of_each(start, project):
    api = client(start(project))
    rows = [row(f"r{n}", f"question {n}") for n in range(10)] + [row("bad", "x", "broken"), row("none", "x", "nobody")]
    batch = batch_of(api, rows, metadata={"for": "test"})
    assert batch.status in ("validating", "in_progress") and batch.object == "batch"
    over = ended(api, batch)
    assert (over.status, over.request_counts.total, over.request_counts.completed, over.request_counts.failed) == (
        "completed", 12, 10, 2,
    )
    assert over.metadata == {"for": "test"} and over.completed_at and over.in_progress_at
    good = {line["custom_id"]: line for line in results(api, over.output_file_id)}
    assert set(good) == {f"r{n}" for n in range(10)}
    assert good["r3"]["response"]["status_code"] == 200
    assert good["r3"]["response"]["body"]["choices"][0]["message"]["content"] == "re: question 3"
    bad = {line["custom_id"]: line["response"]["status_code"] for line in results(api, over.error_file_id)}
    assert set(bad) == {"bad", "none"} and bad["none"] == 404
    assert [found.id for found in api.batches.list(limit=1)][:1] == [batch.id]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (b"", "empty_file"),
        (b"{", "invalid_json_line"),
        (b"\xff\xff", "invalid_json_line"),
        (lines([row("a", "x"), row("a", "y")]), "duplicate_custom_id"),
        (lines([row("a", "x", url="/v1/embeddings")]), "mismatched_endpoint"),
        (lines([row("a", "x", method="GET")]), "invalid_method"),
        (b"[" * 200_000, "invalid_json_line"),
    ],
)
def test_a_file_with_a_fault_fails_before_anything_is_run(start, project, upstream, rows, code):
    api = client(start(project))
    before = len(upstream.asked)
    over = ended(api, batch_of(api, rows))
    assert over.status == "failed" and over.errors.data[0].code == code
    assert len(upstream.asked) == before


def test_a_batch_is_cancelled_and_keeps_what_was_done(start, project):
    server = start(project)
    api = client(server)
    batch = batch_of(api, [row(f"c{n}", f"cancel {n}") for n in range(2_000)])
    wait("no row ended", lambda: api.batches.retrieve(batch.id), lambda found: found.request_counts.completed > 0)
    assert api.batches.cancel(batch.id).status == "cancelling"
    over = ended(api, batch)
    assert over.status == "cancelled"
    done = results(api, over.output_file_id)
    assert 0 < len(done) == over.request_counts.completed < 2_000
    with pytest.raises(openai.ConflictError):
        api.batches.cancel(batch.id)


def test_a_cancel_lets_no_row_begin_that_waits_for_room(start, tmp_path):
    upstream = Upstream()
    upstream.gate.clear()
    api = client(start(write_project(tmp_path / "project", upstream, Listener())))
    try:
        first = batch_of(api, [row(f"f{n}", f"first {n}") for n in range(4)])
        wait("the first batch takes no room", lambda: len(upstream.asked), lambda count: count == 4)
        second = batch_of(api, [row(f"s{n}", f"second {n}") for n in range(4)])
        wait("it does not begin", lambda: api.batches.retrieve(second.id).status, lambda status: status == "in_progress")
        api.batches.cancel(second.id)
        over = ended(api, second)
    finally:
        upstream.gate.set()
    assert (over.status, over.request_counts.completed, over.request_counts.failed) == ("cancelled", 0, 0)
    assert ended(api, first).request_counts.completed == 4
    assert not [said for said in upstream.asked if said.startswith("second")]


def test_a_reply_that_is_too_large_to_keep_is_paid_for_once(start, project, upstream):
    server = start(project)
    mark = name("huge")
    assert mark.startswith("huge")
    body = {"model": "up", "messages": [{"role": "user", "content": f"{mark} job"}]}
    made = server.post("/v1/jobs", {"endpoint": "/v1/chat/completions", "body": body}).json()
    over = job_over(server, made["id"])
    assert (over["status"], over["result"]["status_code"]) == ("failed", 502)
    assert "larger than what is kept" in over["result"]["body"]["error"]["message"], over
    api = client(server)
    batch = ended(api, batch_of(api, [row("a", f"{mark} row"), row("b", "small")]))
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 1, 1)
    failed = json.loads(api.files.content(batch.error_file_id).text)
    assert failed["custom_id"] == "a" and "larger than what is kept" in failed["response"]["body"]["error"]["message"]
    assert sorted(said for said in upstream.asked if said.startswith(mark)) == [f"{mark} job", f"{mark} row"]


def test_a_kill_in_the_middle_of_a_batch_loses_no_row_and_repeats_none_that_was_finished(start, project, upstream):
    mark = name("kill")
    server = start(project)
    api = client(server)
    batch = batch_of(api, [row(f"k{n}", f"{mark} {n}") for n in range(ROWS)])
    mine = lambda: [said for said in list(upstream.asked) if said.startswith(mark)]  # noqa: E731
    kills = 0
    for share in (ROWS // 4, ROWS // 2):
        wait("the rows do not go on", mine, lambda asked, share=share: len(asked) >= share)
        server.kill()
        server.start()
        kills += 1
    over = ended(client(server), batch)
    assert (over.status, over.request_counts.completed, over.request_counts.failed) == ("completed", ROWS, 0)
    ids = [line["custom_id"] for line in results(client(server), over.output_file_id)]
    assert sorted(ids) == sorted(f"k{n}" for n in range(ROWS)), "each row is there once"
    # Only what was under way at a kill, at most four rows, may have been asked again.
    repeated = len(mine()) - ROWS
    assert 0 <= repeated <= kills * 4, f"{repeated} rows were asked again"


# -- jobs -------------------------------------------------------------------------------------------------------------


def job(server, seconds=60, **body):
    made = server.post("/v1/jobs", body)
    assert made.status_code == 202, made.text
    return made.json(), job_over(server, made.json()["id"], seconds)


def job_over(server, identifier, seconds=60):
    over = ("completed", "failed", "cancelled")
    look = lambda: server.get(f"/v1/jobs/{identifier}").json()  # noqa: E731
    return wait("the job did not end", look, lambda found: found["status"] in over, seconds)


def test_a_job_runs_a_turn_of_an_agent_or_a_call_of_a_model(start, project):
    server = start(project)
    made, over = job(server, agent="plain", input="Hello", user_id="ann", metadata={"a": 1})
    assert made["status"] == "queued" and over["status"] == "completed" and over["metadata"] == {"a": 1}
    assert over["result"]["body"]["output"]["text"] == "re: Hello"
    body = {"model": "up", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    _, over = job(server, endpoint="/v1/chat/completions", body=body)
    assert over["result"]["body"]["choices"][0]["message"]["content"] == "re: Hi"
    _, over = job(server, endpoint="/v1/chat/completions", body=dict(body, model="broken"))
    assert over["status"] == "failed" and over["result"]["status_code"] == 403
    assert len(server.get("/v1/jobs").json()["data"]) == 3


def test_a_repeat_with_the_same_key_is_the_same_job(start, project):
    server = start(project)
    send = lambda text: server.post("/v1/jobs", {"agent": "plain", "input": text}, headers={"idempotency-key": "k"})  # noqa: E731
    first, again = send("Hello"), send("Hello")
    assert (first.status_code, again.status_code) == (202, 202) and first.json()["id"] == again.json()["id"]
    assert send("Other").status_code == 409


def test_the_end_of_a_job_is_told_signed_and_again_until_it_is_taken(start, project, listener):
    server = start(project)
    made, _ = job(server, agent="plain", input="Hello", webhook={"url": f"http://{listener.address}/hook"})
    told = wait("the webhook heard nothing", lambda: server.get(f"/v1/jobs/{made['id']}").json()["webhook"],
                lambda webhook: webhook["delivered"])
    assert [attempt.get("status") for attempt in told["attempts"]] == [500, 204]
    secret = base64.b64decode(made["webhook"]["secret"].removeprefix("whsec_"))
    for headers, body in listener.heard:
        headers = {key.lower(): value for key, value in headers.items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}" and headers["webhook-id"] == made["id"]
        assert json.loads(body)["type"] == "job.completed" and json.loads(body)["data"]["status"] == "completed"


def test_a_webhook_reaches_no_private_address_that_the_project_does_not_name(start, project):
    server = start(project)
    made, _ = job(server, agent="plain", input="Hello", webhook={"url": server.url + "/v1/jobs"})
    look = lambda: server.get(f"/v1/jobs/{made['id']}").json()["webhook"]["attempts"]  # noqa: E731
    assert "not public" in wait("no attempt", look, bool)[0]["error"]
    for url in ["file:///etc/passwd", "nonsense", ""]:
        assert server.post("/v1/jobs", {"agent": "plain", "input": "x", "webhook": {"url": url}}).status_code == 400


def test_jobs_go_on_after_a_kill_and_each_turn_is_run_once(start, project, upstream):
    mark = name("job")
    server = start(project)
    made = [server.post("/v1/jobs", {"agent": "plain", "input": f"{mark} {n}"}).json()["id"] for n in range(30)]
    wait("no job began", lambda: [said for said in list(upstream.asked) if said.startswith(mark)], lambda said: len(said) > 5)
    server.kill()
    server.start()
    for identifier in made:
        over = job_over(server, identifier)
        assert over["status"] == "completed", over
        run = over["result"]["body"]["run_id"]
        assert len(server.get(f"/v1/runs/{run}", token=True).json()["turns"]) == 1


def test_a_job_is_cancelled_and_other_peoples_jobs_are_not_seen(start, project):
    server = start(project)
    for body in [{}, {"agent": "plain"}, {"agent": "nobody", "input": "x"}, {"endpoint": "/v1/keys", "body": {}},
                 {"agent": "plain", "input": "x", "endpoint": "/v1/messages"}]:
        assert server.post("/v1/jobs", body).status_code in (400, 404), body
    assert server.get("/v1/jobs/job_none").status_code == 404
    body = {"model": "up", "messages": [{"role": "user", "content": "Hi"}]}
    many = [server.post("/v1/jobs", {"endpoint": "/v1/chat/completions", "body": body}).json()["id"] for _ in range(40)]
    gone = server.post(f"/v1/jobs/{many[-1]}/cancel")
    assert gone.status_code in (200, 409)
    if gone.status_code == 200:
        assert job_over(server, many[-1])["status"] == "cancelled"


def test_a_deleted_person_leaves_no_file_batch_or_job(start, project):
    server = start(project)
    headers = {"x-bedplate-user": "ann"}
    files = {"file": ("rows.jsonl", lines([row("a", "x")])), "purpose": (None, "batch")}
    file = server.request("POST", "/v1/files", headers=headers, files=files).json()["id"]
    request = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = server.post("/v1/batches", request, headers=headers).json()["id"]
    one = server.post("/v1/jobs", {"agent": "plain", "input": "Hi", "user_id": "ann"}).json()["id"]
    job_over(server, one)
    wait("the batch did not end", lambda: server.get(f"/v1/batches/{batch}").json(), lambda b: b["status"] == "completed")
    gone = server.delete("/v1/users/ann")
    assert gone.status_code == 200 and gone.json()["documents"] >= 3, gone.text
    for path in (f"/v1/files/{file}", f"/v1/batches/{batch}", f"/v1/jobs/{one}"):
        assert server.get(path).status_code == 404, path
