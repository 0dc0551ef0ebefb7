"""`strands-agents` through its Bedrock, OpenAI and Anthropic models: agents that run their own loop."""

import os
import sys

URL = sys.argv[1]
os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}

import base64
import logging

import botocore.config
from pydantic import BaseModel
from strands import Agent, tool
from strands.models.anthropic import AnthropicModel
from strands.models.bedrock import BedrockModel
from strands.models.openai import OpenAIModel
from strands.types.exceptions import ModelThrottledException
from probe import CITY, DONE, KNOWN, LIMITED, PIXEL, PLAIN, SEEN, bedrock, calls, fails, report, same

logging.disable(logging.CRITICAL)


class City(BaseModel):
    """A city."""

    city: str
    days: int


class Through:
    """One of the package's models."""

    def __init__(self, model, refused):
        self.model, self.refused = model, refused

    def agent(self, route, **more):
        return Agent(model=self.model(route), callback_handler=None, retry_strategy=None, **more)

    def text(self, result):
        return "".join(block.get("text", "") for block in result.message["content"])

    def chat(self):
        same(self.text(self.agent("plain")("Go")), PLAIN)

    def stream(self):
        import asyncio

        async def texts():
            return [event["data"] async for event in self.agent("plain").stream_async("Go") if "data" in event]

        found = asyncio.run(texts())
        same(("".join(found), len(found) > 1), (PLAIN, True))

    def tools(self, route="parallel", expected=DONE):
        seen = []

        @tool
        def calculate(expression: str) -> str:
            """Evaluates an arithmetic expression and returns the number."""
            seen.append(expression)
            return "42"

        same(self.text(self.agent(route, tools=[calculate])("Go")), expected)
        if route == "parallel":
            calls(seen)

    def images(self):
        picture = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}}
        same(self.text(self.agent("picture")([{"text": "Look"}, picture])), SEEN)

    def structured(self):
        same(self.agent("form-city")("Go", structured_output_model=City).structured_output.model_dump(), CITY)

    def errors(self):
        fails(lambda: self.agent(LIMITED)("Go"), ModelThrottledException)
        fails(lambda: self.agent("nobody")("Go"), self.refused)

    def probes(self, **more):
        names = ("chat", "stream", "tools", "images", "structured", "errors")
        reasoning = lambda: self.tools("thinking", KNOWN)
        return {name: getattr(self, name) for name in names} | {"reasoning": reasoning} | more


def converse(route):
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    return BedrockModel(model_id=bedrock(route), endpoint_url=URL, boto_client_config=config)


def chat(route):
    return OpenAIModel(client_args={"base_url": f"{URL}/v1", "api_key": "any", "max_retries": 0}, model_id=route)


def messages(route):
    return AnthropicModel(client_args={"base_url": URL, "api_key": "any", "max_retries": 0}, model_id=route, max_tokens=1000)


report({
    "strands-agents · Bedrock": Through(converse, Exception).probes(),
    "strands-agents · OpenAI": Through(chat, Exception).probes(reasoning="Chat has no field for it that the package sends back"),
    "strands-agents · Anthropic": Through(messages, Exception).probes(),
})
