"""The `litellm` package through four of its providers: OpenAI (Chat and Responses), Anthropic and Bedrock."""

import json
import os
import sys

URL = sys.argv[1]
os.environ |= {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_REGION_NAME": "us-east-1",
}

import litellm
from pydantic import BaseModel
from probe import CITY, DESCRIPTION, DONE, KNOWN, LIMITED, PARAMETERS, PIXEL, PLAIN, SEEN, bedrock, calls, fails, report, same

litellm.suppress_debug_info = True
litellm.num_retries = 0
GO = [{"role": "user", "content": "Go"}]
TOOLS = [{"type": "function", "function": {"name": "calculate", "description": DESCRIPTION, "parameters": PARAMETERS}}]


class City(BaseModel):
    city: str
    days: int


class Through:
    """One provider of the package."""

    def __init__(self, model, **options):
        self.model, self.options = model, {"max_retries": 0, "max_tokens": 2000, **options}

    def ask(self, route, messages=GO, **more):
        return litellm.completion(model=self.model(route), messages=messages, **self.options, **more)

    def chat(self):
        reply = self.ask("plain")
        same((reply.choices[0].message.content, reply.usage.total_tokens), (PLAIN, 17))

    def stream(self):
        texts = [chunk.choices[0].delta.content or "" for chunk in self.ask("plain", stream=True) if chunk.choices]
        same(("".join(texts), len(texts) > 2), (PLAIN, True))

    def tools(self, route="parallel", expected=DONE, **more):
        chunks = list(self.ask(route, tools=TOOLS, stream=True, **more))
        message = litellm.stream_chunk_builder(chunks, messages=GO).choices[0].message
        found = message.tool_calls
        if route == "parallel":
            calls([json.loads(call.function.arguments)["expression"] for call in found])
        history = [*GO, message.model_dump(exclude_none=True)]
        history += [{"role": "tool", "tool_call_id": call.id, "content": "42"} for call in found]
        same(self.ask(route, history, tools=TOOLS, **more).choices[0].message.content, expected)

    def reasoning(self):
        self.tools("thinking", KNOWN)

    def images(self):
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        messages = [{"role": "user", "content": [{"type": "text", "text": "Look"}, picture]}]
        same(self.ask("picture", messages).choices[0].message.content, SEEN)

    def structured(self):
        same(json.loads(self.ask("schema", response_format=City).choices[0].message.content), CITY)

    def tool_structured(self):
        """The package asks these providers for a form by a tool, and turns its call into the text."""
        same(json.loads(self.ask("form-json_tool_call", response_format=City).choices[0].message.content), CITY)

    def errors(self):
        fails(lambda: self.ask(LIMITED), litellm.RateLimitError)
        fails(lambda: self.ask("nobody"), litellm.NotFoundError)

    def probes(self, **none):
        return {name: getattr(self, name) for name in ("chat", "stream", "tools", "reasoning", "images", "structured", "errors")} | none


def responses(route, given="Go", **more):
    return litellm.responses(model=f"openai/{route}", input=given, api_base=f"{URL}/v1", api_key="any", max_retries=0, **more)


def text(reply):
    parts = [part for item in reply.output if item.type == "message" for part in item.content]
    return "".join(part.text for part in parts)


def responses_stream():
    texts = [event.delta for event in responses("plain", stream=True) if event.type == "response.output_text.delta"]
    same(("".join(texts), len(texts) > 1), (PLAIN, True))


def responses_tools(route="parallel", expected=DONE):
    tools = [{"type": "function", **TOOLS[0]["function"]}]
    reply = responses(route, tools=tools, store=False)
    found = [item for item in reply.output if item.type == "function_call"]
    if route == "parallel":
        calls([json.loads(call.arguments)["expression"] for call in found])
    items = [item if isinstance(item, dict) else item.model_dump(exclude_none=True) for item in reply.output]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "42"} for call in found]
    same(text(responses(route, [*GO, *items, *results], tools=tools, store=False)), expected)


def responses_image():
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
    same(text(responses("picture", [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, picture]}])), SEEN)


openai = Through(lambda route: f"openai/{route}", api_base=f"{URL}/v1", api_key="any")
anthropic = Through(lambda route: f"anthropic/{route}", api_base=URL, api_key="any")
converse = Through(lambda route: f"bedrock/converse/{bedrock(route)}", aws_bedrock_runtime_endpoint=URL)
report({
    "litellm · openai/": openai.probes(reasoning="Chat has no field for it that the package sends back"),
    "litellm · openai/, Responses": {
        "chat": lambda: same(text(responses("plain")), PLAIN), "stream": responses_stream, "tools": responses_tools,
        "reasoning": lambda: responses_tools("thinking", KNOWN), "images": responses_image,
        "structured": lambda: same(json.loads(text(responses("schema", text_format=City))), CITY),
        "errors": lambda: fails(lambda: responses(LIMITED), litellm.RateLimitError),
    },
    "litellm · anthropic/": anthropic.probes(structured=anthropic.tool_structured),
    "litellm · bedrock/converse/": converse.probes(structured=converse.tool_structured),
})
