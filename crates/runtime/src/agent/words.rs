//! Words to a run: starts, answers, cancels. Each is answered after the commit that holds it.

use super::{Until, Waiter, turn_result};
use crate::{
    actor::{Actor, Loaded, Plan},
    api::{AnswerError, Answered, RunError, StartError, Started, TurnResult},
};
use bedplate_core::{
    agent::SessionPolicy,
    event::{Billing, Event, TurnInput},
    id::{CallId, ContentHash, RunId, Seq, UserId},
    message::Message,
};
use bedplate_engine::{
    agent::{Admission, Agent, AgentSignal, admit},
    definition::Definition,
    machine::{Context, Input, Machine},
};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What others say to a session in memory.
pub(crate) enum Word {
    Start(Box<StartTicket>, oneshot::Sender<Result<Started, StartError>>),
    Wait { turn: Seq, until: Until, reply: oneshot::Sender<Result<TurnResult, RunError>> },
    Answer(AnswerTicket, oneshot::Sender<Result<Answered, AnswerError>>),
    Cancel { turn: Option<Seq>, by: Option<UserId>, reply: oneshot::Sender<Result<bool, RunError>> },
}

/// A turn that somebody wants, ready to be decided on.
#[derive(Clone)]
pub(crate) struct StartTicket {
    pub user: UserId,
    pub agent: String,
    pub session: String,
    pub key: String,
    pub request_hash: ContentHash,
    pub message: Arc<Message>,
    pub bytes: usize,
    pub definition: Arc<Definition>,
    pub system: Arc<str>,
    pub policy: SessionPolicy,
    pub timeout_seconds: Option<u64>,
    pub billing: Option<Arc<Billing>>,
    /// The run that starts this one.
    pub parent: Option<RunId>,
}

/// A person's answer.
pub(crate) struct AnswerTicket {
    pub call: CallId,
    pub approved: bool,
    pub by: Option<UserId>,
    pub note: Option<String>,
}

/// A word that is decided on and answered once that is committed.
pub(crate) enum Ack {
    Start { turn: Seq, joined: bool, queued_behind: Option<Seq>, reply: oneshot::Sender<Result<Started, StartError>> },
    Answer { at: Seq, reply: oneshot::Sender<Result<Answered, AnswerError>> },
    Cancel { found: bool, reply: oneshot::Sender<Result<bool, RunError>> },
}

impl Ack {
    /// Says yes. Whoever went away needs no answer.
    pub(super) fn send(self, run: RunId, session: &str) {
        match self {
            Self::Start { turn, joined, queued_behind, reply } => {
                let session = session.to_owned();
                drop(reply.send(Ok(Started { run, session, turn, joined, queued_behind })));
            }
            Self::Answer { at, reply } => drop(reply.send(Ok(Answered { at }))),
            Self::Cancel { found, reply } => drop(reply.send(Ok(found))),
        }
    }

