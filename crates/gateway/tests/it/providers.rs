//! Providers on the wire: Bedrock, SageMaker, Azure, embeddings.

use crate::{
    passing::{passed, raw_call},
    support::{Act, Upstream, answer, gateway, hello, reply},
};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message as Frame};
use bedplate_core::{
    message::StopReason,
    port::{
        Caller,
        model::{EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelErrorKind},
    },
};
use bedplate_dialects::{anthropic_messages, bedrock_converse, openai_chat};
use bedplate_gateway::{
    AwsAuth, AwsKeys, BedrockConfig, Billing, CompatibleConfig, Endpoint, ModelConfig, ProviderConfig, SageMakerConfig,
};
use bytes::Bytes;

const MODEL: &str = "anthropic.claude-3-5-sonnet-20240620-v1:0";

fn keys() -> AwsKeys {
    AwsKeys { access_key_id: "AKID".into(), secret_access_key: "very-secret".into(), session_token: Some("tok".into()) }
}

fn bedrock(base: &str, auth: AwsAuth) -> ModelConfig {
    let base = base.trim_end_matches("/v1").to_owned();
    let provider = ProviderConfig::Bedrock(BedrockConfig { region: "eu-west-1".into(), endpoint: Some(base), auth });
    ModelConfig { provider, model: MODEL.into(), max_tokens: None, price: None, billing: Billing::Standard }
}

fn compatible(config: CompatibleConfig, model: &str) -> ModelConfig {
    ModelConfig {
        provider: ProviderConfig::Compatible(config),
        model: model.into(),
        max_tokens: None,
        price: None,
        billing: Billing::Standard,
    }
}

fn frame(message_type: &str, kind: &str, payload: &str) -> Vec<u8> {
    let name = if message_type == "event" { ":event-type" } else { ":exception-type" };
    let headers = [(":message-type", message_type), (name, kind), (":content-type", "application/json")];
    let message =
        headers.into_iter().fold(Frame::new(Bytes::copy_from_slice(payload.as_bytes())), |message, (name, value)| {
            message.add_header(Header::new(name, HeaderValue::String(value.to_owned().into())))
        });
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

/// A ConverseStream as boto3 gets it, `p` pads and all.
fn converse_stream() -> Vec<Vec<u8>> {
    [
        ("messageStart", r#"{"p":"abcd","role":"assistant"}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel"},"p":"ab"}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"lo"},"p":"a"}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0,"p":"abc"}"#),
        ("messageStop", r#"{"p":"ab","stopReason":"end_turn"}"#),
        (
            "metadata",
            r#"{"metrics":{"latencyMs":7},"p":"a","usage":{"inputTokens":5,"outputTokens":2,"totalTokens":7}}"#,
        ),
    ]
    .into_iter()
    .map(|(kind, payload)| frame("event", kind, payload))
    .collect()
}

fn framed(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "content-type: application/vnd.amazon.eventstream\r\n", body)
}

async fn converse(body: &[u8]) -> Result<String, ModelError> {
    let upstream = Upstream::start(vec![Act::Send(framed(body))]).await;
    let gateway = gateway(bedrock(&upstream.base, AwsAuth::Keys(keys())));
    reply(&gateway, hello()).await.map(|reply| reply.message.text())
}

#[tokio::test]
async fn bedrock_is_asked_signed_and_its_frames_become_a_reply() {
    let body = converse_stream().concat();
    // Cut in the middle of a frame, so that none of them comes whole.
    let acts = vec![Act::Send(framed(&body[..50])), Act::Send(body[50..].to_vec())];
    let mut upstream = Upstream::start(acts).await;
    let gateway = gateway(bedrock(&upstream.base, AwsAuth::Keys(keys())));
    let reply = reply(&gateway, hello()).await.unwrap();
    assert_eq!((reply.message.text().as_str(), reply.stop_reason), ("Hello", StopReason::EndTurn));
    assert_eq!((reply.usage.input, reply.usage.output, reply.provider.as_str()), (5, 2, "bedrock"));
    let (head, body) = upstream.requests.recv().await.unwrap();
    let head = head.to_lowercase();
    assert!(
        head.starts_with("post /model/anthropic.claude-3-5-sonnet-20240620-v1%3a0/converse-stream http/1.1"),
        "{head}"
    );
    assert!(
        head.contains("authorization: aws4-hmac-sha256 credential=akid/")
            && head.contains("/eu-west-1/bedrock/aws4_request")
    );
    assert!(head.contains("x-amz-security-token: tok") && !head.contains("very-secret"));
    assert_eq!(body["messages"][0]["content"][0]["text"], "hello");
}

#[tokio::test]
async fn a_bearer_key_of_bedrock_needs_no_signature_and_a_whole_reply_no_stream() {
    let said = r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":2,"totalTokens":7},"metrics":{"latencyMs":1}}"#;
    let mut upstream =
        Upstream::start(vec![Act::Send(answer("200 OK", "content-type: application/json\r\n", said))]).await;
    let gateway = gateway(bedrock(&upstream.base, AwsAuth::Bearer("bedrock-key".into())));
    let reply = reply(&gateway, ModelCall { stream: false, ..hello() }).await.unwrap();
    assert_eq!(reply.message.text(), "Hi");
    let (head, _) = upstream.requests.recv().await.unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("v1%3a0/converse http") && head.contains("authorization: bearer bedrock-key"), "{head}");
    assert!(!head.contains("x-amz-date"));
}

#[tokio::test]
async fn an_exception_in_mid_stream_and_a_broken_frame_are_errors_with_their_kind() {
    let frames = converse_stream();
    let begun = frames[..2].concat();
    let throttled = frame("exception", "throttlingException", r#"{"message":"Too many tokens"}"#);
    let error = converse(&[begun.clone(), throttled].concat()).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::RateLimited, "Too many tokens"));

    let mut wrong = frames.concat();
    let middle = begun.len() - 10;
    wrong[middle] ^= 1;
    assert_eq!(converse(&wrong).await.unwrap_err().kind, ModelErrorKind::BrokenStream);

    let mut endless = begun.clone();
    endless.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(converse(&endless).await.unwrap_err().kind, ModelErrorKind::BrokenStream);

    // A length that could be one, whose checksum says that it is none: nobody waits for the rest.
    let mut long = begun.clone();
    long.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(converse(&long).await.unwrap_err().kind, ModelErrorKind::BrokenStream);

    assert_eq!(converse(&begun).await.unwrap_err().kind, ModelErrorKind::BrokenStream);
    assert_eq!(converse(b"<html>").await.unwrap_err().kind, ModelErrorKind::BrokenStream);
}

