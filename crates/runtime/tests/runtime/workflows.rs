//! Executions through the handle: starts, callbacks, activities, stops, redrives, histories, child runs.

use crate::support::{EPOCH, drive, options_with};
use bedplate_core::{
    id::{ContentHash, RunId, Tenant},
    port::{
        BoxFuture,
        clock::Clock,
        journal::{RunQuery, RunStatus},
        tasks::{ExecutionTask, TaskCall, TaskError, TaskPlan, TaskReply, Tasks},
        workflows::{PinnedWorkflow, ResolveError, Workflows},
    },
};
use bedplate_runtime::{
    ExecutionStatus, ExecutionView, HistoryQuery, RedriveError, Runtime, StartExecution, StartExecutionError,
    StartedExecution, TokenError,
};
use bedplate_store::memory::MemoryStore;
use bedplate_testkit::clock::SimClock;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Tasks that answer with their input, fail or stall while they are told to, fail for the bucket `closed`, and remember
/// their calls and files.
#[derive(Default)]
pub(crate) struct Echo {
    pub(crate) fails: AtomicBool,
    /// Inputs that are answered also while all others fail.
    pub(crate) spared: Mutex<Vec<Value>>,
    /// Whether files take forever to be written.
    pub(crate) stalls: AtomicBool,
    pub(crate) calls: AtomicU64,
    pub(crate) tokens: Mutex<Vec<Arc<str>>>,
    pub(crate) files: Mutex<BTreeMap<String, String>>,
}

impl Tasks for Echo {
    fn perform(&self, call: TaskCall) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        self.calls.fetch_add(1, Relaxed);
        let spared = self.spared.lock().expect("no test panics with it").contains(&call.input);
        let fails = self.fails.load(Relaxed) && !spared && *call.input != json!({"n": "good"});
        let closed = call.input["Bucket"] == "closed";
        if call.resource.ends_with("s3:putObject") && !closed {
            if self.stalls.load(Relaxed) {
                return Box::pin(std::future::pending());
            }
            let text = |name: &str| call.input[name].as_str().expect("it is a text").to_owned();
            self.files.lock().expect("no test panics with it").insert(text("Key"), text("Body"));
            return Box::pin(async { Ok(TaskReply::Done(json!({"ETag": "1"}))) });
        }
        if call.resource.ends_with(".waitForTaskToken") {
            self.tokens.lock().expect("no test panics with it").push(Arc::clone(&call.token));
        }
        Box::pin(async move {
            match fails || closed {
                true => Err(TaskError { error: Some("Down".into()), cause: Some("told to fail".into()) }),
                false => Ok(TaskReply::Done(Value::clone(&call.input))),
            }
        })
    }

    fn plan(&self, call: &TaskCall) -> Result<TaskPlan, TaskError> {
        match ExecutionTask::from_resource(&call.resource, &call.input) {
            Some(task) => task.map(TaskPlan::Execution),
            None => Ok(TaskPlan::Perform),
        }
    }
}

struct Machines(Value);

impl Workflows for Machines {
    fn resolve(
        &self,
        _: &Tenant,
        machine: &str,
        _: [u8; 16],
    ) -> BoxFuture<'static, Result<PinnedWorkflow, ResolveError>> {
        let found = match machine {
            "child" => Ok(pinned("child", &self.0)),
            other => Err(ResolveError::NotFound(other.to_owned())),
        };
        Box::pin(std::future::ready(found))
    }
}

pub(crate) fn pinned(name: &str, definition: &Value) -> PinnedWorkflow {
    let text = definition.to_string();
    PinnedWorkflow {
        arn: format!("arn:aws:states:us-east-1:000000000000:stateMachine:{name}").into(),
        name: name.into(),
        qualified: None,
        version: None,
        role: "arn:aws:iam::000000000000:role/r".into(),
        express: false,
        hash: ContentHash::of(text.as_bytes()),
        text: text.into(),
    }
}

