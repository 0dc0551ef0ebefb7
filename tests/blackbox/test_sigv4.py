"""Callers that sign as AWS's clients do: botocore's own signer against a server that has keys."""

import datetime
import hashlib
import json

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import pytest
import requests
from harness import Bedplate, run

MODEL_ID = "anthropic.claude-3-5-sonnet-20240620-v1:0"
ARN = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{MODEL_ID}"
PROJECT = f"""
[project]
name = "signed"
default_agent = "plain"

[models.plain]
provider = "scripted"
model = "plain.toml"

[routes.plain]
model = "plain"

[model_ids]
"{MODEL_ID}" = "plain"
"{ARN}" = "plain"
"""
MESSAGES = [{"role": "user", "content": [{"text": "Grüße, 漢字"}]}]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A server with an access key, so that nobody gets in without one."""
    folder = tmp_path_factory.mktemp("signed")
    (folder / "project" / "agents").mkdir(parents=True)
    (folder / "project" / "bedplate.toml").write_text(PROJECT)
    (folder / "project" / "plain.toml").write_text('loop = true\n[[turn]]\n[[turn.step]]\ntext = "Signed and read."\n')
    (folder / "project" / "agents" / "plain.md").write_text("---\ndescription: Plain.\nmodel: plain\n---\nBe plain.\n")
    server = Bedplate(folder / "project", folder / "data").start()
    server.key = make_key(server)
    yield server
    server.assert_healthy()
    assert server.stop() == 0


def make_key(server, *arguments):
    """Returns the id and the secret of a new access key."""
    made = run("keys", "create", "lambda", "--aws", "--json", server.project, "--data", server.data, *arguments)
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert key.get("key") is None and len(key["secret_access_key"]) == 40
    return key["access_key_id"], key["secret_access_key"]


def client(server, key, region="eu-central-1", service="bedrock-runtime"):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=server.url,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def said(reply):
    return reply["output"]["message"]["content"][0]["text"]


def refused(call):
    """Returns the exception's name, status and words of a call that must fail."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
@pytest.mark.parametrize("model", [MODEL_ID, ARN, "plain"])
def test_a_signed_call_is_let_in_in_any_region_and_under_any_model_id(keyed, region, model):
    runtime = client(keyed, keyed.key, region)
    assert said(runtime.converse(modelId=model, messages=MESSAGES)) == "Signed and read."
    streamed = runtime.converse_stream(modelId=model, messages=MESSAGES)["stream"]
    assert [event for event in streamed if "messageStop" in event]


def test_without_a_key_or_with_a_wrong_one_nobody_gets_in(keyed):
    key_id, secret = keyed.key
    call = lambda key: lambda: client(keyed, key).converse(modelId=MODEL_ID, messages=MESSAGES)  # noqa: E731
    name, status, message = refused(call((key_id, secret[:-1] + ("a" if secret[-1] != "a" else "b"))))
    assert (name, status) == ("InvalidSignatureException", 403) and "does not match the signature" in message
    for stranger in ["AKIAIOSFODNN7EXAMPLE", "AKBPAAAAAAAAAAAAAAAA", key_id.lower()]:
        name, status, message = refused(call((stranger, secret)))
        assert (name, status) == ("UnrecognizedClientException", 403), stranger
        assert message == "The security token included in the request is invalid."
    bare = keyed.post(f"/model/{MODEL_ID}/converse", {"messages": MESSAGES})
    assert (bare.status_code, bare.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(("minutes", "word"), [(-6, "Signature expired"), (6, "Signature not yet current")])
def test_a_clock_that_is_off_is_told_so(keyed, monkeypatch, minutes, word):
    off = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: off)
    name, status, message = refused(lambda: client(keyed, keyed.key).converse(modelId=MODEL_ID, messages=MESSAGES))
    assert (name, status) == ("InvalidSignatureException", 403) and word in message


def test_a_revoked_or_expired_key_opens_nothing(keyed):
    key = make_key(keyed)
    call = lambda: client(keyed, key).converse(modelId=MODEL_ID, messages=MESSAGES)  # noqa: E731
    call()
    gone = run("keys", "revoke", key[0], keyed.project, "--data", keyed.data)
    assert gone.returncode == 0, gone.stderr
    assert refused(call)[0] == "UnrecognizedClientException"


def test_a_key_that_is_scoped_to_agents_calls_no_model(keyed):
    key = make_key(keyed, "--agents", "plain")
    name, status, _ = refused(lambda: client(keyed, key).converse(modelId=MODEL_ID, messages=MESSAGES))
    assert (name, status) == ("AccessDeniedException", 403)


