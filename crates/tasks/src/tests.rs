//! Tasks against servers, programs and folders of these tests.

use super::{Config, MockedTasks, Options, TaskTable};
use bedplate_core::{
    agent::{AgentDefinition, Limits, SessionPolicy, Truncation},
    event::Preparation,
    id::{ContentHash, RunId, Tenant},
    message::ToolResultContent,
    port::{
        BoxFuture, Caller,
        clock::Clock,
        definitions::{Definitions, MockedAnswer, MockedResult, PinnedAgent, ProjectWorkflow, WorkflowMocks},
        model::{Answered, EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelErrorKind, ModelInfo},
        tasks::{AgentReply, PrepareError, PreparedFor, TaskCall, TaskError, TaskMocks, TaskPlan, TaskReply, Tasks},
        tools::{ToolCall, ToolError, ToolErrorKind, Tools},
    },
    time::Timestamp,
    tool::{Annotations, Approval, ToolDefinition, ToolOutput, ToolSpec},
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(1_763_662_000_000)
    }

    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl Definitions for Fixed {
    fn agent(&self, name: &str) -> Option<PinnedAgent> {
        self.agents().into_iter().find(|agent| agent.definition.name == name)
    }

    fn agents(&self) -> Vec<PinnedAgent> {
        let agent = |name: &str| {
            let definition = AgentDefinition {
                name: name.to_owned(),
                description: String::new(),
                model: "default".to_owned(),
                system: String::new(),
                tools: Vec::new(),
                limits: Limits::default(),
                truncation: Truncation::None,
                session_policy: SessionPolicy::Enqueue,
                temperature: None,
            };
            PinnedAgent { hash: ContentHash::of(b""), json: Arc::from(Vec::new()), definition: Arc::new(definition) }
        };
        vec![agent("analyst"), agent("researcher")]
    }

    fn default_agent(&self) -> Option<PinnedAgent> {
        None
    }

    fn route_of_model_id(&self, _: &str) -> Option<String> {
        None
    }

    fn workflow(&self, _: &str) -> Option<Arc<ProjectWorkflow>> {
        None
    }

    fn workflows(&self) -> Vec<Arc<ProjectWorkflow>> {
        Vec::new()
    }

    fn project_name(&self) -> String {
        "test".to_owned()
    }

    fn render_system(&self, _: &AgentDefinition, _: &str, _: &str) -> Result<Arc<str>, String> {
        Ok("".into())
    }
}

impl Model for Fixed {
    fn call(&self, _: ModelCall) -> BoxFuture<'static, Result<Answered, ModelError>> {
        Box::pin(async { Err(ModelError::new(ModelErrorKind::RateLimited, "busy")) })
    }

    fn embed(&self, _: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        Box::pin(async { Err(ModelError::new(ModelErrorKind::InvalidRequest, "none")) })
    }

    fn describe(&self, route: &str) -> Option<Arc<ModelInfo>> {
        let info = ModelInfo { provider: "p".into(), model: "m".into(), foundation_model: false, price: None };
        (route == "default").then(|| info.into())
    }

    fn routes(&self) -> Vec<String> {
        vec!["default".to_owned()]
    }
}

impl Tools for Fixed {
    fn prepare(&self, call: ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>> {
        Box::pin(async move {
            Ok(match call.input.get("ask") {
                Some(_) => Preparation::Ask { question: "Really?".to_owned(), preview: Value::Null },
                None => Preparation::Run,
            })
        })
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            if call.input.get("lost").is_some() {
                return Err(ToolError { kind: ToolErrorKind::OutcomeUnknown, message: "lost".to_owned() });
            }
            let json = json!({ "echo": call.input, "key": call.idempotency_key });
            Ok(ToolOutput { content: vec![ToolResultContent::Json { json }], is_error: false })
        })
    }
}

