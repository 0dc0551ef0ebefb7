"""The documents' own cells against the real server: only the endpoint changed."""

import json
import re
import shutil
import subprocess
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import documents
import pytest
from harness import name

HERE = Path(__file__).resolve().parent
CASES = tomllib.loads((HERE / "paraphrases.toml").read_text())["case"]


def plain(text):
    """Returns an answer without thousands separators and in lower case."""
    return re.sub(r"(?<=\d),(?=\d{3})", "", text).lower()


def says_now(answer, zone):
    """Whether an answer names the present minute, or one beside it, on a 24 or 12 hour clock."""
    here = datetime.now() if zone == "local" else datetime.now(ZoneInfo(zone))
    minutes = [here + timedelta(minutes=shift) for shift in (-1, 0, 1)]
    forms = {minute.strftime(form).removeprefix("0") for minute in minutes for form in ("%H:%M", "%I:%M")}
    return any(re.search(rf"(?<!\d)0?{re.escape(form)}", answer) for form in forms)


def says_today(answer):
    today = datetime.now()
    # Beside midnight, and on a machine whose zone is not the answer's, it may be the day before or after.
    days = [today + timedelta(days=shift) for shift in (-1, 0, 1)]
    return any(day.strftime("%Y-%m-%d") in answer or f"{day.day} {day:%B}" in answer or f"{day:%B} {day.day}" in answer
               for day in days)


@pytest.fixture(scope="module")
def bedrock(shop):
    return documents.client(shop.url)


# -- the ReAct loop of phase 4 ----------------------------------------------------------------------------------------


def test_the_loop_calculates(bedrock, capsys):
    assert "1175" in plain(documents.react_agent(bedrock, "What is 25 * 47?"))
    assert "Tool Call: calculate(" in capsys.readouterr().out


def test_the_loop_tells_the_time(bedrock, capsys):
    assert says_now(documents.react_agent(bedrock, "What time is it now?"), "local")
    assert "Tool Call: get_current_time({})" in capsys.readouterr().out


def test_the_loop_looks_things_up(bedrock, capsys):
    answer = documents.react_agent(bedrock, "Tell me about Amazon SageMaker")
    assert "Tool Call: search_database(" in capsys.readouterr().out
    assert "machine learning" in answer


def test_the_loop_calculates_in_two_steps(bedrock):
    answer = documents.react_agent(bedrock, "What is 100 divided by 4, and then multiply that by 3?")
    assert "75" in plain(answer)


def test_the_memory_example_remembers_through_the_model_call_alone(bedrock):
    history = []
    documents.agent_with_memory(bedrock, history, "My name is Alice")
    assert "Alice" in documents.agent_with_memory(bedrock, history, "What's my name?")


def test_a_model_id_that_nobody_mapped_is_the_exception_that_boto3_knows(bedrock):
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException) as raised:
        bedrock.invoke_model(modelId="anthropic.claude-99-v9:0", body="{}")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert "claude-99" in raised.value.response["Error"]["Message"]


