//! Turns from start to end: tools, keys, sessions, questions, cancels.

use crate::support::{Bench, keyed, says};
use bedplate_core::{
    event::{Event, TurnOutcome},
    id::Tenant,
    message::ContentBlock,
    tool::{Annotations, Approval, ApprovalMode},
};
use bedplate_runtime::{AnswerError, RunError, StartError, TurnState};
use bedplate_testkit::scripted::{self, FixedDefinitions, ScriptedModel, ScriptedTools, agent, calls, tool};
use serde_json::json;
use std::sync::Arc;

const READ: Annotations = Annotations { read_only: true, destructive: false, idempotent: false, open_world: false };

fn asking() -> Approval {
    Approval { mode: ApprovalMode::Always, deadline_seconds: 60, question: None }
}

fn definitions() -> Arc<FixedDefinitions> {
    let tools = vec![tool("look", READ, Approval::default()), tool("pay", Annotations::default(), asking())];
    FixedDefinitions::new([agent("helper", tools)])
}

fn bench(replies: impl IntoIterator<Item = scripted::Script>) -> (Bench, Arc<ScriptedModel>) {
    let model = ScriptedModel::new(replies);
    (Bench::new(definitions(), Arc::clone(&model) as _, ScriptedTools::echo()), model)
}

#[tokio::test]
async fn a_turn_with_a_tool_ends_with_the_models_last_words() {
    let (bench, _) = bench([calls(&[("look", json!({"at": 1}))]), scripted::says("It is there.")]);
    let started = bench.start(says("where is it?")).await;
    let result = bench.wait(&started).await;
    assert!(matches!(result.state, TurnState::Ended(TurnOutcome::Completed)), "{:?}", result.state);
    assert_eq!(result.answer.expect("an answer").text(), "It is there.");
    assert_eq!((result.iterations, result.tool_calls), (2, 1));
    let stats = bench.runtime.stats();
    // A run of three sequential steps costs four commits.
    assert_eq!((stats.steps, stats.appends), (3, 4));
}

#[tokio::test]
async fn a_repeated_start_joins_its_turn_and_another_request_under_the_key_is_refused() {
    let (bench, model) = bench([scripted::says("Hello.")]);
    let first = bench.start(keyed("hi", "k")).await;
    bench.wait(&first).await;
    let again = bench.start(keyed("hi", "k")).await;
    assert!(again.joined);
    assert_eq!((again.run, again.turn), (first.run, first.turn));
    let other = bench.drive(bench.runtime.start_turn(keyed("bye", "k"))).await;
    assert_eq!(other, Err(StartError::KeyReused { turn: first.turn }));
    assert_eq!(model.requests().len(), 1);
}

#[tokio::test]
async fn a_keyed_start_without_session_finds_its_run_again() {
    let (mut bench, _) = bench([scripted::says("Hello.")]);
    let start = || bedplate_runtime::StartTurn { session: None, ..keyed("hi", "k") };
    let first = bench.start(start()).await;
    bench.wait(&first).await;
    bench.restart();
    let again = bench.start(start()).await;
    assert_eq!((again.run, again.turn, again.joined), (first.run, first.turn, true));
}

#[tokio::test]
async fn two_turns_on_one_session_keep_their_order_and_the_second_sees_the_first() {
    let (bench, model) = bench([calls(&[("look", json!({}))]), scripted::says("One."), scripted::says("Two.")]);
    let (first, second) = bench
        .drive(async {
            let first = bench.runtime.start_turn(says("first")).await;
            (first, bench.runtime.start_turn(says("second")).await)
        })
        .await;
    let (first, second) = (first.expect("starts"), second.expect("starts"));
    assert_eq!(bench.wait(&second).await.answer.expect("an answer").text(), "Two.");
    assert_eq!(bench.wait(&first).await.answer.expect("an answer").text(), "One.");
    let last = model.requests().pop().expect("a request");
    let texts: Vec<String> = last.messages.iter().map(|message| message.text()).collect();
    assert_eq!(texts.last().map(String::as_str), Some("second"));
    assert!(texts.contains(&"One.".to_owned()), "{texts:?}");
}

