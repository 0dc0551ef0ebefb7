//! The layer that answers from a cache.

use super::{
    key::{self, Key},
    replay::{recorded, replayed},
    semantic::embed,
    shelf::{Kept, Shelf},
};
use crate::{
    call::{Answering, Call, Serve, Stack},
    embed::Embedders,
    policy::SemanticRule,
};
use bedplate_core::port::{clock::Clock, model::Answer, records::CacheUse};
use std::{sync::Arc, time::Duration};
use tower_layer::Layer;

/// Gives replies of a route again.
#[derive(Clone)]
pub(crate) struct CacheLayer {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) shared: bool,
    pub(crate) semantic: Option<Arc<SemanticRule>>,
    pub(crate) embedders: Embedders,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Layer<Stack> for CacheLayer {
    type Service = CacheService;

    fn layer(&self, inner: Stack) -> CacheService {
        CacheService { layer: self.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct CacheService {
    layer: CacheLayer,
    inner: Stack,
}

impl Serve for CacheService {
    fn serve(&self, call: Call) -> Answering {
        let Self { layer, inner } = self.clone();
        Box::pin(async move {
            let control = call.caller.cache;
            if control.no_store {
                note(&call, CacheUse::Bypass);
                return inner.serve(call).await;
            }
            let key = key::exact(&call, layer.shared)?;
            let now = layer.clock.now();
            let max_age = control.max_age.map(|seconds| Duration::from_secs(seconds.into()));
            if !control.no_cache
                && let Some(kept) = layer.shelf.get(&key, now, max_age)
            {
                return Ok(hit(&call, kept, CacheUse::Hit));
            }
            let question = layer.question(&call).await;
            if let (false, Some((context, vector)), Some(rule)) = (control.no_cache, &question, &layer.semantic)
                && let Some(kept) = layer.shelf.nearest(context, vector, rule.threshold, now, max_age)
            {
                return Ok(hit(&call, kept, CacheUse::SemanticHit));
            }
            note(&call, if control.no_cache { CacheUse::Bypass } else { CacheUse::Miss });
            let notes = Arc::clone(&call.notes);
            let answer = inner.serve(call).await?;
            let (shelf, clock) = (Arc::clone(&layer.shelf), Arc::clone(&layer.clock));
            let max_entry = shelf.max_entry();
            let take = Box::new(move |form, bytes, cost| {
                let noted = notes.read();
                // An answer that was made smaller than asked is not what the next one asks for.
                if noted.degraded.is_none() {
                    let (target, info) = (noted.target, noted.info);
                    shelf.put(key, Kept { at: clock.now(), form, cost, target, info }, bytes, question);
                }
            });
            Ok(recorded(answer, max_entry, take))
        })
    }
}

impl CacheLayer {
    /// Returns what a request asks as a vector, where requests of the same meaning are answered; a model that fails to
    /// make one only means that there is no such answer.
    async fn question(&self, call: &Call) -> Option<(Key, Vec<f32>)> {
        let rule = self.semantic.as_ref()?;
        let question = key::question(call, self.shared)?;
        match embed(&self.embedders, &rule.model, &call.caller, question.text, call.deadline).await {
            Ok(vector) => Some((question.context, vector)),
            Err(error) => {
                tracing::warn!(model = %rule.model, %error, "a question could not be compared with earlier ones");
                None
            }
        }
    }
}

fn hit(call: &Call, kept: Arc<Kept>, how: CacheUse) -> Answer {
    call.notes.note(|noted| {
        noted.cache = Some(how.as_str());
        noted.saved = kept.cost;
        noted.target = kept.target.clone();
        noted.info = kept.info.clone();
        noted.reason = Some("an earlier reply was kept".into());
    });
    replayed(kept)
}

fn note(call: &Call, how: CacheUse) {
    call.notes.note(|noted| noted.cache = Some(how.as_str()));
}
