"""What a workflow's Task reaches: functions, programs, tools, agents, APIs, services of AWS, objects; and `kill -9`."""

import http.server
import json
import shutil
import threading
import time

import boto3
import pytest
from botocore.config import Config
from harness import PROJECTS, REPO, Bedplate, name, run

moto_server = pytest.importorskip("moto.server", reason="moto is missing: pip install -r tests/requirements.txt")

ROLE = "arn:aws:iam::000000000000:role/any"
EXAMPLES = REPO / "examples" / "workflows"


class Api(http.server.BaseHTTPRequestHandler):
    """A function, an API that wants a key, and what a tool calls."""

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length) or b"null")
        if self.path == "/function":
            known = self.headers["authorization"] == "Bearer s3cret" and self.headers["idempotency-key"]
            if not known or body.get("fail"):
                self.answer(500, {"errorType": "Refused", "errorMessage": str(body)})
            else:
                self.answer(200, {"got": body})
        elif self.path.startswith("/api/"):
            keyed = self.headers["x-api-key"] == "s3cret"
            self.answer(200 if keyed else 401, {"path": self.path, "body": body, "key": self.headers["x-api-key"]})

    def do_GET(self):
        self.answer(200, {"greeting": f"Hello {self.path.rsplit('/', 1)[-1]}"} if "greet" in self.path else {})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture(scope="module")
def aws():
    server = moto_server.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


def client(service, url):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}, inject_host_prefix=False),
    )


def project(folder, api, aws):
    shutil.copytree(PROJECTS / "tasks", folder)
    for file in [folder / "bedplate.toml", folder / "tools" / "greet.toml"]:
        file.write_text(file.read_text().replace("HTTP_PORT", str(api)).replace("AWS_PORT", str(aws)))
    (folder / "objects").mkdir()
    return folder


ENV = {"API_KEY": "s3cret", "TEST_KEY_ID": "test", "TEST_SECRET": "test"}


@pytest.fixture(scope="module")
def server(tmp_path_factory, api, aws):
    folder = tmp_path_factory.mktemp("tasks")
    server = Bedplate(project(folder / "project", api, aws), folder / "data", **ENV).start()
    yield server
    server.assert_healthy()
    assert server.stop() == 0


class Workflows:
    """Starts state machines of one state over the AWS API and waits for their end."""

    def __init__(self, server):
        self.sfn = client("stepfunctions", server.url)

    def start(self, definition, given):
        machine = self.sfn.create_state_machine(name=name("m"), definition=json.dumps(definition), roleArn=ROLE)
        started = self.sfn.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given))
        return started["executionArn"]

    def end(self, execution, seconds=40):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.sfn.describe_execution(executionArn=execution)
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.02)
        raise AssertionError(f"{execution} still runs: {self.sfn.get_execution_history(executionArn=execution)}")

    def task(self, resource, given, **more):
        state = {"Type": "Task", "Resource": resource, "End": True} | more
        found = self.end(self.start({"StartAt": "S", "States": {"S": state}}, given))
        if found["status"] == "SUCCEEDED":
            return json.loads(found["output"])
        return found.get("error"), found.get("cause")


@pytest.fixture(scope="module")
def flows(server):
    return Workflows(server)


INVOKE = "arn:aws:states:::lambda:invoke"


def bare(function):
    return f"arn:aws:lambda:us-east-1:000000000000:function:{function}"


def test_a_function_is_an_endpoint_a_program_or_an_agent(flows):
    assert flows.task(bare("over-http"), {"a": 1}) == {"got": {"a": 1}}
    invoked = flows.task(INVOKE, {"FunctionName": bare("program") + ":$LATEST", "Payload": {"n": 21}})
    assert invoked["Payload"] == {"n": 42} and invoked["StatusCode"] == 200
    assert invoked["ExecutedVersion"] == "$LATEST" and invoked["SdkHttpMetadata"]["HttpStatusCode"] == 200
    said = flows.task(bare("helper"), {"body": {"query": "What is 25 * 47?"}})
    assert "1175" in said["response"].replace(",", "") and said["conversation_id"], said


def test_a_functions_error_is_named_by_its_type_and_is_the_cause(flows):
    error, cause = flows.task(bare("program"), {"n": -1})
    assert error == "NegativeNumber" and json.loads(cause)["errorMessage"] == "-1 is negative"
    error, cause = flows.task(bare("over-http"), {"fail": True})
    assert error == "Refused" and "s3cret" not in cause
    error, cause = flows.task(bare("nobody"), {})
    # Where Lambda has an endpoint, a function that the project does not know is asked for there.
    assert error == "Lambda.ResourceNotFoundException" and "Status Code: 404" in cause


def test_a_tool_of_the_project_is_a_task(flows):
    tool = "arn:aws:states:::bedplate:tool:greet"
    assert flows.task(tool, {"who": "Ann"}) == {"greeting": "Hello Ann"}
    assert flows.task(tool, {})[0] == "Tool.InvalidInput"


