//! What is answered when nobody answers: the last good answer to the same request, a smaller model, or an apology. The
//! reply says that it is less than what was asked for.

use super::{
    collect::answer_of,
    config::DegradeConfig,
    pursue::Pursuit,
    residency::{Candidates, Leg},
};
use crate::call::{Answering, Call, Serve, Stack};
use bedplate_core::{
    message::{Message, StopReason},
    port::model::{Answer, ModelError, ModelEvent, ModelReply, ModelRequest},
    time::Timestamp,
};
use futures::StreamExt;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tower_layer::Layer;

/// Answers by rule when what is below fails.
#[derive(Clone)]
pub(crate) struct DegradeLayer(Arc<Rules>);

/// See [`DegradeLayer`].
pub(crate) struct Degrade {
    rules: Arc<Rules>,
    inner: Stack,
}

struct Rules {
    config: DegradeConfig,
    smaller: Option<Arc<Leg>>,
    pursuit: Arc<Pursuit>,
    kept: Mutex<Kept>,
}

/// The last good answers.
#[derive(Default)]
struct Kept {
    answers: HashMap<[u8; 32], (Timestamp, Arc<ModelReply>)>,
    /// The keys, oldest first.
    order: VecDeque<[u8; 32]>,
}

/// How many answers a route keeps.
const MOST_KEPT: usize = 512;

impl DegradeLayer {
    /// Returns the layer of `config`; `smaller` is the leg of its model.
    pub(crate) fn new(config: DegradeConfig, smaller: Option<Arc<Leg>>, pursuit: Arc<Pursuit>) -> Self {
        Self(Arc::new(Rules { config, smaller, pursuit, kept: Mutex::default() }))
    }
}

impl Layer<Stack> for DegradeLayer {
    type Service = Degrade;

    fn layer(&self, inner: Stack) -> Degrade {
        Degrade { rules: Arc::clone(&self.0), inner }
    }
}

impl Serve for Degrade {
    fn serve(&self, call: Call) -> Answering {
        Box::pin(answer(Arc::clone(&self.rules), self.inner.clone(), call))
    }
}

async fn answer(rules: Arc<Rules>, inner: Stack, call: Call) -> Result<Answer, ModelError> {
    let key = match rules.config.cached {
        // The answer of a tool's call may act, and is not repeated from memory.
        Some(_) => Some(call.core()?).filter(|request| request.tools.is_empty()).map(|request| key(&call, request)),
        None => None,
    };
    let error = match inner.serve(call.clone()).await {
        Ok(answer) => {
            return Ok(match key {
                Some(key) => rules.remembering(key, answer),
                None => answer,
            });
        }
        Err(error) if error.kind.retryable() => error,
        Err(error) => return Err(error),
    };
    let now = rules.pursuit.clock.now();
    if let (Some(key), Some(longest)) = (key, rules.config.cached)
        && let Some(reply) = rules.recall(&key, now, longest)
    {
        note(&call, "cached answer");
        return Ok(answer_of(ModelReply { usage: error.usage, cost: None, ..ModelReply::clone(&reply) }));
    }
    if let Some(smaller) = &rules.smaller
        && let Ok(candidates) = Candidates::of([smaller], &call)
    {
        let tokens = super::facts::tokens(&call);
        if let Ok(found) = rules.pursuit.run(std::slice::from_ref(candidates.first()), &call, tokens).await {
            note(&call, &format!("smaller model {}", smaller.name));
            return Ok(found.spent.onto(found.answer));
        }
    }
    match &rules.config.apology {
        None => Err(error),
        Some(text) => {
            note(&call, "apology");
            Ok(answer_of(ModelReply {
                message: Message::assistant(text.clone()),
                stop_reason: StopReason::EndTurn,
                stop_sequence: None,
                usage: error.usage,
                cost: None,
                model: "apology".into(),
                provider: "bedplate".into(),
            }))
        }
    }
}

fn note(call: &Call, how: &str) {
    call.notes.note(|noted| noted.degraded = Some(how.into()));
}

/// Returns what tells a request from others: of another tenant or user, bound elsewhere, or with another word in it.
fn key(call: &Call, request: &ModelRequest) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let caller = &call.caller;
    let params = serde_json::to_vec(&request.params).unwrap_or_default();
    let system = serde_json::to_vec(&request.system).unwrap_or_default();
    let tenant = caller.tenant.to_string();
    let user = caller.user.to_string();
    let jurisdiction = caller.jurisdiction.clone().unwrap_or_default();
    for part in [tenant.as_bytes(), user.as_bytes(), jurisdiction.as_bytes(), &params, &system] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    for message in &request.messages {
        hasher.update(&serde_json::to_vec(&**message).unwrap_or_default());
    }
    *hasher.finalize().as_bytes()
}

impl Rules {
    /// Returns `answer` such that it is remembered once it is whole.
    fn remembering(self: &Arc<Self>, key: [u8; 32], answer: Answer) -> Answer {
        let rules = Arc::clone(self);
        match answer {
            Answer::Events(events) => Answer::Events(Box::pin(events.map(move |event| {
                if let Ok(ModelEvent::End(reply)) = &event {
                    rules.remember(key, reply);
                }
                event
            }))),
            raw @ Answer::Raw(_) => raw,
        }
    }

    fn remember(&self, key: [u8; 32], reply: &ModelReply) {
        let now = self.pursuit.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.answers.insert(key, (now, Arc::new(reply.clone()))).is_none() {
            kept.order.push_back(key);
        }
        if kept.order.len() > MOST_KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.answers.remove(&oldest);
        }
    }

    fn recall(&self, key: &[u8; 32], now: Timestamp, longest: Duration) -> Option<Arc<ModelReply>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, reply) = kept.answers.get(key)?;
        (now.since(*at) <= longest).then(|| Arc::clone(reply))
    }
}
