//! Where a call may go. This is the only way to a target.
//!
//! A target's service is private to this file, and only a [`Candidate`] can reach it. Only [`Candidates::of`] makes
//! candidates, and it leaves out every target that is not in all the jurisdictions that a call is bound to. So a
//! strategy, a fallback, a judge or a degraded answer that is written tomorrow cannot send a call abroad: it has
//! nothing to send it with.

use super::guard::Guard;
use crate::{
    call::{Answering, Call, Stack},
    target::Door,
};
use bedplate_core::port::{
    BoxFuture, Caller,
    model::{EmbedCall, Embeddings, ModelError, ModelErrorKind, ModelInfo},
};
use std::{collections::BTreeSet, sync::Arc};

/// Where a target works on what it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In this process; nothing leaves it.
    Here,
    /// In these jurisdictions, and nowhere else.
    In(BTreeSet<String>),
    /// Nobody has said where.
    #[default]
    Unknown,
}

/// Something that a route can lead to: a model, or another route.
pub(crate) struct Leg {
    /// Its name in the configuration.
    pub(crate) name: Arc<str>,
    /// What watches over it; a route watches over its own legs.
    pub(crate) guard: Option<Arc<Guard>>,
    /// How many tokens it can read, where that is known.
    pub(crate) context_tokens: Option<u64>,
    door: Door,
    place: Reach,
    service: Stack,
}

enum Reach {
    Model(Place),
    /// A route, which asks the same question of its own legs.
    Route,
}

impl Leg {
    /// Returns a model as a leg.
    pub(crate) fn model(
        name: &str,
        place: Place,
        context_tokens: Option<u64>,
        guard: Arc<Guard>,
        door: Door,
        service: Stack,
    ) -> Self {
        Self { name: name.into(), guard: Some(guard), context_tokens, door, place: Reach::Model(place), service }
    }

    /// Returns a route as a leg; `service` is the whole of it, and `described` the one of its legs that stands for it.
    pub(crate) fn route(name: &str, described: &Self, service: Stack) -> Self {
        let door = described.door.clone();
        Self { name: name.into(), guard: None, context_tokens: None, door, place: Reach::Route, service }
    }

    /// Returns what stands behind it now.
    pub(crate) fn info(&self) -> Arc<ModelInfo> {
        Arc::clone(&self.door.target().info)
    }

    /// Returns whether a stand-in of this process, the rehearsal or a script, is behind it now.
    pub(crate) fn is_stand_in(&self) -> bool {
        !self.door.target().info.foundation_model
    }

    fn admits(&self, jurisdiction: &str) -> bool {
        match &self.place {
            Reach::Model(Place::Here) | Reach::Route => true,
            Reach::Model(Place::In(places)) => places.contains(jurisdiction),
            Reach::Model(Place::Unknown) => false,
        }
    }
}

/// The targets that a call may go to, in the order of the route; never empty.
pub(crate) struct Candidates(Vec<Candidate>);

/// A target that a call may go to.
#[derive(Clone)]
pub(crate) struct Candidate {
    leg: Arc<Leg>,
    /// The place among the legs that were asked for.
    index: usize,
    /// The jurisdictions that it was admitted for.
    within: Arc<[Arc<str>]>,
}

impl Candidates {
    /// Returns those of `legs` that are in every jurisdiction that `call` is bound to.
    ///
    /// # Errors
    /// [`ModelErrorKind::NotFound`] when there is none.
    pub(crate) fn of<'a>(legs: impl IntoIterator<Item = &'a Arc<Leg>>, call: &Call) -> Result<Self, ModelError> {
        Self::within(legs, &call.route, bonds(call))
    }

    /// Returns those of `legs` that may make embeddings for `caller` on a route that is bound to `jurisdictions`:
    /// models only, for a route below would have to be asked itself.
    ///
    /// # Errors
    /// [`ModelErrorKind::NotFound`] when there is none.
    pub(crate) fn embedding<'a>(
        legs: &[Arc<Leg>],
        route: &str,
        caller: &'a Caller,
        jurisdictions: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ModelError> {
        let within = caller.jurisdiction.as_deref().into_iter().chain(jurisdictions).map(Arc::from).collect();
        Self::within(legs.iter().filter(|leg| leg.guard.is_some()), route, within)
    }

    fn within<'a>(
        legs: impl IntoIterator<Item = &'a Arc<Leg>>,
        route: &str,
        within: Arc<[Arc<str>]>,
    ) -> Result<Self, ModelError> {
        let candidates = legs.into_iter().enumerate().filter(|(_, leg)| within.iter().all(|one| leg.admits(one)));
        let candidates: Vec<_> = candidates
            .map(|(index, leg)| Candidate { leg: Arc::clone(leg), index, within: Arc::clone(&within) })
            .collect();
        if candidates.is_empty() { Err(nowhere(route, &within)) } else { Ok(Self(candidates)) }
    }

    /// Iterates over them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.0.iter()
    }

    /// Returns the candidate whose leg was the `index`-th that was asked for, if it was admitted.
    pub(crate) fn at(&self, index: usize) -> Option<&Candidate> {
        self.0.iter().find(|candidate| candidate.index == index)
    }

    /// Returns the first.
    pub(crate) fn first(&self) -> &Candidate {
        &self.0[0]
    }
}

impl Candidate {
    /// Returns the target without the way to it.
    pub(crate) fn leg(&self) -> &Arc<Leg> {
        &self.leg
    }

    /// Returns the place among the legs that were asked for.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Sends `call` to the target. A route below it is bound as this call is.
    pub(crate) fn serve(&self, mut call: Call) -> Answering {
        let demanded = bonds(&call);
        // The target was admitted for one call; another one may be bound elsewhere.
        if let Some(other) = demanded.iter().find(|one| !self.within.contains(one)) {
            let error = nowhere(&call.route, std::slice::from_ref(other));
            return Box::pin(std::future::ready(Err(error)));
        }
        call.within = Arc::clone(&self.within);
        self.leg.service.serve(call)
    }

    /// Returns embeddings by the model here.
    pub(crate) fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        match &call.caller.jurisdiction {
            Some(own) if !self.within.iter().any(|one| **one == **own) => {
                let error = nowhere(&call.model, &[Arc::from(own.as_str())]);
                Box::pin(std::future::ready(Err(error)))
            }
            _ => self.leg.door.embed(call),
        }
    }
}

/// Returns every jurisdiction that a call is bound to: by its caller, and by the routes that it came through.
fn bonds(call: &Call) -> Arc<[Arc<str>]> {
    match call.caller.jurisdiction.as_deref() {
        Some(own) if !call.within.iter().any(|one| **one == *own) => {
            call.within.iter().cloned().chain([Arc::from(own)]).collect()
        }
        _ => Arc::clone(&call.within),
    }
}

fn nowhere(route: &str, within: &[Arc<str>]) -> ModelError {
    let within: Vec<&str> = within.iter().map(AsRef::as_ref).collect();
    let message = if within.is_empty() {
        format!("the route `{route}` leads to no model")
    } else {
        format!("no model of the route `{route}` is in the jurisdiction `{}`", within.join("` and `"))
    };
    ModelError::new(ModelErrorKind::NotFound, message)
}
