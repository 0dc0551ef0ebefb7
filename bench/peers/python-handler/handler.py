"""A Python agent behind `POST /agent`, as the product's source documents lay it out for AWS Lambda, over http.server.

It does what such a handler does at a cold start: import boto3, make the Bedrock client and the DynamoDB resource, then
serve. A request loads the conversation, saves the user's turn, calls the model in a loop until it stops asking for
tools, saves the answer and returns it. Endpoints and credentials come from the environment in boto3's own way.

Usage: python handler.py PORT
"""

import json
import os
import sys
import time
import uuid
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

BEDROCK = boto3.client("bedrock-runtime")
MEMORY = boto3.resource("dynamodb").Table(os.environ["MEMORY_TABLE"])
MODEL = os.environ["MODEL_ID"]
TOOLS = {"get_current_time": lambda: datetime.now().isoformat(" ", "seconds")}
TOOL_SCHEMAS = [
    {
        "name": "get_current_time",
        "description": "Returns the date and the time",
        "input_schema": {"type": "object", "properties": {}, "required": []},
    }
]
MAX_ITERATIONS = 5


def main() -> None:
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


def handle(event: dict) -> dict:
    """Answers one request in the shapes of Lambda's proxy integration."""
    try:
        body = json.loads(event["body"])
    except ValueError:
        return reply(400, {"error": "Body is not JSON"})
    if not body.get("query"):
        return reply(400, {"error": "Query is required"})
    user = body.get("user_id", "anonymous")
    conversation = body.get("conversation_id") or str(uuid.uuid4())
    answer = run_agent(user, conversation, body["query"])
    return reply(200, {"response": answer, "conversation_id": conversation, "user_id": user})


def run_agent(user: str, conversation: str, query: str) -> str:
    messages = history(user, conversation) + [{"role": "user", "content": query}]
    save(user, conversation, "user", query)
    for _ in range(MAX_ITERATIONS):
        answer = call_model(messages)
        if answer["stop_reason"] != "tool_use":
            text = "".join(block["text"] for block in answer["content"] if block["type"] == "text")
            save(user, conversation, "assistant", text)
            return text
        messages.append({"role": "assistant", "content": answer["content"]})
        calls = [block for block in answer["content"] if block["type"] == "tool_use"]
        messages.append({"role": "user", "content": [tool_result(call) for call in calls]})
    raise RuntimeError("the model asks for tools without end")


def call_model(messages: list) -> dict:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 2048,
        "messages": messages,
        "tools": TOOL_SCHEMAS,
    }
    response = BEDROCK.invoke_model(modelId=MODEL, body=json.dumps(body))
    return json.loads(response["body"].read())


def tool_result(block: dict) -> dict:
    return {"type": "tool_result", "tool_use_id": block["id"], "content": TOOLS[block["name"]](**block["input"])}


def history(user: str, conversation: str) -> list:
    found = MEMORY.query(
        KeyConditionExpression="user_id = :uid AND conversation_id = :cid",
        ExpressionAttributeValues={":uid": user, ":cid": conversation},
        Limit=10,
        ScanIndexForward=False,
    )
    return [{"role": item["role"], "content": item["content"]} for item in reversed(found["Items"])]


def save(user: str, conversation: str, role: str, content: str) -> None:
    MEMORY.put_item(
        Item={
            "user_id": user,
            "conversation_id": conversation,
            "timestamp": int(time.time() * 1000),
            "role": role,
            "content": content,
            "message_id": str(uuid.uuid4()),
        }
    )


def reply(status: int, body: dict) -> dict:
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}


class Handler(BaseHTTPRequestHandler):
    """The thin layer that API Gateway would be."""

    def do_GET(self) -> None:
        self.send(reply(200 if self.path == "/readyz" else 404, {}))

    def do_POST(self) -> None:
        if self.path != "/agent":
            self.send(reply(404, {"error": "Not found"}))
            return
        length = int(self.headers.get("Content-Length", 0))
        self.send(handle({"body": self.rfile.read(length).decode()}))

    def send(self, answer: dict) -> None:
        body = answer["body"].encode()
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    main()
