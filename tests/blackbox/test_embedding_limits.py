"""Embeddings under a plan and a budget: let in, counted and refused as chats are, to a client of OpenAI and one of Bedrock."""

import json

import botocore.exceptions
import openai
import pytest
from test_clients import bedrock_client, openai_client
from test_metrics import Upstream, key

LIMIT = 3


@pytest.fixture
def server(start, tmp_path):
    url = Upstream().url
    folder = tmp_path / "project"
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "plain.md").write_text("---\ndescription: Plain.\nmodel: embed\n---\nBe plain.\n")
    (folder / "bedplate.toml").write_text(
        f"""
[project]
name = "embedding-limits"
default_agent = "plain"
[models.vectors]
provider = "openai"
model = "e"
base_url = "{url}"
[routes.embed]
model = "vectors"
[prices.e]
input = 1.0
output = 0.0
[plans.small]
requests_per_minute = {LIMIT}
input_tokens_per_day = 1_000
[limits]
key = "small"
[budgets.tiny]
limit_usd = 0.0002
period = "month"
for = "team"
who = ["poor"]
"""
    )
    return start(folder)


def test_embeddings_pass_no_plan_and_no_budget_and_say_so_in_the_clients_own_form(server):
    made = key(server)
    api = openai_client(server, made["key"])
    first = api.embeddings.with_raw_response.create(model="embed", input=["a", "b"])
    assert first.headers["x-ratelimit-limit-requests"] == str(LIMIT) and first.headers["x-ratelimit-remaining-requests"] == str(LIMIT - 1)
    assert first.headers["x-bedplate-cost-usd"] == "0.000007" and first.headers["x-bedplate-route"] == "embed"
    # The model counted 7 tokens where 2 were reserved: what is settled counts.
    again = api.embeddings.with_raw_response.create(model="embed", input="a")
    assert 1_000 - 14 < int(again.headers["x-ratelimit-remaining-tokens"]) <= 1_000 - 7

    with pytest.raises(openai.RateLimitError) as hopeless:
        api.embeddings.create(model="embed", input="x" * 4_000)
    assert "retry-after" not in hopeless.value.response.headers and "this call alone" in hopeless.value.message

    bedrock = bedrock_client(server)
    bedrock.meta.events.register(
        "before-sign.bedrock-runtime.*", lambda request, **_: request.headers.add_header("x-api-key", made["key"])
    )
    body = json.dumps({"inputText": "a"})
    assert json.loads(bedrock.invoke_model(modelId="embed", body=body)["body"].read())["inputTextTokenCount"] == 7
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        bedrock.invoke_model(modelId="embed", body=body)
    said = refused.value.response
    assert said["Error"]["Code"] == "ThrottlingException" and said["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert 1 <= int(said["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 61

    with pytest.raises(openai.RateLimitError) as refused:
        api.embeddings.create(model="embed", input="a")
    response = refused.value.response
    assert 1 <= int(response.headers["retry-after"]) <= 61 and response.headers["x-ratelimit-remaining-requests"] == "0"
    assert response.json()["error"]["code"] == "rate_limit_exceeded", response.text

    poor = openai_client(server, key(server, team="poor")["key"])
    with pytest.raises(openai.RateLimitError) as used_up:
        poor.embeddings.create(model="embed", input="x" * 1_000)
    assert "the budget `tiny`" in used_up.value.message
    poor.embeddings.create(model="embed", input="a")
    [budget] = [it for it in server.get("/v1/budgets", token=True).json()["budgets"] if it["who"] == "poor"]
    assert budget["spent_usd"] == pytest.approx(7e-6) and budget["reserved_usd"] == 0
