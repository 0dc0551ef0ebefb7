//! The agent loop as the driver drives it: turns, answers, model and tool calls.

mod calls;
mod turns;
mod words;

pub(crate) use turns::turn_result;
pub(crate) use words::{AnswerTicket, StartTicket, Word};

use crate::{
    actor::{Actor, BACKOFF, Command, Loaded, Plan},
    api::{RunError, TurnResult},
    driven::{Birth, Driven},
    perform::{InFlight, Work},
    shared::Words,
};
use bedplate_core::{
    event::{Event, RunKind},
    id::{ContentHash, RunId, Seq},
    time::Timestamp,
};
use bedplate_engine::{
    agent::{Agent, AgentSignal, AgentState},
    definition::Definition,
    machine::{Context, Input, Intent},
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What somebody waits for who waits for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// That it has ended, or that a person must answer first.
    Rest,
    /// That it has ended.
    End,
}

/// What a loaded session holds besides its state.
#[derive(Default)]
pub(crate) struct Local {
    definition: Option<Arc<Definition>>,
    waiters: Vec<Waiter>,
}

struct Waiter {
    turn: Seq,
    until: Until,
    reply: oneshot::Sender<Result<TurnResult, RunError>>,
}

impl Driven for Agent {
    const KIND: RunKind = RunKind::Agent;

    type Word = Word;
    type Ack = words::Ack;
    type Local = Local;

    fn words(words: &Words) -> Option<&mpsc::Sender<Command<Self>>> {
        match words {
            Words::Agent(words) => Some(words),
            Words::Workflow(_) => None,
        }
    }

    fn into_words(words: mpsc::Sender<Command<Self>>) -> Words {
        Words::Agent(words)
    }

    fn birth(word: &Word) -> Option<Birth> {
        match word {
            Word::Start(ticket, _) => Some(Birth {
                user: ticket.user.clone(),
                name: ticket.agent.clone(),
                session: ticket.session.clone(),
                parent: ticket.parent,
            }),
            Word::Wait { .. } | Word::Answer(..) | Word::Cancel { .. } => None,
        }
    }

    fn weight(word: &Word) -> usize {
        match word {
            Word::Start(ticket, _) => 1_024 + (6 * (ticket.bytes + ticket.system.len())).min(32 * 1024),
            Word::Wait { .. } | Word::Answer(..) | Word::Cancel { .. } => 1_024,
        }
    }

    fn refuse(word: Word, error: &RunError) {
        word.refuse(error);
    }

    async fn obey(
        actor: &Actor<Self>,
        loaded: &mut Loaded<Self>,
        plan: &mut Plan<Self>,
        context: &mut Context,
        word: Word,
    ) {
        actor.hear(loaded, plan, context, word).await;
    }

    /// The definition changes with the turn, prices with the project.
    async fn refresh(actor: &Actor<Self>, loaded: &mut Loaded<Self>, context: &mut Context) {
        if context.definition.is_none() {
            context.definition.clone_from(&loaded.local.definition);
        }
        let hash = loaded.state.definition();
        if context.definition.as_ref().map(|definition| definition.hash()) != hash {
            context.definition = match hash {
                Some(hash) => actor.definition(hash).await,
                None => None,
            };
            loaded.local.definition.clone_from(&context.definition);
            context.price = None;
        }
        if context.price.is_none()
            && let Some(definition) = &context.definition
        {
            context.price = actor.shared.options.model.describe(&definition.model).and_then(|info| info.price);
        }
        let model_call = loaded.in_flight.iter().find(|call| matches!(call.work, Work::Model(_)));
        context.partial = model_call.and_then(|call| actor.hub.partial(call.call));
    }

    fn acknowledge(ack: words::Ack, run: RunId, session: &str) {
        ack.send(run, session);
    }

    fn fail(ack: words::Ack, error: &RunError) {
        ack.fail(error);
    }

    fn answer_waiters(actor: &Actor<Self>, loaded: &mut Loaded<Self>) {
        turns::answer_waiters(actor.key.run, loaded);
    }

    fn is_awaited(local: &Local) -> bool {
        !local.waiters.is_empty()
    }

    fn title(state: &AgentState, events: &[Event]) -> Option<String> {
        turns::title(state, events)
    }

    fn at_once(
        actor: &Actor<Self>,
        loaded: &Loaded<Self>,
        intent: &Intent,
        now: Timestamp,
    ) -> Option<Input<AgentSignal>> {
        actor.at_once(loaded, intent, now)
    }

    fn begin(actor: &Actor<Self>, loaded: &mut Loaded<Self>, intent: Intent, now: Timestamp) -> Option<InFlight> {
        actor.begin(loaded, intent, now)
    }
}

impl Actor<Agent> {
    /// Returns a definition, waiting for a store that fails; without it nothing can be decided.
    async fn definition(&self, hash: ContentHash) -> Option<Arc<Definition>> {
        let mut pause = BACKOFF.0;
        loop {
            match self.shared.pinned.load(&*self.shared.options.journal, &self.key.tenant, hash).await {
                Ok(definition) => return Some(definition),
                Err(RunError::Store(error)) if !self.shared.is_stopping() => {
                    tracing::warn!(run = %self.key.run, error, "failed to read a definition; trying again");
                    pause = self.back_off(pause).await;
                }
                Err(error) => {
                    tracing::error!(run = %self.key.run, %error, "the run cannot go on");
                    return None;
                }
            }
        }
    }
}
