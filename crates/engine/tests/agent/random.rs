//! Random runs: replies, failures, answers, cancels, crashes, timers, stale and doubled inputs, in any order. Every
//! step checks every invariant; at the end the run comes to rest.

use crate::bench::{Bench, agent, reply, tool_use};
use bedplate_core::{
    agent::{AgentDefinition, Limits, Price, SessionPolicy, Truncation},
    event::{Event, Preparation},
    id::CallId,
    message::{ContentBlock, Message, Reasoning, StopReason, ToolUse},
    port::{
        model::{ModelError, ModelErrorKind},
        tools::{ToolError, ToolErrorKind},
    },
    tool::ToolOutput,
};
use bedplate_engine::{
    agent::{Agent, AgentSignal},
    machine::{Input, Machine},
};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

/// Something that comes from outside; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Act {
    Start { text: u8, policy: SessionPolicy, deploy: bool },
    Reply { stop: StopReason, blocks: Vec<Block>, stale: bool },
    Fail { kind: ModelErrorKind, retry_after: Option<u16> },
    Prepared { which: usize, what: u8 },
    Returned { which: usize, what: u8 },
    Answer { which: usize, approved: bool },
    Cancel { which: Option<usize> },
    Recover,
    Pass { millis: u32 },
    Sleep,
}

#[derive(Clone, Debug)]
enum Block {
    Text(u8),
    Thought,
    Call { tool: usize, id: u8, malformed: bool },
}

const TOOLS: [&str; 5] = ["look", "pay", "refund", "cancel_order", "unknown"];

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        2 => (0..4_u8).prop_map(Block::Text),
        1 => Just(Block::Thought),
        4 => (0..TOOLS.len(), 0..4_u8, prop::bool::weighted(0.1))
            .prop_map(|(tool, id, malformed)| Block::Call { tool, id, malformed }),
    ]
}

