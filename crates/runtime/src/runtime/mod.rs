//! The handle: what the server and the command line ask of running work.

mod executions;
mod forks;
mod past;

pub(crate) use executions::execution_deadline;

use crate::{
    actor::Command,
    agent::{AnswerTicket, StartTicket, Until, Word, turn_result},
    api::{AnswerError, Answered, RunError, StartError, StartTurn, Started, TurnResult},
    civil::rfc3339,
    driven::{Boot, Driven},
    history::fold,
    scheduler,
    shared::{NoWay, Options, RunKey, Shared, Words},
    stats::Stats,
    subscription::Subscription,
};
use bedplate_core::{
    id::{CallId, ContentHash, RunId, Seq, Tenant, UserId},
    message::Message,
    port::{
        definitions::PinnedAgent,
        journal::{AppendError, Head, MAX_EVENT_BYTES},
    },
    time::Timestamp,
};
use bedplate_engine::agent::Agent;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::oneshot;

/// What the rest of a turn's first event may take, in bytes.
const TURN_ROOM: usize = 64 * 1024;

/// How often a word is said again to a run that left memory just then.
const ATTEMPTS: u32 = 20;

/// How often a turn that is driven elsewhere is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A handle on the work of this process. Clones are the same runtime.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

impl Runtime {
    /// Starts driving: what was left behind is taken up at once, unless the options say otherwise. Must be called within a Tokio runtime.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let recover = options.recover;
        let shared = Shared::new(options);
        if recover {
            tokio::spawn(scheduler::run(Arc::clone(&shared)));
        }
        Self { shared }
    }

    /// Stops taking work and lets appends finish. Calls under way are dropped; the next start takes them up.
    pub async fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.stopped.notify_one();
        self.leave(self.shared.actors(None), None).await;
    }

    /// Returns the handle on what `shared` belongs to.
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Starts a turn; when it returns, the start is committed.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_turn(&self, request: StartTurn) -> Result<Started, StartError> {
        self.start_turn_of(request, None).await
    }

    /// As [`Runtime::start_turn`], for a run that starts the session.
    pub(crate) async fn start_turn_of(&self, request: StartTurn, parent: Option<RunId>) -> Result<Started, StartError> {
        let (key, ticket) = self.ticket(request).await?;
        let ticket = StartTicket { parent, ..ticket };
        let first = Boot::Create;
        let start = |reply| Word::Start(Box::new(ticket.clone()), reply);
        match self.ask::<Agent, _>(&key, first, start).await {
            Asked::Answer(result) => result,
            Asked::Stopping => Err(StartError::ShuttingDown),
            Asked::OtherKind => Err(StartError::Store("the session's id is taken".to_owned())),
            Asked::NoAnswer => Err(StartError::Store("the run is claimed elsewhere again and again".to_owned())),
        }
    }

    /// Returns when the turn has ended or a person must answer first.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn wait_turn(&self, tenant: &Tenant, run: RunId, turn: Seq) -> Result<TurnResult, RunError> {
        self.wait_turn_until(tenant, run, turn, Until::Rest).await
    }

    /// Returns when the turn has ended, however long a person takes to answer.
    pub(crate) async fn end_of_turn(&self, tenant: &Tenant, run: RunId, turn: Seq) -> Result<TurnResult, RunError> {
        self.wait_turn_until(tenant, run, turn, Until::End).await
    }

    async fn wait_turn_until(
        &self,
        tenant: &Tenant,
        run: RunId,
        turn: Seq,
        until: Until,
    ) -> Result<TurnResult, RunError> {
        let key = RunKey { tenant: tenant.clone(), run };
        loop {
            if self.shared.is_stopping() {
                return Err(RunError::ShuttingDown);
            }
            if let Some(words) = self.shared.find::<Agent>(&key) {
                let (reply, answer) = oneshot::channel();
                if words.send(Command::Say(Word::Wait { turn, until, reply })).await.is_ok()
                    && let Ok(result) = answer.await
                    && !matches!(result, Err(RunError::NoSuch { .. }))
                {
                    return result;
                }
            }
            // It is not in memory here, or what is here is behind: the journal knows.
            let head = self.head(&key).await?;
            let (state, _) = fold::<Agent>(&*self.shared.options.journal, head.run, head.seq).await?;
            if let Some(result) = turn_result(run, &state, turn, until) {
                return result;
            }
            if self.shared.find::<Agent>(&key).is_none() {
                self.pause(LOOK_AGAIN).await;
            }
        }
    }

    /// Returns what happens in a run from after position `after` on.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn subscribe(&self, tenant: &Tenant, run: RunId, after: Seq) -> Result<Subscription, RunError> {
        let key = RunKey { tenant: tenant.clone(), run };
        let head = self.head(&key).await?;
        Ok(Subscription::new(Arc::clone(&self.shared), key, head.run, after))
    }

    /// Answers an open question; when it returns, the answer is committed.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub async fn answer(
        &self,
        tenant: &Tenant,
        run: RunId,
        call: CallId,
        approved: bool,
        by: Option<UserId>,
        note: Option<String>,
    ) -> Result<Answered, AnswerError> {
        let key = RunKey { tenant: tenant.clone(), run };
        let answer = |reply| Word::Answer(AnswerTicket { call, approved, by: by.clone(), note: note.clone() }, reply);
        self.ask::<Agent, _>(&key, Boot::Load, answer).await.or_else(AnswerError::from)
    }

    /// Ends a turn, or withdraws a queued one; none: the one under way. Returns whether there was one to end. The turn
    /// has ended when its `TurnEnded` comes, which a call that may not be cut can hold up.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn cancel(
        &self,
        tenant: &Tenant,
        run: RunId,
        turn: Option<Seq>,
        by: Option<UserId>,
    ) -> Result<bool, RunError> {
        let key = RunKey { tenant: tenant.clone(), run };
        self.ask::<Agent, _>(&key, Boot::Load, |reply| Word::Cancel { turn, by: by.clone(), reply })
            .await
            .or_else(|error| error)
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    async fn ticket(&self, request: StartTurn) -> Result<(RunKey, StartTicket), StartError> {
        let options = &self.shared.options;
        if self.shared.is_stopping() {
            return Err(StartError::ShuttingDown);
        }
        let declared = options.definitions.agent(&request.agent);
        let declared = declared.ok_or_else(|| StartError::UnknownAgent(request.agent.clone()))?;
        let asked = match &request.adapted {
            // Another prompt or limit under the same key is another request.
            Some(adapted) => format!("{}@{}", request.agent, adapted.hash),
            None => declared.definition.name.clone(),
        };
        let agent = request.adapted.unwrap_or(declared);
        let now = self.shared.now();
        let StartTurn { tenant, user, message, idempotency_key, .. } = request;
        let session = match (request.session, &idempotency_key) {
            (Some(session), _) => session,
            (None, Some(key)) => derived_session(&tenant, &user, key),
            (None, None) => RunId(options.entropy.bytes()).to_string(),
        };
        let (request_hash, bytes) = fingerprint(&asked, &message, request.policy, request.timeout_seconds)?;
        let system = self.system(&agent, &user, now);
        let limit = (MAX_EVENT_BYTES - TURN_ROOM).saturating_sub(system.len());
        if bytes > limit {
            return Err(StartError::TooLarge { bytes, limit });
        }
        let definition = self.shared.pinned.pin(&*options.journal, &tenant, &agent, now).await.map_err(pin_error)?;
        let ticket = StartTicket {
            agent: request.agent,
            key: idempotency_key.unwrap_or_else(|| RunId(options.entropy.bytes()).to_string()),
            request_hash,
            message: Arc::new(message),
            bytes,
            policy: request.policy.unwrap_or(agent.definition.session_policy),
            definition,
            system,
            timeout_seconds: request.timeout_seconds,
            billing: request.billing.map(Arc::new),
            parent: None,
            user,
            session,
        };
        let run = RunId::session(&tenant, &ticket.user, &ticket.session);
        Ok((RunKey { tenant, run }, ticket))
    }

    fn system(&self, agent: &PinnedAgent, user: &UserId, now: Timestamp) -> Arc<str> {
        let definition = &agent.definition;
        match self.shared.options.definitions.render_system(definition, user.as_str(), &rfc3339(now)) {
            Ok(system) => system,
            Err(error) => {
                tracing::error!(
                    agent = definition.name,
                    error,
                    "the system prompt was not rendered; used as it stands"
                );
                definition.system.as_str().into()
            }
        }
    }

    /// Says a word to a run until it is answered: a run that leaves memory just then answers nobody.
    pub(crate) async fn ask<M: Driven, T>(
        &self,
        key: &RunKey,
        first: Boot,
        word: impl Fn(oneshot::Sender<T>) -> M::Word,
    ) -> Asked<T> {
        let mut boot = first;
        for attempt in 0..ATTEMPTS {
            if attempt > 1 {
                self.pause(Duration::from_millis(5) * attempt).await;
            }
            let found = match self.shared.find_or_spawn::<M>(key, boot) {
                Ok(found) => found,
                Err(NoWay::Stopping) => return Asked::Stopping,
                Err(NoWay::OtherKind) => return Asked::OtherKind,
            };
            boot = Boot::Load;
            let (reply, answer) = oneshot::channel();
            if found.words.send(Command::Say(word(reply))).await.is_ok()
                && let Ok(answer) = answer.await
            {
                return Asked::Answer(answer);
            }
        }
        Asked::NoAnswer
    }

    /// Makes actors leave memory, and returns when they have.
    async fn leave(&self, actors: Vec<Words>, of: Option<&UserId>) {
        let mut left = Vec::with_capacity(actors.len());
        for actor in actors {
            left.push(actor.leave(of).await);
        }
        for gone in left {
            // The word is never answered: its reply channel is dropped once the last append is done.
            drop(gone.await);
        }
    }

    async fn head(&self, key: &RunKey) -> Result<Head, RunError> {
        self.shared.options.journal.head(&key.tenant, key.run).await?.ok_or(RunError::NotFound)
    }

    async fn pause(&self, duration: Duration) {
        self.shared.options.clock.sleep_until(self.shared.now().after(duration)).await;
    }
}

