//! The way of a call for embeddings: recorded, counted against plans and budgets, and sent to the first model of its route
//! that may make them.

use crate::{
    limit::LimitLayer,
    record::RecordLayer,
    route::residency::{Candidate, Candidates, Leg},
};
use bedplate_core::port::{
    BoxFuture, Caller,
    model::{EmbedCall, Embeddings, ModelError, ModelErrorKind, Notes},
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// A route or model that may make embeddings.
#[derive(Clone)]
pub(crate) struct Embedder {
    pub(crate) name: Arc<str>,
    /// The models, in order.
    pub(crate) legs: Vec<Arc<Leg>>,
    pub(crate) jurisdiction: Option<String>,
}

/// The routes and models of a configuration, as far as embeddings are concerned; filled once all are built.
#[derive(Clone, Default)]
pub(crate) struct Embedders(Arc<OnceLock<HashMap<String, Embedder>>>);

impl Embedders {
    /// Makes known what there is. Each is set once, by the configuration that it belongs to.
    pub(crate) fn set(&self, all: HashMap<String, Embedder>) {
        let _ = self.0.set(all);
    }

    /// Returns the route or model `name`.
    ///
    /// # Errors
    /// [`ModelErrorKind::NotFound`].
    pub(crate) fn get(&self, name: &str) -> Result<&Embedder, ModelError> {
        let missing = || ModelError::new(ModelErrorKind::NotFound, format!("there is no route or model `{name}`"));
        self.0.get().and_then(|all| all.get(name)).ok_or_else(missing)
    }
}

impl Embedder {
    /// Returns the model that makes embeddings for `caller`, within the jurisdictions of the caller and of this route, and
    /// within `bound`.
    ///
    /// # Errors
    /// [`ModelErrorKind::NotFound`] when there is none.
    pub(crate) fn candidate(&self, caller: &Caller, bound: Option<&str>) -> Result<Candidate, ModelError> {
        let within = self.jurisdiction.as_deref().into_iter().chain(bound);
        Candidates::embedding(&self.legs, &self.name, caller, within).map(|candidates| candidates.first().clone())
    }
}

/// What stands around the calls for embeddings of one configuration.
#[derive(Clone, Default)]
pub(crate) struct EmbedWay {
    pub(crate) embedders: Embedders,
    pub(crate) limit: Option<LimitLayer>,
    pub(crate) record: Option<RecordLayer>,
}

impl EmbedWay {
    /// Returns the embeddings that `call` asks for.
    pub(crate) fn serve(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let chosen = self.embedders.get(&call.model).and_then(|embedder| {
            let candidate = embedder.candidate(&call.caller, None)?;
            Ok((embedder.clone(), candidate))
        });
        let (embedder, candidate) = match chosen {
            Ok(chosen) => chosen,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let route = Arc::clone(&embedder.name);
        call.notes.note(|noted| noted.route = Some(Arc::clone(&route)));
        note_leg(&call.notes, &candidate);
        let (caller, notes, input) = (call.caller.clone(), Arc::clone(&call.notes), tokens(&call));
        let work: BoxFuture<'static, _> = match &self.limit {
            Some(limit) => Box::pin(limit.clone().embedding(self.embedders.clone(), embedder, candidate, call)),
            None => send(&candidate, call),
        };
        match &self.record {
            Some(record) => record.clone().embedding(route, caller, notes, input, work),
            None => work,
        }
    }
}

/// Sends `call` to a model.
pub(crate) fn send(to: &Candidate, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
    note_leg(&call.notes, to);
    call.notes.note(|noted| noted.attempts += 1);
    to.embed(call)
}

/// Returns about how many tokens the texts of a call have.
pub(crate) fn tokens(call: &EmbedCall) -> u64 {
    call.inputs.iter().map(|text| bedplate_core::size::tokens(text.len())).sum()
}

fn note_leg(notes: &Notes, candidate: &Candidate) {
    let leg = candidate.leg();
    notes.note(|noted| {
        noted.target = Some(Arc::clone(&leg.name));
        noted.info = Some(leg.info());
    });
}
