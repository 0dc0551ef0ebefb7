"""`crewai`: its LLM class and a crew of one agent."""

import os
import sys

URL = sys.argv[1]
os.environ |= {
    "CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false",
    "OPENAI_API_KEY": "any", "CREWAI_DISABLE_TRACKING": "true",
}

import openai
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from pydantic import BaseModel
from probe import CITY, DONE, PIXEL, PLAIN, SEEN, calls, fails, report, same


class City(BaseModel):
    """A city."""

    city: str
    days: int


def llm(route, **more):
    return LLM(model=route, provider="openai", base_url=f"{URL}/v1", api_key="any", max_retries=0, **more)


def crew(route, tools=(), **more):
    agent = Agent(role="Probe", goal="Answer.", backstory="Brief.", llm=llm(route), tools=list(tools), verbose=False, max_retry_limit=0)
    task = Task(description="Go", expected_output="A line.", agent=agent, **more)
    return Crew(agents=[agent], tasks=[task], verbose=False).kickoff()


def stream():
    from crewai.events import LLMStreamChunkEvent, crewai_event_bus

    texts = []
    with crewai_event_bus.scoped_handlers():
        @crewai_event_bus.on(LLMStreamChunkEvent)
        def seen(source, event):
            texts.append(event.chunk)

        same(llm("plain", stream=True).call("Go"), PLAIN)
        crewai_event_bus.flush()
    same(len(texts) > 1, True)


def tools():
    seen = []

    @tool("calculate")
    def calculate(expression: str) -> str:
        """Evaluates an arithmetic expression and returns the number."""
        seen.append(expression)
        return "42"

    same(crew("parallel", [calculate]).raw, DONE)
    calls(seen)


def images():
    content = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]
    same(llm("picture").call([{"role": "user", "content": content}]), SEEN)


def errors():
    # A limit is not asked for: the package waits as long as it is told to, and that would be the run's time.
    fails(lambda: llm("nobody").call("Go"), openai.NotFoundError, ValueError)


report({
    "crewai · OpenAI": {
        "chat": lambda: same(crew("plain").raw, PLAIN), "stream": stream, "tools": tools,
        "reasoning": "Chat has no field for it that the package sends back", "images": images,
        "structured": lambda: same(crew("schema", output_pydantic=City).pydantic.model_dump(), CITY), "errors": errors,
    }
})