    pub(super) fn fail(self, error: &RunError) {
        match self {
            Self::Start { reply, .. } => drop(reply.send(Err(start_error(error)))),
            Self::Answer { reply, .. } => drop(reply.send(Err(error.clone().into()))),
            Self::Cancel { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }
}

impl Word {
    /// Answers that the run cannot be had.
    pub(super) fn refuse(self, error: &RunError) {
        match self {
            Self::Start(_, reply) => drop(reply.send(Err(start_error(error)))),
            Self::Wait { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Answer(_, reply) => drop(reply.send(Err(error.clone().into()))),
            Self::Cancel { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }
}

impl Actor<Agent> {
    /// Decides on one word.
    pub(super) async fn hear(
        &self,
        loaded: &mut Loaded<Agent>,
        plan: &mut Plan<Agent>,
        context: &mut Context,
        word: Word,
    ) {
        match word {
            Word::Start(ticket, reply) => self.start(loaded, plan, context, *ticket, reply).await,
            Word::Wait { turn, until, reply } => match turn_result(self.key.run, &loaded.state, turn, until) {
                // What this step decides is not committed yet, so only what was known before is answered at once.
                Some(result) if plan.events.is_empty() => drop(reply.send(result)),
                _ => loaded.local.waiters.push(Waiter { turn, until, reply }),
            },
            Word::Answer(ticket, reply) => self.answer(loaded, plan, context, ticket, reply).await,
            Word::Cancel { turn, by, reply } => {
                let before = plan.events.len();
                let said = Input::Signal(AgentSignal::Cancel { turn, by });
                self.feed(loaded, plan, context, said).await;
                plan.acks.push(Ack::Cancel { found: plan.events.len() > before, reply });
            }
        }
    }

    async fn start(
        &self,
        loaded: &mut Loaded<Agent>,
        plan: &mut Plan<Agent>,
        context: &mut Context,
        ticket: StartTicket,
        reply: oneshot::Sender<Result<Started, StartError>>,
    ) {
        let admission = admit(&loaded.state, &ticket.key, ticket.request_hash, ticket.policy);
        let interrupted = match admission {
            Admission::Join { turn } => {
                plan.acks.push(Ack::Start { turn, joined: true, queued_behind: None, reply });
                return;
            }
            Admission::Busy { turn } => return drop(reply.send(Err(StartError::Busy { turn }))),
            Admission::KeyReused { turn } => return drop(reply.send(Err(StartError::KeyReused { turn }))),
            Admission::Start => None,
            Admission::Queue { behind } => Some(behind),
            Admission::Interrupt { turn } => Some(turn),
        };
        if !loaded.exists && Agent::position(&loaded.state) == 0 {
            self.begin_run(loaded, plan, context.now);
        }
        plan.blobs.push(ticket.definition.hash());
        let input = TurnInput {
            key: ticket.key.clone(),
            request_hash: ticket.request_hash,
            message: ticket.message,
            definition: ticket.definition.hash(),
            // A queued turn begins under a prompt that is not known yet, so it always says its own.
            system: match interrupted.is_none() && loaded.state.system().is_some_and(|known| known == ticket.system) {
                true => None,
                false => Some(ticket.system),
            },
            timeout_seconds: ticket.timeout_seconds,
            billing: ticket.billing,
        };
        let said = Input::Signal(AgentSignal::StartTurn { input, policy: ticket.policy });
        self.feed(loaded, plan, context, said).await;
        match loaded.state.turn_of_key(&ticket.key) {
            Some(turn) => {
                let waits = loaded.state.queued_turns().any(|queued| queued == turn);
                let queued_behind = if waits { interrupted } else { None };
                plan.acks.push(Ack::Start { turn, joined: false, queued_behind, reply });
            }
            None => drop(reply.send(Err(StartError::Store("the turn was not taken".to_owned())))),
        }
    }

    async fn answer(
        &self,
        loaded: &mut Loaded<Agent>,
        plan: &mut Plan<Agent>,
        context: &mut Context,
        ticket: AnswerTicket,
        reply: oneshot::Sender<Result<Answered, AnswerError>>,
    ) {
        let AnswerTicket { call, approved, by, note } = ticket;
        let before = plan.events.len();
        let first = Agent::position(&loaded.state) + 1;
        let said = Input::Signal(AgentSignal::Answer { call, approved, by, note });
        self.feed(loaded, plan, context, said).await;
        let ours = |event: &Event| matches!(event, Event::QuestionAnswered(answered) if answered.call == call && answered.approved == approved);
        match plan.events[before..].iter().position(ours) {
            Some(offset) => plan.acks.push(Ack::Answer { at: first + offset as u64, reply }),
            None => drop(reply.send(Err(AnswerError::NotOpen(call)))),
        }
    }
}

/// Returns what a failed word to a run means for a start.
pub(crate) fn start_error(error: &RunError) -> StartError {
    match error {
        RunError::NotFound => StartError::Deleted,
        RunError::ShuttingDown => StartError::ShuttingDown,
        RunError::Store(message) => StartError::Store(message.clone()),
        RunError::NoSuch { .. } | RunError::Definition(_) | RunError::BadCursor => StartError::Store(error.to_string()),
    }
}