pub(crate) struct World {
    pub(crate) clock: SimClock,
    store: MemoryStore,
    pub(crate) tasks: Arc<Echo>,
    pub(crate) runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = SimClock::at(EPOCH);
        let time = clock.clone();
        let store = MemoryStore::with_time(move || time.now());
        let tasks = Arc::<Echo>::default();
        let runtime = start(&clock, &store, &tasks);
        Self { clock, store, tasks, runtime }
    }

    fn restart(&mut self) {
        self.store = self.store.reopen();
        self.runtime = start(&self.clock, &self.store, &self.tasks);
    }

    pub(crate) async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        drive(&self.clock, future).await
    }

    async fn try_start(
        &self,
        name: &str,
        definition: &Value,
        input: Value,
    ) -> Result<StartedExecution, StartExecutionError> {
        let request = StartExecution {
            tenant: Tenant::default(),
            user: "ann".into(),
            execution: format!("arn:aws:states:us-east-1:000000000000:execution:m:{name}").into(),
            name: name.into(),
            workflow: pinned("m", definition),
            input: Arc::new(input),
            trace_header: None,
        };
        self.drive(self.runtime.start_execution(request)).await
    }

    pub(crate) async fn start(&self, definition: &Value, input: Value) -> RunId {
        self.try_start("one", definition, input).await.expect("it starts").run
    }

    pub(crate) async fn end(&self, run: RunId) -> ExecutionView {
        self.drive(self.runtime.wait_execution(&Tenant::default(), run)).await.expect("it ends")
    }

    pub(crate) async fn view(&self, run: RunId) -> ExecutionView {
        self.runtime.execution(&Tenant::default(), run).await.expect("it is there")
    }

    pub(crate) async fn kinds(&self, run: RunId, query: HistoryQuery) -> (Vec<(u64, String)>, bool) {
        let page = self.runtime.execution_history(&Tenant::default(), run, query).await.expect("a page");
        (page.events.into_iter().map(|event| (event.id, event.kind)).collect(), page.more)
    }
}

fn start(clock: &SimClock, store: &MemoryStore, tasks: &Arc<Echo>) -> Runtime {
    let child = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": {"from": "child"}, "End": true}}});
    Runtime::start(options_with(clock, store.journal(), Arc::clone(tasks) as _, Arc::new(Machines(child))))
}

pub(crate) fn one(state: Value) -> Value {
    let mut state = state;
    state["End"] = true.into();
    json!({"StartAt": "S", "States": {"S": state}})
}

pub(crate) const TENANT: fn() -> Tenant = Tenant::default;

#[tokio::test]
async fn an_execution_goes_through_its_states_and_its_name_is_taken_once() {
    let world = World::new();
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Result": {"x": 1}, "Next": "B"},
        "B": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}});
    let run = world.start(&definition, json!({"in": 1})).await;
    let view = world.end(run).await;
    assert_eq!((view.status, view.output.as_deref()), (ExecutionStatus::Succeeded, Some(&json!({"x": 1}))));
    let again = world.try_start("one", &definition, json!({"in": 1})).await;
    assert!(matches!(again, Err(StartExecutionError::AlreadyExists { running: false, same_input: true })), "{again:?}");
    let page = world.runtime.list_executions(RunQuery {
        tenant: TENANT(),
        name: Some("m".into()),
        status: Some(RunStatus::Succeeded),
        limit: 10,
        ..RunQuery::default()
    });
    let listed: Vec<String> = page.await.expect("a page").executions.into_iter().map(|one| one.name).collect();
    assert_eq!(listed, ["one"]);
}

#[tokio::test]
async fn a_repeated_start_joins_only_with_the_same_input() {
    let world = World::new();
    let definition = one(json!({"Type": "Wait", "Seconds": 1000}));
    world.start(&definition, json!(1)).await;
    assert!(world.try_start("one", &definition, json!(1)).await.is_ok_and(|started| started.joined));
    let other = world.try_start("one", &definition, json!(2)).await;
    assert!(matches!(other, Err(StartExecutionError::AlreadyExists { running: true, same_input: false })));
}

#[tokio::test]
async fn a_callback_ends_its_task_once_also_after_a_restart() {
    let mut world = World::new();
    let definition = one(json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "HeartbeatSeconds": 600}));
    let run = world.start(&definition, json!({})).await;
    world
        .drive(async {
            while world.view(run).await.tasks.iter().all(|task| !task.submitted) {
                tokio::task::yield_now().await
            }
        })
        .await;
    world.restart();
    let token = world.view(run).await.tasks[0].token.clone();
    assert_eq!(bedplate_runtime::token_run(&token), Some(run));
    assert_eq!(world.runtime.task_succeeded(&TENANT(), "garbage", Arc::new(json!(1))).await, Err(TokenError::Invalid));
    world.drive(world.runtime.task_heartbeat(&TENANT(), &token)).await.expect("it is alive");
    world.drive(world.runtime.task_succeeded(&TENANT(), &token, Arc::new(json!({"yes": true})))).await.expect("taken");
    let late = world.drive(world.runtime.task_failed(&TENANT(), &token, None, None)).await;
    assert_eq!(late, Err(TokenError::TimedOut));
    assert_eq!(world.end(run).await.output.as_deref(), Some(&json!({"yes": true})));
}