def test_a_model_is_invoked_with_the_body_of_bedrock(flows):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]}
    answered = flows.task("arn:aws:states:::bedrock:invokeModel", {"ModelId": "default", "Body": body})
    assert answered["ContentType"] == "application/json" and answered["Body"]["role"] == "assistant"
    assert answered["Body"]["content"][0]["text"]


def test_an_api_gets_the_key_of_its_connection_and_nobody_else_does(flows, api):
    given = {"ApiEndpoint": f"http://127.0.0.1:{api}/api/orders", "Method": "POST", "RequestBody": {"n": 1},
             "Authentication": {"ConnectionArn": "arn:aws:events:us-east-1:000000000000:connection/api/1"}}
    answered = flows.task("arn:aws:states:::http:invoke", given)
    assert answered["StatusCode"] == 200 and answered["StatusText"] == "OK"
    assert answered["ResponseBody"] == {"path": "/api/orders", "body": {"n": 1}, "key": "[secret API_KEY]"}
    error, cause = flows.task("arn:aws:states:::http:invoke", given | {"ApiEndpoint": f"http://127.0.0.1:{api}/other"})
    assert error == "States.TaskFailed" and "endpoints" in cause
    error, _ = flows.task("arn:aws:states:::http:invoke", given | {"Method": "PATCH"})
    assert error == "States.Http.StatusCode.501"


def test_the_services_of_aws_are_reached_at_their_endpoint(flows, aws):
    url = f"http://127.0.0.1:{aws}"
    sqs, sns, dynamodb, s3 = (client(service, url) for service in ("sqs", "sns", "dynamodb", "s3"))
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sent = flows.task("arn:aws:states:::sqs:sendMessage", {"QueueUrl": queue, "MessageBody": {"a": 1}})
    received = sqs.receive_message(QueueUrl=queue)["Messages"][0]
    assert received["MessageId"] == sent["MessageId"] and json.loads(received["Body"]) == {"a": 1}
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=sqs.get_queue_attributes(
        QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
    assert flows.task("arn:aws:states:::sns:publish", {"TopicArn": topic, "Message": {"b": 2}})["MessageId"]
    assert json.loads(json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])["Message"]) == {"b": 2}
    dynamodb.create_table(TableName="t", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                          AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    item = {"id": {"S": "1"}, "n": {"N": "5"}}
    flows.task("arn:aws:states:::dynamodb:putItem", {"TableName": "t", "Item": item})
    got = flows.task("arn:aws:states:::dynamodb:getItem", {"TableName": "t", "Key": {"id": {"S": "1"}}})
    assert got["Item"] == item and got["SdkResponseMetadata"]["RequestId"]
    flows.task("arn:aws:states:::dynamodb:updateItem", {"TableName": "t", "Key": {"id": {"S": "1"}},
               "UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "6"}}})
    queried = flows.task("arn:aws:states:::aws-sdk:dynamodb:query", {"TableName": "t",
                         "KeyConditionExpression": "id = :i", "ExpressionAttributeValues": {":i": {"S": "1"}}})
    assert queried["Items"][0]["n"] == {"N": "6"} and "SdkHttpMetadata" not in queried
    flows.task("arn:aws:states:::dynamodb:deleteItem", {"TableName": "t", "Key": {"id": {"S": "1"}}})
    assert "Item" not in flows.task("arn:aws:states:::dynamodb:getItem", {"TableName": "t", "Key": {"id": {"S": "1"}}})
    error, _ = flows.task("arn:aws:states:::dynamodb:getItem", {"TableName": "none", "Key": {"id": {"S": "1"}}})
    assert error == "DynamoDB.ResourceNotFoundException"
    entries = {"Entries": [{"Source": "s", "DetailType": "d", "Detail": {"a": 1}, "EventBusName": "default"}]}
    assert flows.task("arn:aws:states:::events:putEvents", entries)["FailedEntryCount"] == 0
    s3.create_bucket(Bucket="bucket")
    assert flows.task("arn:aws:states:::aws-sdk:s3:putObject", {"Bucket": "bucket", "Key": "a b/c", "Body": {"x": 1}})["ETag"]
    assert json.loads(flows.task("arn:aws:states:::aws-sdk:s3:getObject", {"Bucket": "bucket", "Key": "a b/c"})["Body"]) == {"x": 1}
    assert flows.task("arn:aws:states:::aws-sdk:s3:getObject", {"Bucket": "bucket", "Key": "none"})[0] == "S3.NoSuchKeyException"
    secret = flows.task("arn:aws:states:::aws-sdk:secretsmanager:createSecret", {"Name": "s", "SecretString": "v"})
    assert secret["Name"] == "s"


def test_a_callback_takes_its_result_under_the_token(server, flows, aws):
    sqs = client("sqs", f"http://127.0.0.1:{aws}")
    queue = sqs.create_queue(QueueName="tokens")["QueueUrl"]
    state = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True,
             "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}}}
    execution = flows.start({"StartAt": "S", "States": {"S": state}}, {})
    messages = []
    while not messages:
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
    token = json.loads(messages[0]["Body"])["token"]
    flows.sfn.send_task_success(taskToken=token, output='{"yes": true}')
    assert json.loads(flows.end(execution)["output"]) == {"yes": True}


def test_a_map_reads_its_items_from_an_object_and_writes_its_results(server, flows):
    objects = server.project / "objects"
    lines = [json.dumps({"n": n}) for n in range(300)]
    (objects / "items.jsonl").write_text("\n".join(lines))
    definition = {"StartAt": "Each", "States": {"Each": {
        "Type": "Map", "End": True, "MaxConcurrency": 20,
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSONL"},
                       "Parameters": {"Bucket": "local", "Key": "items.jsonl"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P",
                          "States": {"P": {"Type": "Pass", "OutputPath": "$.n", "End": True}}}}}}
    found = flows.end(flows.start(definition, {}))
    assert found["status"] == "SUCCEEDED", found
    assert json.loads(found["output"]) == list(range(300))
    definition["States"]["Each"]["ResultWriter"] = {
        "Resource": "arn:aws:states:::s3:putObject", "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"},
        "Parameters": {"Bucket": "local", "Prefix": "results"}}
    found = flows.end(flows.start(definition, {}))
    assert found["status"] == "SUCCEEDED", found
    details = json.loads(found["output"])["ResultWriterDetails"]
    assert details["Bucket"] == "local"
    manifest = json.loads((objects / details["Key"]).read_text())
    assert (manifest["ResultFiles"]["FAILED"], manifest["ResultFiles"]["PENDING"]) == ([], [])
    (written,) = manifest["ResultFiles"]["SUCCEEDED"]
    file = objects / written["Key"]
    assert file.stat().st_size == written["Size"]
    assert [json.loads(line) for line in file.read_text().splitlines()] == list(range(300))


def slow(flows, tmp_path, function):
    given = {"log": str(tmp_path / "calls"), "go": str(tmp_path / "go")}
    state = {"Type": "Task", "Resource": bare(function), "End": True}
    execution = flows.start({"StartAt": "S", "States": {"S": state}}, given)
    while not (tmp_path / "calls").exists():
        time.sleep(0.02)
    return execution


@pytest.mark.parametrize("function", ["slow", "slow-once"])
def test_a_task_that_a_kill_interrupts_is_repeated_only_with_permission(tmp_path, api, aws, function):
    server = Bedplate(project(tmp_path / "project", api, aws), tmp_path / "data", **ENV).start()
    execution = slow(Workflows(server), tmp_path, function)
    server.kill()
    (tmp_path / "go").write_text("")
    server.start()
    found = Workflows(server).end(execution)
    calls = (tmp_path / "calls").read_text().split()
    if function == "slow":
        assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"done": True})
        assert len(calls) == 2 and calls[0] == calls[1], "the second call has the key of the first"
    else:
        assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
        assert "unknown" in found["cause"] and len(calls) == 1
    server.assert_healthy()
    assert server.stop() == 0


