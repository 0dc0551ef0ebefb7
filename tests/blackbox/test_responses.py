"""Responses that are kept, embeddings, Bedrock's other bodies, and agents under a model's name."""

import base64
import json
import struct

import anthropic
import openai
import pytest
from test_clients import anthropic_client, bedrock_client, openai_client



def test_a_conversation_goes_on_from_a_kept_response_and_not_from_a_deleted_one(shop):
    client = openai_client(shop)
    first = client.responses.create(model="default", input="My name is Ann.", metadata={"k": "v"})
    second = client.responses.create(model="default", input="What is my name?", previous_response_id=first.id)
    assert "Ann" in second.output_text and second.previous_response_id == first.id
    kept = client.responses.retrieve(first.id)
    assert kept.to_dict() == first.to_dict() and kept.metadata == {"k": "v"}
    [item] = client.responses.input_items.list(second.id)
    assert item.content[0].text == "What is my name?" and item.role == "user"
    client.responses.delete(first.id)
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="default", input="And now?", previous_response_id=second.id)


def test_a_response_that_is_not_to_be_stored_is_not(shop):
    client = openai_client(shop)
    reply = client.responses.create(model="default", input="Hi", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(reply.id)


def test_a_kept_response_is_shown_to_nobody_else(start):
    server = start()
    keys = {
        user: server.post("/v1/keys", {"name": user, "user_id": user}, token=True).json()["key"] for user in ("ann", "bob")
    }
    reply = openai_client(server, keys["ann"]).responses.create(model="default", input="Hi")
    assert openai_client(server, keys["ann"]).responses.retrieve(reply.id).id == reply.id
    with pytest.raises(openai.NotFoundError):
        openai_client(server, keys["bob"]).responses.retrieve(reply.id)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"input": [{"type": "item_reference", "id": "msg_0_0"}]}, "input[0].id"),
        ({"input": [{"type": "computer_call"}]}, "computer_call"),
        ({"input": []}, "input"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
    ],
)
def test_what_has_no_meaning_here_is_refused_with_the_place(shop, body, word):
    answer = shop.post("/v1/responses", {"model": "default", "input": "Hi", **body})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error" and word in error["message"]


def test_embeddings_are_the_same_as_floats_and_as_base64(shop):
    def ask(**more):
        return shop.post("/v1/embeddings", {"model": "default", "input": ["one", "two"], **more}).json()

    floats, coded = ask(dimensions=64), ask(dimensions=64, encoding_format="base64")
    for plain, packed in zip(floats["data"], coded["data"], strict=True):
        numbers = struct.unpack("<64f", base64.b64decode(packed["embedding"]))
        assert numbers == pytest.approx(plain["embedding"]) and plain["index"] == packed["index"]
    assert floats["usage"]["prompt_tokens"] > 0 and openai_client(shop).embeddings.create(model="default", input="one").data[0].embedding
    for body in ({"input": []}, {"input": [1, 2]}, {"input": "x", "dimensions": 0}, {"input": "x", "model": "nobody"}):
        answer = shop.post("/v1/embeddings", {"model": "default", **body})
        assert answer.status_code in (400, 404) and answer.json()["error"]["message"]


def test_titan_vectors_have_length_one_and_the_asked_dimensions(shop):
    client = bedrock_client(shop)
    body = json.dumps({"inputText": "hello", "dimensions": 256, "normalize": True})
    answer = json.loads(client.invoke_model(modelId="default", body=body)["body"].read())
    assert len(answer["embedding"]) == 256 and sum(number**2 for number in answer["embedding"]) == pytest.approx(1, abs=1e-3)
    count = {"invokeModel": {"body": json.dumps({"anthropic_version": "x", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]})}}
    assert client.count_tokens(modelId="default", input=count)["inputTokens"] > 0


