//! The layers that limit, cache and record, put around the stacks of one configuration.

use crate::{
    budget::Alerts,
    cache::{CacheLayer, Shelf},
    call::Stack,
    config::Options,
    embed::{EmbedWay, Embedder, Embedders},
    http::HttpClient,
    limit::{Fallbacks, LimitLayer, Rules},
    policy::{CacheRule, Overflow, Policy, TokenRule},
    record::RecordLayer,
    route::{bind::BindLayer, residency::Leg},
    tokens::TokenLayer,
};
use bedplate_core::{agent::Price, port::ledger::Ledger};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Semaphore;

/// How many requests are counted by a vocabulary at once.
const COUNTED_AT_ONCE: usize = 2;

/// What is put around stacks, and what is remembered of them until all are there.
pub(crate) struct Control {
    record: Option<RecordLayer>,
    limit: Option<LimitLayer>,
    caches: Vec<(CacheRule, Arc<Shelf>)>,
    tokens: TokenRule,
    /// Room for requests that are counted by a vocabulary.
    counting: Arc<Semaphore>,
    options: Options,
    fallbacks: Fallbacks,
    embedders: Embedders,
    below: HashMap<String, Stack>,
    embedding: HashMap<String, Embedder>,
}

impl Control {
    pub(crate) fn new(policy: &Policy, options: &Options, http: &HttpClient) -> Self {
        let fallbacks = Fallbacks::default();
        let rules = Rules::of(policy).map(Arc::new);
        let limit = rules.zip(options.ledger.clone()).map(|(rules, ledger)| LimitLayer {
            rules,
            ledger,
            clock: Arc::clone(&options.clock),
            alerts: Alerts { http: http.clone(), clock: Arc::clone(&options.clock) },
            fallbacks: Arc::clone(&fallbacks),
            price: Arc::new(|| None),
            bind: None,
        });
        let record = options.recorder.clone().map(|recorder| RecordLayer {
            recorder,
            log: Arc::new(policy.log.clone()),
            clock: Arc::clone(&options.clock),
        });
        let shelf = |rule: &CacheRule| (rule.clone(), Arc::new(Shelf::new(rule.ttl, rule.max_bytes)));
        Self {
            record,
            limit,
            tokens: policy.tokens.clone(),
            counting: Arc::new(Semaphore::new(COUNTED_AT_ONCE)),
            caches: policy.caches.values().map(shelf).collect(),
            options: options.clone(),
            fallbacks,
            embedders: Embedders::default(),
            below: HashMap::new(),
            embedding: HashMap::new(),
        }
    }

    /// Returns the rules and the ledger that hold in this configuration.
    pub(crate) fn books(&self) -> Option<(Arc<Rules>, Arc<dyn Ledger>)> {
        self.limit.as_ref().map(|limit| (Arc::clone(&limit.rules), Arc::clone(&limit.ledger)))
    }

    /// Returns the way that calls for embeddings take.
    pub(crate) fn embed_way(&self) -> EmbedWay {
        EmbedWay { embedders: self.embedders.clone(), limit: self.limit.clone(), record: self.record.clone() }
    }

    /// Returns the stack of `name` with everything around it.
    pub(crate) fn around(
        &mut self,
        name: &str,
        stack: Stack,
        legs: &[Arc<Leg>],
        jurisdiction: Option<&String>,
    ) -> Stack {
        let embedder = Embedder { name: name.into(), legs: legs.to_vec(), jurisdiction: jurisdiction.cloned() };
        self.embedding.insert(name.to_owned(), embedder);
        let mut stack = stack;
        let prompt_cache = self.tokens.prompt_cache_routes.iter().any(|route| route == name);
        if prompt_cache || self.tokens.overflow != Overflow::Send {
            let (overflow, counting) = (self.tokens.overflow, Arc::clone(&self.counting));
            stack = stack.layer(&TokenLayer { overflow, prompt_cache, legs: legs.into(), counting });
        }
        for (rule, shelf) in self.caches.iter().filter(|(rule, _)| rule.routes.iter().any(|route| route == name)) {
            stack = stack.layer(&CacheLayer {
                shelf: Arc::clone(shelf),
                shared: rule.shared,
                semantic: rule.semantic.clone().map(Arc::new),
                embedders: self.embedders.clone(),
                clock: Arc::clone(&self.options.clock),
            });
        }
        self.below.insert(name.to_owned(), stack.clone());
        if let Some(limit) = &self.limit {
            let legs = legs.to_vec();
            let price = Arc::new(move || legs.iter().filter_map(|leg| leg.info().price).reduce(dearest));
            // Where a budget sends a call elsewhere, what the route is bound to goes with it.
            let bind = jurisdiction.map(|jurisdiction| BindLayer::new(jurisdiction));
            stack = stack.layer(&LimitLayer { price, bind, ..limit.clone() });
        }
        if let Some(record) = &self.record {
            stack = stack.layer(record);
        }
        stack
    }

    /// Makes known to the layers what all of the names stand for.
    pub(crate) fn finish(self) {
        // The lock is this configuration's own and is set here alone.
        let _ = self.fallbacks.set(self.below);
        self.embedders.set(self.embedding);
    }
}

/// Returns for each kind of token the higher price.
fn dearest(a: Price, b: Price) -> Price {
    Price {
        input: a.input.max(b.input),
        output: a.output.max(b.output),
        cache_read: a.cache_read.max(b.cache_read),
        cache_write: a.cache_write.max(b.cache_write),
    }
}
