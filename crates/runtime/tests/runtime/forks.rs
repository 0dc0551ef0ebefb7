//! Forks and replays of executions.

use crate::workflows::{TENANT, World, one, pinned};
use bedplate_core::{id::RunId, port::clock::Clock};
use bedplate_engine::workflow::{NotForkable, history::HistoryEvent};
use bedplate_runtime::{ExecutionStatus, ExecutionView, ForkExecution, ForkExecutionError, HistoryQuery, RunError};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Returns the position at which a state was entered.
async fn entry_of(world: &World, run: RunId, state: &str) -> u64 {
    let query = HistoryQuery { after: None, reverse: false, limit: 1_000 };
    let page = world.runtime.execution_history(&TENANT(), run, query).await.expect("a page");
    let enters = |event: &&HistoryEvent| {
        let name = event.details.as_ref().and_then(|(_, details)| details.get("name"));
        event.kind.ends_with("StateEntered") && name == Some(&json!(state))
    };
    page.events.iter().find(enters).expect("the state was entered").seq
}

fn fork_of(run: RunId, at: u64, name: &str) -> ForkExecution {
    ForkExecution {
        tenant: TENANT(),
        run,
        at,
        execution: format!("arn:aws:states:us-east-1:000000000000:execution:m:{name}").into(),
        name: name.into(),
        definition: None,
        input: None,
        joins: false,
    }
}

#[tokio::test]
async fn a_fork_begins_a_state_again_with_another_input_and_leaves_the_original_as_it_was() {
    let world = World::new();
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Result": {"x": 1}, "Next": "B"},
        "B": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "C"},
        "C": {"Type": "Pass", "Next": "D"},
        "D": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}});
    let run = world.start(&definition, json!({"in": 1})).await;
    let before = world.end(run).await;
    for (state, input) in [("A", None), ("B", Some(json!({"y": 2}))), ("C", Some(json!(null))), ("D", None)] {
        let at = entry_of(&world, run, state).await;
        let fork = ForkExecution { input: input.clone().map(Arc::new), ..fork_of(run, at, state) };
        let made = world.drive(world.runtime.fork_execution(fork)).await.expect("it is forked");
        assert_eq!(made.at, at - 1, "{state}");
        let view = world.end(made.run).await;
        let expected = input.unwrap_or_else(|| json!({"x": 1}));
        assert_eq!((view.status, view.output.as_deref()), (ExecutionStatus::Succeeded, Some(&expected)), "{state}");
        assert_eq!((view.forked_from, &*view.name), (Some((run, at - 1)), state));
        let all = HistoryQuery { after: None, reverse: false, limit: 1_000 };
        assert_eq!(world.kinds(made.run, all).await, world.kinds(run, all).await, "{state}: the ids go on");
        for run in [run, made.run] {
            let replay = world.runtime.replay_execution(&TENANT(), run, None).await.expect("a replay");
            assert_eq!(replay.differences, []);
            assert!(replay.entries >= 12);
        }
        let again = world.runtime.fork_execution(fork_of(run, at, state)).await;
        assert!(matches!(again, Err(ForkExecutionError::Exists)), "{again:?}");
    }
    let after = world.view(run).await;
    assert_eq!((after.history_length, after.output), (before.history_length, before.output));
}

