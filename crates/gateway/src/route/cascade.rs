//! The cascade: the cheap model first; who follows is asked only when its answer does not pass.

use super::{
    check::Check,
    collect::{answer_of, whole},
    facts, logprobs,
    pursue::Pursuit,
    residency::{Candidates, Leg},
    routed::nobody,
    spent::Spent,
};
use crate::call::{Answering, Call, Serve};
use bedplate_core::port::model::{Answer, ModelError};
use std::sync::Arc;

/// See the module.
pub(crate) struct Cascade(pub(crate) Arc<Tiers>);

/// The tiers of a cascade, with what each but the last must pass, and the fallbacks of the last.
pub(crate) struct Tiers {
    pub(crate) legs: Vec<Arc<Leg>>,
    /// One for each tier; the legs beyond are fallbacks.
    pub(crate) checks: Vec<Check>,
    /// It asks each tier once.
    pub(crate) once: Arc<Pursuit>,
    /// How the last tier, and the fallbacks, are pursued.
    pub(crate) last: Arc<Pursuit>,
}

impl Serve for Cascade {
    fn serve(&self, call: Call) -> Answering {
        Box::pin(Arc::clone(&self.0).answer(call))
    }
}

impl Tiers {
    async fn answer(self: Arc<Self>, mut call: Call) -> Result<Answer, ModelError> {
        let now = self.last.clock.now();
        call.deadline = self.last.waits.of_call(now, call.deadline, call.stream);
        let tokens = facts::tokens(&call);
        let candidates = Candidates::of(&self.legs, &call)?;
        let mut spent = Spent::default();
        let mut history = Vec::new();
        let lower = self.checks.len().saturating_sub(1);
        for (index, check) in self.checks.iter().enumerate().take(lower) {
            let Some(candidate) = candidates.at(index) else { continue };
            let name = &candidate.leg().name;
            let mut request = (**call.core()?).clone();
            check.prepare(&mut request);
            let mut tier = call.clone();
            tier.stream = false;
            let tier = if check.wants_logprobs() { logprobs::asking(tier, request)? } else { tier.with_core(request) };
            match self.once.run(std::slice::from_ref(candidate), &tier, tokens).await {
                Ok(found) => {
                    spent.add(found.spent.usage, found.spent.cost);
                    let (mut reply, logprob) = match logprobs::read(found.answer) {
                        Ok(read) => read,
                        Err(answer) => match whole(answer).await {
                            Ok(reply) => (reply, None),
                            Err(error) => {
                                spent.failed(candidate, &error);
                                history.push(format!("{name}: {}", error.kind.code()));
                                continue;
                            }
                        },
                    };
                    match check.judge(&mut reply, logprob) {
                        None => {
                            note(&call, &history, name);
                            spent.onto_reply(&mut reply);
                            return Ok(answer_of(reply));
                        }
                        Some(why) => {
                            spent.replied(&reply);
                            history.push(format!("{name}: {why}"));
                        }
                    }
                }
                Err(error) if super::facts::is_overflow(&error) || error.kind.retryable() => {
                    spent.add(error.usage, None);
                    history.push(format!("{name}: {}", error.kind.code()));
                }
                Err(error) => return Err(spent.onto_error(error)),
            }
        }
        let order: Vec<_> = candidates.iter().filter(|candidate| candidate.index() >= lower).cloned().collect();
        if order.is_empty() {
            return Err(spent.onto_error(nobody(&call.route)));
        }
        let found = self.last.run(&order, &call, tokens).await.map_err(|error| spent.onto_error(error))?;
        note(&call, &history, &order[found.at].leg().name);
        spent.add(found.spent.usage, found.spent.cost);
        Ok(spent.onto(found.answer))
    }
}

fn note(call: &Call, history: &[String], name: &str) {
    let mut said = history.join(", ");
    if !said.is_empty() {
        said.push_str(", ");
    }
    said.push_str(name);
    call.notes.note(|noted| noted.reason = Some(format!("cascade: {said}").into()));
}
