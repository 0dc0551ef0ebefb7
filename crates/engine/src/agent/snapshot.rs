//! The compact form of a state: positions and figures, never content.
//!
//! Every content that the state holds stands in an event; the snapshot names its position, and the event is given back
//! with [`restore_entry`]. When the last one is there, the state is put together the way the fold would have done it.

use super::{
    conversation::{Conversation, Source},
    state::{
        AgentState, Call, CallRecord, Failure, KnownKey, Next, OpenModel, Phase, Queued, Reply, System, Tries, Turn,
    },
    view::TurnView,
};
use bedplate_core::{
    event::{CancelReason, Event, Preparation, QuestionAsked, QuestionKind, TurnInput},
    id::{CallId, ContentHash, Seq},
    message::{Message, StopReason},
    time::Timestamp,
    tool::ToolOutput,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

/// The version of the form; a snapshot of another version is not used.
const VERSION: u32 = 1;

/// A state in the making: its form, and the content that came so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Restoring {
    form: Form,
    missing: BTreeSet<Seq>,
    content: HashMap<Seq, Content>,
}

/// The content of an event that a state refers to.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Input(Box<TurnInput>),
    Reply(Arc<Message>, StopReason),
    Output(Arc<ToolOutput>),
    Preparation(Preparation),
    Question(Box<QuestionAsked>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Form {
    version: u32,
    position: Seq,
    parts: Vec<PartForm>,
    system: Option<Seq>,
    pinned: Option<ContentHash>,
    turn: Option<TurnForm>,
    queue: Vec<TurnView>,
    interrupter: Option<Seq>,
    finished: VecDeque<TurnView>,
    /// The turns whose keys are known: all.
    turns: Vec<Seq>,
    calls: VecDeque<CallRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum PartForm {
    #[serde(rename = "q")]
    Question(Seq, Seq),
    #[serde(rename = "a")]
    Reply(Seq),
    #[serde(rename = "r")]
    Results(Seq, Seq, Vec<Seq>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TurnForm {
    view: TurnView,
    definition: ContentHash,
    timeout_seconds: Option<u64>,
    question: Seq,
    cancel: Option<CancelReason>,
    waited_ms: u64,
    waiting_since: Option<Timestamp>,
    next: NextForm,
    tries: Tries,
    reply: Option<ReplyForm>,
    calls: Vec<CallForm>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum NextForm {
    AskModel,
    AwaitModel(OpenModel),
    HandleFailure(Failure),
    HandleReply,
    AwaitCalls,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ReplyForm {
    seq: Seq,
    max_tokens: u32,
    uses: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct CallForm {
    id: CallId,
    index: u32,
    name: String,
    attempts: u32,
    note: Option<String>,
    phase: PhaseForm,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum PhaseForm {
    Looking,
    Prepared(Seq),
    Asking(Seq),
    Answered { kind: QuestionKind, approved: bool, expired: bool },
    Performing(Timestamp),
    Closed(Seq),
}

/// Returns the compact form of a state.
pub(super) fn snapshot(state: &AgentState) -> Vec<u8> {
    let parts = state.conversation.parts().iter().map(|part| match &part.source {
        Source::Question(source) => PartForm::Question(part.seq, *source),
        Source::Reply => PartForm::Reply(part.seq),
        Source::Results { reply, returned } => PartForm::Results(part.seq, *reply, returned.to_vec()),
    });
    let mut turns: Vec<Seq> = state.keys.values().map(|known| known.turn).collect();
    turns.sort_unstable();
    let form = Form {
        version: VERSION,
        position: state.position,
        parts: parts.collect(),
        system: state.system.as_ref().map(|system| system.at),
        pinned: state.pinned,
        turn: state.turn.as_ref().map(turn_form),
        queue: state.queue.iter().map(|queued| queued.view.clone()).collect(),
        interrupter: state.interrupter,
        finished: state.finished.clone(),
        turns,
        calls: state.calls.clone(),
    };
    // An empty snapshot is one that cannot be restored: then everything is folded.
    serde_json::to_vec(&form).unwrap_or_default()
}

fn turn_form(turn: &Turn) -> TurnForm {
    TurnForm {
        view: turn.view.clone(),
        definition: turn.definition,
        timeout_seconds: turn.timeout_seconds,
        question: turn.question,
        cancel: turn.cancel,
        waited_ms: turn.waited_ms,
        waiting_since: turn.waiting_since,
        next: match &turn.next {
            Next::AskModel => NextForm::AskModel,
            Next::AwaitModel(open) => NextForm::AwaitModel(open.clone()),
            Next::HandleFailure(failure) => NextForm::HandleFailure(failure.clone()),
            Next::HandleReply => NextForm::HandleReply,
            Next::AwaitCalls => NextForm::AwaitCalls,
        },
        tries: turn.tries,
        reply: turn.reply.as_ref().map(|reply| ReplyForm {
            seq: reply.seq,
            max_tokens: reply.max_tokens,
            uses: reply.uses,
        }),
        calls: turn.calls.iter().map(call_form).collect(),
    }
}

fn call_form(call: &Call) -> CallForm {
    CallForm {
        id: call.id,
        index: call.index,
        name: call.name.clone(),
        attempts: call.attempts,
        note: call.note.clone(),
        phase: match &call.phase {
            Phase::Looking => PhaseForm::Looking,
            Phase::Prepared { at, .. } => PhaseForm::Prepared(*at),
            Phase::Asking { at, .. } => PhaseForm::Asking(*at),
            Phase::Answered { kind, approved, expired } => {
                PhaseForm::Answered { kind: *kind, approved: *approved, expired: *expired }
            }
            Phase::Performing { deadline } => PhaseForm::Performing(*deadline),
            Phase::Closed { at, .. } => PhaseForm::Closed(*at),
        },
    }
}

/// Returns a state in the making and the positions whose events it lacks, ascending.
pub(super) fn restore(bytes: &[u8]) -> Option<(AgentState, Vec<Seq>)> {
    let form: Form = serde_json::from_slice(bytes).ok().filter(|form: &Form| form.version == VERSION)?;
    let missing = positions(&form);
    let needed = missing.iter().copied().collect();
    let mut state = AgentState { position: form.position, ..AgentState::default() };
    let restoring = Restoring { form, missing, content: HashMap::new() };
    if restoring.missing.is_empty() {
        state = restoring.finish();
    } else {
        state.restoring = Some(Box::new(restoring));
    }
    Some((state, needed))
}

fn positions(form: &Form) -> BTreeSet<Seq> {
    let mut needed: BTreeSet<Seq> = form.turns.iter().copied().collect();
    needed.extend(form.queue.iter().map(|view| view.id));
    needed.extend(form.system);
    for part in &form.parts {
        match part {
            PartForm::Question(_, source) => drop(needed.insert(*source)),
            PartForm::Reply(seq) => drop(needed.insert(*seq)),
            PartForm::Results(_, reply, returned) => {
                needed.insert(*reply);
                needed.extend(returned.iter().filter(|&&seq| seq > 0));
            }
        }
    }
    if let Some(turn) = &form.turn {
        needed.extend(turn.reply.as_ref().map(|reply| reply.seq));
        needed.extend(turn.calls.iter().filter_map(|call| match call.phase {
            PhaseForm::Prepared(at) | PhaseForm::Asking(at) | PhaseForm::Closed(at) => Some(at),
            PhaseForm::Looking | PhaseForm::Answered { .. } | PhaseForm::Performing(_) => None,
        }));
    }
    needed
}

/// Gives a restored state the content of the event at `seq`.
pub(super) fn restore_entry(state: &mut AgentState, seq: Seq, _at: Timestamp, event: &Event) {
    let Some(restoring) = &mut state.restoring else { return };
    if !restoring.missing.contains(&seq) {
        return;
    }
    let content = match event {
        Event::TurnQueued(input) | Event::TurnStarted(input) => Content::Input(Box::new(input.clone())),
        Event::ModelReplied(replied) => Content::Reply(Arc::clone(&replied.message), replied.stop_reason),
        Event::ToolReturned(returned) => Content::Output(Arc::clone(&returned.output)),
        Event::ToolPrepared(prepared) => Content::Preparation(prepared.preparation.clone()),
        Event::QuestionAsked(asked) => Content::Question(Box::new(asked.clone())),
        _ => return,
    };
    restoring.missing.remove(&seq);
    restoring.content.insert(seq, content);
    if restoring.missing.is_empty()
        && let Some(restoring) = state.restoring.take()
    {
        *state = restoring.finish();
    }
}

impl Restoring {
    fn finish(mut self) -> AgentState {
        let conversation = self.conversation();
        let turn = self.form.turn.take().map(|form| self.turn(form));
        let queue = std::mem::take(&mut self.form.queue);
        let queue = queue
            .into_iter()
            .filter_map(|view| self.input(view.id).cloned().map(|input| Queued { view, input }))
            .collect();
        let system = self.form.system.and_then(|at| {
            let text = self.input(at)?.system.clone()?;
            Some(System { at, text })
        });
        let keys = self.form.turns.iter().filter_map(|&turn| {
            let input = self.input(turn)?;
            Some((input.key.as_str().into(), KnownKey { turn, request_hash: input.request_hash }))
        });
        AgentState {
            position: self.form.position,
            conversation,
            system,
            pinned: self.form.pinned,
            turn,
            queue,
            interrupter: self.form.interrupter,
            keys: keys.collect(),
            finished: self.form.finished,
            calls: self.form.calls,
            restoring: None,
        }
    }

    fn conversation(&self) -> Conversation {
        let mut conversation = Conversation::default();
        let mut reply_shown = (0, Arc::new(Message::user("")));
        for part in &self.form.parts {
            match part {
                PartForm::Question(seq, source) => {
                    if let Some(input) = self.input(*source) {
                        conversation.push_question(*seq, *source, &input.message);
                    }
                }
                PartForm::Reply(seq) => {
                    if let Some((message, stop_reason)) = self.reply(*seq) {
                        reply_shown = (*seq, conversation.push_reply(*seq, message, stop_reason));
                    }
                }
                PartForm::Results(seq, reply, returned) if reply_shown.0 == *reply => {
                    let results: Vec<_> = returned.iter().map(|&at| Some((at, self.output(at)?))).collect();
                    conversation.push_results(*seq, *reply, &reply_shown.1, &results);
                }
                PartForm::Results(..) => {}
            }
        }
        conversation
    }

    fn turn(&self, form: TurnForm) -> Turn {
        Turn {
            billing: self.input(form.view.id).and_then(|input| input.billing.clone()),
            view: form.view,
            definition: form.definition,
            timeout_seconds: form.timeout_seconds,
            question: form.question,
            cancel: form.cancel,
            waited_ms: form.waited_ms,
            waiting_since: form.waiting_since,
            next: match form.next {
                NextForm::AskModel => Next::AskModel,
                NextForm::AwaitModel(open) => Next::AwaitModel(open),
                NextForm::HandleFailure(failure) => Next::HandleFailure(failure),
                NextForm::HandleReply => Next::HandleReply,
                NextForm::AwaitCalls => Next::AwaitCalls,
            },
            tries: form.tries,
            reply: form.reply.and_then(|reply| {
                let (message, stop_reason) = self.reply(reply.seq)?;
                Some(Reply {
                    seq: reply.seq,
                    message: Conversation::shown_reply(message, stop_reason),
                    stop_reason,
                    max_tokens: reply.max_tokens,
                    uses: reply.uses,
                })
            }),
            calls: form.calls.into_iter().filter_map(|call| self.call(call)).collect(),
        }
    }

    fn call(&self, form: CallForm) -> Option<Call> {
        let phase = match form.phase {
            PhaseForm::Looking => Phase::Looking,
            PhaseForm::Prepared(at) => Phase::Prepared { at, preparation: self.preparation(at)? },
            PhaseForm::Asking(at) => Phase::Asking { at, question: self.question(at)? },
            PhaseForm::Answered { kind, approved, expired } => Phase::Answered { kind, approved, expired },
            PhaseForm::Performing(deadline) => Phase::Performing { deadline },
            PhaseForm::Closed(at) => Phase::Closed { at, output: self.output(at)? },
        };
        let CallForm { id, index, name, attempts, note, .. } = form;
        Some(Call { id, index, name, attempts, note, phase })
    }

    fn input(&self, seq: Seq) -> Option<&TurnInput> {
        match self.content.get(&seq)? {
            Content::Input(input) => Some(input),
            _ => None,
        }
    }

    fn reply(&self, seq: Seq) -> Option<(&Arc<Message>, StopReason)> {
        match self.content.get(&seq)? {
            Content::Reply(message, stop_reason) => Some((message, *stop_reason)),
            _ => None,
        }
    }

    fn output(&self, seq: Seq) -> Option<Arc<ToolOutput>> {
        match self.content.get(&seq)? {
            Content::Output(output) => Some(Arc::clone(output)),
            _ => None,
        }
    }

    fn preparation(&self, seq: Seq) -> Option<Preparation> {
        match self.content.get(&seq)? {
            Content::Preparation(preparation) => Some(preparation.clone()),
            _ => None,
        }
    }

    fn question(&self, seq: Seq) -> Option<Box<QuestionAsked>> {
        match self.content.get(&seq)? {
            Content::Question(question) => Some(question.clone()),
            _ => None,
        }
    }
}
