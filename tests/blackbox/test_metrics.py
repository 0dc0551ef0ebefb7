"""What calls leave behind: records that say who called, also of agents and of embeddings, and figures in /metrics."""

import json
import re

import openai
import pytest
from harness import run
from test_bulk import wait
from upstreams import Played


class Upstream(Played):
    """A model server of OpenAI's dialect: chat, embeddings, and a refusal for the model `down`."""

    def answer(self, path, body):
        if body["model"] == "down":
            return 500, "application/json", json.dumps({"error": {"message": "down"}})
        if path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": n, "embedding": [0.5, 0.5]} for n in range(len(body["input"]))]
            usage = {"prompt_tokens": 7, "total_tokens": 7}
            return 200, "application/json", json.dumps({"object": "list", "data": data, "model": "e", "usage": usage})
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
        shell = {"id": "x", "created": 1, "model": "m", "usage": usage}
        if body.get("stream"):
            chunk = shell | {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
            return 200, "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        return 200, "application/json", json.dumps(shell | {"object": "chat.completion", "choices": [choice]})


@pytest.fixture
def server(start, tmp_path):
    url = Upstream().url
    folder = tmp_path / "project"
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "plain.md").write_text("---\ndescription: Plain.\nmodel: up\n---\nBe plain.\n")
    models = "".join(
        f'[models.{name}]\nprovider = "openai"\nmodel = "{model}"\nbase_url = "{url}"\njurisdictions = ["eu"]\n'
        for name, model in [("good", "m"), ("vectors", "e"), ("bad", "down")]
    )
    models += "".join(
        f'[models.{billing}]\nprovider = "openai"\nmodel = "m"\nbase_url = "{url}"\nbilling = "{billing}"\n'
        for billing in ("batch", "provisioned")
    )
    routes = "".join(f'[routes.{name}]\nmodel = "{model}"\n' for name, model in [("up", "good"), ("embed", "vectors"), ("fails", "bad"), ("late", "batch"), ("reserved", "provisioned")])
    (folder / "bedplate.toml").write_text(
        f'[project]\nname = "metrics"\ndefault_agent = "plain"\n{models}{routes}'
        "[prices.m]\ninput = 10.0\noutput = 20.0\nbatch_input = 4.0\nbatch_output = 6.0\n[prices.e]\ninput = 1.0\noutput = 0.0\n"
        '[plans.two]\nrequests_per_day = 2\n[limits.teams]\nsmall = "two"\n'
    )
    return start(folder)


SAID = {"x-bedplate-tags": "feature=search,stage=test", "x-bedplate-session": "s-1", "x-bedplate-user": "ann"}


def records(server, count):
    look = lambda: server.get("/v1/records?limit=50", token=True).json()["records"]  # noqa: E731
    return wait("the records did not come", look, lambda found: len(found) >= count)


def key(server, **more):
    made = server.post("/v1/keys", {"name": "k", **more}, token=True)
    assert made.status_code in (200, 201), made.text
    return made.json()


def test_the_record_of_an_embedding_says_who_called_and_what_it_cost(server):
    made = key(server, team="search-team")
    api = openai.OpenAI(base_url=f"{server.url}/v1", api_key=made["key"], max_retries=0, default_headers=SAID)
    assert len(api.embeddings.create(model="embed", input=["a", "b"]).data) == 2
    with pytest.raises(openai.OpenAIError):
        api.embeddings.create(model="fails", input=["a"])
    failed, one = records(server, 2)
    assert (one["route"], one["target"], one["provider"], one["dialect"]) == ("embed", "vectors", "openai", "openai_embeddings")
    assert (one["key"], one["team"], one["user_id"], one["session_id"]) == (made["id"], "search-team", "ann", "s-1")
    assert one["tags"] == {"feature": "search", "stage": "test"}
    assert one["usage"]["input"] == 7 and one["cost_usd"] == pytest.approx(7e-6) and one["outcome"] == "ok", one
    assert failed["outcome"] == "error" and failed["route"] == "fails" and failed["attempts"] == 1, failed


def test_the_calls_of_an_agent_say_the_key_team_tags_and_session(server):
    made = key(server, team="agents-team")
    headers = {"x-api-key": made["key"], "x-bedplate-tags": "feature=help"}
    turn = server.post("/v1/agents/plain/invoke", {"input": "Hi", "user_id": "bob", "session_id": "talk"}, headers=headers)
    assert turn.status_code == 200, turn.text
    [one] = records(server, 1)
    assert (one["key"], one["team"], one["tags"]) == (made["id"], "agents-team", {"feature": "help"})
    assert (one["user_id"], one["session_id"], one["agent"]) == ("bob", "talk", "plain")
    # The same session is carried on by somebody else: what is said belongs to them.
    turn = server.post("/v1/agents/plain/invoke", {"input": "Hi", "user_id": "bob", "session_id": "talk"}, token=True)
    assert turn.status_code == 200, turn.text
    newest = records(server, 2)[0]
    assert (newest["key"], newest["team"], newest["tags"], newest["session_id"]) == (None, None, {}, "talk")


