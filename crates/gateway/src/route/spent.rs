//! What a call cost besides the answer that it ended with: attempts that broke, tiers that were not good enough, losers.

use super::residency::Candidate;
use bedplate_core::{
    message::Usage,
    port::model::{Answer, ModelError, ModelEvent, ModelReply, RawBody, RawPiece, RawReply},
};
use futures::StreamExt;

/// Tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) usage: Usage,
    /// Millionths of a dollar; none as long as nothing had a price.
    pub(crate) cost: Option<u64>,
}

impl Spent {
    /// Adds what `error` says was spent at `candidate` before it failed.
    pub(crate) fn failed(&mut self, candidate: &Candidate, error: &ModelError) {
        if error.usage == Usage::default() {
            return;
        }
        let price = candidate.leg().info().price;
        self.add(error.usage, price.map(|price| price.cost(&error.usage)));
    }

    /// Adds what `reply` cost.
    pub(crate) fn replied(&mut self, reply: &ModelReply) {
        self.add(reply.usage, reply.cost);
    }

    /// Adds `usage` and `cost`.
    pub(crate) fn add(&mut self, usage: Usage, cost: Option<u64>) {
        self.usage += usage;
        if let Some(cost) = cost {
            self.cost = Some(self.cost.unwrap_or(0).saturating_add(cost));
        }
    }

    /// Returns `answer` with this added to what its end says.
    pub(crate) fn onto(self, answer: Answer) -> Answer {
        if self == Self::default() {
            return answer;
        }
        match answer {
            Answer::Events(events) => Answer::Events(Box::pin(events.map(move |event| match event {
                Ok(ModelEvent::End(mut reply)) => {
                    self.onto_reply(&mut reply);
                    Ok(ModelEvent::End(reply))
                }
                Err(error) => Err(self.onto_error(error)),
                other => other,
            }))),
            Answer::Raw(RawReply { content_type, body }) => {
                let add = move |usage: &mut Usage, cost: &mut Option<u64>| {
                    let mut sum = self;
                    sum.add(*usage, *cost);
                    (*usage, *cost) = (sum.usage, sum.cost);
                };
                let body = match body {
                    RawBody::Whole(bytes, mut end) => {
                        add(&mut end.usage, &mut end.cost);
                        RawBody::Whole(bytes, end)
                    }
                    RawBody::Stream(pieces) => RawBody::Stream(Box::pin(pieces.map(move |piece| match piece {
                        Ok(RawPiece::End(mut end)) => {
                            add(&mut end.usage, &mut end.cost);
                            Ok(RawPiece::End(end))
                        }
                        Err(error) => Err(self.onto_error(error)),
                        other => other,
                    }))),
                };
                Answer::Raw(RawReply { content_type, body })
            }
        }
    }

    /// Adds this to what `reply` says.
    pub(crate) fn onto_reply(self, reply: &mut ModelReply) {
        let mut sum = self;
        sum.replied(reply);
        (reply.usage, reply.cost) = (sum.usage, sum.cost);
    }

    /// Adds this to what `error` says.
    pub(crate) fn onto_error(self, mut error: ModelError) -> ModelError {
        error.usage += self.usage;
        error
    }
}
