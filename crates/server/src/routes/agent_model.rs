//! An agent as a model's name, `agent/<name>`: a durable turn whose words come as a model's reply, in any dialect.
//!
//! A client sees what the agent says and nothing of how: calls of tools and reasoning stay in the run. Whole replies are
//! read off the same stream, so the two cannot differ. A client that hangs up does not end the turn; a repeat with its
//! `Idempotency-Key` joins it.

use super::{
    invoke::{self, run_error},
    model_call::{self, About, Writer},
};
use crate::{ApiError, App, access::Identity, extract::identifier};
use axum::response::Response;
use bedplate_core::{
    event::{Entry, Event, TurnOutcome},
    id::{CallId, Seq, UserId},
    message::{ContentBlock, Message, Role, StopReason},
    port::model::{
        BlockKind, Events, ModelError, ModelErrorKind, ModelEvent, ModelInfo, ModelReply, ModelRequest, ToolChoice,
    },
};
use bedplate_dialects::{Envelope, raw::Head};
use bedplate_runtime::{Live, Started, Subscription, TurnResult, TurnState};
use futures::StreamExt;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// What the name of a model begins with when it names an agent.
pub(crate) const PREFIX: &str = "agent/";

/// The header that names what waits for a person, one for each, as `<run>:<call>`.
pub(crate) const APPROVAL: &str = "x-bedplate-approval";

/// Returns the agent that the name of a model means.
pub(crate) fn named(model: &str) -> Option<&str> {
    model.strip_prefix(PREFIX)
}

/// Returns the agent that a request's `model` means.
pub(crate) fn asked(head: &Head) -> Option<String> {
    named(head.model.as_deref()?).map(str::to_owned)
}

/// What is asked of an agent.
pub(crate) struct Ask {
    pub(crate) agent: String,
    /// Who asks, as the body says it.
    pub(crate) user: Option<String>,
    /// The session to go on with, where the header names none.
    pub(crate) session: Option<String>,
    /// The request's idempotency key.
    pub(crate) key: Option<String>,
    pub(crate) request: ModelRequest,
}

/// A turn that began.
pub(crate) struct Turn {
    identity: Identity,
    agent: String,
    started: Started,
    info: Option<Arc<ModelInfo>>,
    ignored: Vec<String>,
    live: Subscription,
    /// What waits for a person in the end.
    waits: Waits,
}

/// What waits for a person when a reply has ended, as [`APPROVAL`] says it.
type Waits = Arc<OnceLock<Vec<String>>>;

/// An agent's reply as it comes.
pub(crate) struct Reply {
    pub(crate) about: About,
    pub(crate) events: Events,
    waits: Waits,
}

impl Reply {
    /// Reads the reply to its end, and tells what waits for a person.
    pub(crate) async fn whole(self) -> Result<(ModelReply, About), ApiError> {
        let Self { mut about, events, waits } = self;
        let reply = model_call::whole_events(events).await?;
        for call in waits.get().into_iter().flatten() {
            about.tell(APPROVAL, call.clone());
        }
        Ok((reply, about))
    }
}

/// Asks an agent and answers in a dialect, whole or as a stream; `prefix` begins the reply's id.
pub(crate) async fn answer<W: Writer>(
    app: &App,
    identity: &Identity,
    ask: Ask,
    (prefix, stream): (&str, bool),
    writer: impl FnOnce(Envelope) -> W,
    whole: impl FnOnce(&ModelReply, &Envelope) -> Vec<u8>,
) -> Result<Response, ApiError> {
    let reply = start(app, identity, ask).await?.reply(app);
    let envelope = reply.about.envelope(app, prefix);
    if stream {
        let response = model_call::streamed_events(app, reply.events, writer(envelope)).await?;
        return Ok(reply.about.marked(response, None));
    }
    let (reply, about) = reply.whole().await?;
    Ok(about.json(whole(&reply, &envelope), reply.cost))
}