def test_an_agents_calls_are_held_to_the_limits_of_their_team_and_to_residency(server):
    made = key(server, team="small")
    headers = {"x-api-key": made["key"]}
    # A turn that may take longer than what is left of the day would wait for the next one.
    said = {"input": "Hi", "timeout_seconds": 5}
    ask = lambda **more: server.post("/v1/agents/plain/invoke", said, headers=headers | more)  # noqa: E731
    assert [ask().json()["status"] for _ in range(2)] == ["completed", "completed"]
    assert ask().json()["status"] != "completed", "the plan allows the team two requests a day"
    other = {"x-api-key": key(server)["key"]}
    abroad = server.post("/v1/agents/plain/invoke", {"input": "Hi"}, headers=other | {"x-bedplate-jurisdiction": "us"})
    assert abroad.json()["status"] != "completed", "no model of the route works in the US"
    home = server.post("/v1/agents/plain/invoke", {"input": "Hi"}, headers=other | {"x-bedplate-jurisdiction": "eu"})
    assert home.json()["status"] == "completed", home.text


def test_a_model_costs_what_its_billing_says(server):
    api = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
    for model in ("up", "late", "reserved"):
        api.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], max_tokens=5)
    found = {one["target"]: one["cost_usd"] for one in records(server, 3)}
    assert found == {"good": pytest.approx(110e-6), "batch": pytest.approx(38e-6), "provisioned": 0.0}


def test_half_a_price_is_a_problem_of_the_project(start, tmp_path, server):
    config = tmp_path / "project" / "bedplate.toml"
    whole = config.read_text()
    for old, new, says in [
        ("batch_output = 6.0\n", "", "belong together"),
        ('billing = "batch"', 'billing = "flat"', "billing"),
    ]:
        config.write_text(whole.replace(old, new))
        checked = run("check", tmp_path / "project")
        assert checked.returncode != 0 and says in checked.stdout + checked.stderr, checked.stdout
    config.write_text(whole)


def figures(server):
    """Returns the metrics by name and labels."""
    text = server.get("/metrics", token=True).text
    lines = re.findall(r"^(bedplate_\w+)(?:\{(.*)\})? (\S+)$", text, re.M)
    assert text.endswith("# EOF\n")
    return {(name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels))): float(value) for name, labels, value in lines}


def test_the_figures_of_all_are_for_keys_that_speak_for_nobody_alone(server):
    for narrow in ({"user_id": "ann"}, {"agents": ["plain"]}):
        refused = server.get("/metrics", headers={"x-api-key": key(server, **narrow)["key"]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_a_watcher"), narrow
        assert "bedplate_" not in refused.text
    assert server.get("/metrics", headers={"x-api-key": key(server)["key"]}).status_code == 200


def test_metrics_tell_routes_and_models_apart(server):
    api = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
    said = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    for _ in range(3):
        api.chat.completions.create(model="up", **said)
    list(api.chat.completions.create(model="up", stream=True, **said))
    with pytest.raises(openai.OpenAIError):
        api.chat.completions.create(model="fails", **said)
    records(server, 5)
    found = figures(server)
    at = lambda name, **labels: found.get((f"bedplate_{name}", frozenset(labels.items())))  # noqa: E731
    up = {"route": "up", "model": "good", "provider": "openai"}
    assert at("route_calls_total", **up, outcome="ok") == 4
    assert at("route_attempts_total", **up) == 4
    assert (at("route_tokens_total", **up, kind="input"), at("route_tokens_total", **up, kind="output")) == (20, 12)
    assert at("route_cost_micro_usd_total", **up) == 4 * (5 * 10 + 3 * 20)
    assert at("route_call_seconds_count", **up) == 4 == at("route_call_seconds_bucket", **up, le="+Inf")
    assert at("route_first_token_seconds_count", **up) >= 1
    fails = [(dict(labels)["outcome"], value) for (name, labels), value in found.items()
             if name == "bedplate_route_calls_total" and ("route", "fails") in labels]
    assert len(fails) == 1 and fails[0][0] != "ok" and fails[0][1] == 1
    good = {"model": "good", "provider": "openai"}
    assert (at("model_breaker", **good, state="closed"), at("model_breaker", **good, state="open")) == (1, 0)
    assert at("model_in_flight", **good) == 0 and at("model_concurrency_limit", **good) >= 1
    assert at("model_attempts_total", **good) == 4 and at("model_latency_seconds", **good) > 0
    bad = {"model": "bad", "provider": "openai"}
    errors = {dict(labels)["kind"]: value for (name, labels), value in found.items()
              if name == "bedplate_model_errors_total" and ("model", "bad") in labels}
    assert errors and sum(errors.values()) == at("model_attempts_total", **bad) >= 1
    assert at("model_error_ratio", **bad) > 0
