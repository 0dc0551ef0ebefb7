//! Words to a run: starts, answers, cancels. Each is answered after the commit that holds it.

use super::{Actor, AnswerTicket, Command, Loaded, StartTicket, Waiter, step::Plan, step::turn_result};
use crate::api::{AnswerError, Answered, RunError, StartError, Started};
use bedplate_core::{
    event::{Event, TurnInput},
    id::{RunId, Seq},
};
use bedplate_engine::{
    agent::{Admission, Agent, AgentSignal, admit},
    machine::{Context, Input, Machine},
};
use tokio::sync::oneshot;

/// A word that is decided on and answered once that is committed.
pub(super) enum Ack {
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

    fn fail(self, error: &RunError) {
        match self {
            Self::Start { reply, .. } => drop(reply.send(Err(start_error(error)))),
            Self::Answer { reply, .. } => drop(reply.send(Err(error.clone().into()))),
            Self::Cancel { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }
}

impl Plan {
    /// Tells everybody who waits for this commit that it does not come.
    pub(super) fn fail(&mut self, error: &RunError) {
        for ack in std::mem::take(&mut self.acks) {
            ack.fail(error);
        }
    }
}

impl Actor {
    /// Decides on one word.
    pub(super) async fn obey(&self, loaded: &mut Loaded, plan: &mut Plan, context: &mut Context, command: Command) {
        match command {
            Command::Start(ticket, reply) => self.start(loaded, plan, context, *ticket, reply).await,
            Command::Wait { turn, reply } => match turn_result(self.key.run, &loaded.state, turn) {
                // What this step decides is not committed yet, so only what was known before is answered at once.
                Some(result) if plan.events.is_empty() => drop(reply.send(result)),
                _ => loaded.waiters.push(Waiter { turn, reply }),
            },
            Command::Answer(ticket, reply) => self.answer(loaded, plan, context, ticket, reply).await,
            Command::Cancel { turn, by, reply } => {
                let before = plan.events.len();
                let said = Input::Signal(AgentSignal::Cancel { turn, by });
                self.feed(loaded, plan, context, said).await;
                plan.acks.push(Ack::Cancel { found: plan.events.len() > before, reply });
            }
            Command::Claimed(_) | Command::Leave { .. } | Command::LeaveIfOf { .. } => {}
        }
    }

    async fn start(
        &self,
        loaded: &mut Loaded,
        plan: &mut Plan,
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
        loaded: &mut Loaded,
        plan: &mut Plan,
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
        RunError::NoSuch { .. } | RunError::Definition(_) => StartError::Store(error.to_string()),
    }
}
