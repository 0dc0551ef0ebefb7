"""Other people's clients, unmodified, against one server: client × feature, each cell a probe in `clients/`.

Each client has an environment of its own, because their requirements contradict each other; one that could not be
installed is skipped. `BEDPLATE_WRITE_TABLE=1` writes docs/reference/clients.md from the run; without it the page is
compared, so that it says what was seen and nothing else.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import REPO, Bedplate, environment

HERE = Path(__file__).resolve().parent / "clients"
CACHE = Path(os.environ.get("BEDPLATE_CACHE", Path.home() / ".cache" / "bedplate")) / "clients"
PAGE = REPO / "docs" / "reference" / "clients.md"
FEATURES = ("chat", "stream", "tools", "reasoning", "images", "structured", "errors")
SECONDS = 170

sys.path.insert(0, str(HERE))
import server  # noqa: E402

# The probe, the environment that it runs in (none: that of these tests), and the packages that the table names.
CLIENTS = (
    ("openai_sdk.py", None, ("openai",)),
    ("anthropic_sdk.py", None, ("anthropic",)),
    ("boto3_sdk.py", None, ("boto3",)),
    ("aws_cli.py", "awscli", ("awscli",)),
    ("litellm_sdk.py", "litellm", ("litellm",)),
    ("langchain_sdk.py", "langchain", ("langchain-openai", "langchain-aws")),
    ("strands_sdk.py", "strands", ("strands-agents",)),
    ("pydantic_ai_sdk.py", "pydantic-ai", ("pydantic-ai-slim",)),
    ("openai_agents_sdk.py", "openai-agents", ("openai-agents",)),
    ("crewai_sdk.py", "crewai", ("crewai",)),
    ("vercel_ai.mjs", "ai", ("ai",)),
)


def missing(place):
    """Returns why a client cannot run; none when it can."""
    if place is None or (CACHE / place / ".installed").exists():
        return None
    return f"{place} is not installed: scripts/test installs it where PyPI and npm can be reached"


def pins():
    """Returns the version of each package that the requirements name."""
    found = {}
    for path in [REPO / "tests" / "requirements.txt", *(HERE / "requirements").glob("*.txt")]:
        for line in path.read_text().splitlines():
            name, _, version = line.partition("==")
            found[name.partition("[")[0]] = version
    return found | json.loads((HERE / "ai" / "package.json").read_text())["dependencies"]


def probe(script, place, url):
    """Runs a probe and returns what it said of each feature."""
    if missing(place):
        return []
    folder = CACHE / place if place else None
    if script.endswith(".mjs"):
        command = ["node", HERE / script, url]
    else:
        command = [folder / "bin" / "python" if folder else sys.executable, HERE / script, url]
    env = environment(PYTHONPATH=str(HERE), CLIENT_FOLDER=str(folder), PYTHONWARNINGS="ignore", HOME=str(Path.home()))
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=SECONDS, env=env, check=False)
        out, error = done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        out, error = (late.stdout or b"").decode(), f"not done after {SECONDS} s"
    said = [json.loads(line) for line in out.splitlines() if line.startswith('{"row"')]
    return said or [{"row": script, "feature": "chat", "state": "failed", "why": error[-3000:]}]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What all clients said, by script."""
    folder = tmp_path_factory.mktemp("clients")
    server.write(folder / "project")
    bedplate = Bedplate(folder / "project", folder / "data").start()
    with ThreadPoolExecutor(3) as pool:
        said = dict(zip([client[0] for client in CLIENTS], pool.map(lambda client: probe(*client[:2], bedplate.url), CLIENTS), strict=True))
    bedplate.assert_healthy()
    assert bedplate.stop() == 0
    return said


def table(results):
    """Returns the page that says what was seen."""
    versions, notes = pins(), []
    lines = [
        "# Clients",
        "",
        "Other people's clients, unmodified, with nothing but their endpoint changed, against a scripted model that checks",
        "what reaches it. This page is made from a run of `tests/blackbox/test_all_clients.py`, which also compares it.",
        "",
        "| client · its face | version | " + " | ".join(FEATURES) + " |",
        "|---" * (len(FEATURES) + 2) + "|",
    ]
    for script, _, packages in CLIENTS:
        rows = {}
        for said in results[script]:
            rows.setdefault(said["row"], {})[said["feature"]] = said
        for row, features in rows.items():
            name = row.partition(" · ")[0]
            version = versions[name if name in packages else packages[0]]
            cells = []
            for feature in FEATURES:
                said = features[feature]
                if said["state"] == "none":
                    if said["why"] not in notes:
                        notes.append(said["why"])
                    cells.append(f"– ({notes.index(said['why']) + 1})")
                else:
                    cells.append("yes" if said["state"] == "ok" else "no")
            lines.append(f"| {row} | {version} | " + " | ".join(cells) + " |")
    lines += ["", *[f"{number}. {note}." for number, note in enumerate(notes, 1)], ""]
    lines += [
        "- *tools*: two calls in one reply, streamed where the client streams, their results sent back, and the answer.",
        "- *reasoning*: a sealed block of reasoning beside a call comes back to the model byte for byte.",
        "- *structured*: an object by a schema, in the way in which the client asks for it.",
        "- *errors*: a limit and an unknown model come as errors of the client's own (crewai: an unknown model only, because it\n  waits out a limit); for the providers' own packages also a stream that breaks.",
        "",
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(("script", "place"), [client[:2] for client in CLIENTS], ids=[client[0] for client in CLIENTS])
def test_a_client_does_everything_that_it_can(results, script, place):
    if why := missing(place):
        pytest.skip(why)
    failed = [said for said in results[script] if said["state"] == "failed"]
    assert not failed, "\n".join(f"{said['row']} · {said['feature']}:\n{said['why']}" for said in failed)


def test_the_page_of_clients_says_what_was_seen(results):
    absent = [why for _, place, _ in CLIENTS if (why := missing(place))]
    if absent:
        pytest.skip("; ".join(absent))
    page = table(results)
    if os.environ.get("BEDPLATE_WRITE_TABLE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run this once with BEDPLATE_WRITE_TABLE=1"