#[tokio::test]
async fn an_error_of_aws_has_the_kind_that_its_header_names() {
    for (status, name, kind) in [
        ("424 Failed Dependency", "ModelErrorException", ModelErrorKind::Unavailable),
        ("400 Bad Request", "ThrottlingException:http://internal.amazon.com/", ModelErrorKind::RateLimited),
        ("403 Forbidden", "ExpiredTokenException", ModelErrorKind::Unauthorized),
    ] {
        let said = answer(status, &format!("x-amzn-errortype: {name}\r\n"), r#"{"message":"why"}"#);
        let upstream = Upstream::start(vec![Act::Send(said)]).await;
        let gateway = gateway(bedrock(&upstream.base, AwsAuth::Keys(keys())));
        let error = reply(&gateway, hello()).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, "why"), "{name}");
    }
}

#[tokio::test]
async fn frames_of_bedrock_pass_byte_for_byte() {
    let body = converse_stream().concat();
    let acts = vec![Act::Send(framed(&body[..70])), Act::Send(body[70..].to_vec())];
    let mut upstream = Upstream::start(acts).await;
    let gateway = gateway(bedrock(&upstream.base, AwsAuth::Keys(keys())));
    let asked = r#"{"messages":[],"guardrailConfig":{"guardrailIdentifier":"g"}}"#;
    let call = ModelCall { stream: true, ..raw_call(bedrock_converse::NAME, asked) };
    let (kind, passed, end) = passed(gateway.call(call).await).await.unwrap();
    assert_eq!((kind.as_str(), passed), ("application/vnd.amazon.eventstream", body));
    assert_eq!((end.usage.input, end.usage.output), (5, 2));
    assert_eq!(upstream.bodies.recv().await.unwrap(), asked);
}

#[tokio::test]
async fn a_body_of_invoke_model_passes_and_is_counted() {
    let said =
        r#"{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":11,"output_tokens":3}}"#;
    let mut upstream =
        Upstream::start(vec![Act::Send(answer("200 OK", "content-type: application/json\r\n", said))]).await;
    let gateway = gateway(bedrock(&upstream.base, AwsAuth::Keys(keys())));
    let asked = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[],"new":1}"#;
    let (_, body, end) = passed(gateway.call(raw_call(anthropic_messages::INVOKE_NAME, asked)).await).await.unwrap();
    assert_eq!((body, end.usage.input), (said.as_bytes().to_vec(), 11));
    assert_eq!(upstream.bodies.recv().await.unwrap(), asked);
    let (head, _) = upstream.requests.recv().await.unwrap();
    assert!(head.contains("v1%3A0/invoke HTTP/1.1"), "{head}");
}

