//! Moving the open tool calls on: what a look found, what a person answered, what is overdue.

use crate::agent::{
    plan::Plan,
    say,
    state::{Call, Phase},
    wake::GRACE,
};
use crate::machine::Intent;
use bedplate_core::event::{Event, Preparation, QuestionAnswered, QuestionKind, ToolOutcome};

/// Moves each open call on by itself: none waits for another.
pub(super) fn advance(plan: &mut Plan<'_>) {
    let turn = plan.turn;
    for call in &turn.calls {
        match &call.phase {
            Phase::Prepared { preparation, .. } => prepared(plan, call, preparation),
            Phase::Asking { question, .. } if plan.context.now >= question.deadline => {
                let answer = QuestionAnswered { call: call.id, approved: false, by: None, note: None };
                plan.event(Event::QuestionAnswered(answer));
            }
            Phase::Answered { kind, approved, expired } => answered(plan, call, *kind, *approved, *expired),
            Phase::Performing { deadline } if plan.context.now >= deadline.after(GRACE) => {
                plan.intent(Intent::Abandon { call: call.id });
                plan.outcome_unknown(call, "it did not return in time", false, 0);
            }
            Phase::Looking | Phase::Asking { .. } | Phase::Performing { .. } | Phase::Closed { .. } => {}
        }
    }
}

fn prepared(plan: &mut Plan<'_>, call: &Call, preparation: &Preparation) {
    match preparation {
        Preparation::Run => plan.begin(call),
        Preparation::Ask { question, preview } => {
            let question = if question.trim().is_empty() { say::ask(&call.name) } else { question.clone() };
            plan.ask(call, QuestionKind::Approval, question, preview.clone());
        }
        Preparation::Refuse(output) => plan.close(call.id, ToolOutcome::Failed, output.clone(), 0),
    }
}

fn answered(plan: &mut Plan<'_>, call: &Call, kind: QuestionKind, approved: bool, expired: bool) {
    if approved {
        return plan.begin(call);
    }
    let outcome = match kind {
        QuestionKind::Approval => ToolOutcome::Refused,
        QuestionKind::OutcomeUnknown => ToolOutcome::OutcomeUnknown,
    };
    plan.close(call.id, outcome, say::refused(kind, expired, call.note.as_deref()), 0);
}
