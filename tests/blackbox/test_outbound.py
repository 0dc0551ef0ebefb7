"""Other people's clients through the gateway to model servers that are played: what passes, and what is translated."""

import json

import anthropic
import boto3
import openai
import pytest
from upstreams import ACCESS, REGION, SECRET, TOKEN, WORDS, Upstream

MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"
TEXT = "".join(WORDS)
PROJECT = """[project]
name = "outbound"
description = "Routes to model servers that are played."
default_agent = "none"

[models.bedrock]
provider = "bedrock"
model = "{model}"
region = "{region}"
base_url = "{url}"

[models.chat]
provider = "openai_compatible"
model = "theirs"
base_url = "{url}/v1"

[routes.default]
model = "chat"

[routes.chat]
model = "chat"

[routes.bedrock]
model = "bedrock"

[model_ids]
"{model}" = "bedrock"
"""


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def server(start, tmp_path, upstream):
    project = tmp_path / "project"
    (project / "agents").mkdir(parents=True)
    (project / "agents" / "none.md").write_text("---\ndescription: Never asked.\nmodel: chat\n---\nNever asked.\n")
    (project / "bedplate.toml").write_text(PROJECT.format(model=MODEL, region=REGION, url=upstream.url))
    keys = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    return start(project, **keys)


def bedrock_client(server):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


ASK = [{"role": "user", "content": [{"text": "How many? ünïcode 🌊"}]}]


def test_what_is_signed_is_what_botocore_would_sign(server, upstream):
    client = bedrock_client(server)
    reply = client.converse(modelId=MODEL, messages=ASK, guardrailConfig={"guardrailIdentifier": "g-1", "guardrailVersion": "1"})
    assert reply["output"]["message"]["content"] == [{"text": TEXT}]
    assert reply["additionalModelResponseFields"] == {"not": {"ours": [1]}}, "a field that nobody here knows passes"
    events = list(client.converse_stream(modelId=MODEL, messages=ASK)["stream"])
    assert "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e) == TEXT
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 17
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [], "beta": {"x": 1}}
    said = json.loads(client.invoke_model(modelId=MODEL, body=json.dumps(body))["body"].read())
    assert said["not_ours"] == {"a": 1}
    assert len(upstream.requests) == 3
    for request in upstream.requests:
        assert request["signature"], request["headers"]
        assert request["path"].startswith("/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/")
    assert json.loads(upstream.requests[0]["body"])["guardrailConfig"]["guardrailIdentifier"] == "g-1"
    assert json.loads(upstream.requests[2]["body"]) == body


def test_clients_of_openai_and_anthropic_reach_bedrock(server, upstream):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any")
    asked = [{"role": "user", "content": "How many?"}]
    reply = client.chat.completions.create(model="bedrock", messages=asked)
    assert (reply.choices[0].message.content, reply.usage.total_tokens) == (TEXT, 17)
    stream = client.chat.completions.create(model="bedrock", messages=asked, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == TEXT
    claude = anthropic.Anthropic(base_url=server.url, api_key="any")
    said = claude.messages.create(model="bedrock", max_tokens=20, messages=asked)
    assert (said.content[0].text, said.usage.input_tokens) == (TEXT, 12)
    with claude.messages.stream(model="bedrock", max_tokens=20, messages=asked) as stream:
        assert "".join(stream.text_stream) == TEXT
    assert all(request["signature"] for request in upstream.requests)
    paths = [request["path"].rpartition("/")[2] for request in upstream.requests]
    assert paths == ["converse", "converse-stream", "converse", "converse-stream"]


def test_chat_completions_pass_as_they_are(server, upstream):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any")
    asked = [{"role": "user", "content": "How many?"}]
    reply = client.chat.completions.with_raw_response.create(
        model="chat", messages=asked, extra_body={"their_field": {"deep": [1, None]}}
    )
    said = json.loads(reply.content)
    assert (said["not_ours"], said["id"], said["model"]) == ({"a": [1, 2]}, "chatcmpl-theirs", "theirs-0001")
    assert reply.headers["x-bedplate-model"] == "theirs; foundation_model=true"
    assert (reply.headers["x-bedplate-route"], reply.headers["x-bedplate-attempts"]) == ("chat", "1")
    sent = json.loads(upstream.requests[0]["body"])
    assert (sent["model"], sent["their_field"]) == ("theirs", {"deep": [1, None]})
    chunks = list(client.chat.completions.create(model="chat", messages=asked, stream=True))
    assert all(chunk.not_ours == 7 for chunk in chunks) and not any(chunk.usage for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="chat", messages=asked, stream=True, stream_options=options))
    assert chunks[-1].usage.total_tokens == 17


def test_a_client_of_bedrock_reaches_chat_completions(server, upstream):
    client = bedrock_client(server)
    assert client.converse(modelId="chat", messages=ASK)["output"]["message"]["content"] == [{"text": TEXT}]
    events = list(client.converse_stream(modelId="chat", messages=ASK)["stream"])
    assert "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e) == TEXT
    assert [json.loads(request["body"]).get("stream") for request in upstream.requests] == [None, True]


def test_a_second_model_is_not_smuggled_past_the_route(server, upstream):
    import requests

    body = '{"model":"chat","messages":[],"mod\\u0065l":"theirs-most-expensive"}'
    answer = requests.post(f"{server.url}/v1/chat/completions", data=body, timeout=30)
    assert answer.status_code == 400 and "twice" in answer.json()["error"]["message"]
    assert upstream.requests == []
