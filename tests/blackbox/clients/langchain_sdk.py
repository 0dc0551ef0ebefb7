"""`langchain-openai` (Chat and Responses) and `langchain-aws` (Converse)."""

import os
import sys

URL = sys.argv[1]
os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "LANGSMITH_TRACING": "false"}

import botocore.config
import botocore.exceptions
import openai
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from probe import CITY, DONE, KNOWN, LIMITED, PIXEL, PLAIN, SEEN, bedrock, calls, fails, report, same


class City(BaseModel):
    """A city."""

    city: str
    days: int


@tool
def calculate(expression: str) -> str:
    """Evaluates an arithmetic expression and returns the number."""
    return "42"


class Through:
    """One of the packages' models."""

    def __init__(self, model, limited, unknown):
        self.model, self.limited, self.unknown = model, limited, unknown

    def chat(self):
        reply = self.model("plain").invoke("Go")
        same((reply.text, reply.usage_metadata["output_tokens"]), (PLAIN, 3))

    def stream(self):
        texts = [chunk.text for chunk in self.model("plain").stream("Go")]
        same(("".join(texts), len([text for text in texts if text]) > 1), (PLAIN, True))

    def tools(self, route="parallel", expected=DONE):
        model = self.model(route).bind_tools([calculate])
        history, whole = [HumanMessage("Go")], None
        for chunk in model.stream(history):
            whole = chunk if whole is None else whole + chunk
        if route == "parallel":
            calls([call["args"]["expression"] for call in whole.tool_calls])
        history.append(whole)
        history += [ToolMessage("42", tool_call_id=call["id"]) for call in whole.tool_calls]
        same(model.invoke(history).text, expected)

    def images(self):
        picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
        message = HumanMessage(content=[{"type": "text", "text": "Look"}, picture])
        same(self.model("picture").invoke([message]).text, SEEN)

    def structured(self):
        same(self.model("schema").with_structured_output(City, method="json_schema").invoke("Go").model_dump(), CITY)

    def errors(self):
        fails(lambda: self.model(LIMITED).invoke("Go"), self.limited)
        fails(lambda: self.model("nobody").invoke("Go"), self.unknown)

    def probes(self, **more):
        names = ("chat", "stream", "tools", "images", "structured", "errors")
        reasoning = lambda: self.tools("thinking", KNOWN)
        return {name: getattr(self, name) for name in names} | {"reasoning": reasoning} | more


def openai_model(**more):
    return lambda route: ChatOpenAI(model=route, base_url=f"{URL}/v1", api_key="any", max_retries=0, **more)


def converse_model(route):
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    return ChatBedrockConverse(model=bedrock(route), region_name="us-east-1", base_url=URL, config=config, disable_streaming=False)


aws = botocore.exceptions.ClientError
report({
    "langchain-openai · Chat": Through(
        openai_model(stream_usage=True), openai.RateLimitError, openai.NotFoundError
    ).probes(reasoning="Chat has no field for it that the package sends back"),
    "langchain-openai · Responses": Through(
        openai_model(use_responses_api=True, store=False, include=["reasoning.encrypted_content"], output_version="responses/v1"),
        openai.RateLimitError, openai.NotFoundError,
    ).probes(),
    "langchain-aws · Converse": Through(converse_model, aws, aws).probes(),
})