#[tokio::test]
async fn a_repeated_fork_joins_the_copy_that_is_there_and_another_request_never_does() {
    let world = World::new();
    let definition = one(json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"token.$": "$$.Task.Token"}}));
    let run = world.start(&definition, json!({})).await;
    let at = entry_of(&world, run, "S").await;
    let wanted = || ForkExecution { input: Some(Arc::new(json!({"n": 1}))), joins: true, ..fork_of(run, at, "again") };
    let made = world.drive(world.runtime.fork_execution(wanted())).await.expect("it is forked");
    let again = world.drive(world.runtime.fork_execution(wanted())).await.expect("it is joined");
    assert_eq!((made.joined, again.joined), (false, true));
    assert_eq!((made.run, made.at), (again.run, again.at));
    for other in [
        ForkExecution { input: Some(Arc::new(json!({"n": 2}))), ..wanted() },
        ForkExecution { input: None, ..wanted() },
        ForkExecution { at: at + 1, input: None, ..wanted() },
        ForkExecution { definition: Some(pinned("m", &definition)), ..wanted() },
        ForkExecution { joins: false, ..wanted() },
    ] {
        let refused = world.runtime.fork_execution(other.clone()).await;
        assert!(matches!(refused, Err(ForkExecutionError::Exists)), "{other:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_fork_schedules_a_task_under_way_anew_and_each_answers_under_its_own_token() {
    let world = World::new();
    let definition = one(json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"token.$": "$$.Task.Token"}}));
    let run = world.start(&definition, json!({})).await;
    let token = |view: &ExecutionView| view.tasks.first().map(|task| Arc::clone(&task.token));
    let old = token(&world.view(run).await).expect("it waits");
    let end = HistoryQuery { after: None, reverse: true, limit: 1 };
    let at = world.runtime.execution_history(&TENANT(), run, end).await.expect("a page").events[0].seq;
    let made = world.drive(world.runtime.fork_execution(fork_of(run, at, "two"))).await.expect("it is forked");
    world
        .drive(async {
            while token(&world.view(made.run).await).is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    let new = token(&world.view(made.run).await).expect("it waits");
    assert_ne!(old, new);
    world.drive(world.runtime.task_succeeded(&TENANT(), &new, Arc::new(json!("new")))).await.expect("it counts");
    assert_eq!(world.end(made.run).await.output.as_deref(), Some(&json!("new")));
    assert_eq!(world.view(run).await.status, ExecutionStatus::Running);
    let replay = world.runtime.replay_execution(&TENANT(), made.run, None).await.expect("a replay");
    assert_eq!(replay.differences, []);
}

#[tokio::test]
async fn a_fork_under_another_definition_must_find_its_states_there_and_an_ended_execution_is_refused() {
    let world = World::new();
    let states = |word: &str| {
        json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"},
            "B": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "C"},
            "C": {"Type": "Pass", "Result": word, "End": true}}})
    };
    let run = world.start(&states("old"), json!({})).await;
    world.end(run).await;
    let at = entry_of(&world, run, "B").await;
    let with = |definition: &Value, name| ForkExecution {
        definition: Some(pinned("m", definition)),
        ..fork_of(run, at, name)
    };
    let made = world.drive(world.runtime.fork_execution(with(&states("new"), "two"))).await.expect("it is forked");
    assert_eq!(world.end(made.run).await.output.as_deref(), Some(&json!("new")));
    let lacking = json!({"StartAt": "C", "States": {"C": {"Type": "Succeed"}}});
    let refused = world.runtime.fork_execution(with(&lacking, "three")).await;
    assert!(matches!(refused, Err(ForkExecutionError::NotForkable(NotForkable::NoState(_)))), "{refused:?}");
    let head = world.view(run).await.history_length + 100;
    assert!(matches!(
        world.runtime.fork_execution(fork_of(run, head, "four")).await,
        Err(ForkExecutionError::Run(RunError::NoSuch { .. }))
    ));
    let end = HistoryQuery { after: None, reverse: true, limit: 1 };
    let end = world.runtime.execution_history(&TENANT(), run, end).await.expect("a page").events[0].seq;
    let over = world.runtime.fork_execution(fork_of(run, end, "five")).await;
    assert!(matches!(over, Err(ForkExecutionError::NotForkable(NotForkable::NotUnderWay))), "{over:?}");
}