def test_a_body_that_is_no_request_is_a_validation_exception(bedrock):
    for body in ("{}", "{", "[]", json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": 7})):
        with pytest.raises(bedrock.exceptions.ValidationException):
            bedrock.invoke_model(modelId=documents.MODEL_ID, body=body)


def test_the_reply_says_that_no_foundation_model_wrote_it(bedrock):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    answer = bedrock.invoke_model(modelId=documents.MODEL_ID, body=json.dumps(body))
    assert "foundation_model=false" in answer["ResponseMetadata"]["HTTPHeaders"]["x-bedplate-model"]


def test_anthropics_own_client_for_bedrock_works(shop):
    from anthropic import AnthropicBedrock

    client = AnthropicBedrock(base_url=shop.url, aws_access_key="any", aws_secret_key="any", aws_region="us-east-1")
    message = client.messages.create(
        model=documents.MODEL_ID, max_tokens=100, tools=documents.TOOL_SCHEMAS,
        messages=[{"role": "user", "content": "What is 25 * 47?"}],
    )
    calls = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use" and [call.name for call in calls] == ["calculate"]


def test_openais_own_client_lists_the_models(shop):
    from openai import OpenAI

    models = OpenAI(base_url=f"{shop.url}/v1", api_key="any").models.list().data
    assert "default" in [model.id for model in models]


# -- the HTTP call of phases 6 and 7 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/agent", "/prod/agent"])
def test_the_http_call_answers_in_the_documents_form(shop, path):
    conversation = name("conv")
    body = {"user_id": "test-user", "conversation_id": conversation, "query": "What is 25 * 47?"}
    answer = shop.post(path, body, headers={"x-api-key": "YOUR_KEY"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    said = answer.json()
    assert said["user_id"] == "test-user" and said["conversation_id"] == conversation
    assert said["status"] == "completed" and "1175" in plain(said["response"])
    assert said["model"]["foundation_model"] is False


def test_the_http_call_needs_only_a_query(shop):
    said = shop.agent("Hello!")
    assert said["user_id"] == "anonymous" and said["conversation_id"] and said["response"]


@pytest.mark.parametrize("body", [{}, {"query": ""}, {"query": None}, {"user_id": "u", "query": "  "}])
def test_a_call_without_a_query_says_so(shop, body):
    answer = shop.post("/agent", body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Query is required"


@pytest.mark.parametrize("body", [b"", b"{", b'{"query": }', b"[]", b'"text"', b"null", b'{"query": 5}', b"\xff\xfe{}"])
def test_a_malformed_body_is_a_400_in_the_documents_form(shop, body):
    answer = shop.request("POST", "/agent", data=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    said = answer.json()
    assert isinstance(said["error"], str) and said["code"] and said["request_id"] == answer.headers["x-request-id"]


def test_an_agent_type_is_honoured_and_an_unknown_one_refused(shop):
    said = shop.agent("Research AWS AI services", agent_type="researcher", user_id="user123")
    assert said["response"]
    sessions = shop.get(f"/v1/sessions/{said['conversation_id']}?user_id=user123").json()
    assert sessions["agent"] == "researcher"
    refused = shop.post("/agent", {"query": "Hi", "agent_type": "astronaut"})
    assert refused.status_code == 400 and "astronaut" in refused.json()["error"]


def test_the_memory_example_remembers_through_the_http_call(shop):
    ids = {"user_id": "user123", "conversation_id": name("conv456")}
    shop.agent("My name is Alice", **ids)
    assert "Alice" in shop.agent("What's my name?", **ids)["response"]
    # Every message is kept, in order, and none overwrites another.
    kept = shop.get(f"/v1/sessions/{ids['conversation_id']}/messages?user_id=user123").json()["messages"]
    assert [message["role"] for message in kept] == ["user", "assistant", "user", "assistant"]
    assert kept[0]["content"] == [{"type": "text", "text": "My name is Alice"}]


def test_memory_survives_a_restart(start):
    server = start()
    ids = {"user_id": "user123", "conversation_id": "conv456"}
    server.agent("My name is Alice", **ids)
    server.stop()
    assert "Alice" in server.start().agent("What's my name?", **ids)["response"]


# -- the page script of phase 12 --------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_page_script_shows_the_answers(shop):
    questions = ["My name is Alice", "What is 25 * 47?", "What's my name?"]
    command = ["node", HERE / "page_script.mjs", f"{shop.url}/prod/agent", "YOUR-API-KEY", *questions]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    shown = [json.loads(line) for line in output.splitlines()]
    assert [line["class"] for line in shown] == ["message user", "message agent"] * 3
    assert "1175" in plain(shown[3]["text"]) and "Alice" in shown[5]["text"]


# -- what the code was not written for --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: " / ".join(case["say"]))
def test_a_question_in_other_words_gets_its_answer(shop, bedrock, case):
    if case["through"] == "loop":
        [question] = case["say"]
        answer = documents.react_agent(bedrock, question)
    else:
        conversation, user = name("paraphrase"), case.get("user", "web-user")
        for text in case["say"]:
            said = shop.agent(text, user_id=user, conversation_id=conversation)
        answer = said["response"]
    found = plain(answer)
    for text in case.get("has", []):
        assert text.lower() in found, answer
    if "one_of" in case:
        assert any(text.lower() in found for text in case["one_of"]), answer
    for text in case.get("lacks", []):
        assert text.lower() not in found, answer
    if "now" in case:
        assert says_now(answer, case["now"]), answer
    if "today" in case:
        assert says_today(answer), answer
