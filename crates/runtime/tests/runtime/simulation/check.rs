//! The verdict on a world, from its journals and from the receiver of its effects alone.

use super::world::{Acknowledged, Report};
use bedplate_core::{
    event::{Entry, Event, QuestionKind, ToolOutcome},
    id::{CallId, RunId, idempotency_key},
    port::{
        definitions::PinnedAgent,
        journal::{Head, RunStatus},
    },
};
use bedplate_engine::{
    agent::{Agent, AgentState, invariants},
    definition::Definition,
    machine::Machine,
};
use bedplate_testkit::sim::Record;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Everything that a world left behind.
pub struct Past<'a> {
    pub seed: u64,
    pub journals: &'a [(Head, Vec<Entry>)],
    pub acknowledged: &'a [Acknowledged],
    pub records: &'a BTreeMap<String, Record>,
    pub agents: &'a [PinnedAgent],
}

/// What the journals say of one tool call.
#[derive(Debug, Default)]
struct Call {
    run: Option<RunId>,
    id: CallId,
    begun: bool,
    /// How often a person allowed it to be made again.
    permits: u32,
    approved: bool,
    outcome: Option<ToolOutcome>,
}

impl Past<'_> {
    pub fn check(&self, report: &mut Report) {
        self.nothing_is_lost(report);
        self.nothing_is_doubled(report);
        self.machines_kept_their_rules(report);
    }

    /// Lost is acknowledged, and neither ended nor waiting on a question that is shown.
    fn nothing_is_lost(&self, report: &mut Report) {
        let states: HashMap<RunId, (RunStatus, AgentState)> =
            self.journals.iter().map(|(head, entries)| (head.run.id, (head.status, fold(entries)))).collect();
        for Acknowledged { run, key, turn } in self.acknowledged {
            let found = states.get(run).and_then(|(status, state)| Some((status, state.turn(*turn)?, state)));
            let kept = found.is_some_and(|(status, view, state)| {
                let shown = *status == RunStatus::Waiting && state.open_questions().next().is_some();
                state.turn_of_key(key) == Some(*turn) && (view.outcome.is_some() || shown)
            });
            if !kept {
                report.lost.push(format!("seed {}: turn {turn} ({key}) of {run} is lost", self.seed));
            }
        }
    }

    /// Doubled is two effects under one key, counted at the receiver; a person may permit another.
    fn nothing_is_doubled(&self, report: &mut Report) {
        let calls = self.calls();
        for (key, record) in self.records {
            let say = |what: &str| format!("seed {}: {what}: {} under {key}: {record:?}", self.seed, record.tool);
            // A sum is computed before its intent is durable. A crash between forgets both, and another call may then
            // stand at the same place.
            if record.tool == "sum" && record.effects == 0 {
                continue;
            }
            let Some(call) = calls.get(key) else {
                report.broken.push(say("an effect that no journal knows"));
                continue;
            };
            let say = |what: &str| format!("{} {call:?}", say(what));
            if record.effects > 1 + call.permits {
                report.doubled.push(say("doubled"));
            }
            if !call.begun {
                report.broken.push(say("performed before it was journaled"));
            }
            if record.tool == "refund" && !call.approved {
                report.broken.push(say("performed without approval"));
            }
        }
        for (key, call) in &calls {
            let arrived = self.records.get(key).is_some_and(|record| record.executions > 0);
            if call.outcome == Some(ToolOutcome::Done) && !arrived {
                report.lost.push(format!("seed {}: a call is said to be done and never arrived: {call:?}", self.seed));
            }
        }
    }

    fn machines_kept_their_rules(&self, report: &mut Report) {
        let definitions: HashMap<_, _> =
            self.agents.iter().map(|agent| (agent.hash, Arc::new(Definition::from(agent)))).collect();
        let find = |hash| definitions.get(&hash).cloned();
        for (head, entries) in self.journals {
            if let Err(broken) = invariants::check(entries, &fold(entries), &find) {
                let near = entries.iter().filter(|entry| entry.seq + 14 > broken.at && entry.seq <= broken.at);
                let near: Vec<String> = near.map(|entry| format!("\n  {entry:?}")).collect();
                report.broken.push(format!("seed {}: {}: {broken}{}", self.seed, head.run.id, near.concat()));
            }
        }
    }

    fn calls(&self) -> HashMap<String, Call> {
        let mut calls: HashMap<String, Call> = HashMap::new();
        for (head, entries) in self.journals {
            let run = head.run.id;
            let mut asked: HashMap<CallId, QuestionKind> = HashMap::new();
            for entry in entries {
                let id = match &entry.event {
                    Event::ToolRequested(_) => entry.seq,
                    Event::QuestionAsked(question) => question.call,
                    Event::QuestionAnswered(answer) => answer.call,
                    Event::ToolBegun(begun) => begun.call,
                    Event::ToolReturned(returned) => returned.call,
                    _ => continue,
                };
                let call = calls.entry(idempotency_key(run, id)).or_default();
                (call.run, call.id) = (Some(run), id);
                match &entry.event {
                    Event::ToolRequested(requested) => call.begun |= requested.deadline.is_some(),
                    Event::ToolBegun(_) => call.begun = true,
                    Event::QuestionAsked(question) => drop(asked.insert(id, question.kind)),
                    Event::QuestionAnswered(answer) if answer.approved && answer.by.is_some() => match asked.get(&id) {
                        Some(QuestionKind::Approval) => call.approved = true,
                        Some(QuestionKind::OutcomeUnknown) => call.permits += 1,
                        None => {}
                    },
                    Event::ToolReturned(returned) => call.outcome = Some(returned.outcome),
                    _ => {}
                }
            }
        }
        calls
    }
}

/// Returns the state that entries fold to.
pub fn fold(entries: &[Entry]) -> AgentState {
    let mut state = AgentState::default();
    for entry in entries {
        Agent::apply(&mut state, entry.seq, entry.at, &entry.event);
    }
    state
}
