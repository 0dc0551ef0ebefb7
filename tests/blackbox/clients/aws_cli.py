"""The AWS CLI: `aws bedrock-runtime converse`, `invoke-model` and `count-tokens`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from probe import CITY, CITY_SCHEMA, DESCRIPTION, DONE, KNOWN, LIMITED, PARAMETERS, PIXEL, PLAIN, SEEN, bedrock, calls, report, same

AWS = str(Path(sys.executable).with_name("aws"))
ENVIRONMENT = os.environ | {
    "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
    "AWS_CONFIG_FILE": os.devnull, "AWS_PAGER": "",
}
GO = [{"role": "user", "content": [{"text": "Go"}]}]
TOOLS = {"tools": [{"toolSpec": {"name": "calculate", "description": DESCRIPTION, "inputSchema": {"json": PARAMETERS}}}]}


def run(operation, *arguments):
    command = [AWS, "bedrock-runtime", operation, "--endpoint-url", sys.argv[1], "--output", "json", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)


def converse(route, messages=GO, **more):
    request = {"modelId": bedrock(route), "messages": messages, **more}
    done = run("converse", "--cli-input-json", json.dumps(request))
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def text(reply):
    return "".join(block.get("text", "") for block in reply["output"]["message"]["content"])


def chat():
    same(text(converse("plain")), PLAIN)
    with tempfile.TemporaryDirectory() as folder:
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": "Go"}]}
        done = run("invoke-model", "--model-id", bedrock("plain"), "--body", json.dumps(body), f"{folder}/out.json")
        same(done.returncode, 0)
        same(json.loads(Path(folder, "out.json").read_text())["content"][0]["text"], PLAIN)


def tools(route="parallel", expected=DONE):
    message = converse(route, toolConfig=TOOLS)["output"]["message"]
    found = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    if route == "parallel":
        calls([call["input"]["expression"] for call in found])
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "42"}]}} for call in found]
    same(text(converse(route, [*GO, message, {"role": "user", "content": results}], toolConfig=TOOLS)), expected)


def images():
    picture = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
    same(text(converse("picture", [{"role": "user", "content": [{"text": "Look"}, picture]}])), SEEN)


def structured():
    schema = {"jsonSchema": {"schema": json.dumps(CITY_SCHEMA), "name": "City"}}
    form = {"textFormat": {"type": "json_schema", "structure": schema}}
    same(json.loads(text(converse("schema", outputConfig=form))), CITY)


def errors():
    for route, kind in ((LIMITED, "ThrottlingException"), ("nobody", "ResourceNotFoundException")):
        done = run("converse", "--model-id", bedrock(route), "--messages", json.dumps(GO))
        same((done.returncode != 0, kind in done.stderr), (True, True))


report({
    "AWS CLI · Converse, InvokeModel": {
        "chat": chat, "stream": "the CLI has no command for it", "tools": tools, "reasoning": lambda: tools("thinking", KNOWN),
        "images": images, "structured": structured, "errors": errors,
    }
})
