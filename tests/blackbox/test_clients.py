"""Other people's clients talk to the models by changing their endpoint: OpenAI's, Anthropic's and AWS's own packages."""

import base64
import json
import re
import signal
import time

import anthropic
import boto3
import botocore.config
import botocore.exceptions
import openai
import pytest
from harness import Bedplate, run

MODEL_ID = "anthropic.claude-3-5-sonnet-20240620-v1:0"
# A PNG of one pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
QUESTION = "What is 25 * 47?"
DESCRIPTION = "Evaluates an arithmetic expression and returns the number."
SCHEMA = {
    "type": "object",
    "properties": {"expression": {"type": "string", "description": "The expression, for example 2 + 3 * 4."}},
    "required": ["expression"],
}

PROJECT = """
[project]
name = "faults"
default_agent = "quiet"
"""
SCRIPTS = {
    "plain": 'text = "One two three."\nusage = { input = 10, output = 3, cache_read = 4 }',
    "parallel": 'text = "Let me see."\ntool_use = [{ name = "calculate", input = { expression = "6 * 7" } },'
    ' { name = "calculate", input = { expression = "2 * 2" } }]\n[[turn.step]]\ntext = "Here you are."',
    "refused": 'fail = { kind = "unauthorized", message = "the provider says no" }',
    "limited": 'fail = { kind = "rate_limited", message = "slow down", retry_after_ms = 2000 }',
    "busy": 'fail = { kind = "unavailable", message = "too much to do" }',
    "late": 'fail = { kind = "timeout", message = "it took too long" }',
    "long": 'fail = { kind = "too_large", message = "that is too much" }',
    "garbled": 'fail = { kind = "broken_stream", message = "it said nonsense" }',
    "midway": 'text = "This breaks off in the middle of it all."\n'
    'fail = { kind = "unavailable", message = "the provider went away", midway = true }',
    "slow": 'text = "' + "word " * 400 + '"\nchunk_delay_ms = 20',
}


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """A server whose routes each do one thing: answer, call two tools at once, fail at once, fail midway, dawdle."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "project" / "agents").mkdir(parents=True)
    (folder / "project" / "scripts").mkdir()
    (folder / "project" / "agents" / "quiet.md").write_text("---\ndescription: Quiet.\nmodel: plain\n---\nBe quiet.\n")
    tables = [PROJECT]
    for name, step in SCRIPTS.items():
        (folder / "project" / "scripts" / f"{name}.toml").write_text(f"loop = true\n[[turn]]\n[[turn.step]]\n{step}\n")
        tables.append(f'[models.{name}]\nprovider = "scripted"\nmodel = "scripts/{name}.toml"\n')
        tables.append(f'[routes.{name}]\nmodel = "{name}"\n')
    tables.append(f'[model_ids]\n"{MODEL_ID}" = "plain"\n')
    (folder / "project" / "bedplate.toml").write_text("\n".join(tables))
    server = Bedplate(folder / "project", folder / "data").start()
    yield server
    server.assert_healthy()
    assert server.stop() == 0


def openai_client(server, key="any"):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def anthropic_client(server, key="any"):
    return anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0)


def bedrock_client(server):
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


# -- OpenAI -----------------------------------------------------------------------------------------------------------

OPENAI_TOOL = {"type": "function", "function": {"name": "calculate", "description": DESCRIPTION, "parameters": SCHEMA}}


@pytest.mark.parametrize("model", ["default", MODEL_ID])
def test_openai_chat_under_a_routes_name_or_a_model_id(shop, model):
    answer = openai_client(shop).chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    )
    reply = answer.parse()
    assert reply.object == "chat.completion" and reply.model == model and reply.id.startswith("chatcmpl-")
    assert reply.choices[0].message.content and reply.choices[0].finish_reason == "stop"
    assert reply.usage.prompt_tokens > 0 and reply.usage.total_tokens > reply.usage.prompt_tokens
    assert abs(reply.created - time.time()) < 60
    assert "foundation_model=false" in answer.headers["x-bedplate-model"]


def test_openai_says_which_fields_the_model_will_not_see(shop):
    answer = openai_client(shop).chat.completions.with_raw_response.create(
        model="default", messages=[{"role": "user", "content": "Hi"}], seed=7
    )
    assert answer.headers["x-bedplate-untranslated"] == "openai_chat.seed"


def test_fields_that_a_client_makes_up_cannot_blow_up_the_header_that_names_them(shop):
    fields = {f"f{number}\u00fc\n" + "x" * 500: 1 for number in range(2_000)}
    body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], **fields}
    answer = shop.post("/v1/chat/completions", body)
    assert answer.status_code == 200
    named = answer.headers["x-bedplate-untranslated"]
    assert named.startswith("openai_chat.f0x") and named.endswith(", and more") and len(named) < 1_100


def test_openai_streams_the_same_text_and_usage_only_when_asked(faults):
    client = openai_client(faults)
    for asked in (True, False):
        options = {"stream_options": {"include_usage": True}} if asked else {}
        chunks = list(
            client.chat.completions.create(
                model="plain", messages=[{"role": "user", "content": "Hi"}], stream=True, **options
            )
        )
        deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
        assert "".join(choice.delta.content or "" for choice in deltas) == "One two three."
        assert len([choice for choice in deltas if choice.delta.content]) > 1
        assert [choice.finish_reason for choice in deltas if choice.finish_reason] == ["stop"]
        usages = [chunk.usage for chunk in chunks if chunk.usage]
        if asked:
            [usage] = usages
            # This dialect counts cached tokens among the prompt's.
            assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (14, 3, 17)
            assert usage.prompt_tokens_details.cached_tokens == 4
        else:
            assert usages == []


@pytest.mark.parametrize("stream", [False, True])
def test_openai_tool_call_goes_there_and_back(shop, stream):
    client = openai_client(shop)
    messages = [{"role": "user", "content": QUESTION}]
    if stream:
        with client.chat.completions.stream(model="default", messages=messages, tools=[OPENAI_TOOL]) as events:
            for _ in events:
                pass
            reply = events.get_final_completion()
    else:
        reply = client.chat.completions.create(model="default", messages=messages, tools=[OPENAI_TOOL])
    assert reply.choices[0].finish_reason == "tool_calls"
    [call] = reply.choices[0].message.tool_calls
    assert call.function.name == "calculate" and "47" in json.loads(call.function.arguments)["expression"]
    messages += [
        {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": {"name": "calculate", "arguments": call.function.arguments}}]},
        {"role": "tool", "tool_call_id": call.id, "content": "1175"},
    ]
    answer = client.chat.completions.create(model="default", messages=messages, tools=[OPENAI_TOOL])
    assert "1175" in answer.choices[0].message.content.replace(",", "")


def test_openai_parallel_calls_stay_apart_in_a_stream(faults):
    client = openai_client(faults)
    messages = [{"role": "user", "content": "Go"}]
    whole = client.chat.completions.create(model="parallel", messages=messages, tools=[OPENAI_TOOL])
    with client.chat.completions.stream(model="parallel", messages=messages, tools=[OPENAI_TOOL]) as events:
        for _ in events:
            pass
        streamed = events.get_final_completion()
    for reply in (whole, streamed):
        calls = reply.choices[0].message.tool_calls
        assert [json.loads(call.function.arguments)["expression"] for call in calls] == ["6 * 7", "2 * 2"]
        assert len({call.id for call in calls}) == 2
    calls = whole.choices[0].message.tool_calls
    messages.append(whole.choices[0].message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "42"} for call in calls]
    answer = client.chat.completions.create(model="parallel", messages=messages, tools=[OPENAI_TOOL])
    assert answer.choices[0].message.content == "Here you are."


def test_openai_takes_a_picture_as_bytes_and_refuses_an_address(shop):
    client = openai_client(shop)

    def ask(url):
        content = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": url}}]
        return client.chat.completions.create(model="default", messages=[{"role": "user", "content": content}])

    assert ask(f"data:image/png;base64,{PIXEL}").choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="not fetched"):
        ask("http://169.254.169.254/latest/meta-data")


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("nobody", openai.NotFoundError, 404),
        ("refused", openai.PermissionDeniedError, 403),
        ("limited", openai.RateLimitError, 429),
        ("long", openai.APIStatusError, 413),
        ("busy", openai.InternalServerError, 503),
        ("late", openai.InternalServerError, 504),
        ("garbled", openai.InternalServerError, 502),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_openai_errors_are_the_clients_own(faults, model, error, status, stream):
    with pytest.raises(error) as raised:
        openai_client(faults).chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
    assert raised.value.status_code == status and raised.value.type and raised.value.request_id
    if model == "limited":
        assert raised.value.response.headers["retry-after"] == "2" and raised.value.code == "rate_limit_exceeded"


def test_openai_bad_requests_say_where(shop):
    client = openai_client(shop)
    with pytest.raises(openai.BadRequestError, match=re.escape("messages[0].role")) as raised:
        client.chat.completions.create(model="default", messages=[{"role": "wizard", "content": "Hi"}])
    assert raised.value.type == "invalid_request_error"
    for body in (b"", b"{", b"[]", b"\xff", b'{"model": "default", "messages": 7}'):
        answer = shop.request("POST", "/v1/chat/completions", data=body)
        assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error", body
    answer = shop.get("/v1/chat/completions")
    assert answer.status_code == 405 and answer.json()["error"]["type"] == "invalid_request_error"


def test_openai_a_stream_that_breaks_ends_with_an_error_and_no_made_up_finish(faults):
    text, finished = "", False
    with pytest.raises(openai.APIError, match="went away"):
        for chunk in openai_client(faults).chat.completions.create(
            model="midway", messages=[{"role": "user", "content": "Hi"}], stream=True
        ):
            text += chunk.choices[0].delta.content or ""
            finished |= chunk.choices[0].finish_reason is not None
    assert text.startswith("This breaks") and not finished


# -- Anthropic --------------------------------------------------------------------------------------------------------

ANTHROPIC_TOOL = {"name": "calculate", "description": DESCRIPTION, "input_schema": SCHEMA}


@pytest.mark.parametrize("model", ["default", MODEL_ID])
def test_anthropic_chat_under_a_routes_name_or_a_model_id(shop, model):
    reply = anthropic_client(shop).messages.create(
        model=model, max_tokens=100, system="Be brief.", messages=[{"role": "user", "content": "Hi"}]
    )
    assert reply.type == "message" and reply.role == "assistant" and reply.model == model
    assert reply.content[0].type == "text" and reply.content[0].text and reply.stop_reason == "end_turn"
    assert reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0


def test_anthropic_streams_the_same_text_and_the_usage(faults):
    with anthropic_client(faults).messages.stream(
        model="plain", max_tokens=100, messages=[{"role": "user", "content": "Hi"}]
    ) as events:
        pieces = list(events.text_stream)
        reply = events.get_final_message()
    assert "".join(pieces) == "One two three." == reply.content[0].text and len(pieces) > 1
    assert reply.stop_reason == "end_turn"
    usage = reply.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (10, 3, 4)


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_tool_call_goes_there_and_back(shop, stream):
    client = anthropic_client(shop)
    messages = [{"role": "user", "content": QUESTION}]
    request = {"model": "default", "max_tokens": 200, "tools": [ANTHROPIC_TOOL]}
    if stream:
        with client.messages.stream(messages=messages, **request) as events:
            reply = events.get_final_message()
    else:
        reply = client.messages.create(messages=messages, **request)
    [call] = [block for block in reply.content if block.type == "tool_use"]
    assert reply.stop_reason == "tool_use" and call.name == "calculate" and "47" in call.input["expression"]
    messages += [
        {"role": "assistant", "content": reply.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "1175"}]},
    ]
    answer = client.messages.create(messages=messages, **request)
    assert "1175" in answer.content[0].text.replace(",", "")


def test_anthropic_parallel_calls_stay_apart_in_a_stream(faults):
    client = anthropic_client(faults)
    request = {"model": "parallel", "max_tokens": 200, "tools": [ANTHROPIC_TOOL]}
    messages = [{"role": "user", "content": "Go"}]
    with client.messages.stream(messages=messages, **request) as events:
        reply = events.get_final_message()
    calls = [block for block in reply.content if block.type == "tool_use"]
    assert [call.input["expression"] for call in calls] == ["6 * 7", "2 * 2"] and len({call.id for call in calls}) == 2
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "42"} for call in calls]
    messages += [{"role": "assistant", "content": reply.content}, {"role": "user", "content": results}]
    assert client.messages.create(messages=messages, **request).content[0].text == "Here you are."


def test_anthropic_takes_a_picture_as_bytes_and_refuses_an_address(shop):
    client = anthropic_client(shop)

    def ask(source):
        content = [{"type": "text", "text": "Hi"}, {"type": "image", "source": source}]
        messages = [{"role": "user", "content": content}]
        return client.messages.create(model="default", max_tokens=100, messages=messages)

    assert ask({"type": "base64", "media_type": "image/png", "data": PIXEL}).content[0].text
    with pytest.raises(anthropic.BadRequestError, match="not fetched"):
        ask({"type": "url", "url": "http://169.254.169.254/latest/meta-data"})


def test_anthropic_counts_tokens_by_the_stated_estimate(shop):
    client = anthropic_client(shop)

    def count(text, **more):
        return client.messages.count_tokens(
            model="default", messages=[{"role": "user", "content": text}], **more
        ).input_tokens

    # 14 bytes for the message and 7 of text, at 3.5 bytes a token.
    assert count("Seven b") == 6
    # 70 bytes more are 20 tokens more; tools and instructions count too.
    assert count("Seven b" + "x" * 70) == 26
    assert count("Seven b", tools=[ANTHROPIC_TOOL]) > 26 and count("Seven b", system="Be brief.") > 6
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nobody", messages=[{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize(
    ("model", "error", "status", "kind"),
    [
        ("nobody", anthropic.NotFoundError, 404, "not_found_error"),
        ("refused", anthropic.PermissionDeniedError, 403, "permission_error"),
        ("limited", anthropic.RateLimitError, 429, "rate_limit_error"),
        ("long", anthropic.APIStatusError, 413, "request_too_large"),
        ("busy", anthropic.InternalServerError, 529, "overloaded_error"),
        ("late", anthropic.InternalServerError, 504, "timeout_error"),
        ("garbled", anthropic.InternalServerError, 502, "api_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_errors_are_the_clients_own(faults, model, error, status, kind, stream):
    with pytest.raises(error) as raised:
        anthropic_client(faults).messages.create(
            model=model, max_tokens=5, messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
    assert raised.value.status_code == status and raised.value.body["error"]["type"] == kind
    assert raised.value.request_id == raised.value.body["request_id"]
    if model == "limited":
        assert raised.value.response.headers["retry-after"] == "2"


def test_anthropic_bad_requests_say_where(shop):
    with pytest.raises(anthropic.BadRequestError, match=re.escape("messages[0].role")):
        anthropic_client(shop).messages.create(
            model="default", max_tokens=5, messages=[{"role": "wizard", "content": "Hi"}]
        )
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        for body in (b"", b"{", b"[]", b"\xff", b'{"model": "default", "max_tokens": 1, "messages": 7}'):
            answer = shop.request("POST", path, data=body)
            assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error", body


def test_anthropic_a_stream_that_breaks_ends_with_an_error_and_no_made_up_stop(faults):
    seen = []
    with pytest.raises(anthropic.APIStatusError, match="went away"):
        for event in anthropic_client(faults).messages.create(
            model="midway", max_tokens=50, messages=[{"role": "user", "content": "Hi"}], stream=True
        ):
            seen.append(event.type)
    assert "content_block_delta" in seen and "message_delta" not in seen and "message_stop" not in seen


# -- AWS --------------------------------------------------------------------------------------------------------------

BEDROCK_TOOLS = {"tools": [{"toolSpec": {"name": "calculate", "description": DESCRIPTION, "inputSchema": {"json": SCHEMA}}}]}


def said(text):
    return [{"role": "user", "content": [{"text": text}]}]


def joined(stream):
    """Returns what a ConverseStream says: the message put together, the stop reason and the metadata."""
    role, reason, metadata, blocks, texts, inputs = None, None, None, {}, 0, {}
    for event in stream:
        [(kind, body)] = event.items()
        index = body.get("contentBlockIndex")
        if kind == "messageStart":
            role = body["role"]
        elif kind == "contentBlockStart":
            assert index not in blocks
            blocks[index] = {"toolUse": dict(body["start"]["toolUse"])}
            inputs[index] = ""
        elif kind == "contentBlockDelta" and "text" in body["delta"]:
            texts += 1
            blocks.setdefault(index, {"text": ""})["text"] += body["delta"]["text"]
        elif kind == "contentBlockDelta":
            inputs[index] += body["delta"]["toolUse"]["input"]
        elif kind == "contentBlockStop" and index in inputs:
            blocks[index]["toolUse"]["input"] = json.loads(inputs[index])
        elif kind == "messageStop":
            reason = body["stopReason"]
        elif kind == "metadata":
            metadata = body
    content = [blocks[index] for index in sorted(blocks)]
    return {"role": role, "content": content}, reason, metadata, texts


@pytest.mark.parametrize("model", ["default", MODEL_ID])
def test_converse_under_a_routes_name_or_a_model_id(shop, model):
    answer = bedrock_client(shop).converse(
        modelId=model, messages=said("Hi"), system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 100}
    )
    message = answer["output"]["message"]
    assert message["role"] == "assistant" and message["content"][0]["text"] and answer["stopReason"] == "end_turn"
    usage = answer["usage"]
    assert usage["inputTokens"] > 0 and usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert answer["metrics"]["latencyMs"] >= 0
    assert "foundation_model=false" in answer["ResponseMetadata"]["HTTPHeaders"]["x-bedplate-model"]


def test_converse_stream_says_the_same_and_the_usage(faults):
    client = bedrock_client(faults)
    message, reason, metadata, texts = joined(client.converse_stream(modelId="plain", messages=said("Hi"))["stream"])
    assert message == client.converse(modelId="plain", messages=said("Hi"))["output"]["message"]
    assert message == {"role": "assistant", "content": [{"text": "One two three."}]} and texts > 1
    assert reason == "end_turn" and metadata["metrics"]["latencyMs"] >= 0
    usage = {"inputTokens": 10, "outputTokens": 3, "totalTokens": 17, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 0}
    assert metadata["usage"] == usage


@pytest.mark.parametrize("stream", [False, True])
def test_converse_tool_call_goes_there_and_back(shop, stream):
    client = bedrock_client(shop)
    messages = said(QUESTION)
    if stream:
        events = client.converse_stream(modelId=MODEL_ID, messages=messages, toolConfig=BEDROCK_TOOLS)["stream"]
        message, reason, _, _ = joined(events)
    else:
        answer = client.converse(modelId=MODEL_ID, messages=messages, toolConfig=BEDROCK_TOOLS)
        message, reason = answer["output"]["message"], answer["stopReason"]
    [call] = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    assert reason == "tool_use" and call["name"] == "calculate" and "47" in call["input"]["expression"]
    result = {"toolUseId": call["toolUseId"], "content": [{"json": {"result": 1175}}], "status": "success"}
    messages += [message, {"role": "user", "content": [{"toolResult": result}]}]
    answer = client.converse(modelId=MODEL_ID, messages=messages, toolConfig=BEDROCK_TOOLS)
    assert "1175" in answer["output"]["message"]["content"][0]["text"].replace(",", "")


@pytest.mark.parametrize("stream", [False, True])
def test_converse_parallel_calls_stay_apart(faults, stream):
    client = bedrock_client(faults)
    if stream:
        message, _, _, _ = joined(
            client.converse_stream(modelId="parallel", messages=said("Go"), toolConfig=BEDROCK_TOOLS)["stream"]
        )
    else:
        answer = client.converse(modelId="parallel", messages=said("Go"), toolConfig=BEDROCK_TOOLS)
        message = answer["output"]["message"]
    calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    assert [call["input"]["expression"] for call in calls] == ["6 * 7", "2 * 2"]
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "42"}]}} for call in calls]
    messages = [*said("Go"), message, {"role": "user", "content": results}]
    answer = client.converse(modelId="parallel", messages=messages, toolConfig=BEDROCK_TOOLS)
    assert answer["output"]["message"]["content"] == [{"text": "Here you are."}]


def test_converse_takes_a_picture_as_bytes_and_refuses_an_object_of_s3(shop):
    client = bedrock_client(shop)

    def ask(source):
        content = [{"text": "Hi"}, {"image": {"format": "png", "source": source}}]
        return client.converse(modelId=MODEL_ID, messages=[{"role": "user", "content": content}])

    assert ask({"bytes": base64.b64decode(PIXEL)})["output"]["message"]["content"]
    with pytest.raises(client.exceptions.ValidationException, match="not fetched"):
        ask({"s3Location": {"uri": "s3://bucket/key.png"}})


def test_converse_refuses_a_guardrail_that_it_would_not_apply(shop):
    client = bedrock_client(shop)
    with pytest.raises(client.exceptions.ValidationException, match="guardrail"):
        client.converse(
            modelId=MODEL_ID,
            messages=said("Hi"),
            guardrailConfig={"guardrailIdentifier": "abc", "guardrailVersion": "1"},
        )


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("nobody", "ResourceNotFoundException", 404),
        ("refused", "AccessDeniedException", 403),
        ("limited", "ThrottlingException", 429),
        ("busy", "ServiceUnavailableException", 503),
        ("late", "ModelTimeoutException", 408),
        ("garbled", "ModelErrorException", 424),
        ("long", "ValidationException", 413),
    ],
)
@pytest.mark.parametrize("call", ["converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"])
def test_bedrock_errors_are_the_clients_own(faults, model, error, status, call):
    client = bedrock_client(faults)
    body = json.dumps(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "Hi"}],
        }
    )
    request = {"messages": said("Hi")} if call.startswith("converse") else {"body": body}
    with pytest.raises(getattr(client.exceptions, error)) as raised:
        getattr(client, call)(modelId=model, **request)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_bedrock_bad_bodies_are_validation_exceptions(shop):
    for call in ("converse", "converse-stream", "invoke-with-response-stream"):
        for body in (b"", b"{", b"[]", b"\xff", b'{"messages": 7}'):
            answer = shop.request("POST", f"/model/default/{call}", data=body)
            assert answer.status_code == 400, (call, body)
            assert answer.headers["x-amzn-errortype"] == "ValidationException" and answer.json()["message"]


def test_bedrock_an_arn_with_slashes_is_one_model_id(shop):
    client = bedrock_client(shop)
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-9"
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="inference-profile/us.anthropic.claude-9"):
        client.converse(modelId=arn, messages=said("Hi"))


@pytest.mark.parametrize("call", ["converse_stream", "invoke_model_with_response_stream"])
def test_bedrock_a_stream_that_breaks_ends_with_an_exception_and_no_made_up_stop(faults, call):
    client = bedrock_client(faults)
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    converse = call == "converse_stream"
    request = {"messages": said("Hi")} if converse else {"body": json.dumps(body)}
    stream = getattr(client, call)(modelId="midway", **request)["stream" if converse else "body"]
    seen = []
    with pytest.raises(botocore.exceptions.EventStreamError, match="went away") as raised:
        for event in stream:
            seen += [json.loads(event["chunk"]["bytes"])["type"]] if "chunk" in event else list(event)
    assert raised.value.response["Error"]["Code"] == "serviceUnavailableException"
    assert seen and not {"messageStop", "metadata", "message_delta", "message_stop"} & set(seen)


def test_invoke_model_with_response_stream_carries_the_events_of_messages(faults):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    answer = bedrock_client(faults).invoke_model_with_response_stream(modelId="plain", body=json.dumps(body))
    assert answer["contentType"] == "application/json"
    events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    assert events[0]["type"] == "message_start" and events[-1]["type"] == "message_stop"
    deltas = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(deltas) == "One two three." and len(deltas) > 1
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (10, 3)


def test_anthropics_client_for_bedrock_streams(faults):
    client = anthropic.AnthropicBedrock(
        base_url=faults.url, aws_access_key="any", aws_secret_key="any", aws_region="us-east-1", max_retries=0
    )
    with client.messages.stream(
        model=MODEL_ID, max_tokens=50, messages=[{"role": "user", "content": "Hi"}]
    ) as events:
        assert "".join(events.text_stream) == "One two three."


# -- all --------------------------------------------------------------------------------------------------------------


def test_a_key_that_is_wrong_is_the_clients_own_error_and_a_right_one_is_taken(start):
    server = start()
    made = run("keys", "create", "backend", server.project, "--data", server.data, "--json")
    key = json.loads(made.stdout)["key"]
    with pytest.raises(openai.AuthenticationError) as refused:
        openai_client(server).chat.completions.create(model="default", messages=[{"role": "user", "content": "Hi"}])
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(anthropic.AuthenticationError) as refused:
        anthropic_client(server).messages.create(
            model="default", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )
    assert refused.value.body["error"]["type"] == "authentication_error"
    assert openai_client(server, key).chat.completions.create(
        model="default", messages=[{"role": "user", "content": "Hi"}]
    ).choices
    assert anthropic_client(server, key).messages.create(
        model="default", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
    ).content


def test_a_stream_is_sent_as_it_comes_and_may_be_hung_up_on(faults):
    client = openai_client(faults)
    began = time.monotonic()
    stream = client.chat.completions.create(
        model="slow", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    next(iter(stream))
    # The whole reply takes eight seconds.
    assert time.monotonic() - began < 4
    stream.close()
    faults.assert_healthy()


def test_a_stream_ends_with_an_error_when_the_server_stops(start, faults):
    server = start(faults.project)
    stream = openai_client(server).chat.completions.create(
        model="slow", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    next(iter(stream))
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(openai.APIError, match="shutting down"):
        for _ in stream:
            pass
    assert server.process.wait(10) == 0


def test_a_key_that_is_scoped_to_agents_does_not_reach_the_models(start):
    server = start()
    made = run("keys", "create", "chat", server.project, "--data", server.data, "--json", "--agents", "mangaassist")
    key = json.loads(made.stdout)["key"]
    with pytest.raises(openai.PermissionDeniedError, match="scoped to agents"):
        openai_client(server, key).chat.completions.create(
            model="default", messages=[{"role": "user", "content": "Hi"}]
        )


def test_an_aws_client_without_a_key_is_denied_and_with_one_beside_its_signature_let_in(start):
    server = start()
    made = run("keys", "create", "backend", server.project, "--data", server.data, "--json")
    key = json.loads(made.stdout)["key"]
    client = bedrock_client(server)
    with pytest.raises(botocore.exceptions.ClientError, match="UnrecognizedClientException"):
        client.converse(modelId=MODEL_ID, messages=said("Hi"))
    # botocore sends its bearer token (AWS_BEARER_TOKEN_BEDROCK) over HTTPS only, so the key is a header of its own here.
    client.meta.events.register(
        "before-sign.bedrock-runtime.*", lambda request, **_: request.headers.add_header("x-api-key", key)
    )
    assert client.converse(modelId=MODEL_ID, messages=said("Hi"))["output"]["message"]["content"]