fn stop() -> impl Strategy<Value = StopReason> {
    prop_oneof![
        6 => Just(StopReason::ToolUse),
        3 => Just(StopReason::EndTurn),
        1 => prop::sample::select(vec![
            StopReason::MaxTokens,
            StopReason::StopSequence,
            StopReason::ContentFiltered,
            StopReason::GuardrailIntervened,
            StopReason::ModelContextWindowExceeded,
            StopReason::Refusal,
            StopReason::PauseTurn,
        ]),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let policy = prop::sample::select(vec![SessionPolicy::Enqueue, SessionPolicy::Reject, SessionPolicy::Interrupt]);
    let kind = prop::sample::select(vec![
        ModelErrorKind::Unavailable,
        ModelErrorKind::RateLimited,
        ModelErrorKind::BrokenStream,
        ModelErrorKind::Timeout,
        ModelErrorKind::InvalidRequest,
    ]);
    prop_oneof![
        4 => (0..12_u8, policy, prop::bool::weighted(0.2))
            .prop_map(|(text, policy, deploy)| Act::Start { text, policy, deploy }),
        8 => (stop(), prop::collection::vec(block(), 0..5), prop::bool::weighted(0.1))
            .prop_map(|(stop, blocks, stale)| Act::Reply { stop, blocks, stale }),
        2 => (kind, prop::option::of(0..60_000_u16)).prop_map(|(kind, retry_after)| Act::Fail { kind, retry_after }),
        5 => (0..8_usize, 0..6_u8).prop_map(|(which, what)| Act::Prepared { which, what }),
        10 => (0..8_usize, 0..8_u8).prop_map(|(which, what)| Act::Returned { which, what }),
        5 => (0..8_usize, any::<bool>()).prop_map(|(which, approved)| Act::Answer { which, approved }),
        1 => prop::option::of(0..4_usize).prop_map(|which| Act::Cancel { which }),
        2 => Just(Act::Recover),
        2 => (0..30_000_u32).prop_map(|millis| Act::Pass { millis }),
        1 => Just(Act::Sleep),
    ]
}

fn definition() -> impl Strategy<Value = AgentDefinition> {
    let truncation =
        prop_oneof![Just(Truncation::None), (0..8_usize).prop_map(|messages| Truncation::SlidingWindow { messages }),];
    let limits = (
        1..8_u32,
        prop::option::of(100..3_000_u64),
        1..12_u32,
        prop::option::of(100..5_000_u64),
        prop::sample::select(vec![5_u64, 60, 300]),
    );
    (truncation, limits).prop_map(|(truncation, (iterations, tokens, calls, cost, seconds))| AgentDefinition {
        truncation,
        limits: Limits {
            max_iterations: iterations,
            max_tokens: 200,
            max_turn_tokens: tokens,
            max_tool_calls: calls,
            max_cost_micros: cost,
            timeout_seconds: seconds,
        },
        ..agent()
    })
}

fn content(blocks: Vec<Block>) -> Vec<ContentBlock> {
    let one = |block| match block {
        Block::Text(0) => ContentBlock::text(" "),
        Block::Text(n) => ContentBlock::text(format!("text {n}")),
        Block::Thought => ContentBlock::Reasoning(Reasoning {
            text: "hm".to_owned(),
            signature: Some("s".to_owned()),
            redacted: None,
            family: None,
        }),
        Block::Call { tool, id, malformed: false } => tool_use(&"x".repeat(id.into()), TOOLS[tool]),
        Block::Call { tool, id, malformed: true } => ContentBlock::ToolUse(ToolUse {
            id: "x".repeat(id.into()),
            name: TOOLS[tool].to_owned(),
            input: json!({}),
            malformed: Some("{".to_owned()),
        }),
    };
    blocks.into_iter().map(one).collect()
}

/// Picks one of all calls that were ever requested, the open ones first: stale and doubled inputs come by themselves.
fn pick(bench: &Bench, which: usize) -> Option<CallId> {
    let mut calls: Vec<CallId> = bench.state.open_tool_calls().collect();
    let requested = bench.entries.iter().rev().filter(|entry| matches!(entry.event, Event::ToolRequested(_)));
    calls.extend(requested.map(|entry| entry.seq).take(3));
    calls.get(which % calls.len().max(1)).copied()
}

fn play(bench: &mut Bench, act: Act) {
    match act {
        Act::Start { text, policy, deploy } => {
            if deploy {
                let mut next = agent();
                next.description = format!("{text}");
                bench.pin(next);
            }
            bench.start_with(&format!("question {text}"), policy);
        }
        Act::Reply { stop, blocks, stale } => {
            let open = bench.state.open_model_call();
            let call = if stale { Some(2) } else { open };
            if let Some(call) = call {
                bench.step(Input::Model { call, result: Ok(reply(stop, content(blocks))), took_ms: 3 });
            }
        }
        Act::Fail { kind, retry_after } => {
            if let Some(call) = bench.state.open_model_call() {
                let mut error = ModelError::new(kind, "failed");
                error.retry_after = retry_after.map(|millis| Duration::from_millis(millis.into()));
                bench.step(Input::Model { call, result: Err(error), took_ms: 3 });
            }
        }
        Act::Prepared { which, what } => {
            let Some(call) = pick(bench, which) else { return };
            let result = match what {
                0 => Ok(Preparation::Run),
                1 => Ok(Preparation::Refuse(ToolOutput::error("no"))),
                2 => Err(ToolError { kind: ToolErrorKind::Failed, message: "broken".to_owned() }),
                _ => Ok(Preparation::Ask { question: "Sure?".to_owned(), preview: json!({"n": what}) }),
            };
            bench.step(Input::Prepared { call, result });
        }
        Act::Returned { which, what } => {
            let Some(call) = pick(bench, which) else { return };
            let kind = match what {
                0 => Some(ToolErrorKind::InvalidInput),
                1 => Some(ToolErrorKind::Failed),
                2 | 3 => Some(ToolErrorKind::OutcomeUnknown),
                _ => None,
            };
            let result = match kind {
                Some(kind) => Err(ToolError { kind, message: "broken".to_owned() }),
                None => Ok(ToolOutput::text("fine")),
            };
            bench.step(Input::Tool { call, result, took_ms: 3 });
        }
        Act::Answer { which, approved } => {
            if let Some(call) = pick(bench, which) {
                bench.answer(call, approved);
            }
        }
        Act::Cancel { which } => {
            let turn = which.and_then(|which| bench.state.turns().map(|turn| turn.id).nth(which));
            bench.step(Input::Signal(AgentSignal::Cancel { turn, by: None }));
        }
        Act::Recover => drop(bench.recover()),
        Act::Pass { millis } => drop(bench.pass(Duration::from_millis(millis.into()))),
        Act::Sleep => {
            if Agent::wake_at(&bench.state).is_some() {
                bench.sleep();
            }
        }
    }
}

/// Lets everything that is open end, as it does when nobody interferes any more.
fn come_to_rest(bench: &mut Bench) {
    for _ in 0..400 {
        if bench.state.current_turn().is_none() {
            return;
        }
        let tool_call = bench.state.open_tool_calls().next();
        if let Some(call) = bench.state.open_model_call() {
            let done = reply(StopReason::EndTurn, vec![ContentBlock::text("done")]);
            bench.step(Input::Model { call, result: Ok(done), took_ms: 1 });
        } else if let Some(call) = tool_call {
            bench.step(Input::Prepared { call, result: Ok(Preparation::Run) });
            bench.answer(call, false);
            bench.returns(call, "fine");
        }
    }
    panic!("the run never comes to rest: {:#?}", bench.entries);
}

/// 1,500 cases, or as many more as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(1_500), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_comes_the_invariants_hold_and_the_run_comes_to_rest(
        definition in definition(),
        acts in prop::collection::vec(act(), 1..40),
        entropy in any::<[u8; 16]>(),
        priced in any::<bool>(),
        partial in any::<bool>(),
    ) {
        let mut bench = Bench::new(definition);
        bench.entropy = entropy;
        bench.price = priced.then_some(Price { input: 1_000_000, output: 2_000_000, cache_read: 0, cache_write: 0 });
        bench.partial = partial.then(|| Message::assistant("half a sent"));
        bench.start("begin");
        for act in acts {
            play(&mut bench, act);
        }
        come_to_rest(&mut bench);
        let started = bench.entries.iter().filter(|entry| {
            matches!(entry.event, Event::TurnStarted(_) | Event::QueuedTurnStarted(_))
        });
        let ended = bench.entries.iter().filter(|entry| matches!(entry.event, Event::TurnEnded(_)));
        prop_assert_eq!(started.count(), ended.count(), "every turn that began ended");
    }
}
