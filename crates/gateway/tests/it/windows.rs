//! Requests that may be longer than their model reads.

use crate::support::{Act, Upstream, call_of, options, remote, reply, stream};
use bedplate_core::{
    message::Message,
    port::model::{ModelError, ModelErrorKind, ModelReply},
};
use bedplate_gateway::{
    Config, Gateway, ModelPolicy, Policy,
    policy::{Overflow, TokenRule},
};

const SAID: &str = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":8}}\n\ndata: [DONE]\n\n";

/// Asks a model that reads 200 tokens; the other one is counted by the estimate.
async fn ask(openai: bool, messages: Vec<Message>, overflow: Overflow) -> (Result<ModelReply, ModelError>, Upstream) {
    let upstream = Upstream::start(vec![Act::Send(stream(SAID))]).await;
    let policies = [("it".to_owned(), ModelPolicy { context_tokens: Some(200), ..ModelPolicy::default() })];
    let tokens = TokenRule { overflow, ..TokenRule::default() };
    let config = Config {
        models: [("it".to_owned(), remote(openai, &upstream.base))].into(),
        policies: policies.into(),
        routes: [("default".to_owned(), "it".into())].into(),
        policy: Policy { tokens, ..Policy::default() },
    };
    let gateway = Gateway::new(config, options()).unwrap();
    (reply(&gateway, call_of(messages, &[])).await, upstream)
}

#[tokio::test]
async fn a_request_is_refused_by_what_its_model_counts_and_not_by_its_bytes() {
    // 150 tokens and 1,800 bytes, which are estimated at 515 tokens.
    let fits = "information ".repeat(150);
    let (answered, _) = ask(true, vec![Message::user(fits.trim())], Overflow::Refuse).await;
    assert_eq!(answered.unwrap().message.text(), "Hi");
    let (refused, upstream) = ask(false, vec![Message::user(fits.trim())], Overflow::Refuse).await;
    assert_eq!(refused.unwrap_err().kind, ModelErrorKind::TooLarge, "no vocabulary of this one is known");
    assert_eq!(upstream.connections.load(std::sync::atomic::Ordering::SeqCst), 0, "nothing was sent");

    // 560 bytes are estimated at 160 tokens; of noise a token has less than two.
    let noise: String =
        (0..560_u32).map(|n| char::from(b'!' + u8::try_from((n * n * 31 + n * 7) % 90).unwrap())).collect();
    let (refused, _) = ask(true, vec![Message::user(noise)], Overflow::Refuse).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, ModelErrorKind::TooLarge);
    assert!(refused.message.contains("the model reads 200"), "{}", refused.message);
}

#[tokio::test]
async fn only_as_many_old_turns_are_left_out_as_the_model_counts() {
    let turn = || Message::user("information ".repeat(60).trim());
    let messages = vec![
        turn(),
        Message::assistant("noted"),
        turn(),
        Message::assistant("noted"),
        turn(),
        Message::assistant("noted"),
        Message::user("and now?"),
    ];
    let (answered, mut upstream) = ask(true, messages, Overflow::Truncate).await;
    answered.unwrap();
    let (_, body) = upstream.requests.recv().await.unwrap();
    // By the estimate one turn alone is as long as the window.
    assert_eq!(body["messages"].as_array().unwrap().len(), 5, "{body}");
}