#[tokio::test]
async fn a_question_is_shown_answered_once_and_the_call_runs_after_it() {
    let (mut bench, _) = bench([calls(&[("pay", json!({"amount": 3}))]), scripted::says("Paid.")]);
    let started = bench.start(says("pay")).await;
    let TurnState::Waiting(questions) = bench.wait(&started).await.state else { panic!("it asks") };
    let call = questions[0].call;
    // The question outlives the process.
    bench.restart();
    let tenant = Tenant::default();
    let answered = bench.drive(bench.runtime.answer(&tenant, started.run, call, true, None, None)).await;
    answered.expect("the answer is taken");
    let again = bench.drive(bench.runtime.answer(&tenant, started.run, call, false, None, None)).await;
    assert_eq!(again, Err(AnswerError::NotOpen(call)));
    assert_eq!(bench.wait(&started).await.answer.expect("an answer").text(), "Paid.");
}

#[tokio::test]
async fn a_cancelled_turn_drops_its_call_and_the_next_request_is_well_formed() {
    let (bench, model) = bench([calls(&[("look", json!({}))])]);
    let hang = ScriptedTools::new(|_| Box::pin(std::future::pending()));
    let bench = Bench::new(Arc::clone(&bench.definitions), Arc::clone(&model) as _, hang);
    let started = bench.start(says("look")).await;
    let tenant = Tenant::default();
    assert!(bench.drive(bench.runtime.cancel(&tenant, started.run, None, None)).await.expect("cancels"));
    let result = bench.wait(&started).await;
    assert!(matches!(result.state, TurnState::Ended(TurnOutcome::Cancelled)), "{:?}", result.state);
    model.push(scripted::says("Fine."));
    let next = bench.start(says("and now?")).await;
    bench.wait(&next).await;
    let request = model.requests().pop().expect("a request");
    let uses: usize = request.messages.iter().map(|message| message.tool_uses().count()).sum();
    let results: usize = request.messages.iter().map(|message| message.tool_results().count()).sum();
    assert_eq!((uses, results), (1, 1));
}

#[tokio::test]
async fn another_tenant_sees_and_moves_nothing() {
    let (bench, _) = bench([calls(&[("pay", json!({}))])]);
    let started = bench.start(says("pay")).await;
    let TurnState::Waiting(questions) = bench.wait(&started).await.state else { panic!("it asks") };
    let other = Tenant::from("other");
    let (run, call) = (started.run, questions[0].call);
    assert_eq!(bench.drive(bench.runtime.wait_turn(&other, run, 2)).await.err(), Some(RunError::NotFound));
    assert_eq!(bench.drive(bench.runtime.view(&other, run, None)).await.err(), Some(RunError::NotFound));
    assert!(bench.drive(bench.runtime.subscribe(&other, run, 0)).await.is_err());
    let answer = bench.drive(bench.runtime.answer(&other, run, call, true, None, None)).await;
    assert_eq!(answer, Err(AnswerError::Run(RunError::NotFound)));
    let TurnState::Waiting(_) = bench.wait(&started).await.state else { panic!("it still asks") };
}

#[tokio::test]
async fn a_run_stays_pinned_while_the_project_changes() {
    let (bench, model) = bench([calls(&[("pay", json!({}))]), scripted::says("Done."), scripted::says("New.")]);
    let started = bench.start(says("pay")).await;
    let TurnState::Waiting(questions) = bench.wait(&started).await.state else { panic!("it asks") };
    let mut changed = agent("helper", vec![]);
    changed.system = "You are another.".to_owned();
    bench.definitions.set([changed]);
    let tenant = Tenant::default();
    bench.drive(bench.runtime.answer(&tenant, started.run, questions[0].call, true, None, None)).await.expect("taken");
    bench.wait(&started).await;
    assert_eq!(model.requests()[1].system, [ContentBlock::text("You are a test.")]);
    assert_eq!(model.requests()[1].tools.len(), 2);
    let next = bench.start(says("again")).await;
    bench.wait(&next).await;
    assert_eq!(model.requests()[2].system, [ContentBlock::text("You are another.")]);
    assert_eq!(model.requests()[2].tools.len(), 0);
}