/// Starts the turn. What stands before the question is told to a new session; one that goes on knows it.
pub(crate) async fn start(app: &App, identity: &Identity, ask: Ask) -> Result<Turn, ApiError> {
    let Some(agent) = app.definitions().agent(&ask.agent) else {
        let shown: String = ask.agent.chars().filter(|c| !c.is_control()).take(128).collect();
        return Err(ApiError::not_found("model_not_found", format!("there is no agent called `{shown}`")));
    };
    let session = identity.said.session.clone().or(ask.session);
    let ignored = ignored(&ask.request);
    let user = user(identity, ask.user.as_deref())?;
    let message = question(ask.request.messages, session.is_none())?;
    let name = agent.definition.name.clone();
    let turn = invoke::Ask {
        agent: name.clone(),
        user,
        session,
        message,
        key: ask.key,
        policy: None,
        timeout_seconds: None,
        adapted: None,
    };
    let started = invoke::start(app, identity, turn).await?;
    let after = started.turn.saturating_sub(1);
    let live = app.runtime().subscribe(&identity.tenant, started.run, after).await.map_err(run_error)?;
    let info = app.model().describe(&agent.definition.model);
    Ok(Turn { identity: identity.clone(), agent: name, started, info, ignored, live, waits: Waits::default() })
}

impl Turn {
    /// Returns the agent's name.
    pub(crate) fn agent(&self) -> &str {
        &self.agent
    }

    /// Returns what the user calls the session.
    pub(crate) fn session(&self) -> &str {
        &self.started.session
    }

    /// Returns what the client is told besides, and the reply as it comes.
    pub(crate) fn reply(self, app: &App) -> Reply {
        let told = vec![
            ("x-bedplate-session", self.started.session.clone()),
            ("x-bedplate-run", self.started.run.to_string()),
        ];
        let about = About::of_agent(format!("{PREFIX}{}", self.agent), self.info.clone(), self.ignored.clone(), told);
        let waits = Arc::clone(&self.waits);
        Reply { about, events: Box::pin(events(app.clone(), self)), waits }
    }
}

/// Returns a text among the fields that a dialect has beside the core ones.
pub(crate) fn said(request: &ModelRequest, dialect: &str, path: &[&str]) -> Option<String> {
    let found = path.iter().try_fold(request.params.extra.get(dialect)?, |value, name| value.get(name))?;
    found.as_str().map(str::to_owned)
}

fn user(identity: &Identity, said: Option<&str>) -> Result<UserId, ApiError> {
    let header = identity.said.user.as_deref();
    // A body's `user` is any text; one that cannot name a user, or differs from the key's, is only a remark.
    let said = said.filter(|user| identity.user.is_none() && identifier("user", user).is_ok());
    identity.user(header.or(said))
}

/// Returns the names of what an agent does not take from a request: it has its own.
fn ignored(request: &ModelRequest) -> Vec<String> {
    let params = &request.params;
    let sampling = params.max_tokens.is_some() || params.temperature.is_some() || params.top_p.is_some();
    [
        ("instructions", !request.system.is_empty()),
        ("tools", !request.tools.is_empty() || request.tool_choice != ToolChoice::Auto),
        ("sampling", sampling || !params.stop_sequences.is_empty()),
        ("output_format", params.output.is_some()),
    ]
    .into_iter()
    .filter(|(_, said)| *said)
    .map(|(name, _)| format!("agent.{name}"))
    .collect()
}

/// Returns what the person says: the last message, behind what was said before where `tell` asks for it.
fn question(messages: Vec<Arc<Message>>, tell: bool) -> Result<Message, ApiError> {
    let Some((last, before)) = messages.split_last().filter(|(last, _)| last.role == Role::User) else {
        return Err(ApiError::bad_request("invalid_request", "the last message must be the user's"));
    };
    if last.tool_results().next().is_some() {
        return Err(ApiError::bad_request(
            "invalid_request",
            "an agent calls its own tools; it takes no results of others",
        ));
    }
    let mut content: Vec<ContentBlock> =
        last.content.iter().filter(|block| !matches!(block, ContentBlock::CachePoint)).cloned().collect();
    let history = transcript(before);
    if tell && !history.is_empty() {
        content.insert(0, ContentBlock::text(format!("What was said before:\n\n{history}\n\nNow:")));
    }
    Ok(Message { role: Role::User, content })
}

fn transcript(messages: &[Arc<Message>]) -> String {
    let lines = messages.iter().filter_map(|message| {
        let text = message.text();
        let who = match message.role {
            Role::User => "User",
            Role::Assistant => "Assistant",
        };
        (!text.trim().is_empty()).then(|| format!("{who}: {text}"))
    });
    lines.collect::<Vec<_>>().join("\n\n")
}