#[tokio::test]
async fn an_activity_is_taken_once_and_offered_again_after_a_restart() {
    let mut world = World::new();
    let activity = "arn:aws:states:us-east-1:000000000000:activity:work";
    let nothing = world.drive(world.runtime.take_activity(&TENANT(), activity, None, Duration::from_secs(60))).await;
    assert!(nothing.expect("it waits").is_none());
    let run = world.start(&one(json!({"Type": "Task", "Resource": activity})), json!({"n": 1})).await;
    world.restart();
    let wait = Duration::from_secs(60);
    let tenant = TENANT();
    let take = world.runtime.take_activity(&tenant, activity, Some("w".into()), wait);
    let task = world.drive(take).await.expect("it is there").expect("a task");
    assert_eq!(*task.input, json!({"n": 1}));
    let nothing = world.drive(world.runtime.take_activity(&TENANT(), activity, None, wait)).await;
    assert!(nothing.expect("it waits").is_none());
    world.drive(world.runtime.task_succeeded(&TENANT(), &task.token, Arc::new(json!("done")))).await.expect("taken");
    assert_eq!(world.end(run).await.output.as_deref(), Some(&json!("done")));
}

#[tokio::test]
async fn a_stopped_execution_says_why_and_stops_the_executions_that_it_waits_for() {
    let world = World::new();
    let definition = one(json!({"Type": "Wait", "Seconds": 1000}));
    let run = world.start(&definition, json!({})).await;
    let at = world.drive(world.runtime.stop_execution(&TENANT(), run, Some("E".into()), Some("C".into()))).await;
    let view = world.end(run).await;
    assert_eq!(
        (view.status, view.error.as_deref(), view.cause.as_deref()),
        (ExecutionStatus::Aborted, Some("E"), Some("C"))
    );
    assert_eq!(view.stopped_at, Some(at.expect("it stops")));
}

#[tokio::test]
async fn a_child_execution_gives_its_output_and_knows_its_parent() {
    let world = World::new();
    let definition = one(json!({"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": "child", "Input": {}}}));
    let run = world.start(&definition, json!({})).await;
    let view = world.end(run).await;
    let output = view.output.expect("an output");
    assert_eq!((&output["Status"], &output["Output"]), (&json!("SUCCEEDED"), &json!({"from": "child"})));
    let child = RunId::execution(&TENANT(), output["ExecutionArn"].as_str().expect("an ARN"));
    assert_eq!(world.view(child).await.parent, Some(run));
}

#[tokio::test]
async fn a_redriven_execution_goes_on_where_it_failed_and_keeps_what_was_done() {
    let world = World::new();
    let branch = |name: &str, resource: &str| {
        let mut states = json!({});
        states[name] = json!({"Type": "Task", "Resource": resource, "End": true});
        json!({"StartAt": name, "States": states})
    };
    let definition = one(json!({"Type": "Parallel", "Branches": [
        {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "Result": "kept", "End": true}}},
        branch("Work", "arn:aws:states:::lambda:invoke")]}));
    world.tasks.fails.store(true, Relaxed);
    let run = world.start(&definition, json!({"n": 1})).await;
    let failed = world.end(run).await;
    assert_eq!(
        (failed.status, failed.error.as_deref(), failed.redrivable),
        (ExecutionStatus::Failed, Some("Down"), Ok(()))
    );
    world.tasks.fails.store(false, Relaxed);
    world.drive(world.runtime.redrive_execution(&TENANT(), run, Some("k".into()))).await.expect("it is redriven");
    let view = world.end(run).await;
    assert_eq!((view.status, view.redrive_count), (ExecutionStatus::Succeeded, 1));
    assert_eq!(view.output.as_deref(), Some(&json!(["kept", {"n": 1}])));
    let again = world.drive(world.runtime.redrive_execution(&TENANT(), run, None)).await;
    assert!(matches!(again, Err(RedriveError::NotRedrivable(_))), "{again:?}");
    let (kinds, _) = world.kinds(run, HistoryQuery { after: None, reverse: false, limit: 100 }).await;
    let kinds: Vec<&str> = kinds.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "PassStateEntered").count(), 1, "{kinds:?}");
    assert!(kinds.contains(&"ExecutionRedriven"), "{kinds:?}");
}