fn tool(name: &str) -> ToolDefinition {
    ToolDefinition {
        spec: ToolSpec { name: name.to_owned(), description: String::new(), input_schema: json!({"type": "object"}) },
        annotations: Annotations { read_only: true, ..Annotations::default() },
        approval: Approval::default(),
        kind: "test".to_owned(),
        config: Value::Null,
        timeout_ms: 1_000,
        max_result_bytes: 1_000,
    }
}

fn table(project: &Path, config: Value) -> TaskTable {
    let config: Config = serde_json::from_value(config).unwrap();
    TaskTable::new(Options {
        project: project.to_owned(),
        model: Arc::new(Fixed),
        tools: Arc::new(Fixed),
        tool: Arc::new(|name| (name == "echo").then(|| tool(name))),
        definitions: Arc::new(Fixed),
        secrets: Arc::new(|name| (name == "TOKEN").then(|| "s3cret value".to_owned())),
        clock: Arc::new(Fixed),
        config,
    })
}

fn call(resource: &str, input: Value) -> TaskCall {
    TaskCall {
        caller: Caller { run: Some(RunId([1; 16])), ..Caller::default() },
        execution: "arn:aws:states:us-east-1:000000000000:execution:flow:run-1".into(),
        workflow: "flow".into(),
        answers: None,
        state: "S".into(),
        resource: resource.into(),
        input: Arc::new(input),
        token: "token".into(),
        attempt: 0,
        idempotency_key: "key-1".to_owned(),
        deadline: None,
    }
}

async fn done(tasks: &dyn Tasks, resource: &str, input: Value) -> Result<Value, TaskError> {
    match tasks.perform(call(resource, input)).await? {
        TaskReply::Done(value) => Ok(value),
        other => panic!("{resource}: {other:?}"),
    }
}

async fn refused(tasks: &dyn Tasks, resource: &str, input: Value) -> (String, String) {
    let error = done(tasks, resource, input).await.unwrap_err();
    (error.error.unwrap_or_default().to_string(), error.cause.unwrap_or_default().to_string())
}

/// A server that answers every request alike and keeps what it was asked.
async fn server(answer: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (kept, answer) = (Arc::clone(&asked), answer.to_owned());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !is_whole(&request) {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&buffer[..count]),
                }
            }
            kept.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
    length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0) <= body.len()
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn function(url: &str) -> Value {
    json!({"functions": {"score": {
        "url": format!("http://{url}/score"), "timeout_seconds": 2.0, "idempotent": true,
        "headers": {"authorization": "Bearer {secret:TOKEN}"},
    }}})
}

const INVOKE: &str = "arn:aws:states:::lambda:invoke";
const BARE: &str = "arn:aws:lambda:us-east-1:000000000000:function:score";

