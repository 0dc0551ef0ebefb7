"""The `anthropic` package against Messages."""

import sys

import anthropic
from pydantic import BaseModel
from probe import CITY, DESCRIPTION, DONE, KNOWN, LIMITED, PARAMETERS, PIXEL, PLAIN, SEEN, calls, fails, report, same

client = anthropic.Anthropic(base_url=sys.argv[1], api_key="any", max_retries=0)
GO = [{"role": "user", "content": "Go"}]
TOOL = {"name": "calculate", "description": DESCRIPTION, "input_schema": PARAMETERS}


class City(BaseModel):
    city: str
    days: int


def create(model, messages=GO, **more):
    return client.messages.create(model=model, max_tokens=1000, messages=messages, **more)


def chat():
    reply = create("plain", system="Be brief.")
    same((reply.content[0].text, reply.usage.input_tokens, reply.stop_reason), (PLAIN, 10, "end_turn"))


def stream():
    with client.messages.stream(model="plain", max_tokens=1000, messages=GO) as events:
        texts = list(events.text_stream)
        same((events.get_final_message().content[0].text, "".join(texts), len(texts) > 1), (PLAIN, PLAIN, True))


def tools(model="parallel", expected=DONE, **more):
    with client.messages.stream(model=model, max_tokens=3000, messages=GO, tools=[TOOL], **more) as events:
        reply = events.get_final_message()
    found = [block for block in reply.content if block.type == "tool_use"]
    if model == "parallel":
        calls([call.input["expression"] for call in found])
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "42"} for call in found]
    history = [*GO, {"role": "assistant", "content": reply.content}, {"role": "user", "content": results}]
    same(create(model, history, tools=[TOOL]).content[-1].text, expected)


def images():
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "text", "text": "Look"}, {"type": "image", "source": source}]
    same(create("picture", [{"role": "user", "content": content}]).content[0].text, SEEN)


def structured():
    reply = client.messages.parse(model="schema", max_tokens=1000, messages=GO, output_format=City)
    same(reply.parsed_output.model_dump(), CITY)


def errors():
    fails(lambda: create(LIMITED), anthropic.RateLimitError)
    fails(lambda: create("nobody"), anthropic.NotFoundError)
    fails(lambda: [event for event in create("midway", stream=True)], anthropic.APIStatusError)


thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
report({
    "anthropic · Messages": {
        "chat": chat, "stream": stream, "tools": tools, "reasoning": lambda: tools("thinking", KNOWN, **thinking),
        "images": images, "structured": structured, "errors": errors,
    }
})
