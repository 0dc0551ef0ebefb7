"""What the probes of all clients share: the cases, what must come of them, and how a probe reports. Needs no package."""

import json
import sys
import traceback
from pathlib import Path

FEATURES = ("chat", "stream", "tools", "reasoning", "images", "structured", "errors")

# A PNG of one pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PLAIN = "One two three."
DONE = "Here you are."
KNOWN = "I still know why."
SEEN = "I see it."
EXPRESSIONS = ["6 * 7", "2 * 2"]
DESCRIPTION = "Evaluates an arithmetic expression and returns the number."
PARAMETERS = {
    "type": "object",
    "properties": {"expression": {"type": "string", "description": "The expression."}},
    "required": ["expression"],
    "additionalProperties": False,
}
# A model that is asked for a form by a tool fills that tool from this.
ASK_CITY = "What is the weather in Paris for 3 days?"
# The route that refuses calls: one for each probe, so that no breaker opens on the others.
LIMITED = f"limited-{Path(sys.argv[0]).stem}"
CITY = {"city": "Paris", "days": 3}
CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def bedrock(route):
    """Returns the model id under which Bedrock's clients find a route."""
    return f"anthropic.{route}-v1:0"


def same(found, expected):
    """Fails with both when they differ."""
    if found != expected:
        raise AssertionError(f"expected {expected!r}, got {found!r}")


def calls(found):
    """Checks the expressions of the two calls, in any order: some clients run them at the same time."""
    same(sorted(found), sorted(EXPRESSIONS))


def fails(call, *kinds):
    """Checks that a call fails with one of these errors, as its client names them, or with one caused by it."""
    try:
        answer = call()
    except Exception as error:
        seen, next_error = [], error
        while next_error is not None:
            seen.append(next_error)
            next_error = next_error.__cause__ or next_error.__context__
        if any(isinstance(error, kinds) for error in seen):
            return
        raise
    raise AssertionError(f"no error, but {answer!r}")


def report(rows):
    """Runs `rows[row][feature]` and prints a line of JSON for each; a feature without a probe has none."""
    only = sys.argv[2:]
    for row, probes in rows.items():
        for feature in FEATURES:
            if only and feature not in only:
                continue
            probe = probes.get(feature)
            said = {"row": row, "feature": feature}
            if isinstance(probe, str):
                said |= {"state": "none", "why": probe}
            else:
                try:
                    probe()
                    said["state"] = "ok"
                except Exception:
                    said |= {"state": "failed", "why": traceback.format_exc()[-3000:]}
            print(json.dumps(said), flush=True)