def test_an_api_key_works_as_bedrocks_bearer_token(keyed):
    # botocore itself sends a bearer token over TLS only, so the request is written out.
    made = run("keys", "create", "bearer", keyed.project, "--data", keyed.data)
    call = lambda key: keyed.post(PATH, {"messages": MESSAGES}, headers={"authorization": f"Bearer {key}"})  # noqa: E731
    assert said(call(made.stdout.strip()).json()) == "Signed and read."
    wrong = call("bp_000000000000_" + "0" * 64)
    assert (wrong.status_code, wrong.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


# -- Requests that were signed and then changed -----------------------------------------------------------------------

PATH = f"/model/{MODEL_ID}/converse"
BODY = json.dumps({"messages": MESSAGES})


def signed(server, path=PATH, body=BODY, method="POST", headers=None, auth=botocore.auth.SigV4Auth, **options):
    """Returns a request that botocore signed, to be changed and sent."""
    credentials = botocore.credentials.Credentials(*server.key)
    headers = {"content-type": "application/json", **(headers or {})}
    request = botocore.awsrequest.AWSRequest(method, server.url + path, data=body, headers=headers)
    auth(credentials, "bedrock", "us-east-1", **options).add_auth(request)
    return request.prepare()


def send(request, **changed):
    """Sends a prepared request, some of it changed; returns status and exception."""
    parts = {"url": request.url, "headers": dict(request.headers), "data": request.body, "method": request.method}
    answer = requests.request(**(parts | changed), timeout=30)
    return answer.status_code, answer.headers.get("x-amzn-errortype")


MISMATCH = (403, "InvalidSignatureException")


def test_what_was_signed_cannot_be_changed(keyed):
    request = signed(keyed)
    assert send(request) == (200, None)
    assert send(request, data=BODY.replace("Gr", "gR")) == MISMATCH
    assert send(request, url=request.url + "-stream") == MISMATCH
    assert send(request, url=request.url + "?a=1") == MISMATCH
    assert send(request, headers=dict(request.headers) | {"content-type": "text/plain"}) == MISMATCH
    assert send(request, headers=dict(request.headers) | {"x-not-signed": "1"}) == (200, None)
    authorization = request.headers["Authorization"]
    for old, new, answer in [
        ("us-east-1", "us-east-2", MISMATCH),
        ("Signature=", "Signature=0", MISMATCH),
        ("SignedHeaders=content-type;", "SignedHeaders=", MISMATCH),
        ("aws4_request", "aws5_request", MISMATCH),
        ("Credential=", "Cred=", (400, "IncompleteSignatureException")),
        ("Signature=", "Sig=", (400, "IncompleteSignatureException")),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 ", (403, "AccessDeniedException")),
    ]:
        headers = dict(request.headers) | {"Authorization": authorization.replace(old, new)}
        status, name = send(request, headers=headers)
        if new.startswith("AWS4"):
            assert status == 403, (old, new)
        else:
            assert (status, name) == answer, (old, new)


def test_a_path_and_query_are_checked_as_they_were_sent(keyed):
    for path in [
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F" + f"us.{MODEL_ID}/converse",
        f"/model/{MODEL_ID.replace(':', '%3A')}/converse",
        f"/model/{MODEL_ID}/converse?b=2&a=x%20y&a=%C3%BC&empty=&bare",
    ]:
        assert send(signed(keyed, path))[0] == 200, path
    # What is equal after decoding is still another request.
    request = signed(keyed)
    assert send(request, url=request.url.replace(":0/", "%3A0/")) in [MISMATCH, (200, None)]


def test_a_hash_that_the_client_sends_is_compared_with_the_body(keyed):
    good = hashlib.sha256(BODY.encode()).hexdigest()
    assert send(signed(keyed, headers={"X-Amz-Content-SHA256": good})) == (200, None)
    request = signed(keyed, headers={"X-Amz-Content-SHA256": hashlib.sha256(b"other").hexdigest()})
    assert send(request) == MISMATCH
    request = signed(keyed, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert send(request) == (200, None)
    assert send(signed(keyed, headers={"X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"})) == MISMATCH
    chunks = f"{len(BODY.encode()):x}\r\n".encode() + BODY.encode() + b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    trailer = {"X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked"}
    assert send(signed(keyed, body=chunks, headers=trailer)) == (200, None)
    assert send(signed(keyed, body=chunks[:-40], headers=trailer)) == MISMATCH


def presigned(server, path="/v1/models?limit=5", expires=60):
    return signed(server, path, None, "GET", auth=botocore.auth.SigV4QueryAuth, expires=expires)


def test_a_presigned_address_opens_what_it_was_made_for(keyed):
    request = presigned(keyed)
    assert "Authorization" not in request.headers and "X-Amz-Signature=" in request.url
    assert send(request)[0] == 200
    for change in [("X-Amz-Expires=60", "X-Amz-Expires=600"), ("limit=5", "limit=6"), ("/v1/models", "/v1/agents")]:
        assert send(request, url=request.url.replace(*change))[0] == 403, change
    assert send(request, url=request.url + "&a=1")[0] == 403
    assert send(request, data="a body that nobody signed")[0] == 403


def test_a_presigned_address_ends(keyed, monkeypatch):
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: old)
    assert send(presigned(keyed, expires=3600))[0] == 200
    assert send(presigned(keyed, expires=300))[0] == 403


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 ,,,=,=",
        "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;;;, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/20261120/r/s/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=" + "a" * 9000 + "/20261120/r/s/aws4_request, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=\xff/20261120/r/s/aws4_request, SignedHeaders=\xff, Signature=\xff",
    ],
)
def test_nonsense_is_refused_and_harms_nothing(keyed, authorization):
    for date in ["20261120T000000Z", "99999999T999999Z", "", "x" * 16]:
        headers = {"Authorization": authorization.encode("latin-1"), "X-Amz-Date": date}
        answer = requests.post(keyed.url + PATH, data=BODY, headers=headers, timeout=30)
        assert answer.status_code in (400, 403), answer.text
        assert answer.headers["x-amzn-errortype"] in ("IncompleteSignatureException", "InvalidSignatureException")
    keyed.assert_healthy()
