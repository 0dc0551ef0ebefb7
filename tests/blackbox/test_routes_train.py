"""A route learns from its own calls: records of a cascade, `bedplate routes train`, and a route that uses what came of it."""

import json
import re

import openai
import pytest
from harness import run
from test_bulk import wait
from upstreams import Played

EASY = ["opening hours", "delivery time", "shop address", "gift wrapping", "paper size", "phone number"]
HARD = ["prove the theorem", "derive the integral", "prove the lemma", "derive the bound", "prove by induction", "derive the limit"]
ITEMS = "apples pears plums figs grapes lemons melons cherries quinces olives dates limes kiwis mangos berries nuts".split()
CALLS = 240


class Upstream(Played):
    """Two models: `small` cannot do what is hard and says so; `large` can do everything and costs ten times as much."""

    def __init__(self):
        self.asked = []
        super().__init__()

    def answer(self, path, body):
        question = body["messages"][-1]["content"]
        question = question if isinstance(question, str) else question[0]["text"]
        self.asked.append(body["model"])
        gives_up = body["model"] == "small" and any(word in question for word in ("prove", "derive"))
        return 200, "application/json", json.dumps({
            "id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": "UNSURE" if gives_up else "The answer."}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200},
        })  # fmt: skip


@pytest.fixture(scope="module")
def upstream():
    return Upstream()


@pytest.fixture
def project(tmp_path, upstream):
    folder = tmp_path / "project"
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "plain.md").write_text("---\ndescription: Plain.\nmodel: frugal\n---\nBe plain.\n")
    models = "".join(
        f'[models.{name}]\nprovider = "openai"\nmodel = "{name}"\nbase_url = "{upstream.url}"\n' for name in ("small", "large")
    )
    (folder / "bedplate.toml").write_text(
        f'[project]\nname = "learns"\ndefault_agent = "plain"\n[log]\npayloads = "all"\n{models}'
        '[routes.frugal]\nstrategy = "cascade"\ntiers = [{ model = "small", deny = ["UNSURE"] }, { model = "large" }]\n'
        "[prices.small]\ninput = 1.0\noutput = 1.0\n[prices.large]\ninput = 10.0\noutput = 10.0\n"
    )
    return folder


def questions(kinds, count, start=0):
    """Returns questions of these kinds, no two alike."""
    return [
        f"Please {kinds[n % len(kinds)]} for {ITEMS[n % len(ITEMS)]} and {ITEMS[(n * 7 + n // 16) % len(ITEMS)]}, case {n}"
        for n in range(start, start + count)
    ]


def ask(api, model, question):
    answer = api.chat.completions.with_raw_response.create(model=model, messages=[{"role": "user", "content": question}], max_tokens=100)
    return answer.parse().choices[0].message.content


def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)


def test_a_route_learns_from_a_cascades_calls_and_saves_what_the_report_says(start, project, upstream):
    server = start(project)
    api = client(server)
    mixed = [text for pair in zip(questions(EASY, CALLS // 2), questions(HARD, CALLS // 2), strict=True) for text in pair]
    assert all(ask(api, "frugal", question) == "The answer." for question in mixed), "the cascade answers everything"
    assert (upstream.asked.count("small"), upstream.asked.count("large")) == (CALLS, CALLS // 2)
    look = lambda: server.get("/v1/costs?by=route", token=True).json()["rows"]  # noqa: E731
    wait("the records did not come", look, lambda rows: rows and rows[0]["calls"] == CALLS)

    busy = run("routes", "train", "frugal", project, "--data", server.data)
    assert busy.returncode != 0 and "stop the server" in busy.stderr, "the data folder is in use"
    assert server.stop() == 0
    trained = run("routes", "train", "frugal", project, "--data", server.data, "--json")
    assert trained.returncode == 0, trained.stderr
    said = json.loads(trained.stdout)
    report = said["report"]
    assert report["trained_on"] + report["judged_on"] == CALLS and report["judged_on"] >= CALLS // 10
    assert 0.3 <= report["cheap_share"] <= 0.7 and report["cheap_good"] >= 0.9, report
    assert report["calibration_error"] < 0.2 and report["cost_routed"] < 0.8 * report["cost_strong"], report
    again = run("routes", "train", "frugal", project, "--data", server.data, "--out", "routers/again.json")
    figures = [float(figure) for figure in re.findall(r"([\d.]+) USD", again.stdout)]
    assert len(figures) == 2 and figures[1] < figures[0], again.stdout
    same = [json.loads((project / "routers" / name).read_text())["report"] for name in ("frugal.json", "again.json")]
    assert same[0] == same[1] == report, "the same calls teach the same"

    config = project / "bedplate.toml"
    config.write_text(
        config.read_text()
        + f'[routes.learned]\nstrategy = "learned"\ncheap = "small"\nstrong = "large"\nrouter = "{said["file"]}"\n'
    )
    server.start()
    api = client(server)
    del upstream.asked[:]
    for question in questions(EASY, 40, start=5_000):
        ask(api, "learned", question)
    easy = upstream.asked.count("small")
    del upstream.asked[:]
    answers = [ask(api, "learned", question) for question in questions(HARD, 40, start=5_000)]
    assert easy >= 36, f"{easy} of 40 easy questions went to the cheap model"
    assert upstream.asked.count("large") >= 36 and answers.count("The answer.") >= 36, "what is hard goes to the strong one"
    rows = wait("the records did not come",
                lambda: server.get("/v1/costs?by=route", token=True).json()["rows"],
                lambda rows: {row["route"]: row for row in rows}.get("learned", {}).get("calls") == 80)  # fmt: skip
    spent = {row["route"]: row for row in rows}["learned"]["cost_usd"]
    # 40 cheap calls at 0.0002 and 40 strong ones at 0.002 dollars are 0.088; with the strong model alone it were 0.16.
    assert spent <= 0.088 + 4 * 0.0018 + 1e-9 < 0.16, spent


def test_too_little_to_learn_from_is_said_and_writes_nothing(start, project):
    server = start(project)
    api = client(server)
    for question in questions(EASY, 5):
        ask(api, "frugal", question)
    assert server.stop() == 0
    failed = run("routes", "train", "frugal", project, "--data", server.data)
    assert failed.returncode != 0 and "too few" in failed.stderr and not (project / "routers").exists(), failed.stderr
    assert run("routes", "train", "frugal", project, "--data", server.data, "--good", "2").returncode != 0


def test_a_router_that_is_missing_or_no_router_is_a_problem_of_the_project(project):
    config = project / "bedplate.toml"
    config.write_text(
        config.read_text() + '[routes.learned]\nstrategy = "learned"\ncheap = "small"\nstrong = "large"\nrouter = "routers/x.json"\n'
    )
    missing = run("check", project)
    assert missing.returncode != 0 and "routes train" in missing.stdout + missing.stderr