#[tokio::test]
async fn a_function_behind_http_gives_what_lambda_gives() {
    let (address, asked) = server(&http("200 OK", "", r#"{"score": 7, "token": "s3cret value"}"#)).await;
    let tasks = table(Path::new("."), function(&address));
    let payload = json!({"text": "good"});
    let reply = done(&tasks, INVOKE, json!({"FunctionName": BARE, "Payload": payload})).await.unwrap();
    assert_eq!(reply["Payload"], json!({"score": 7, "token": "[secret TOKEN]"}));
    assert_eq!((&reply["StatusCode"], &reply["ExecutedVersion"]), (&json!(200), &json!("$LATEST")));
    assert_eq!(done(&tasks, BARE, payload).await.unwrap()["score"], 7);
    let asked = asked.lock().unwrap().join("\n");
    assert!(
        asked.contains("authorization: Bearer s3cret value") && asked.contains("idempotency-key: key-1"),
        "{asked}"
    );
    assert!(asked.ends_with(r#"{"text":"good"}"#), "{asked}");
    assert_eq!(tasks.plan(&call(BARE, json!({}))).unwrap(), TaskPlan::PerformAgain);
}

#[tokio::test]
async fn an_error_of_a_function_has_its_type_as_name_and_itself_as_cause() {
    let said = r#"{"errorType": "NotToday", "errorMessage": "no"}"#;
    for (answer, name, cause) in [
        (http("500 x", "", said), "NotToday", "\"errorMessage\":\"no\""),
        (http("200 OK", "x-amz-function-error: Unhandled\r\n", said), "NotToday", "\"errorType\":\"NotToday\""),
        (http("200 OK", "x-amz-function-error: Unhandled\r\n", "{}"), "Lambda.Unknown", "Returned payload: {}"),
        (http("503 x", "", "later"), "Lambda.ServiceException", "HTTP 503: later"),
        (http("429 x", "", ""), "Lambda.TooManyRequestsException", "HTTP 429"),
        (http("200 OK", "", "{oops"), "Runtime.MarshalError", "no JSON"),
    ] {
        let (address, _) = server(&answer).await;
        let (error, told) = refused(&table(Path::new("."), function(&address)), BARE, json!({})).await;
        assert_eq!(error, name, "{told}");
        assert!(told.contains(cause), "{told}");
    }
    let (error, told) = refused(&table(Path::new("."), json!({})), BARE, json!({})).await;
    assert_eq!(error, "States.TaskFailed");
    assert!(told.contains("[functions.score]"), "{told}");
}

fn program(script: &str) -> Value {
    json!({"functions": {"score": {"command": ["sh", "-c", script], "env": ["TOKEN"], "timeout_seconds": 1.0}}})
}

#[tokio::test]
async fn a_function_that_is_a_program_reads_and_writes_json_and_dies_with_its_call() {
    let folder = tempfile::tempdir().unwrap();
    let echo = table(folder.path(), program("cat; test -n \"$TOKEN\" && test -z \"$CARGO_MANIFEST_DIR\""));
    let large = json!({"list": vec!["x".repeat(1_000); 200]});
    assert_eq!(done(&echo, BARE, large.clone()).await.unwrap(), large);
    for (script, name, cause) in [
        ("echo \"no $TOKEN\" >&2; exit 3", "Runtime.ExitError", "exit status: 3: no [secret TOKEN]"),
        ("echo '{\"errorType\": \"Bad\"}'; exit 1", "Bad", "errorType"),
        ("echo nonsense", "Runtime.MarshalError", "no JSON"),
        ("sleep 5; touch late", "Sandbox.Timedout", "timed out after 1.00 seconds"),
        ("exec yes", "Function.ResponseSizeTooLarge", "6291456"),
    ] {
        let (error, told) = refused(&table(folder.path(), program(script)), BARE, json!({})).await;
        assert_eq!(error, name, "{told}");
        assert!(told.contains(cause), "{told}");
    }
    let missing = json!({"functions": {"score": {"command": ["/no/such/program"], "timeout_seconds": 1.0}}});
    let (error, told) = refused(&table(folder.path(), missing), BARE, json!({})).await;
    assert!(error == "States.TaskFailed" && told.contains("cannot be run"), "{told}");
}

#[test]
fn a_function_that_is_an_agent_is_a_turn_whoever_wraps_its_payload() {
    let config = json!({"functions": {"ai-agent-executor": {"agent": "researcher"}}});
    let tasks = table(Path::new("."), config);
    let executor = "arn:aws:lambda:REGION:ACCOUNT:function:ai-agent-executor";
    let turn = |resource: &str, input: Value| match tasks.plan(&call(resource, input)) {
        Ok(TaskPlan::Agent(turn)) => turn,
        other => panic!("{other:?}"),
    };
    let body = json!({"user_id": "u", "query": "Why?", "agent_type": "analyst", "conversation_id": "c"});
    for input in [body.clone(), json!({"body": body}), json!({"body": body.to_string()})] {
        let turn = turn(executor, input);
        assert_eq!((turn.agent.as_str(), turn.message.text().as_str()), ("analyst", "Why?"));
        assert_eq!((turn.session.as_deref(), turn.reply), (Some("c"), AgentReply::Response));
    }
    let named = turn(INVOKE, json!({"FunctionName": "researcher", "Payload": {"query": {"a": 1}}}));
    assert_eq!((named.agent.as_str(), named.message.text().as_str()), ("researcher", r#"{"a":1}"#));
    assert_eq!((named.session, named.reply), (None, AgentReply::Payload));
    let runtime = turn(
        "arn:aws:states:::aws-sdk:bedrockagentcore:invokeAgentRuntime",
        json!({"AgentRuntimeArn": "arn:aws:bedrock-agentcore:us-east-1:0:runtime/analyst-AbCdEf1234",
            "Payload": "{\"prompt\": \"Why?\"}", "RuntimeSessionId": "s"}),
    );
    assert_eq!((runtime.agent.as_str(), runtime.session.as_deref()), ("analyst", Some("s")));
    let harness = turn(
        "arn:aws:states:::bedrock-agentcore:invokeHarness",
        json!({"HarnessArn": "analyst", "Messages": [{"role": "user", "content": [{"text": "Why?"}]}]}),
    );
    assert_eq!((harness.message.text().as_str(), harness.reply), ("Why?", AgentReply::Harness));
    for wrong in [json!({}), json!({"query": " "}), json!({"query": "x", "agent_type": "astronaut"})] {
        let error = tasks.plan(&call(executor, wrong)).unwrap_err();
        assert!(error.cause.unwrap().contains(if error.error.as_deref() == Some("States.Runtime") {
            "query"
        } else {
            "analyst, researcher"
        }));
    }
}

#[tokio::test]
async fn a_tool_is_called_with_the_tasks_input_and_its_failures_have_names() {
    let tasks = table(Path::new("."), json!({}));
    let echo = "arn:aws:states:::bedplate:tool:echo";
    assert_eq!(done(&tasks, echo, json!({"a": 1})).await.unwrap(), json!({"echo": {"a": 1}, "key": "key-1"}));
    assert_eq!(refused(&tasks, echo, json!({"lost": 1})).await.0, "Tool.OutcomeUnknown");
    let (error, told) = refused(&tasks, echo, json!({"ask": 1})).await;
    assert!(error == "Tool.ApprovalRequired" && told.contains("Really?"), "{told}");
    let (error, told) = refused(&tasks, "arn:aws:states:::bedplate:tool:ehco", json!({})).await;
    assert!(error == "States.TaskFailed" && told.contains("tools/ehco.toml"), "{told}");
}

#[tokio::test]
async fn what_is_not_configured_says_what_to_add() {
    let tasks = table(Path::new("."), json!({}));
    let queue = json!({"QueueUrl": "q", "MessageBody": "m"});
    for (resource, input, add) in [
        ("arn:aws:states:::sqs:sendMessage", queue.clone(), "sqs = \"http://…\" (or \"aws\") to [aws_endpoints]"),
        ("arn:aws:states:::aws-sdk:dynamodb:query", json!({}), "dynamodb = \"http://…\""),
        ("arn:aws:states:::sns:publish", json!({"Message": "m"}), "[aws_endpoints]"),
        (
            "arn:aws:states:::http:invoke",
            json!({"ApiEndpoint": "https://a.example/", "Method": "GET",
            "Authentication": {"ConnectionArn": "arn:aws:events:us-east-1:0:connection/shop/1"}}),
            "[connections.shop]",
        ),
        ("arn:aws:states:::bedrock:invokeModel", json!({"ModelId": "m", "Body": {}}), "[model_ids]"),
        ("arn:aws:states:::aws-sdk:nonsense:do", json!({}), "not supported"),
        ("arn:aws:states:::glue:startJobRun.sync", json!({}), "nothing performs"),
        ("arn:aws:states:::sqs:sendMessage.sync", queue, "cannot be waited for"),
    ] {
        let (error, told) = refused(&tasks, resource, input).await;
        assert_eq!(error, "States.TaskFailed", "{resource} {told}");
        assert!(told.contains(add), "{resource}: {told}");
    }
}

#[tokio::test]
async fn an_api_is_reached_through_its_connection_and_nowhere_else() {
    let (address, asked) = server(&http("404 Not Found", "x-a: 1\r\n", r#"{"you": "s3cret value"}"#)).await;
    let connection = json!({"connections": {"shop": {
        "endpoints": [format!("http://{address}/v1/")], "auth": "api_key", "header": "x-api-key", "secret": "TOKEN",
        "allow_private": [address],
    }}});
    let tasks = table(Path::new("."), connection.clone());
    let input = |url: String| {
        json!({"ApiEndpoint": url, "Method": "POST", "Headers": {"x-api-key": "mine"},
        "QueryParameters": {"q": ["a b", 1]}, "RequestBody": {"n": 1}, "Authentication": {"ConnectionArn": "shop"}})
    };
    let resource = "arn:aws:states:::http:invoke";
    let (error, cause) = refused(&tasks, resource, input(format!("http://{address}/v1/orders"))).await;
    assert_eq!(error, "States.Http.StatusCode.404");
    let said: Value = serde_json::from_str(&cause).unwrap();
    assert_eq!((&said["ResponseBody"]["you"], &said["Headers"]["x-a"]), (&json!("[secret TOKEN]"), &json!(["1"])));
    let request = asked.lock().unwrap().remove(0);
    assert!(request.starts_with("POST /v1/orders?q=a+b&q=1 HTTP/1.1"), "{request}");
    assert!(request.contains("x-api-key: s3cret value") && request.ends_with(r#"{"n":1}"#), "{request}");
    for (url, told) in [
        (format!("http://{address}/v2/"), "is not for this address"),
        ("https://evil.example/".to_owned(), "is not for this address"),
    ] {
        assert!(refused(&tasks, resource, input(url)).await.1.contains(told));
    }
    let mut closed = connection;
    closed["connections"]["shop"]["allow_private"] = json!([]);
    let (_, told) = refused(&table(Path::new("."), closed), resource, input(format!("http://{address}/v1/"))).await;
    assert!(told.contains("allow_private"), "{told}");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_service_of_aws_is_spoken_to_in_its_own_protocol() {
    let ok = http("200 OK", "x-amzn-requestid: r-1\r\n", r#"{"MessageId": "m-1"}"#);
    let (address, asked) = server(&ok).await;
    let config = |address: &str| json!({"aws": {"endpoints": {"default": format!("http://{address}")}}});
    let tasks = table(Path::new("."), config(&address));
    let input = json!({"QueueUrl": "http://q", "MessageBody": {"a": 1}});
    let reply = done(&tasks, "arn:aws:states:::sqs:sendMessage", input.clone()).await.unwrap();
    assert_eq!((&reply["MessageId"], &reply["SdkResponseMetadata"]["RequestId"]), (&json!("m-1"), &json!("r-1")));
    assert_eq!(
        done(&tasks, "arn:aws:states:::aws-sdk:sqs:sendMessage", input.clone()).await.unwrap(),
        json!({"MessageId": "m-1"})
    );
    let first = asked.lock().unwrap().remove(0);
    assert!(
        first.contains("x-amz-target: AmazonSQS.SendMessage") && first.contains("application/x-amz-json-1.0"),
        "{first}"
    );
    assert!(first.ends_with(r#"{"QueueUrl":"http://q","MessageBody":"{\"a\":1}"}"#), "{first}");
    // With a token the answer is not the result.
    let submitted =
        tasks.perform(call("arn:aws:states:::sqs:sendMessage.waitForTaskToken", input.clone())).await.unwrap();
    assert!(matches!(submitted, TaskReply::Submitted(answer) if answer["MessageId"] == "m-1"));
    let said = r#"{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}"#;
    let header = "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n";
    let (address, _) = server(&http("400 Bad Request", header, said)).await;
    let (error, cause) =
        refused(&table(Path::new("."), config(&address)), "arn:aws:states:::sqs:sendMessage", input).await;
    assert_eq!(error, "SQS.NonExistentQueueException");
    assert!(cause.starts_with("none (Service: AmazonSQS; Status Code: 400; Error Code: NonExistentQueue;"), "{cause}");
    let failed = http("200 OK", "", r#"{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "x"}]}"#);
    let (address, asked) = server(&failed).await;
    let tasks = table(Path::new("."), config(&address));
    let entries = json!({"Entries": [{"Source": "s", "DetailType": "d", "Detail": {"a": 1}}]});
    assert_eq!(refused(&tasks, "arn:aws:states:::events:putEvents", entries).await.0, "EventBridge.FailedEntry");
    let request = asked.lock().unwrap().remove(0);
    assert!(request.contains(r#""Detail":"{\"a\":1}""#) && request.contains(":execution:flow:run-1"), "{request}");
}

#[tokio::test]
async fn sns_takes_a_form_and_answers_xml() {
    let body = "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult>\
        <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></PublishResponse>";
    let (address, asked) = server(&http("200 OK", "", body)).await;
    let config = |address: &str| json!({"aws": {"endpoints": {"sns": format!("http://{address}")}}});
    let input = json!({"TopicArn": "t", "Message": {"a": 1},
        "MessageAttributes": {"k": {"DataType": "String", "StringValue": "v"}}});
    let reply =
        done(&table(Path::new("."), config(&address)), "arn:aws:states:::sns:publish", input.clone()).await.unwrap();
    assert_eq!((&reply["MessageId"], &reply["SdkResponseMetadata"]["RequestId"]), (&json!("m-1"), &json!("r-1")));
    let request = asked.lock().unwrap().remove(0);
    for part in [
        "Action=Publish",
        "Version=2010-03-31",
        "Message=%7B%22a%22%3A1%7D",
        "MessageAttributes.entry.1.Name=k",
        "MessageAttributes.entry.1.Value.StringValue=v",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    let body = "<ErrorResponse><Error><Code>NotFound</Code><Message>Topic does not exist</Message></Error>\
        <RequestId>r</RequestId></ErrorResponse>";
    let (address, _) = server(&http("404 Not Found", "", body)).await;
    let (error, cause) = refused(&table(Path::new("."), config(&address)), "arn:aws:states:::sns:publish", input).await;
    assert_eq!(error, "SNS.NotFoundException");
    assert_eq!(
        cause,
        "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: r; Proxy: null)"
    );
}

#[tokio::test]
async fn a_folder_that_is_a_bucket_keeps_to_itself_and_gives_large_objects_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/in")).unwrap();
    std::fs::write(folder.path().join("secret.txt"), "no").unwrap();
    std::fs::write(folder.path().join("data/in/small.json"), "[1]").unwrap();
    let large = "line\n".repeat(200_000);
    std::fs::write(folder.path().join("data/in/large.jsonl"), &large).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.txt"), folder.path().join("data/in/link")).unwrap();
    let tasks =
        table(folder.path(), json!({"buckets": {"d": {"folder": "data", "writable": true}, "ro": {"folder": "data"}}}));
    let get = "arn:aws:states:::s3:getObject";
    let object = |key: &str| json!({"Bucket": "d", "Key": key});
    assert_eq!(done(&tasks, get, object("in/small.json")).await.unwrap()["Body"], "[1]");
    let TaskReply::Items(pieces) = tasks.perform(call(get, object("in/large.jsonl"))).await.unwrap() else {
        panic!("a large object comes in pieces")
    };
    let pieces: Vec<_> = pieces.map(|piece| piece.unwrap()).collect().await;
    assert!(pieces.len() > 10 && pieces.concat() == large.as_bytes());
    for outside in ["../secret.txt", "/etc/passwd", "in/../../secret.txt", "", ".hidden", "in/link", "in/none"] {
        let (error, told) = refused(&tasks, get, object(outside)).await;
        assert!(error == "S3.NoSuchKeyException" || told.contains("no key"), "{outside}: {told}");
    }
    let put = "arn:aws:states:::s3:putObject";
    let written = json!({"Bucket": "d", "Key": "out/a/r.json", "Body": {"a": 1}});
    assert!(done(&tasks, put, written.clone()).await.unwrap()["ETag"].is_string());
    assert_eq!(std::fs::read_to_string(folder.path().join("data/out/a/r.json")).unwrap(), r#"{"a":1}"#);
    let mut refused_write = written;
    refused_write["Bucket"] = json!("ro");
    assert!(refused(&tasks, put, refused_write).await.1.contains("writable = true"));
    let listed =
        done(&tasks, "arn:aws:states:::s3:listObjectsV2", json!({"Bucket": "d", "Prefix": "in/"})).await.unwrap();
    let keys: Vec<&str> = listed["Contents"].as_array().unwrap().iter().filter_map(|one| one["Key"].as_str()).collect();
    assert_eq!(keys, ["in/large.jsonl", "in/small.json"]);
}

#[tokio::test]
async fn prepared_answers_come_in_order_and_only_where_they_are_set() {
    let mocked = MockedTasks::new(Arc::new(table(Path::new("."), json!({}))));
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:flow";
    mocked
        .set(
            machine,
            &json!({"S": [
                {"request": {"n": 1}, "return": "one"},
                {"request": {"n": "<<any>>"}, "throw": {"error": "E", "cause": {"why": 1}}},
            ]}),
        )
        .unwrap();
    let resource = "arn:aws:states:::sqs:sendMessage";
    assert_eq!(mocked.plan(&call(resource, json!({}))).unwrap(), TaskPlan::Perform);
    assert_eq!(refused(&mocked, resource, json!({"n": 2})).await, ("E".to_owned(), r#"{"why":1}"#.to_owned()));
    assert_eq!(done(&mocked, resource, json!({"n": 1})).await.unwrap(), "one");
    assert_eq!(refused(&mocked, resource, json!({"n": 1})).await.0, "E", "the last one answers all further calls");
    assert!(mocked.set(machine, &json!({"S": [{}]})).is_err());
    mocked.set(machine, &json!({})).unwrap();
    assert_eq!(refused(&mocked, resource, json!({})).await.0, "States.TaskFailed");

    let answer = |first, last, answer| MockedAnswer { first, last, answer };
    let throw = || MockedResult::Throw { error: "Busy".into(), cause: "later".into() };
    let states =
        [("S".to_owned(), vec![answer(0, 1, throw()), answer(2, 2, MockedResult::Return(Arc::new(json!(1))))])];
    let cases: WorkflowMocks = [("Retry".to_owned(), states.into())].into();
    let execution = "arn:aws:states:us-east-1:000000000000:execution:flow:run-1";
    let prepared =
        |execution: &str| PreparedFor { tenant: Tenant::default(), user: "ann".into(), execution: execution.into() };
    let unknown = mocked.use_case(prepared(execution), &cases, "Other").await.unwrap_err();
    assert!(matches!(unknown, PrepareError::UnknownCase(message) if message.contains("Retry")));
    mocked.use_case(prepared(execution), &cases, "Retry").await.unwrap();
    for expected in ["Busy", "Busy"] {
        assert_eq!(refused(&mocked, resource, json!({})).await.0, expected);
    }
    assert_eq!(done(&mocked, resource, json!({})).await.unwrap(), 1);

    // A copy of the execution is answered from the first on, and never by what the tasks do themselves.
    let fork = "arn:aws:states:us-east-1:000000000000:execution:flow:fork-1";
    let forked = || TaskCall { execution: fork.into(), ..call(resource, json!({})) };
    assert!(!mocked.is_prepared(&forked()));
    assert!(mocked.copy_case(execution, prepared(fork)).await.unwrap() && mocked.is_prepared(&forked()));
    let busy = mocked.perform(forked()).await.map(drop).unwrap_err();
    assert_eq!(busy.error.as_deref(), Some("Busy"));
    assert!(!mocked.copy_case(execution, prepared(fork)).await.unwrap(), "answers that are there stay as they are");
    mocked.drop_case(fork).await;
    assert!(!mocked.is_prepared(&forked()));
    let plain = "arn:aws:states:us-east-1:000000000000:execution:flow:plain";
    assert!(!mocked.copy_case(plain, prepared(fork)).await.unwrap());
}

#[tokio::test]
async fn an_execution_that_began_with_answers_has_them_after_a_restart_and_never_calls_in_earnest() {
    let table: Arc<dyn Tasks> = Arc::new(table(Path::new("."), json!({})));
    let documents = bedplate_store::MemoryStore::new().documents();
    let begin = || MockedTasks::kept_in(Arc::clone(&table), Arc::clone(&documents), Arc::new(Fixed));
    let answer =
        |at, said: &str| MockedAnswer { first: at, last: at, answer: MockedResult::Return(Arc::new(json!(said))) };
    let states = [("S".to_owned(), vec![answer(0, "first"), answer(1, "second"), answer(2, "third")])];
    let cases: WorkflowMocks = [("Case".to_owned(), states.into())].into();
    let own: Arc<str> = "arn:aws:states:us-east-1:000000000000:execution:flow:run-1".into();
    let of = PreparedFor { tenant: Tenant::default(), user: "ann".into(), execution: Arc::clone(&own) };
    let resource = "arn:aws:states:::sqs:sendMessage";
    let asked = TaskCall { execution: Arc::clone(&own), answers: Some(Arc::clone(&own)), ..call(resource, json!({})) };
    // The child of a Map has an ARN of its own.
    let child =
        TaskCall { execution: "arn:aws:states:us-east-1:000000000000:execution:flow/Map:1".into(), ..asked.clone() };
    let said = |reply| match reply {
        Ok(TaskReply::Done(said)) => said,
        other => panic!("{other:?}"),
    };

    let mocked = begin().await.unwrap();
    assert!(!mocked.has_answers(&own));
    mocked.use_case(of.clone(), &cases, "Case").await.unwrap();
    assert!(mocked.has_answers(&own));
    assert_eq!(said(mocked.perform(asked.clone()).await), "first");

    let mocked = begin().await.unwrap();
    assert!(mocked.is_prepared(&asked) && mocked.is_prepared(&child));
    assert_eq!(said(mocked.perform(asked.clone()).await), "second", "what was given is not given again");
    assert_eq!(said(mocked.perform(child.clone()).await), "third");
    let elsewhere = TaskCall { state: "Other".into(), ..asked.clone() };
    assert!(!mocked.is_prepared(&elsewhere), "only for what the case speaks of");

    // The person goes, and the answers with them; what still runs does nothing in earnest.
    documents.delete_user(&of.tenant, &of.user).await.unwrap();
    let mocked = begin().await.unwrap();
    assert!(!mocked.has_answers(&own) && mocked.is_prepared(&asked));
    assert_eq!(mocked.plan(&asked).unwrap(), TaskPlan::Perform);
    let gone = mocked.perform(asked).await.map(drop).unwrap_err();
    assert!(gone.cause.unwrap().contains("are gone"));

    mocked.use_case(of.clone(), &cases, "Case").await.unwrap();
    mocked.drop_case(&own).await;
    assert!(!begin().await.unwrap().has_answers(&own), "what is dropped stays away");
}
