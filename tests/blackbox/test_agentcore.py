"""Agents behind AgentCore's APIs: the contract of a container, and the data plane as boto3 calls it."""

import json
import threading
import time
import uuid

import boto3
import botocore.config
import botocore.exceptions
import pytest

REGION = "us-west-2"


def arn(agent, kind="runtime"):
    return f"arn:aws:bedrock-agentcore:{REGION}:123456789012:{kind}/{agent}"


@pytest.fixture(scope="module")
def agentcore(scripted):
    return client(scripted)


def client(server):
    return boto3.client(
        "bedrock-agentcore",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def session():
    return f"session-{uuid.uuid4()}"


def payload(text):
    return json.dumps({"prompt": text}).encode()


def refused(call):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


# -- the contract of a container --------------------------------------------------------------------------------------


def test_a_container_answers_prompts_in_the_session_of_the_header(scripted):
    name = session()
    headers = {"X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": name}
    answer = scripted.post("/invocations", {"prompt": "Hi"}, headers=headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "success" and body["response"] and body["session_id"] == name
    assert answer.headers["X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"] == name
    scripted.post("/invocations", {"input": {"prompt": "Once more"}}, headers=headers)
    runs = scripted.get(f"/v1/runs?q={name}", token=True).json()["runs"]
    assert len(runs) == 1, "both prompts are turns of one session"
    view = scripted.get(f"/v1/runs/{runs[0]['run_id']}", token=True).json()
    assert len(view["turns"]) == 2


def test_a_container_streams_and_ends_with_its_answer(scripted):
    answer = scripted.post("/invocations", {"prompt": "Hi"}, headers={"accept": "text/event-stream"}, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [json.loads(line[6:]) for line in answer.iter_lines(decode_unicode=True) if line.startswith("data: ")]
    assert lines[0] == {"event": {"messageStart": {"role": "assistant"}}}
    text = "".join(line["event"]["contentBlockDelta"]["delta"].get("text", "") for line in lines[:-1]
                   if "contentBlockDelta" in line["event"])
    assert lines[-1]["status"] == "success" and lines[-1]["response"] == text


@pytest.mark.parametrize("body", ["", "[]", "{", '{"prompt": 5}', '{"prompt": " "}', '{"input": {"prompt": []}}', "\x00"])
def test_a_container_refuses_what_is_no_prompt(scripted, body):
    answer = scripted.request("POST", "/invocations", data=body.encode())
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_a_container_says_that_it_lives(scripted):
    said = scripted.get("/ping").json()
    assert said["status"] == "Healthy" and abs(time.time() - said["time_of_last_update"]) < 3600


# -- InvokeAgentRuntime -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "plain-Ab12345678"])
def test_the_last_part_of_the_arn_names_the_agent(agentcore, name):
    wanted = session()
    reply = agentcore.invoke_agent_runtime(
        agentRuntimeArn=arn(name), runtimeSessionId=wanted, payload=payload("Hi"), qualifier="DEFAULT"
    )
    assert reply["statusCode"] == 200 and reply["contentType"].startswith("application/json")
    assert reply["runtimeSessionId"] == wanted
    body = json.loads(reply["response"].read())
    assert body["status"] == "success" and body["response"]


def test_an_agent_is_asked_in_a_session_of_its_own_when_none_is_named_and_for_a_user(agentcore, scripted):
    reply = agentcore.invoke_agent_runtime(agentRuntimeArn=arn("plain"), payload=payload("Hi"), runtimeUserId="ann")
    runs = scripted.get(f"/v1/runs?q={reply['runtimeSessionId']}&user_id=ann", token=True).json()["runs"]
    assert len(runs) == 1


def test_an_answer_comes_as_a_stream_to_whoever_accepts_one(agentcore):
    reply = agentcore.invoke_agent_runtime(
        agentRuntimeArn=arn("words"), payload=payload("Hi"), accept="text/event-stream"
    )
    assert reply["contentType"].startswith("text/event-stream")
    lines = [json.loads(line[6:]) for line in reply["response"].iter_lines() if line.startswith(b"data: ")]
    assert "messageStop" in lines[-3]["event"] and "metadata" in lines[-2]["event"]
    assert lines[-1]["status"] == "success"


def test_what_is_wrong_comes_in_the_shape_of_the_service(agentcore):
    call = lambda **more: lambda: agentcore.invoke_agent_runtime(**({"agentRuntimeArn": arn("plain"), "payload": payload("Hi")} | more))  # noqa: E731, E501
    assert refused(call(agentRuntimeArn=arn("nobody"))) == ("ResourceNotFoundException", 404)
    assert refused(call(payload=b"{}")) == ("ValidationException", 400)
    assert refused(call(payload=b"\xff\xfe")) == ("ValidationException", 400)
    assert refused(call(agentRuntimeArn=arn("broken"))) == ("RuntimeClientError", 424)
    assert refused(call(runtimeSessionId="s" * 200)) == ("ValidationException", 400)


# -- StopRuntimeSession -----------------------------------------------------------------------------------------------


def test_a_session_is_stopped_while_its_turn_is_under_way(agentcore, scripted):
    name, outcome = session(), []

    def ask():
        try:
            reply = agentcore.invoke_agent_runtime(
                agentRuntimeArn=arn("hangs"), runtimeSessionId=name, payload=payload("Hi"), runtimeUserId="bob"
            )
            outcome.append(json.loads(reply["response"].read()))
        except botocore.exceptions.ClientError as error:
            outcome.append(error.response["Error"]["Code"])

    asking = threading.Thread(target=ask)
    asking.start()
    deadline = time.monotonic() + 20
    while not scripted.get(f"/v1/runs?q={name}&status=running", token=True).json()["runs"]:
        assert time.monotonic() < deadline, "the turn did not start"
        time.sleep(0.02)
    stopped = agentcore.stop_runtime_session(agentRuntimeArn=arn("hangs"), runtimeSessionId=name)
    assert stopped["statusCode"] == 200 and stopped["runtimeSessionId"] == name
    asking.join(20)
    assert not asking.is_alive() and len(outcome) == 1, outcome
    unknown = lambda: agentcore.stop_runtime_session(agentRuntimeArn=arn("hangs"), runtimeSessionId=session())  # noqa: E731
    assert refused(unknown) == ("ResourceNotFoundException", 404)


# -- InvokeHarness ----------------------------------------------------------------------------------------------------


def harness(agentcore, agent="plain", text="Hi", **more):
    request = {
        "harnessArn": arn(f"{agent}-Ab12345678", "harness"),
        "runtimeSessionId": session(),
        "messages": [{"role": "user", "content": [{"text": text}]}],
    }
    return agentcore.invoke_harness(**(request | more))


def names(events):
    return [name for event in events for name in event]


def test_a_harness_streams_the_messages_of_a_turn(agentcore):
    events = list(harness(agentcore)["stream"])
    assert names(events)[0] == "messageStart" and names(events)[-2:] == ["messageStop", "metadata"]
    assert [event["messageStop"]["stopReason"] for event in events if "messageStop" in event][-1] == "end_turn"
    assert events[-1]["metadata"]["usage"]["totalTokens"] >= 0


def test_a_harness_shows_tool_calls_and_their_results(shop):
    events = list(harness(client(shop), "mangaassist", "Where is order MA-10200?", actorId="alice")["stream"])
    uses = [event["contentBlockStart"]["start"]["toolUse"] for event in events
            if "toolUse" in event.get("contentBlockStart", {}).get("start", {})]
    results = [event["contentBlockStart"]["start"]["toolResult"] for event in events
               if "toolResult" in event.get("contentBlockStart", {}).get("start", {})]
    assert uses and [use["toolUseId"] for use in uses] == [result["toolUseId"] for result in results]
    stops = [event["messageStop"]["stopReason"] for event in events if "messageStop" in event]
    assert stops[:2] == ["tool_use", "tool_result"] and stops[-1] == "end_turn"


def test_a_harness_takes_another_prompt_model_and_limits_for_one_turn(agentcore, scripted):
    name = session()
    list(harness(agentcore, runtimeSessionId=name, actorId="ann",
                 systemPrompt=[{"text": 'Say {{ user }} and "quotes".'}, {"text": "Zeile\nzwei 漢"}],
                 model={"bedrockModelConfig": {"modelId": "words", "maxTokens": 77, "temperature": 0.5}},
                 maxIterations=3, timeoutSeconds=60, tools=[])["stream"])
    run = scripted.get(f"/v1/runs?q={name}&user_id=ann", token=True).json()["runs"][0]["run_id"]
    events = scripted.events(run)
    call = next(event for event in events if event["type"] == "model_called")
    saw = scripted.get(f"/v1/runs/{run}/calls/{call['seq']}/request", token=True).json()
    assert saw["model"] == "words" and saw["max_tokens"] == 77 and saw["temperature"] == 0.5 and saw["tools"] == []
    assert saw["system"][0]["text"] == 'Say {{ user }} and "quotes".\n\nZeile\nzwei 漢'
    # The next turn has the agent as the project declares it.
    list(harness(agentcore, runtimeSessionId=name, actorId="ann")["stream"])
    call = [event for event in scripted.events(run) if event["type"] == "model_called"][-1]
    saw = scripted.get(f"/v1/runs/{run}/calls/{call['seq']}/request", token=True).json()
    assert saw["model"] == "plain" and "quotes" not in saw["system"][0]["text"]


def test_a_harness_says_which_limit_ended_the_turn(shop):
    events = list(harness(client(shop), "mangaassist", "Where is order MA-10200?", actorId="alice", maxIterations=1)["stream"])
    stops = [event["messageStop"]["stopReason"] for event in events if "messageStop" in event]
    assert stops[-1] == "max_iterations_exceeded", stops


def test_a_failure_of_the_model_is_an_exception_in_the_stream(agentcore):
    with pytest.raises(botocore.exceptions.EventStreamError, match="runtimeClientError"):
        list(harness(agentcore, "broken")["stream"])


def test_a_harness_refuses_what_it_would_not_apply(agentcore):
    user = {"role": "user", "content": [{"text": "Hi"}]}
    for more in [
        {"messages": [user, {"role": "assistant", "content": [{"text": "Hi"}]}]},
        {"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": []}}]}]},
        {"messages": []},
        {"maxIterations": 0},
        {"timeoutSeconds": 100_000},
        {"tools": [{"type": "remote_mcp", "config": {"remoteMcp": {"url": "http://127.0.0.1/"}}}]},
        {"skills": [{"path": "/etc"}]},
        {"model": {"liteLlmModelConfig": {"modelId": "words", "apiBase": "http://127.0.0.1/"}}},
        {"model": {"bedrockModelConfig": {"modelId": "words", "topP": 0.5}}},
    ]:
        assert refused(lambda more=more: harness(agentcore, **more)) == ("ValidationException", 400), more
    unknown = {"model": {"bedrockModelConfig": {"modelId": "no-such-model"}}}
    assert refused(lambda: harness(agentcore, **unknown)) == ("ResourceNotFoundException", 404)
    assert refused(lambda: harness(agentcore, "nobody")) == ("ResourceNotFoundException", 404)
