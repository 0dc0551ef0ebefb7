//! The fold alone: it takes every journal, also one that no machine would write.

use crate::bench::{Bench, START, agent, reply, tool_use};
use bedplate_core::{
    event::{
        CancelReason, CancelRequested, Entry, Event, ModelCalled, ModelFailed, ModelReplied, Preparation,
        QuestionAnswered, QuestionAsked, QuestionKind, QueuedTurnStarted, ToolBegun, ToolOutcome, ToolPrepared,
        ToolRequested, ToolReturned, TurnEnded, TurnOutcome,
    },
    id::Seq,
    message::{ContentBlock, StopReason, Usage},
    tool::ToolOutput,
};
use bedplate_engine::{
    agent::{Agent, AgentState, invariants},
    machine::Machine,
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

/// One event of each kind that refers to `of`; `kind` chooses.
fn event(kind: u8, of: Seq) -> Event {
    let bench = Bench::new(agent());
    let deadline = START.after(Duration::from_secs(9));
    match kind % 16 {
        0 => Event::TurnStarted(bench.input(&format!("s{of}"), "hi")),
        1 => Event::TurnQueued(bench.input(&format!("q{of}"), "later")),
        2 => Event::QueuedTurnStarted(QueuedTurnStarted { queued: of }),
        3 | 14 => Event::ModelCalled(ModelCalled {
            route: "default".to_owned(),
            from: of,
            attempt: 1,
            max_tokens: 10,
            reserved: 0,
            deadline,
            not_before: None,
        }),
        4 | 15 => {
            let content = vec![ContentBlock::text("so"), tool_use("a", "pay"), tool_use("a", "refund")];
            let said = reply(StopReason::ToolUse, content);
            Event::ModelReplied(ModelReplied {
                call: of,
                message: Arc::new(said.message),
                stop_reason: said.stop_reason,
                usage: Usage::default(),
                cost: 0,
                model: said.model,
                took_ms: 0,
                partial: false,
            })
        }
        5 => Event::ModelFailed(ModelFailed {
            call: of,
            code: "x".to_owned(),
            message: "x".to_owned(),
            retryable: true,
            retry_after_ms: None,
            usage: Usage::default(),
            cost: 0,
        }),
        6 | 7 => {
            let deadline = (kind % 16 == 6).then_some(deadline);
            let index = u32::try_from(of % 2).unwrap();
            Event::ToolRequested(ToolRequested { reply: of, index, name: "pay".to_owned(), deadline })
        }
        8 => Event::ToolPrepared(ToolPrepared { call: of, preparation: Preparation::Run }),
        9 => Event::QuestionAsked(QuestionAsked {
            call: of,
            kind: QuestionKind::Approval,
            question: "Sure?".to_owned(),
            preview: serde_json::Value::Null,
            deadline,
        }),
        10 => Event::QuestionAnswered(QuestionAnswered { call: of, approved: true, by: None, note: None }),
        11 => Event::ToolBegun(ToolBegun { call: of, deadline }),
        12 => Event::ToolReturned(ToolReturned {
            call: of,
            outcome: ToolOutcome::Done,
            output: Arc::new(ToolOutput::text("x")),
            took_ms: 0,
        }),
        _ if of.is_multiple_of(2) => Event::CancelRequested(CancelRequested {
            by: None,
            reason: CancelReason::Interrupted,
            turn: of.is_multiple_of(4).then_some(of),
        }),
        _ => Event::TurnEnded(TurnEnded { outcome: TurnOutcome::Completed, message: None }),
    }
}

#[test]
fn an_event_that_makes_no_sense_changes_only_the_position() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    let calls = bench.call(&["pay", "refund", "refund"]);
    bench.ask(calls[1], "Sure?").returns(calls[0], "paid");
    let seq = Agent::position(&bench.state) + 1;
    let nonsense = [
        event(0, 1),
        event(2, 1),
        event(3, 1),
        event(4, 2),
        event(5, 2),
        event(6, 3),
        event(8, calls[1]),
        event(8, calls[0]),
        event(9, calls[0]),
        event(10, calls[2]),
        event(11, calls[0]),
        event(12, calls[0]),
        event(12, 99),
    ];
    for event in nonsense {
        let mut state = bench.state.clone();
        Agent::apply(&mut state, seq, bench.now, &event);
        let mut expected = bench.state.clone();
        let forked = bedplate_core::event::Forked {
            from: bedplate_core::id::RunId::derive(&[]),
            at: 1,
            session: "s".to_owned(),
        };
        Agent::apply(&mut expected, seq, bench.now, &Event::Forked(forked));
        assert!(state == expected, "{event:?}");
    }
}

#[test]
fn a_turn_that_a_journal_ends_with_open_calls_still_leaves_a_conversation_that_can_go_on() {
    let mut bench = Bench::new(agent());
    bench.start("hi");
    bench.call(&["pay", "look"]);
    let seq = Agent::position(&bench.state) + 1;
    let mut state = bench.state.clone();
    Agent::apply(&mut state, seq, bench.now, &event(13, 1));
    invariants::well_formed_conversation(&state).unwrap();
    let last = state.messages().last().unwrap().1;
    assert_eq!(last.tool_results().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_journal_folds_into_a_well_formed_conversation(
        events in prop::collection::vec((any::<u8>(), 0..4_u64), 1..80),
    ) {
        let mut state = AgentState::default();
        let mut entries = Vec::new();
        for (seq, (kind, back)) in (1..).zip(events) {
            let event = event(kind, seq - (back + 1).min(seq));
            let entry = Entry { seq, at: START, event };
            Agent::apply(&mut state, seq, START, &entry.event);
            entries.push(entry);
        }
        prop_assert_eq!(invariants::well_formed_conversation(&state), Ok(()));
        prop_assert_eq!(invariants::snapshot_restore_equals_state(&entries, &state), Ok(()));
        Agent::wake_at(&state);
        Agent::status(&state);
    }
}
