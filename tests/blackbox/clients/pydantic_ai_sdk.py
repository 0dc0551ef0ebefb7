"""`pydantic-ai` through its OpenAI (Chat and Responses), Anthropic and Bedrock models: agents that run their own loop."""

import os
import sys

URL = sys.argv[1]
os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}

import asyncio
import base64

import anthropic
import openai
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.bedrock import BedrockConverseModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.bedrock import BedrockProvider
from pydantic_ai.providers.openai import OpenAIProvider
from probe import ASK_CITY, CITY, DONE, KNOWN, LIMITED, PIXEL, PLAIN, SEEN, bedrock, calls, fails, report, same


class City(BaseModel):
    """A city."""

    city: str
    days: int


class Through:
    """One of the package's models."""

    def __init__(self, model):
        self.model = model

    def chat(self):
        result = Agent(self.model("plain"), instructions="Be brief.").run_sync("Go")
        same(result.output, PLAIN)

    def stream(self):
        async def texts():
            async with Agent(self.model("plain")).run_stream("Go") as result:
                return [text async for text in result.stream_text(delta=True, debounce_by=None)]

        found = asyncio.run(texts())
        same(("".join(found), len(found) > 1), (PLAIN, True))

    def tools(self, route="parallel", expected=DONE):
        seen, agent = [], Agent(self.model(route))

        @agent.tool_plain
        def calculate(expression: str) -> str:
            """Evaluates an arithmetic expression and returns the number."""
            seen.append(expression)
            return "42"

        same(agent.run_sync("Go").output, expected)
        if route == "parallel":
            calls(seen)

    def images(self):
        picture = BinaryContent(data=base64.b64decode(PIXEL), media_type="image/png")
        same(Agent(self.model("picture")).run_sync(["Look", picture]).output, SEEN)

    def structured(self):
        same(Agent(self.model("schema"), output_type=NativeOutput(City)).run_sync("Go").output.model_dump(), CITY)

    def tool_structured(self):
        same(Agent(self.model("city"), output_type=City).run_sync(ASK_CITY).output.model_dump(), CITY)

    def errors(self):
        fails(lambda: Agent(self.model(LIMITED)).run_sync("Go"), ModelHTTPError)
        fails(lambda: Agent(self.model("nobody")).run_sync("Go"), ModelHTTPError)

    def probes(self, **more):
        names = ("chat", "stream", "tools", "images", "structured", "errors")
        reasoning = lambda: self.tools("thinking", KNOWN)
        return {name: getattr(self, name) for name in names} | {"reasoning": reasoning} | more


# The package asks for sealed reasoning where it knows that a model has some.
SEALED = OpenAIModelProfile(openai_supports_encrypted_reasoning_content=True)


def provider():
    return OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="any", max_retries=0))


def messages(route):
    client = anthropic.AsyncAnthropic(base_url=URL, api_key="any", max_retries=0)
    return AnthropicModel(route, provider=AnthropicProvider(anthropic_client=client))


def converse(route):
    return BedrockConverseModel(bedrock(route), provider=BedrockProvider(base_url=URL, region_name="us-east-1"))


through = {
    "Chat": Through(lambda route: OpenAIChatModel(route, provider=provider())),
    "Responses": Through(lambda route: OpenAIResponsesModel(route, provider=provider(), profile=SEALED)),
    "Messages": Through(messages),
    "Converse": Through(converse),
}
report({
    "pydantic-ai · Chat": through["Chat"].probes(reasoning="Chat has no field for it that the package sends back"),
    "pydantic-ai · Responses": through["Responses"].probes(),
    "pydantic-ai · Messages": through["Messages"].probes(structured=through["Messages"].tool_structured),
    "pydantic-ai · Converse": through["Converse"].probes(structured=through["Converse"].tool_structured),
})