#[tokio::test]
async fn a_fork_goes_its_own_way_from_a_batch_end_or_the_beginning_of_a_turn() {
    let (bench, model) = bench([scripted::says("One."), scripted::says("Two.")]);
    let first = bench.start(says("first")).await;
    bench.wait(&first).await;
    let second = bench.start(says("second")).await;
    bench.wait(&second).await;
    let tenant = Tenant::default();
    let view = bench.drive(bench.runtime.view(&tenant, first.run, None)).await.expect("a view");
    assert_eq!(view.messages.len(), 4);
    // Within the first turn, after its call: rounded down to the end of the batch.
    let at = second.turn - 1;
    let head = bench.drive(bench.runtime.fork(&tenant, first.run, at, "branch".to_owned())).await.expect("forks");
    let fork = bench.drive(bench.runtime.view(&tenant, head.run.id, None)).await.expect("a view");
    assert_eq!(fork.messages.len(), 2);
    model.push(scripted::says("Other."));
    let other = bench.start(bedplate_runtime::StartTurn { session: Some("branch".to_owned()), ..says("other") }).await;
    assert_eq!(other.run, head.run.id);
    assert_eq!(bench.wait(&other).await.answer.expect("an answer").text(), "Other.");
    // Where a turn begins, within its first batch: the model is asked anew, in the very first turn too.
    for (turn, session, messages) in [(second.turn, "anew", 4), (first.turn, "first anew", 2)] {
        model.push(scripted::says("Anew."));
        let forked = bench.drive(bench.runtime.fork(&tenant, first.run, turn, session.to_owned())).await;
        let forked = forked.expect("forks").run.id;
        assert_eq!(bench.wait_for(forked, turn).await.answer.expect("an answer").text(), "Anew.");
        let view = bench.drive(bench.runtime.view(&tenant, forked, None)).await.expect("a view");
        assert_eq!(view.messages.len(), messages);
        let replay = bench.drive(bench.runtime.replay(&tenant, forked, None)).await.expect("replays");
        assert_eq!(replay.differences, []);
    }
}

#[tokio::test]
async fn a_replay_decides_as_recorded_and_shows_what_the_model_saw() {
    let (bench, model) = bench([
        calls(&[("look", json!({})), ("look", json!({"b": 1}))]),
        scripted::says("One."),
        scripted::says("Two."),
    ]);
    for text in ["first", "second"] {
        let started = bench.start(says(text)).await;
        bench.wait(&started).await;
    }
    let tenant = Tenant::default();
    let run = bedplate_core::id::RunId::session(&tenant, &"ann".into(), "chat");
    let replay = bench.drive(bench.runtime.replay(&tenant, run, None)).await.expect("replays");
    assert_eq!(replay.differences, []);
    let journal = bench.store.journal();
    let entries = journal.read(replay.view.head.run, 0, 1_000).await.expect("reads");
    assert_eq!(entries.len() as u64, replay.entries);
    let asked: Vec<_> = entries.iter().filter(|entry| matches!(entry.event, Event::ModelCalled(_))).collect();
    for (entry, request) in asked.iter().zip(model.requests()) {
        let saw = bench.drive(bench.runtime.model_saw(&tenant, run, entry.seq)).await.expect("reads");
        assert_eq!(saw.as_ref(), Some(&request));
    }
}

#[tokio::test]
async fn a_deleted_session_is_gone_with_its_work() {
    let (bench, _) = bench([calls(&[("pay", json!({}))])]);
    let started = bench.start(says("pay")).await;
    bench.wait(&started).await;
    let tenant = Tenant::default();
    let deleted = bench.drive(bench.runtime.delete_user(&tenant, &"ann".into())).await.expect("deletes");
    assert_eq!(deleted.runs, 1);
    assert_eq!(bench.drive(bench.runtime.view(&tenant, started.run, None)).await.err(), Some(RunError::NotFound));
}

#[tokio::test]
async fn an_unknown_agent_and_a_stopping_server_say_so() {
    let (bench, _) = bench([]);
    let unknown = bedplate_runtime::StartTurn { agent: "nobody".to_owned(), ..says("hi") };
    let refused = bench.drive(bench.runtime.start_turn(unknown)).await;
    assert_eq!(refused, Err(StartError::UnknownAgent("nobody".to_owned())));
    bench.drive(bench.runtime.shutdown()).await;
    assert_eq!(bench.drive(bench.runtime.start_turn(says("hi"))).await, Err(StartError::ShuttingDown));
}
