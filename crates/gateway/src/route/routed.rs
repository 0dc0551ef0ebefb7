//! The service of a route that asks one model at a time: static, weighted, by content, by measurement, or learned.

use super::{
    choose::Chooser,
    facts,
    pursue::Pursuit,
    residency::{Candidate, Candidates, Leg},
    resume::resuming,
};
use crate::call::{Answering, Call, Serve};
use bedplate_core::port::model::{Answer, ModelError, ModelErrorKind};
use std::sync::Arc;

/// See the module.
pub(crate) struct Routed(pub(crate) Arc<Route>);

/// The parts of such a route.
pub(crate) struct Route {
    /// What the strategy chooses from, then the fallbacks, then the larger one.
    pub(crate) legs: Vec<Arc<Leg>>,
    /// How many of them the strategy chooses from.
    pub(crate) chosen_from: usize,
    /// Which one takes what is too long for the others.
    pub(crate) larger: Option<usize>,
    pub(crate) chooser: Chooser,
    pub(crate) pursuit: Arc<Pursuit>,
    pub(crate) resume: bool,
    /// Whether it is a name for one model and nothing more: no repeat, no wait of its own.
    pub(crate) plain: bool,
}

impl Serve for Routed {
    fn serve(&self, call: Call) -> Answering {
        Box::pin(Arc::clone(&self.0).answer(call))
    }
}

impl Route {
    async fn answer(self: Arc<Self>, mut call: Call) -> Result<Answer, ModelError> {
        let now = self.pursuit.clock.now();
        call.deadline = self.pursuit.waits.of_call(now, call.deadline, call.stream);
        let candidates = Candidates::of(&self.legs, &call)?;
        if self.plain && candidates.first().leg().is_stand_in() {
            // There is nobody to choose from, and no network whose faults had to be watched for.
            return candidates.first().serve(call).await;
        }
        let tokens = facts::tokens(&call);
        let allowed = |index| candidates.at(index).is_some();
        let random = self.pursuit.dice.roll();
        let choice = self.chooser.choose(&self.legs, allowed, &call, tokens, now, random)?;
        let (order, larger) = self.order(&choice.order, &candidates, tokens);
        if !choice.reason.is_empty() {
            call.notes.note(|noted| noted.reason = Some(choice.reason.into()));
        }
        if self.resume && call.stream {
            // A raw stream has no form for going on elsewhere.
            let core = (**call.core()?).clone();
            call = call.with_core(core);
        }
        self.pursue(order, larger, call, tokens).await
    }

    /// Returns who is asked in which order, and who beyond that if the request turns out to be too long.
    fn order(&self, chosen: &[usize], candidates: &Candidates, tokens: u64) -> (Vec<Candidate>, Option<Candidate>) {
        let larger = self.larger.and_then(|index| candidates.at(index));
        let fallbacks = self.chosen_from..self.larger.unwrap_or(self.legs.len());
        let mut all: Vec<&Candidate> = Vec::new();
        for index in chosen.iter().copied().chain(fallbacks) {
            if let Some(candidate) = candidates.at(index)
                && !all.iter().any(|one| Arc::ptr_eq(one.leg(), candidate.leg()))
            {
                all.push(candidate);
            }
        }
        let fits = |candidate: &&Candidate| candidate.leg().context_tokens.is_none_or(|most| tokens <= most);
        let fitting: Vec<Candidate> = all.iter().copied().filter(fits).cloned().collect();
        match (fitting.is_empty(), larger) {
            (true, Some(larger)) => (vec![larger.clone()], None),
            // The estimate is rough: where nobody fits, the model itself says so.
            (true, None) if !all.is_empty() => (all.into_iter().cloned().collect(), None),
            (true, None) => (vec![candidates.first().clone()], None),
            (false, larger) => (fitting, larger.cloned()),
        }
    }

    async fn pursue(
        &self,
        mut order: Vec<Candidate>,
        larger: Option<Candidate>,
        call: Call,
        tokens: u64,
    ) -> Result<Answer, ModelError> {
        let found = match (self.pursuit.run(&order, &call, tokens).await, larger) {
            (Err(error), Some(larger)) if facts::is_overflow(&error) => {
                call.notes.note(|noted| noted.reason = Some("too long for the first choice".into()));
                order = vec![larger];
                self.pursuit.run(&order, &call, tokens).await
            }
            (found, _) => found,
        };
        let found = found?;
        if found.at > 0 {
            call.notes.note(|noted| noted.reason = Some(fallback_reason(noted.reason.as_deref()).into()));
        }
        let answer = match found.answer {
            Answer::Events(events) if self.resume && call.stream => {
                order.rotate_left(found.at);
                Answer::Events(resuming(events, Arc::clone(&self.pursuit), order, call, tokens))
            }
            other => other,
        };
        Ok(found.spent.onto(answer))
    }
}

fn fallback_reason(before: Option<&str>) -> String {
    match before {
        None => "fallback".into(),
        Some(reason) => format!("{reason}, then fallback"),
    }
}

/// Returns the error of a call that no part of a route could answer.
pub(crate) fn nobody(route: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Unavailable, format!("no model of the route `{route}` gave an answer"))
}
