"""schemathesis over the running server's OpenAPI document, with data that fits it and data that does not."""

import os
import subprocess
import sys

from harness import PROJECTS

# What must hold of every answer. Left out: checks that presume another contract than HTTP's own (an unsupported method
# on a path that a page shares, for example).
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection"
SECONDS = 120


def test_the_server_keeps_to_its_openapi_document(start, tmp_path):
    server = start(PROJECTS / "scripted")
    # Something to find, page through, fork and replay.
    for session in ("one", "two", "three"):
        server.turn("parallel", "Go", session_id=session)
    server.turn("pays", "Pay", session_id="waits")
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", f"{server.url}/openapi.json",
        "--checks", CHECKS, "--mode", "all", "--phases", "examples,coverage,fuzzing",
        "--max-examples", os.environ.get("BEDPLATE_SCHEMA_EXAMPLES", "15"),
        "--seed", "1", "--generation-deterministic", "--workers", "2", "--request-timeout", "20", "--no-color",
        # An agent that never answers would be waited for; the streams have their own tests.
        "--exclude-path-regex", "^/metrics$|^/assets/",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=4 * SECONDS, cwd=tmp_path)
    print(ended.stdout[-20_000:], ended.stderr[-2_000:])
    server.assert_healthy()
    assert ended.returncode == 0