#[tokio::test]
async fn a_sagemaker_endpoint_is_asked_signed_and_its_stream_is_taken_out_of_its_frames() {
    let chunks = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    );
    let body = [frame("event", "PayloadPart", &chunks[..40]), frame("event", "PayloadPart", &chunks[40..])].concat();
    let mut upstream = Upstream::start(vec![Act::Send(framed(&body))]).await;
    let base_url = Some(upstream.base.trim_end_matches("/v1").to_owned());
    let aws = SageMakerConfig { region: "eu-west-1".into(), keys: keys(), endpoint_name: Some("my-endpoint".into()) };
    let config = CompatibleConfig {
        endpoint: Endpoint { base_url, api_key: None },
        aws: Some(aws),
        ..CompatibleConfig::of("sagemaker")
    };
    let gateway = gateway(compatible(config, "qwen"));
    assert_eq!(reply(&gateway, hello()).await.unwrap().message.text(), "Hello");
    let (head, _) = upstream.requests.recv().await.unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /endpoints/my-endpoint/invocations-response-stream "), "{head}");
    assert!(head.contains("/eu-west-1/sagemaker/aws4_request"), "{head}");
    let asked = r#"{"model":"default","stream":true,"stream_options":{"include_usage":true}}"#;
    let (kind, body, _) = passed(gateway.call(raw_call(openai_chat::NAME, asked)).await).await.unwrap();
    assert_eq!((kind.as_str(), String::from_utf8(body).unwrap().as_str()), ("text/event-stream", chunks));
}

#[tokio::test]
async fn azure_names_the_deployment_in_the_path_and_the_key_in_its_own_header() {
    let mut upstream = Upstream::start(vec![]).await;
    let endpoint = Endpoint {
        base_url: Some(upstream.base.trim_end_matches("/v1").to_owned()),
        api_key: Some("azure-key".into()),
    };
    let config = CompatibleConfig { endpoint, ..CompatibleConfig::of("azure") };
    assert!(reply(&gateway(compatible(config, "my gpt")), hello()).await.is_err());
    let (head, _) = upstream.requests.recv().await.unwrap();
    assert!(head.starts_with("POST /openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21 "), "{head}");
    assert!(head.to_lowercase().contains("api-key: azure-key") && !head.to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn a_profile_without_an_address_is_a_problem_of_configuration() {
    use bedplate_gateway::{Config, ConfigError, Gateway};
    for (profile, error) in [
        ("azure", ConfigError::NoAddress("azure")),
        ("openai_compatible", ConfigError::NoAddress("openai_compatible")),
        ("sagemaker", ConfigError::NoAwsKeys),
        ("nonsense", ConfigError::UnknownProfile("nonsense".into())),
    ] {
        let models = [("it".to_owned(), compatible(CompatibleConfig::of(profile), "m"))].into();
        let made = Gateway::new(Config { models, ..Config::default() }, crate::support::options());
        assert_eq!(made.err(), Some(error), "{profile}");
    }
}

async fn embeddings(config: ModelConfig, inputs: &[&str]) -> Result<Embeddings, ModelError> {
    let inputs = inputs.iter().map(|text| (*text).to_owned()).collect();
    let caller = Caller { user: "ann".into(), ..Caller::default() };
    let call = EmbedCall {
        caller,
        model: "default".into(),
        inputs,
        dimensions: None,
        deadline: None,
        notes: std::sync::Arc::default(),
    };
    gateway(config).embed(call).await
}

#[tokio::test]
async fn embeddings_come_in_the_order_of_their_texts() {
    let said = r#"{"object":"list","model":"e","data":[{"index":1,"embedding":[0.5,1]},{"index":0,"embedding":[2,-1]}],"usage":{"prompt_tokens":6,"total_tokens":6}}"#;
    let mut upstream =
        Upstream::start(vec![Act::Send(answer("200 OK", "content-type: application/json\r\n", said))]).await;
    let found = embeddings(crate::support::remote(true, &upstream.base), &["a", "b"]).await.unwrap();
    assert_eq!((found.vectors, found.usage.input), (vec![vec![2.0, -1.0], vec![0.5, 1.0]], 6));
    let (head, body) = upstream.requests.recv().await.unwrap();
    assert!(head.starts_with("POST /v1/embeddings ") && body["input"] == serde_json::json!(["a", "b"]));
    let few = embeddings(crate::support::remote(true, &upstream.base), &["a", "b", "c"]).await.unwrap_err();
    assert_eq!(few.kind, ModelErrorKind::InvalidReply);
}

#[tokio::test]
async fn titan_is_asked_once_for_each_text() {
    let said = r#"{"embedding":[0.25,0.5],"inputTextTokenCount":4}"#;
    let mut upstream =
        Upstream::start(vec![Act::Send(answer("200 OK", "content-type: application/json\r\n", said))]).await;
    let found = embeddings(bedrock(&upstream.base, AwsAuth::Keys(keys())), &["a", "b"]).await.unwrap();
    assert_eq!((found.vectors.len(), found.usage.input), (2, 8));
    let (head, body) = upstream.requests.recv().await.unwrap();
    assert!(head.contains("/invoke HTTP/1.1") && body.get("inputText").is_some() && body.get("dimensions").is_none());
}

#[tokio::test]
async fn the_stand_in_embeds_and_a_provider_that_cannot_says_so() {
    let found = embeddings(ModelConfig::rehearsal(), &["a book", "the book", "xylophone"]).await.unwrap();
    assert_eq!((found.vectors.len(), found.vectors[0].len(), found.provider.as_str()), (3, 256, "rehearsal"));
    let error = embeddings(crate::support::remote(false, "http://127.0.0.1:9/v1"), &["a"]).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::InvalidRequest);
}