/// Reads a turn as a model's reply.
fn events(app: App, turn: Turn) -> impl futures::Stream<Item = Result<ModelEvent, ModelError>> + Send {
    async_stream::stream! {
        let Turn { identity, started, mut live, info, waits, .. } = turn;
        let mut said = Said { turn: started.turn, ..Said::default() };
        let mut done = Box::pin(invoke::finish(&app, &identity, &started));
        let mut answer = None;
        let mut cut = None;
        let last = loop {
            let mut out = Vec::new();
            let mut over = false;
            tokio::select! {
                biased;
                next = live.next() => match next {
                    Some(Live::Lagged { after }) if cut != Some(after) => {
                        cut = Some(after);
                        match app.runtime().subscribe(&identity.tenant, started.run, after).await {
                            Ok(again) => live = again,
                            Err(error) => break Err(run_error(error)),
                        }
                    }
                    Some(Live::Lagged { .. }) | None => break Err(ApiError::store(&"a live stream ended early")),
                    Some(item) => over = said.take(&item, &mut out),
                },
                result = &mut done, if answer.is_none() => match result {
                    Ok((head, result)) => answer = Some((head, result)),
                    Err(error) => break Err(error),
                },
            }
            for event in out {
                yield Ok(event);
            }
            // Everything that happened comes before the word that it is over.
            over |= answer.as_ref().is_some_and(|(head, _)| said.last >= head.seq);
            if over {
                break match answer {
                    Some((_, result)) => Ok(result),
                    None => done.as_mut().await.map(|(_, result)| result),
                };
            }
        };
        match last.map_err(|error| failed(&error)).and_then(|result| said.end(&started, result, info, &waits)) {
            Ok(last) => for event in last {
                yield Ok(event);
            },
            Err(error) => yield Err(error),
        }
    }
}

fn failed(error: &ApiError) -> ModelError {
    let kind = match error.status.as_u16() {
        503 => ModelErrorKind::Unavailable,
        404 => ModelErrorKind::NotFound,
        _ => ModelErrorKind::InvalidReply,
    };
    ModelError::new(kind, error.message.to_string())
}

/// What a client was told so far.
#[derive(Default)]
struct Said {
    turn: Seq,
    began: bool,
    /// The last entry that was seen.
    last: Seq,
    /// The call whose pieces come, and its blocks that are shown, by their index there.
    call: CallId,
    open: BTreeMap<u32, u32>,
    /// Whether pieces of the call were seen, so that its reply is not told once more.
    pieces: bool,
    /// The texts that were told, each a block.
    texts: Vec<String>,
}

impl Said {
    /// Takes what happened; returns whether it ends the turn.
    fn take(&mut self, live: &Live, out: &mut Vec<ModelEvent>) -> bool {
        match live {
            Live::Entry(entry) => return self.entry(entry, out),
            Live::Partial { call, message } if self.began => {
                self.turn_to(*call, out);
                self.pieces = true;
                for (index, block) in (0..).zip(&message.content) {
                    if let ContentBlock::Text { text } = block {
                        self.start(index, out);
                        self.text(index, text, out);
                    }
                }
            }
            Live::Delta { call, event } if self.began => {
                self.turn_to(*call, out);
                self.pieces = true;
                match event {
                    ModelEvent::BlockStart { index, kind: BlockKind::Text } => self.start(*index, out),
                    ModelEvent::TextDelta { index, text } => self.text(*index, text, out),
                    ModelEvent::BlockStop { index } => self.stop(*index, out),
                    ModelEvent::Restart => self.restart(out),
                    ModelEvent::BlockStart { .. }
                    | ModelEvent::InputDelta { .. }
                    | ModelEvent::ReasoningSeal { .. }
                    | ModelEvent::End(_) => {}
                }
            }
            Live::Restart { call } if *call == self.call => self.restart(out),
            Live::Partial { .. } | Live::Delta { .. } | Live::Restart { .. } | Live::CaughtUp | Live::Lagged { .. } => {
            }
        }
        false
    }

    fn entry(&mut self, entry: &Entry, out: &mut Vec<ModelEvent>) -> bool {
        self.last = entry.seq;
        match &entry.event {
            Event::TurnStarted(_) => self.began |= entry.seq == self.turn,
            Event::QueuedTurnStarted(started) => self.began |= started.queued == self.turn,
            Event::ModelReplied(replied) if self.began => {
                self.turn_to(replied.call, out);
                if !std::mem::replace(&mut self.pieces, false) {
                    for (index, block) in (0..).zip(&replied.message.content) {
                        if let ContentBlock::Text { text } = block {
                            self.start(index, out);
                            self.text(index, text, out);
                        }
                    }
                }
                self.stop_all(out);
            }
            Event::TurnEnded(_) => return self.began,
            _ => {}
        }
        false
    }

