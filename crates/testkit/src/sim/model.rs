//! A model that misbehaves as a seed says: it answers, calls tools, fails, hangs, breaks off, comes late.

use crate::{
    clock::{Rng, SimClock},
    scripted::{Script, no_embeddings, only_core, reply},
};
use bedplate_core::{
    message::{ContentBlock, Message, Role, ToolUse},
    port::{
        BoxFuture,
        clock::Clock,
        model::{
            Answered, Asked, BlockKind, EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelErrorKind,
            ModelEvent, ModelInfo, ModelRequest,
        },
    },
};
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// After so many replies with tool calls in a turn it answers.
const MAX_ROUNDS: usize = 3;

/// The model of a simulated world.
pub struct SimModel {
    rng: Mutex<Rng>,
    clock: SimClock,
}

impl SimModel {
    /// Returns the model of `seed`.
    #[must_use]
    pub fn new(seed: u64, clock: SimClock) -> Self {
        Self { rng: Mutex::new(Rng::new(seed)), clock }
    }
}

impl Model for SimModel {
    fn call(&self, call: ModelCall) -> BoxFuture<'static, Result<Answered, ModelError>> {
        let Asked::Core(request) = call.asked else { return Box::pin(std::future::ready(Err(only_core()))) };
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = rng.below(100);
        let late = if rng.chance(30) { Duration::from_millis(rng.below(4_000)) } else { Duration::ZERO };
        let content = content(&mut rng, &request);
        let cut = usize::try_from(rng.below(4)).unwrap_or(0);
        drop(rng);
        let clock = self.clock.clone();
        let until = clock.now().after(late);
        Box::pin(async move {
            clock.sleep_until(until).await;
            let script: Script = match fault {
                0..=3 => return Err(ModelError::new(ModelErrorKind::Unavailable, "overloaded")),
                4 => return Err(ModelError::new(ModelErrorKind::InvalidRequest, "no")),
                5..=7 => std::future::pending().await,
                8..=10 => stream::iter(events(content).into_iter().take(cut).map(Ok)).boxed(),
                11..=12 => {
                    let void = [ModelEvent::TextDelta { index: 0, text: "void".to_owned() }, ModelEvent::Restart];
                    stream::iter(void.into_iter().chain(events(content)).map(Ok)).boxed()
                }
                13..=25 => slowly(clock, events(content)),
                _ => stream::iter(events(content).into_iter().map(Ok)).boxed(),
            };
            Ok(Answered::events(script))
        })
    }

    fn embed(&self, _call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        Box::pin(std::future::ready(Err(no_embeddings())))
    }

    fn describe(&self, _route: &str) -> Option<Arc<ModelInfo>> {
        let (provider, model) = ("sim".into(), "sim".into());
        Some(Arc::new(ModelInfo { provider, model, foundation_model: false, price: None }))
    }

    fn routes(&self) -> Vec<String> {
        vec!["scripted".to_owned()]
    }
}

/// Returns what the model says: tool calls for a while, then an answer. It repeats its call ids, as models do.
fn content(rng: &mut Rng, request: &ModelRequest) -> Vec<ContentBlock> {
    let asked = request.messages.iter().rposition(|message| is_question(message)).unwrap_or(0);
    let rounds = request.messages[asked..].iter().filter(|message| message.role == Role::Assistant).count();
    if rounds >= MAX_ROUNDS || request.tools.is_empty() || rng.chance(35) {
        return vec![ContentBlock::text(format!("answer {}", rng.below(1_000)))];
    }
    let mut content = Vec::new();
    if rng.chance(50) {
        content.push(ContentBlock::text("let me see"));
    }
    for at in 0..=rng.below(4) {
        let tool = usize::try_from(rng.below(request.tools.len() as u64)).unwrap_or(0);
        let name = if rng.chance(4) { "nonsense".to_owned() } else { request.tools[tool].name.clone() };
        let malformed = rng.chance(5).then(|| "{\"amount\": ".to_owned());
        let input = if malformed.is_some() { Value::Object(Map::new()) } else { json!({"amount": rng.below(100)}) };
        content.push(ContentBlock::ToolUse(ToolUse { id: format!("call_{at}"), name, input, malformed }));
    }
    content
}

fn is_question(message: &Message) -> bool {
    message.role == Role::User && message.content.iter().any(|block| matches!(block, ContentBlock::Text { .. }))
}

/// Returns the reply as it would be streamed.
fn events(content: Vec<ContentBlock>) -> Vec<ModelEvent> {
    let mut events = Vec::new();
    for (index, block) in (0..).zip(&content) {
        match block {
            ContentBlock::Text { text } => {
                events.push(ModelEvent::BlockStart { index, kind: BlockKind::Text });
                for word in text.split_inclusive(' ') {
                    events.push(ModelEvent::TextDelta { index, text: word.to_owned() });
                }
                events.push(ModelEvent::BlockStop { index });
            }
            ContentBlock::ToolUse(call) => {
                let (id, name) = (call.id.clone(), call.name.clone());
                events.push(ModelEvent::BlockStart { index, kind: BlockKind::ToolUse { id, name } });
                let json = call.malformed.clone().unwrap_or_else(|| call.input.to_string());
                events.push(ModelEvent::InputDelta { index, json });
                events.push(ModelEvent::BlockStop { index });
            }
            _ => {}
        }
    }
    events.push(ModelEvent::End(Box::new(reply(content))));
    events
}

fn slowly(clock: SimClock, events: Vec<ModelEvent>) -> Script {
    let step = move |event| {
        let until = clock.now().after(Duration::from_millis(150));
        let sleep = clock.sleep_until(until);
        async move {
            sleep.await;
            Ok(event)
        }
    };
    stream::iter(events).then(step).boxed()
}
