"""`openai-agents` over Responses and over Chat Completions: agents that run their own loop."""

import asyncio
import os
import sys

URL = sys.argv[1]
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"

import openai
from agents import (
    Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled,
)
from pydantic import BaseModel
from probe import CITY, DONE, KNOWN, LIMITED, PIXEL, PLAIN, SEEN, calls, fails, report, same

set_tracing_disabled(True)


class City(BaseModel):
    city: str
    days: int


class Through:
    """One of the package's models."""

    def __init__(self, kind):
        self.kind = kind

    def agent(self, route, **more):
        client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="any", max_retries=0)
        return Agent(name="Probe", instructions="Be brief.", model=self.kind(route, openai_client=client), **more)

    def chat(self):
        same(Runner.run_sync(self.agent("plain"), "Go").final_output, PLAIN)

    def stream(self):
        async def texts():
            result = Runner.run_streamed(self.agent("plain"), "Go")
            raw = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
            return [event.delta for event in raw if event.type == "response.output_text.delta"]

        found = asyncio.run(texts())
        same(("".join(found), len(found) > 1), (PLAIN, True))

    def tools(self, route="parallel", expected=DONE, **more):
        seen = []

        @function_tool
        def calculate(expression: str) -> str:
            """Evaluates an arithmetic expression and returns the number."""
            seen.append(expression)
            return "42"

        same(Runner.run_sync(self.agent(route, tools=[calculate], **more), "Go").final_output, expected)
        if route == "parallel":
            calls(seen)

    def reasoning(self):
        self.tools("thinking", KNOWN, model_settings=ModelSettings(store=False, response_include=["reasoning.encrypted_content"]))

    def images(self):
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
        content = [{"type": "input_text", "text": "Look"}, picture]
        same(Runner.run_sync(self.agent("picture"), [{"role": "user", "content": content}]).final_output, SEEN)

    def structured(self):
        same(Runner.run_sync(self.agent("schema", output_type=City), "Go").final_output.model_dump(), CITY)

    def errors(self):
        fails(lambda: Runner.run_sync(self.agent(LIMITED), "Go"), openai.RateLimitError)
        fails(lambda: Runner.run_sync(self.agent("nobody"), "Go"), openai.NotFoundError)

    def probes(self, **more):
        names = ("chat", "stream", "tools", "reasoning", "images", "structured", "errors")
        return {name: getattr(self, name) for name in names} | more


report({
    "openai-agents · Responses": Through(OpenAIResponsesModel).probes(),
    "openai-agents · Chat": Through(OpenAIChatCompletionsModel).probes(
        reasoning="Chat has no field for it that the package sends back"
    ),
})
