"""`boto3` against Bedrock's Converse, ConverseStream, InvokeModel and CountTokens."""

import base64
import json
import sys

import boto3
import botocore.config
import botocore.exceptions
from probe import CITY, CITY_SCHEMA, DESCRIPTION, DONE, KNOWN, LIMITED, PARAMETERS, PIXEL, PLAIN, SEEN, bedrock, calls, report, same

client = boto3.client(
    "bedrock-runtime",
    region_name="us-east-1",
    endpoint_url=sys.argv[1],
    aws_access_key_id="any",
    aws_secret_access_key="any",
    config=botocore.config.Config(retries={"total_max_attempts": 1}),
)
GO = [{"role": "user", "content": [{"text": "Go"}]}]
SPEC = {"name": "calculate", "description": DESCRIPTION, "inputSchema": {"json": PARAMETERS}}
TOOLS = {"tools": [{"toolSpec": SPEC}]}


def text(reply):
    return "".join(block.get("text", "") for block in reply["output"]["message"]["content"])


def chat():
    reply = client.converse(modelId=bedrock("plain"), messages=GO, system=[{"text": "Be brief."}])
    same((text(reply), reply["usage"]["inputTokens"], reply["stopReason"]), (PLAIN, 10, "end_turn"))
    count = client.count_tokens(modelId=bedrock("plain"), input={"converse": {"messages": GO}})
    same(count["inputTokens"] > 0, True)


def stream():
    events = list(client.converse_stream(modelId=bedrock("plain"), messages=GO)["stream"])
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    same(("".join(texts), len(texts) > 1, "metadata" in events[-1]), (PLAIN, True, True))


def collected(model):
    """Returns the message that the events of a stream make."""
    blocks, inputs = {}, {}
    for event in client.converse_stream(modelId=bedrock(model), messages=GO, toolConfig=TOOLS)["stream"]:
        if start := event.get("contentBlockStart"):
            blocks[start["contentBlockIndex"]] = {"toolUse": dict(start["start"]["toolUse"])}
        if more := event.get("contentBlockDelta"):
            index, delta = more["contentBlockIndex"], more["delta"]
            if "toolUse" in delta:
                inputs[index] = inputs.get(index, "") + delta["toolUse"]["input"]
            elif "reasoningContent" in delta:
                said = blocks.setdefault(index, {"reasoningContent": {"reasoningText": {"text": ""}}})
                said = said["reasoningContent"]["reasoningText"]
                said["text"] += delta["reasoningContent"].get("text", "")
                if "signature" in delta["reasoningContent"]:
                    said["signature"] = delta["reasoningContent"]["signature"]
            else:
                blocks.setdefault(index, {"text": ""})["text"] += delta["text"]
    for index, json_text in inputs.items():
        blocks[index]["toolUse"]["input"] = json.loads(json_text)
    return {"role": "assistant", "content": [blocks[index] for index in sorted(blocks)]}


def tools(model="parallel", expected=DONE):
    message = collected(model)
    found = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    if model == "parallel":
        calls([call["input"]["expression"] for call in found])
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "42"}]}} for call in found]
    history = [*GO, message, {"role": "user", "content": results}]
    same(text(client.converse(modelId=bedrock(model), messages=history, toolConfig=TOOLS)), expected)


def images():
    picture = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}}
    messages = [{"role": "user", "content": [{"text": "Look"}, picture]}]
    same(text(client.converse(modelId=bedrock("picture"), messages=messages)), SEEN)


def structured():
    schema = {"jsonSchema": {"schema": json.dumps(CITY_SCHEMA), "name": "City"}}
    form = {"textFormat": {"type": "json_schema", "structure": schema}}
    same(json.loads(text(client.converse(modelId=bedrock("schema"), messages=GO, outputConfig=form))), CITY)


def errors():
    for model, kind in ((LIMITED, "ThrottlingException"), ("nobody", "ResourceNotFoundException")):
        try:
            client.converse(modelId=bedrock(model), messages=GO)
            raise AssertionError("no error")
        except botocore.exceptions.ClientError as error:
            same(error.response["Error"]["Code"], kind)
    try:
        list(client.converse_stream(modelId=bedrock("midway"), messages=GO)["stream"])
        raise AssertionError("no error")
    except botocore.exceptions.EventStreamError as error:
        same(error.response["Error"]["Code"], "serviceUnavailableException")


def invoke(model, body):
    return json.loads(client.invoke_model(modelId=bedrock(model), body=json.dumps(body))["body"].read())


def chunks(model, body):
    stream = client.invoke_model_with_response_stream(modelId=bedrock(model), body=json.dumps(body))["body"]
    return [json.loads(event["chunk"]["bytes"]) for event in stream]


NOVA = {"schemaVersion": "messages-v1", "messages": GO, "inferenceConfig": {"maxTokens": 100}}
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": "Go"}]}


def invoke_chat():
    same(invoke("plain", CLAUDE)["content"][0]["text"], PLAIN)
    reply = invoke("plain", NOVA)
    same((text(reply), reply["stopReason"], reply["usage"]["outputTokens"]), (PLAIN, "end_turn", 3))


def invoke_stream():
    events = chunks("plain", CLAUDE)
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    same(("".join(texts), "amazon-bedrock-invocationMetrics" in events[-1]), (PLAIN, True))
    events = chunks("plain", NOVA)
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    same(("".join(texts), events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"]), (PLAIN, 3))


def invoke_tools():
    found = [block["toolUse"] for block in invoke("parallel", NOVA | {"toolConfig": TOOLS})["output"]["message"]["content"] if "toolUse" in block]
    calls([call["input"]["expression"] for call in found])


def invoke_image():
    picture = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
    same(text(invoke("picture", NOVA | {"messages": [{"role": "user", "content": [{"text": "Look"}, picture]}]})), SEEN)


def invoke_errors():
    for body in ({"prompt": "Go"}, NOVA | {"schemaVersion": "messages-v9"}):
        try:
            invoke("plain", body)
            raise AssertionError("no error")
        except botocore.exceptions.ClientError as error:
            same(error.response["Error"]["Code"], "ValidationException")


report({
    "boto3 · Converse": {
        "chat": chat, "stream": stream, "tools": tools, "reasoning": lambda: tools("thinking", KNOWN),
        "images": images, "structured": structured, "errors": errors,
    },
    "boto3 · InvokeModel (Claude and Nova bodies)": {
        "chat": invoke_chat, "stream": invoke_stream, "tools": invoke_tools, "reasoning": "as anthropic and Converse",
        "images": invoke_image, "structured": "the bodies have no field for it", "errors": invoke_errors,
    },
})