/// What became of a word.
pub(crate) enum Asked<T> {
    Answer(T),
    Stopping,
    OtherKind,
    NoAnswer,
}

impl<T, E> Asked<Result<T, E>> {
    fn or_else(self, other: impl FnOnce(RunError) -> E) -> Result<T, E> {
        match self {
            Self::Answer(result) => result,
            Self::Stopping => Err(other(RunError::ShuttingDown)),
            Self::OtherKind => Err(other(RunError::NotFound)),
            Self::NoAnswer => Err(other(RunError::Store("the run is claimed elsewhere again and again".to_owned()))),
        }
    }
}

/// Returns the name of the session that a start without one has, so that its repeat finds it.
fn derived_session(tenant: &Tenant, user: &UserId, key: &str) -> String {
    let parts: [&[u8]; 4] = [b"keyed session", tenant.as_str().as_bytes(), user.as_str().as_bytes(), key.as_bytes()];
    RunId::derive(&parts).to_string()
}

/// Returns what a repeat under the same key must equal, and how large the message is.
fn fingerprint(
    agent: &str,
    message: &Message,
    policy: Option<bedplate_core::agent::SessionPolicy>,
    timeout_seconds: Option<u64>,
) -> Result<(ContentHash, usize), StartError> {
    let failed = |error: serde_json::Error| StartError::Store(error.to_string());
    let mut text = serde_json::to_vec(message).map_err(failed)?;
    let bytes = text.len();
    text.extend(serde_json::to_vec(&(agent, policy, timeout_seconds)).map_err(failed)?);
    Ok((ContentHash::of(&text), bytes))
}

fn pin_error(error: AppendError) -> StartError {
    match error {
        AppendError::TooLarge { bytes, limit, .. } => StartError::TooLarge { bytes, limit },
        other => StartError::Store(other.to_string()),
    }
}
