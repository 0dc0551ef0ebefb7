//! Calls for embeddings under plans and budgets.

use super::{
    charge::Held,
    service::{Degraded, LimitLayer},
};
use crate::{
    embed::{Embedder, Embedders, send, tokens},
    route::residency::Candidate,
};
use bedplate_core::{
    agent::Price,
    message::Usage,
    port::model::{EmbedCall, Embeddings, ModelError, ModelErrorKind, Notes},
};
use std::sync::Arc;

impl LimitLayer {
    /// Returns the embeddings that `first`, a model of the route `asked`, makes for `call`: what they may come to is
    /// reserved before, and what they came to is settled after.
    pub(crate) async fn embedding(
        self,
        embedders: Embedders,
        asked: Embedder,
        first: Candidate,
        call: EmbedCall,
    ) -> Result<Embeddings, ModelError> {
        let need = Usage { input: tokens(&call), ..Usage::default() };
        // Nothing of it is written to a provider's cache.
        let price = first.leg().info().price.map(|price| Price { cache_write: 0, ..price });
        let demands = self.rules.demands_of(&call.caller, &asked.name, price, || Ok(need))?;
        if demands.is_empty() {
            return send(&first, call).await;
        }
        let (held, degraded) = self.held(demands, &call.caller.tenant, &call.notes).await?;
        let charge = EmbedCharge { held: Some(held), notes: Arc::clone(&call.notes), need };
        let Some(Degraded { to, why }) = degraded else {
            let made = send(&first, call).await;
            charge.end(&made);
            return made;
        };
        // What the route is bound to goes with the call.
        let smaller = embedders.get(&to)?.candidate(&call.caller, asked.jurisdiction.as_deref())?;
        let made = send(&smaller, call).await;
        charge.end(&made);
        // A model of chats is named more often than one of vectors; the reason of the refusal is the budget all the same.
        made.map_err(|error| match error.kind {
            ModelErrorKind::InvalidRequest => {
                let message = format!("{why}, and `{to}` cannot make the embeddings instead: {}", error.message);
                ModelError { kind: ModelErrorKind::LimitExceeded, message, ..error }
            }
            _ => error,
        })
    }
}

/// Settles what is held for a call for embeddings. If it is dropped before the end, nobody waits for them any more.
struct EmbedCharge {
    held: Option<Held>,
    notes: Arc<Notes>,
    /// About what the call asks for.
    need: Usage,
}

impl EmbedCharge {
    fn end(mut self, made: &Result<Embeddings, ModelError>) {
        let Some(held) = self.held.take() else { return };
        match made {
            Ok(made) => held.settle(&made.usage, made.cost.unwrap_or_else(|| self.price_of(&made.usage))),
            Err(error) => held.settle(&error.usage, self.price_of(&error.usage)),
        }
    }

    fn price_of(&self, usage: &Usage) -> u64 {
        self.notes.read().info.and_then(|info| info.price).map_or(0, |price| price.cost(usage))
    }
}

impl Drop for EmbedCharge {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if self.notes.read().attempts == 0 {
            return held.release();
        }
        // The model was asked and goes on alone: it is charged at what was asked.
        held.settle(&self.need, self.price_of(&self.need));
    }
}
