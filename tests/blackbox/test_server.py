"""The server itself: health, metrics, the OpenAPI document, the page, starting and stopping."""

import json
import re
import signal
import subprocess

import pytest
from harness import REPO, SHOP, binary, environment, name, run


def test_health_and_readiness(shop):
    assert shop.get("/healthz").status_code == 200 and shop.get("/readyz").status_code == 200


def sample(server, metric):
    """Returns the sum of a metric's samples."""
    text = server.get("/metrics").text
    return sum(float(value) for value in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.M))


def test_metrics_count_what_happens(scripted):
    names = ("bedplate_steps_total", "bedplate_turns_ended_total", "bedplate_tool_calls_total", "bedplate_http_requests_total")
    before = {metric: sample(scripted, metric) for metric in names}
    scripted.turn("parallel", "Go", session_id=name("s"))
    after = {metric: sample(scripted, metric) for metric in names}
    grown = {metric: after[metric] - before[metric] for metric in names}
    # Two model calls and three tool calls; the request for the metrics counts itself.
    assert grown["bedplate_steps_total"] == 5 and grown["bedplate_tool_calls_total"] == 3
    assert grown["bedplate_turns_ended_total"] == 1 and grown["bedplate_http_requests_total"] >= 2


def test_metrics_are_in_prometheus_form(shop):
    answer = shop.get("/metrics")
    assert answer.status_code == 200 and answer.text.endswith("# EOF\n")
    for line in answer.text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? \S+', line), line


def test_a_hostile_address_cannot_grow_the_metrics(scripted):
    before = len(scripted.get("/metrics").text.splitlines())
    for number in range(50):
        scripted.get(f"/nothing/here/{number}")
    assert len(scripted.get("/metrics").text.splitlines()) <= before + 2


def test_the_openapi_document_is_the_committed_one(shop):
    served = shop.get("/openapi.json").json()
    committed = json.loads((REPO / "docs" / "reference" / "openapi.json").read_text())
    assert served == committed, "run `bedplate openapi > docs/reference/openapi.json` and commit it"


@pytest.mark.parametrize("path", ["/", "/chat", "/runs", "/approvals", "/models", "/docs"])
def test_the_page_and_the_docs_come_from_the_binary_alone(shop, path):
    answer = shop.get(path)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    # Nothing is loaded from elsewhere: no address but this server's stands in a src or href.
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src" in policy and ("unsafe-eval" not in policy or path == "/docs")
    if path != "/docs":
        assert "unsafe-inline" not in policy


def test_every_agent_says_what_it_is_and_what_it_can(shop):
    agents = shop.get("/v1/agents").json()["agents"]
    default = [agent for agent in agents if agent["default"]]
    assert [agent["name"] for agent in default] == ["mangaassist"] and len(agents) == 4
    tools = {tool["name"]: tool for tool in default[0]["tools"]}
    assert tools["start_return"]["destructive"] and "preview.amount" in tools["start_return"]["approval"]
    assert tools["search_catalogue"]["read_only"] and tools["search_catalogue"]["approval"] == "never"
    assert shop.get("/v1/agents/mangaassist").json()["name"] == "mangaassist"
    assert shop.get("/v1/agents/nobody").status_code == 404


def test_the_rehearsal_says_that_it_is_no_foundation_model(shop):
    info = shop.get("/v1/info").json()
    assert info["model"]["foundation_model"] is False and "no foundation model" in info["notice"]
    assert "no foundation model" in shop.output()
    models = shop.get("/v1/models").json()
    assert models["object"] == "list" and all(model["foundation_model"] is False for model in models["data"])


def test_a_second_process_on_the_same_data_folder_is_refused_clearly(start):
    server = start()
    command = [binary(), "up", SHOP, "--listen", "127.0.0.1:0", "--data", server.data, "--model", "rehearsal"]
    second = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, env=environment())
    assert second.returncode == 1 and str(server.process.pid) in second.stderr and "data folder" in second.stderr
    # The first goes on, and the command line still finds it.
    assert server.agent("What is 25 * 47?")["status"] == "completed"
    assert run("runs", "list", SHOP, "--data", server.data).returncode == 0


def test_a_taken_port_is_named(shop):
    port = shop.url.rpartition(":")[2]
    ended = run("up", SHOP, "--listen", f"127.0.0.1:{port}", "--data", shop.data.with_name("other"), "--model", "rehearsal")
    assert ended.returncode == 1 and port in ended.stderr


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked_and_starts_again(start, with_signal):
    server = start()
    server.agent("My name is Alice", user_id="u", conversation_id="c")
    server.process.send_signal(with_signal)
    assert server.process.wait(20) == 0
    assert not (server.data / "server.json").exists()
    server.start()
    assert len(server.get("/v1/sessions/c/messages?user_id=u").json()["messages"]) == 2


def test_a_turn_under_way_at_a_stop_goes_on_at_the_next_start(start, scripted):
    server = start(scripted.project)
    turn = server.turn("slow", "Go", "k", session_id="s", background=True)
    assert server.stop() == 0
    server.start()
    view = server.wait_for("the turn did not end", turn["run_id"], lambda view: view["status"] == "idle")
    assert [turn["status"] for turn in view["turns"]] == ["completed"]


def test_the_data_folder_is_private(start):
    server = start()
    assert server.data.stat().st_mode & 0o077 == 0
    assert (server.data / "server.json").stat().st_mode & 0o077 == 0