def test_models_lists_routes_and_agents_for_both_clients(shop):
    ids = [model.id for model in openai_client(shop).models.list()]
    assert "default" in ids and "agent/mangaassist" in ids
    assert openai_client(shop).models.retrieve("agent/mangaassist").id == "agent/mangaassist"
    assert [model.id for model in anthropic_client(shop).models.list()] == ids
    with pytest.raises(openai.NotFoundError):
        openai_client(shop).models.retrieve("agent/nobody")


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_answers_under_a_models_name_in_every_dialect(shop, stream):
    question = "What is 25 * 47?"
    messages = [{"role": "user", "content": question}]
    chat, messages_api = openai_client(shop), anthropic_client(shop)
    model = "agent/mangaassist"
    if stream:
        chunks = list(chat.chat.completions.create(model=model, messages=messages, stream=True))
        assert not any(chunk.choices[0].delta.tool_calls for chunk in chunks if chunk.choices)
        texts = ["".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)]
        with chat.responses.stream(model=model, input=question) as events:
            texts.append(events.get_final_response().output_text)
        with messages_api.messages.stream(model=model, max_tokens=500, messages=messages) as events:
            texts.append(events.get_final_message().content[0].text)
    else:
        reply = chat.chat.completions.create(model=model, messages=messages)
        assert not reply.choices[0].message.tool_calls and reply.usage.total_tokens > 0
        texts = [reply.choices[0].message.content, chat.responses.create(model=model, input=question).output_text]
        reply = messages_api.messages.create(model=model, max_tokens=500, messages=messages)
        assert [block.type for block in reply.content] == ["text"]
        texts.append(reply.content[0].text)
    assert all("1175" in text.replace(",", "") for text in texts), texts


def test_an_agents_session_goes_on_by_its_header_and_by_the_response_before(shop):
    client = openai_client(shop)
    first = client.chat.completions.with_raw_response.create(
        model="agent/mangaassist", messages=[{"role": "user", "content": "My name is Ann."}],
        extra_headers={"x-bedplate-session": "talk"},
    )
    assert first.headers["x-bedplate-session"] == "talk"
    second = client.chat.completions.with_raw_response.create(
        model="agent/mangaassist", messages=[{"role": "user", "content": "What is my name?"}],
        extra_headers={"x-bedplate-session": "talk"},
    )
    assert second.headers["x-bedplate-run"] == first.headers["x-bedplate-run"]
    assert "Ann" in second.parse().choices[0].message.content
    one = client.responses.create(model="agent/mangaassist", input="My name is Bob.")
    two = client.responses.create(model="agent/mangaassist", input="What is my name?", previous_response_id=one.id)
    assert "Bob" in two.output_text


def test_an_agent_takes_no_results_of_tools_and_its_errors_are_the_dialects(shop):
    with pytest.raises(openai.NotFoundError):
        openai_client(shop).chat.completions.create(model="agent/nobody", messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(anthropic.BadRequestError):
        anthropic_client(shop).messages.create(
            model="agent/mangaassist", max_tokens=10,
            messages=[
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "x", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
            ],
        )
    answer = openai_client(shop).responses.with_raw_response.create(
        model="agent/mangaassist", input="Hi", temperature=0.1, tools=[{"type": "function", "name": "x", "parameters": {"type": "object"}, "strict": False}]
    )
    assert answer.headers["x-bedplate-untranslated"] == "agent.tools, agent.sampling"


def test_an_agent_that_waits_for_a_person_says_so_in_words_and_in_a_header(start):
    server = start()
    answer = openai_client(server).chat.completions.with_raw_response.create(
        model="agent/mangaassist", user="user123",
        messages=[{"role": "user", "content": "MA-10199 arrived damaged, I want to return it"}],
    )
    [waiting] = server.get("/v1/approvals?user_id=user123").json()["approvals"]
    assert answer.headers["x-bedplate-approval"] == f"{waiting['run_id']}:{waiting['call']}"
    said = answer.parse().choices[0]
    assert said.finish_reason == "stop" and f"Waits for approval ({waiting['tool']}" in said.message.content


def test_a_key_for_agents_uses_exactly_its_agents_under_a_models_name(start):
    server = start()
    key = server.post("/v1/keys", {"name": "k", "agents": ["analyst"]}, token=True).json()["key"]
    client = openai_client(server, key)
    ask = {"messages": [{"role": "user", "content": "Hi"}]}
    assert client.chat.completions.create(model="agent/analyst", **ask).choices[0].message.content
    assert [model.id for model in client.models.list() if model.id.startswith("agent/")] == ["agent/analyst"]
    for model in ("agent/mangaassist", "default"):
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model=model, **ask)
        with pytest.raises(openai.PermissionDeniedError):
            client.responses.create(model=model, input="Hi")