    /// Ends what an earlier call left open.
    fn turn_to(&mut self, call: CallId, out: &mut Vec<ModelEvent>) {
        if call != self.call {
            self.stop_all(out);
            self.call = call;
            self.pieces = false;
        }
    }

    fn start(&mut self, index: u32, out: &mut Vec<ModelEvent>) {
        let block = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.open.insert(index, block);
        self.texts.push(String::new());
        out.push(ModelEvent::BlockStart { index: block, kind: BlockKind::Text });
    }

    fn text(&mut self, index: u32, text: &str, out: &mut Vec<ModelEvent>) {
        if let Some(&block) = self.open.get(&index) {
            self.texts[block as usize].push_str(text);
            out.push(ModelEvent::TextDelta { index: block, text: text.to_owned() });
        }
    }

    fn stop(&mut self, index: u32, out: &mut Vec<ModelEvent>) {
        if let Some(block) = self.open.remove(&index) {
            out.push(ModelEvent::BlockStop { index: block });
        }
    }

    fn stop_all(&mut self, out: &mut Vec<ModelEvent>) {
        for block in std::mem::take(&mut self.open).into_values() {
            out.push(ModelEvent::BlockStop { index: block });
        }
    }

    /// What was told of the call is void. When nothing was told of it, nobody needs to know.
    fn restart(&mut self, out: &mut Vec<ModelEvent>) {
        if std::mem::take(&mut self.open).is_empty() {
            return;
        }
        out.push(ModelEvent::Restart);
    }

    /// Tells one text more.
    fn add(&mut self, text: String, out: &mut Vec<ModelEvent>) {
        self.start(u32::MAX, out);
        self.text(u32::MAX, &text, out);
        self.stop(u32::MAX, out);
    }

    fn end(
        mut self,
        started: &Started,
        result: TurnResult,
        info: Option<Arc<ModelInfo>>,
        waits: &Waits,
    ) -> Result<Vec<ModelEvent>, ModelError> {
        let mut out = Vec::new();
        self.stop_all(&mut out);
        let why = result.message.clone().unwrap_or_default();
        let stop_reason = match &result.state {
            TurnState::Waiting(open) => {
                let run = started.run;
                let _ = waits.set(open.iter().map(|question| format!("{run}:{}", question.call)).collect());
                let lines = open.iter().map(|question| {
                    format!(
                        "Waits for approval ({}, call {} of run {run}): {}",
                        question.tool, question.call, question.question
                    )
                });
                self.add(lines.collect::<Vec<_>>().join("\n\n"), &mut out);
                StopReason::EndTurn
            }
            TurnState::Ended(TurnOutcome::Completed) => StopReason::EndTurn,
            TurnState::Ended(TurnOutcome::MaxTokens) => StopReason::MaxTokens,
            TurnState::Ended(TurnOutcome::Refused) => StopReason::Refusal,
            TurnState::Ended(TurnOutcome::ContextExceeded) => StopReason::ModelContextWindowExceeded,
            TurnState::Ended(
                outcome @ (TurnOutcome::MaxIterations
                | TurnOutcome::MaxToolCalls
                | TurnOutcome::MaxTurnTokens
                | TurnOutcome::MaxCost),
            ) => {
                self.add(
                    format!("The agent stopped at a limit: {}. {why}", crate::wire::outcome_word(*outcome)),
                    &mut out,
                );
                StopReason::MaxTokens
            }
            TurnState::Ended(TurnOutcome::Timeout) => return Err(ModelError::new(ModelErrorKind::Timeout, why)),
            TurnState::Ended(TurnOutcome::Cancelled | TurnOutcome::Interrupted) => {
                return Err(ModelError::new(ModelErrorKind::InvalidRequest, format!("the turn was cancelled: {why}")));
            }
            TurnState::Ended(TurnOutcome::ModelFailed) => {
                return Err(ModelError::new(ModelErrorKind::InvalidReply, why));
            }
        };
        let content = self.texts.into_iter().filter(|text| !text.is_empty()).map(ContentBlock::text).collect();
        out.push(ModelEvent::End(Box::new(ModelReply {
            message: Message { role: Role::Assistant, content },
            stop_reason,
            stop_sequence: None,
            usage: result.usage,
            cost: Some(result.cost),
            model: result.model,
            provider: info.map(|info| info.provider.clone()).unwrap_or_default(),
        })));
        Ok(out)
    }
}