#[tokio::test]
async fn a_fork_of_a_fork_has_the_time_of_its_definition_and_no_more() {
    let world = World::new();
    let states = json!({"A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"token.$": "$$.Task.Token"}, "End": true}});
    let limited = |seconds: u64| json!({"StartAt": "A", "TimeoutSeconds": seconds, "States": states});
    let run = world.start(&limited(60), json!({})).await;
    world.end(run).await;
    let day = Duration::from_secs(24 * 3600);
    let mut of = run;
    for name in ["two", "three"] {
        world.clock.advance_to(world.clock.now().after(day));
        let begun = world.clock.now();
        let at = entry_of(&world, of, "B").await;
        let made = world.drive(world.runtime.fork_execution(fork_of(of, at, name))).await.expect("it is forked");
        assert_eq!(world.view(made.run).await.started_at, begun, "{name} begins when it is made");
        let view = world.end(made.run).await;
        assert_eq!(view.status, ExecutionStatus::TimedOut);
        let took = view.stopped_at.expect("it ended").since(begun);
        assert!(took >= Duration::from_secs(60) && took < Duration::from_secs(120), "{name} took {took:?}");
        of = made.run;
    }
    let at = entry_of(&world, run, "B").await;
    let other = ForkExecution { definition: Some(pinned("m", &limited(600))), ..fork_of(run, at, "four") };
    let begun = world.clock.now();
    let made = world.drive(world.runtime.fork_execution(other)).await.expect("it is forked");
    let took = world.end(made.run).await.stopped_at.expect("it ended").since(begun);
    assert!(took >= Duration::from_secs(600) && took < Duration::from_secs(660), "the other's limit counts: {took:?}");
}

#[tokio::test]
async fn a_fork_within_a_wait_waits_as_long_as_the_state_says() {
    let world = World::new();
    let run = world.start(&one(json!({"Type": "Wait", "Seconds": 100})), json!({})).await;
    let begun = world.end(run).await.started_at;
    let at = entry_of(&world, run, "S").await + 1;
    let made = world.drive(world.runtime.fork_execution(fork_of(run, at, "two"))).await.expect("it is forked");
    let view = world.end(made.run).await;
    let took = view.stopped_at.expect("it ended").since(begun);
    assert!(took >= Duration::from_secs(200), "the fork is made after the original's wait: {took:?}");
    let replay = world.runtime.replay_execution(&TENANT(), made.run, None).await.expect("a replay");
    assert_eq!(replay.differences, []);
}

/// A distributed Map whose reader and writer use these buckets.
fn of_files(reader: Option<Value>, writer: Option<Value>) -> Value {
    let mut map = json!({"Type": "Map", "QueryLanguage": "JSONata", "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Each", "States": {"Each": {"Type": "Pass", "End": true}}}});
    match reader {
        Some(arguments) => {
            map["ItemReader"] = json!({"Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"}, "Arguments": arguments});
        }
        None => map["Items"] = json!([1, 2]),
    }
    if let Some(arguments) = writer {
        map["ResultWriter"] = json!({"Resource": "arn:aws:states:::s3:putObject", "Arguments": arguments});
    }
    one(map)
}

#[tokio::test]
async fn a_map_whose_file_cannot_be_read_or_written_replays_without_a_difference() {
    for (definition, error) in [
        (of_files(Some(json!({"Bucket": "closed", "Key": "items.json"})), None), "States.ItemReaderFailed"),
        (of_files(None, Some(json!({"Bucket": "closed", "Prefix": "out"}))), "States.ResultWriterFailed"),
    ] {
        let world = World::new();
        let run = world.start(&definition, json!({})).await;
        let view = world.end(run).await;
        assert_eq!(view.error.as_deref(), Some(error), "{:?}", view.cause);
        let replay = world.runtime.replay_execution(&TENANT(), run, None).await.expect("a replay");
        assert_eq!(replay.differences, [], "{error}");
    }
}

#[tokio::test]
async fn random_values_given_to_branches_iterations_and_files_are_no_difference() {
    let drawn = "{% $uuid() %}";
    let within = json!({"StartAt": "Each", "States": {"Each": {"Type": "Pass", "End": true}}});
    for definition in [
        one(json!({"Type": "Parallel", "QueryLanguage": "JSONata", "Arguments": {"id": drawn}, "Branches": [within]})),
        one(json!({"Type": "Map", "QueryLanguage": "JSONata", "Items": [1, 2], "ItemSelector": {"id": drawn},
            "ItemProcessor": within})),
        of_files(Some(json!({"Bucket": "closed", "Key": drawn})), None),
        of_files(None, Some(json!({"Bucket": "results", "Prefix": drawn}))),
    ] {
        let world = World::new();
        let run = world.start(&definition, json!({})).await;
        let view = world.end(run).await;
        assert_ne!(view.status, ExecutionStatus::Running);
        assert_ne!(view.error.as_deref(), Some("States.QueryEvaluationError"), "{:?}", view.cause);
        let replay = world.runtime.replay_execution(&TENANT(), run, None).await.expect("a replay");
        assert_eq!(replay.differences, [], "{definition}");
    }
}
