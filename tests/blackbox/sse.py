"""A reader of server-sent events, as the standard describes them: fields, comments, ids, blank lines."""

import json
from dataclasses import dataclass

import requests


@dataclass
class Event:
    """One event; `id` is that of the event itself, not the last one seen."""

    name: str
    data: object
    id: str | None


def events_of(response):
    """Yields the events of a streaming response until it ends."""
    name, data, identifier = "message", [], None
    for line in response.iter_lines(decode_unicode=True):
        if line == "":
            if data:
                yield Event(name, json.loads("\n".join(data)), identifier)
            name, data, identifier = "message", [], None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identifier = value


def open_stream(server, method, path, headers=None, **options):
    """Opens a stream and returns the response, whose status must be 200."""
    headers = {"accept": "text/event-stream"} | (headers or {})
    response = requests.request(method, f"{server.url}{path}", headers=headers, stream=True, timeout=60, **options)
    response.encoding = "utf-8"
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return response


def invoke(server, agent, body, **headers):
    """Starts a turn and yields its events."""
    with open_stream(server, "POST", f"/v1/agents/{agent}/invoke", json=body, headers=headers) as response:
        yield from events_of(response)


def follow(server, run, after=None, last_event_id=None):
    """Yields the events of a run from a position on, for as long as the caller reads."""
    headers = {"last-event-id": last_event_id} if last_event_id else {}
    query = f"?after={after}" if after is not None else ""
    with open_stream(server, "GET", f"/v1/runs/{run}/events{query}", headers=headers) as response:
        yield from events_of(response)