#[tokio::test]
async fn a_long_history_is_the_same_page_by_page_in_both_directions() {
    let world = World::new();
    let mut states = serde_json::Map::new();
    for at in 0..900 {
        states.insert(format!("P{at}"), json!({"Type": "Pass", "Next": format!("P{}", at + 1)}));
    }
    states.insert("P900".into(), json!({"Type": "Pass", "End": true}));
    let run = world.start(&json!({"StartAt": "P0", "States": states}), json!({"some": "thing"})).await;
    world.end(run).await;
    let (whole, more) = world.kinds(run, HistoryQuery { after: None, reverse: false, limit: 10_000 }).await;
    assert!(!more);
    assert_eq!(whole.len(), 901 * 2 + 2);
    assert!(whole.iter().zip(1..).all(|((id, _), at)| *id == at));
    for reverse in [false, true] {
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let (page, more) = world.kinds(run, HistoryQuery { after, reverse, limit: 170 }).await;
            after = page.last().map(|(id, _)| *id);
            all.extend(page);
            if !more {
                break;
            }
        }
        if reverse {
            all.reverse();
        }
        assert_eq!(all, whole, "reverse {reverse}");
    }
}

#[tokio::test]
async fn a_timer_that_passed_while_nothing_ran_ends_the_wait_after_a_restart() {
    let mut world = World::new();
    let run = world.start(&one(json!({"Type": "Wait", "Seconds": 3600})), json!({"kept": true})).await;
    drop(world.runtime.clone());
    world.clock.advance(Duration::from_secs(7200));
    world.restart();
    let view = world.end(run).await;
    assert_eq!((view.status, view.output.as_deref()), (ExecutionStatus::Succeeded, Some(&json!({"kept": true}))));
}

pub(crate) fn distributed(state: Value, concurrency: u64) -> Value {
    let processor = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Each", "States": {"Each": state}});
    one(json!({"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": concurrency, "ItemProcessor": processor,
        "ItemSelector": {"n.$": "$$.Map.Item.Value"}, "ToleratedFailureCount": 1}))
}

#[tokio::test]
async fn a_distributed_map_runs_each_item_once_as_an_execution_of_its_own_across_a_restart() {
    let mut world = World::new();
    let each = json!({"Type": "Wait", "Seconds": 5, "OutputPath": "$.n", "End": true});
    let items: Vec<u64> = (0..40).collect();
    let run = world.start(&distributed(each, 7), json!({"items": items})).await;
    let begun = |view: &ExecutionView| view.map_runs.first().is_some_and(|run| run.now.succeeded >= 7);
    world
        .drive(async {
            while !begun(&world.view(run).await) {
                tokio::task::yield_now().await
            }
        })
        .await;
    world.restart();
    let view = world.end(run).await;
    assert_eq!((view.status, view.output.as_deref()), (ExecutionStatus::Succeeded, Some(&json!(items))));
    let map_run = &view.map_runs[0].now;
    assert_eq!((map_run.total, map_run.succeeded, map_run.running, map_run.failed), (40, 40, 0, 0));
    let found = world.runtime.map_run(&TENANT(), &map_run.arn).await.expect("the ARN leads to it");
    assert_eq!(found.now, *map_run);
    let query = RunQuery { tenant: TENANT(), name: Some(map_run.arn.to_string()), limit: 100, ..RunQuery::default() };
    let children = world.runtime.list_executions(query).await.expect("a page").executions;
    assert_eq!(children.len(), 40);
    assert!(children.iter().all(|child| child.parent == Some(run) && child.status == ExecutionStatus::Succeeded));
}

#[tokio::test]
async fn a_map_run_with_more_failures_than_it_takes_fails_and_stops_what_is_under_way() {
    let world = World::new();
    let each = json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": 2, "Next": "Bad"}],
        "Default": "Good"});
    let mut definition = distributed(each, 0);
    definition["States"]["S"]["ItemProcessor"]["States"]["Bad"] = json!({"Type": "Fail", "Error": "Bad"});
    definition["States"]["S"]["ItemProcessor"]["States"]["Good"] = json!({"Type": "Wait", "Seconds": 500, "End": true});
    let run = world.start(&definition, json!({"items": [0, 1, 2, 3]})).await;
    let view = world.end(run).await;
    assert_eq!(view.error.as_deref(), Some("States.ExceedToleratedFailureThreshold"));
    let query = RunQuery {
        tenant: TENANT(),
        name: Some(view.map_runs[0].now.arn.to_string()),
        limit: 9,
        ..RunQuery::default()
    };
    let ended = || async {
        let page = world.runtime.list_executions(query.clone()).await.expect("a page").executions;
        page.iter().filter(|child| child.status == ExecutionStatus::Aborted).count()
    };
    world
        .drive(async {
            while ended().await < 2 {
                tokio::task::yield_now().await
            }
        })
        .await;
}
