"""schemathesis over the running server's OpenAPI document, with data that fits it and data that does not."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from harness import PROJECTS

# What must hold of every answer. Left out are checks of another contract than HTTP's own: that a path which the page
# shares knows no other method, and that data which is wrong but harmless is refused.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)
EXAMPLES = os.environ.get("BEDPLATE_SCHEMA_EXAMPLES", "15")


@pytest.mark.parametrize("known", [False, True], ids=["made-up names", "names of things that exist"])
def test_the_server_keeps_to_its_openapi_document(start, tmp_path, known):
    project = tmp_path / "project"
    shutil.copytree(PROJECTS / "scripted", project)
    for slow in ("hangs", "slow", "words"):
        # schemathesis calls every agent that it finds, and would wait for these.
        (project / "agents" / f"{slow}.md").unlink()
    server = start(project)
    # Something to find, page through, fork and replay, and a question that waits.
    for session in ("one", "two", "three"):
        server.turn("parallel", "Go", session_id=session)
    waits = server.turn("pays", "Pay", session_id="waits")
    config = "[parameters]\n"
    if known:
        calls = [event["seq"] for event in server.events(waits["run_id"]) if event["type"] == "model_called"]
        names = {"agent": "plain", "run": waits["run_id"], "session": "one", "call": calls[0], "id": "default"}
        config += "".join(f'"path.{name}" = {json.dumps(value)}\n' for name, value in names.items())
    (tmp_path / "schemathesis.toml").write_text(config)
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        "run", f"{server.url}/openapi.json",
        "--checks", CHECKS, "--mode", "all", "--phases", "examples,coverage,fuzzing",
        "--max-examples", EXAMPLES, "--generation-deterministic",
        # One worker: Python 3.11's parser, which hypothesis calls, fails now and then in two threads.
        "--workers", "1", "--request-timeout", "60", "--no-color",
        # As the administrator, because a key that it makes closes the server to everybody else.
        "--header", f"Authorization: Bearer {server.token}",
        # Prometheus' text form has its own test.
        "--exclude-path", "/metrics",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=tmp_path)
    print(ended.stdout[-20_000:], ended.stderr[-2_000:])
    server.assert_healthy()
    assert ended.returncode == 0