def test_the_documents_state_machine_runs_as_it_is_written(tmp_path):
    server = Bedplate(EXAMPLES, tmp_path / "data").start()
    flows = Workflows(server)
    machine = "arn:aws:states:us-east-1:000000000000:stateMachine:research"
    given = {"user_id": "user123", "research_query": "Research AWS AI services"}
    started = flows.sfn.start_execution(stateMachineArn=machine, input=json.dumps(given))
    found = flows.end(started["executionArn"])
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    assert all(output[part]["response"].strip() for part in ("research_result", "analysis_result", "final_result"))
    runs = server.get("/v1/runs?limit=50", token=True).json()["runs"]
    assert sorted(run["agent"] for run in runs if run["agent"] != "research") == ["analyst", "researcher", "summarizer"]
    server.assert_healthy()
    assert server.stop() == 0


def test_an_agent_starts_a_workflow_as_its_child(server, flows):
    said = server.post("/v1/agents/starter/invoke", {"input": "Greet Ann", "session_id": name("s")}, token=True).json()
    assert said["status"] == "completed", said
    events = server.get(f"/v1/runs/{said['run_id']}/events?limit=200", token=True).json()["events"]
    assert any("Hello Ann" in json.dumps(event) for event in events), events
    runs = server.get("/v1/runs?limit=200", token=True).json()["runs"]
    children = [run for run in runs if run.get("parent_run_id") == said["run_id"]]
    assert len(children) == 1, runs


def test_a_broken_definition_is_told_with_file_line_and_hint(tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLES, folder)
    file = folder / "workflows" / "research.asl.json"
    file.write_text(file.read_text().replace('"Next": "AnalysisAgent"', '"Next": "AnalystAgent"'))
    told = run("check", folder)
    assert told.returncode == 3
    assert "workflows/research.asl.json:16:7: error[missing_transition_target]" in told.stdout, told.stdout
    assert "hint:" in told.stdout
