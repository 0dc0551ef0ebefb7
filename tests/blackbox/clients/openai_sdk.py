"""The `openai` package against Chat Completions and Responses."""

import json
import sys

import openai
from pydantic import BaseModel
from probe import CITY, DESCRIPTION, DONE, KNOWN, LIMITED, PARAMETERS, PIXEL, PLAIN, SEEN, calls, fails, report, same

client = openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="any", max_retries=0)
GO = [{"role": "user", "content": "Go"}]
PICTURE = f"data:image/png;base64,{PIXEL}"
FUNCTION = {"name": "calculate", "description": DESCRIPTION, "parameters": PARAMETERS}


class City(BaseModel):
    city: str
    days: int


def chat():
    reply = client.chat.completions.create(model="plain", messages=GO)
    same((reply.choices[0].message.content, reply.usage.total_tokens), (PLAIN, 17))


def chat_stream():
    chunks = list(client.chat.completions.create(model="plain", messages=GO, stream=True))
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    same(("".join(texts), len(texts) > 2), (PLAIN, True))


def chat_tools(model="parallel", expected=DONE):
    tools = [{"type": "function", "function": FUNCTION}]
    with client.chat.completions.stream(model=model, messages=GO, tools=tools) as events:
        message = events.get_final_completion().choices[0].message
    found = message.tool_calls
    if model == "parallel":
        calls([json.loads(call.function.arguments)["expression"] for call in found])
    history = [*GO, message.model_dump(exclude_none=True, exclude={"parsed"})]
    history += [{"role": "tool", "tool_call_id": call.id, "content": "42"} for call in found]
    reply = client.chat.completions.create(model=model, messages=history, tools=tools)
    same(reply.choices[0].message.content, expected)


def chat_image():
    content = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    reply = client.chat.completions.create(model="picture", messages=[{"role": "user", "content": content}])
    same(reply.choices[0].message.content, SEEN)


def chat_structured():
    reply = client.chat.completions.parse(model="schema", messages=GO, response_format=City)
    same(reply.choices[0].message.parsed.model_dump(), CITY)


def chat_errors():
    fails(lambda: client.chat.completions.create(model=LIMITED, messages=GO), openai.RateLimitError)
    fails(lambda: client.chat.completions.create(model="nobody", messages=GO), openai.NotFoundError)


def responses():
    reply = client.responses.create(model="plain", input="Go", instructions="Be brief.")
    same((reply.output_text, reply.status, reply.usage.total_tokens), (PLAIN, "completed", 17))
    same(client.responses.retrieve(reply.id).output_text, PLAIN)
    client.responses.delete(reply.id)
    fails(lambda: client.responses.retrieve(reply.id), openai.NotFoundError)


def responses_stream():
    with client.responses.stream(model="plain", input="Go") as events:
        texts = [event.delta for event in events if event.type == "response.output_text.delta"]
        same((events.get_final_response().output_text, "".join(texts), len(texts) > 1), (PLAIN, PLAIN, True))


def responses_tools():
    tools = [{"type": "function", "strict": True, **FUNCTION}]
    with client.responses.stream(model="parallel", input="Go", tools=tools) as events:
        reply = events.get_final_response()
    found = [item for item in reply.output if item.type == "function_call"]
    calls([json.loads(call.arguments)["expression"] for call in found])
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "42"} for call in found]
    # The response is kept, so what was said before need not be sent again.
    kept = client.responses.create(model="parallel", previous_response_id=reply.id, input=results, tools=tools)
    same(kept.output_text, DONE)
    sent = [{"role": "user", "content": "Go"}, *[item.to_dict() for item in reply.output], *results]
    same(client.responses.create(model="parallel", input=sent, tools=tools, store=False).output_text, DONE)


def responses_reasoning():
    tools = [{"type": "function", "strict": True, **FUNCTION}]
    include = ["reasoning.encrypted_content"]
    reply = client.responses.create(model="thinking", input="Go", tools=tools, store=False, include=include)
    [reasoning] = [item for item in reply.output if item.type == "reasoning"]
    same(reasoning.summary[0].text, "They want a number.")
    [call] = [item for item in reply.output if item.type == "function_call"]
    sent = [{"role": "user", "content": "Go"}, *[item.to_dict() for item in reply.output]]
    sent.append({"type": "function_call_output", "call_id": call.call_id, "output": "42"})
    same(client.responses.create(model="thinking", input=sent, tools=tools, store=False).output_text, KNOWN)


def responses_image():
    content = [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": PICTURE, "detail": "auto"}]
    same(client.responses.create(model="picture", input=[{"role": "user", "content": content}]).output_text, SEEN)


def responses_structured():
    same(client.responses.parse(model="schema", input="Go", text_format=City).output_parsed.model_dump(), CITY)


def responses_errors():
    fails(lambda: client.responses.create(model=LIMITED, input="Go"), openai.RateLimitError)
    fails(lambda: client.responses.create(model="plain", input="Go", previous_response_id="resp_0"), openai.BadRequestError)
    with client.responses.stream(model="midway", input="Go") as events:
        last = [event for event in events][-1]
    same((last.type, last.response.error.message), ("response.failed", "the provider went away"))


report({
    "openai · Chat": {
        "chat": chat, "stream": chat_stream, "tools": chat_tools,
        "reasoning": lambda: chat_tools("thinking", KNOWN),
        "images": chat_image, "structured": chat_structured, "errors": chat_errors,
    },
    "openai · Responses": {
        "chat": responses, "stream": responses_stream, "tools": responses_tools, "reasoning": responses_reasoning,
        "images": responses_image, "structured": responses_structured, "errors": responses_errors,
    },
})
