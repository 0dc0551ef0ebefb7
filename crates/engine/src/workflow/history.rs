//! AWS's history of an execution, as a fold of its journal.

use super::{
    apply::{self, Mark, MarkKind},
    definition::{Integration, Resource},
    state::{Branch, Phase, WorkflowState},
};
use bedplate_core::{
    event::{Entry, Event},
    id::Seq,
    time::Timestamp,
    workflow_event::{BranchId, ExecutionOutcome, StateKind, TaskScheduled, Variables, WorkflowEvent},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// An event of `GetExecutionHistory`.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEvent {
    /// Its number in the history, from 1.
    pub id: u64,
    /// The number of the event that it follows.
    pub previous_event_id: u64,
    /// The position of the journal's event that it is.
    pub seq: Seq,
    /// The branch that it is about; 0: the execution itself.
    pub branch: BranchId,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its type, for example `PassStateEntered`.
    pub kind: String,
    /// The name of its details in the API, and the details; payloads in them are texts of JSON.
    pub details: Option<(&'static str, Map<String, Value>)>,
}

/// Folds a journal into the history of one execution.
#[derive(Clone, Debug, Default)]
pub struct History {
    state: WorkflowState,
    /// The execution itself, or a child of a distributed Map.
    line: BranchId,
}

impl History {
    /// Returns the events of AWS's history that an entry of the journal is.
    pub fn fold(&mut self, entry: &Entry) -> Vec<HistoryEvent> {
        let Event::Workflow(event) = &entry.event else {
            self.state.position = entry.seq;
            return Vec::new();
        };
        let before = Before::of(&self.state, event);
        let branch = subject(&self.state, event).unwrap_or(0);
        let mut marks: Vec<Mark> = Vec::new();
        self.state.position = entry.seq;
        apply::apply(&mut self.state, entry.seq, entry.at, event, &mut |mark| marks.push(mark));
        marks
            .into_iter()
            .filter(|mark| mark.line == self.line)
            .filter_map(|mark| {
                let (kind, details) = before.show(&self.state, event, mark.kind)?;
                Some(HistoryEvent {
                    id: mark.id,
                    previous_event_id: mark.previous,
                    seq: entry.seq,
                    branch,
                    timestamp: entry.at,
                    kind,
                    details,
                })
            })
            .collect()
    }
}

type Shown = Option<(String, Option<(&'static str, Map<String, Value>)>)>;

/// What an event is about, as it was before.
struct Before {
    branch: Option<Arc<Branch>>,
    parent: Option<Arc<Branch>>,
    output: Option<Arc<Value>>,
    region: String,
}

impl Before {
    fn of(state: &WorkflowState, event: &WorkflowEvent) -> Self {
        let branch = subject(state, event).and_then(|id| state.branches.get(&id)).cloned();
        let parent = branch.as_ref().and_then(|branch| state.branches.get(&branch.parent?.0)).cloned();
        let output = state.branches.get(&0).map(|top| Arc::clone(&top.value));
        let machine = state.started.as_ref().map(|started| Arc::clone(&started.execution.machine));
        let region = machine.and_then(|arn| arn.split(':').nth(3).map(ToOwned::to_owned)).unwrap_or_default();
        Self { branch, parent, output, region }
    }

    fn show(&self, after: &WorkflowState, event: &WorkflowEvent, kind: MarkKind) -> Shown {
        match event {
            WorkflowEvent::Started(started) => {
                let mut details = payload("input", &started.input);
                details.insert("roleArn".into(), (*started.role).into());
                Some(("ExecutionStarted".into(), Some(("executionStartedEventDetails", details))))
            }
            WorkflowEvent::Ended(ended) => Some(match ended.outcome {
                ExecutionOutcome::Succeeded => {
                    let output = self.output.clone().unwrap_or_default();
                    let details = payload("output", &output);
                    ("ExecutionSucceeded".into(), Some(("executionSucceededEventDetails", details)))
                }
                ExecutionOutcome::Failed => {
                    let details = problem(ended.error.as_ref(), ended.cause.as_ref());
                    ("ExecutionFailed".into(), Some(("executionFailedEventDetails", details)))
                }
                ExecutionOutcome::TimedOut => {
                    let details = problem(ended.error.as_ref(), ended.cause.as_ref());
                    ("ExecutionTimedOut".into(), Some(("executionTimedOutEventDetails", details)))
                }
                ExecutionOutcome::Aborted => {
                    let details = problem(ended.error.as_ref(), ended.cause.as_ref());
                    ("ExecutionAborted".into(), Some(("executionAbortedEventDetails", details)))
                }
            }),
            WorkflowEvent::Redriven(_) => {
                let mut details = Map::new();
                details.insert("redriveCount".into(), after.redrives.count.into());
                Some(("ExecutionRedriven".into(), Some(("executionRedrivenEventDetails", details))))
            }
            WorkflowEvent::TaskScheduled(_)
            | WorkflowEvent::TaskTaken(_)
            | WorkflowEvent::TaskSubmitted(_)
            | WorkflowEvent::TaskSucceeded(_)
            | WorkflowEvent::TaskFailed(_)
            | WorkflowEvent::TaskTimedOut(_) => self.show_task(event, kind),
            WorkflowEvent::MapStarted(_)
            | WorkflowEvent::IterationStarted(_)
            | WorkflowEvent::IterationSucceeded(_)
            | WorkflowEvent::IterationFailed(_)
            | WorkflowEvent::ParallelStarted(_)
            | WorkflowEvent::Joined(_) => self.show_join(event, kind),
            _ => self.show_state(after, event),
        }
    }

    fn show_state(&self, after: &WorkflowState, event: &WorkflowEvent) -> Shown {
        let branch = self.branch.as_ref()?;
        match event {
            WorkflowEvent::Entered(entered) => {
                let mut details = payload("input", &branch.value);
                details.insert("name".into(), (*entered.state).into());
                Some((format!("{}StateEntered", word(entered.kind)), Some(("stateEnteredEventDetails", details))))
            }
            WorkflowEvent::Exited(exited) => {
                let mut details = payload("output", exited.output.as_ref().unwrap_or(&branch.value));
                details.insert("name".into(), (*branch.state).into());
                if let Some(assigned) = exited.assigned.as_ref().filter(|assigned| !assigned.is_empty()) {
                    details.insert("assignedVariables".into(), variables(assigned));
                    details.insert("assignedVariablesDetails".into(), json!({"truncated": false}));
                }
                Some((format!("{}StateExited", word(branch.kind)), Some(("stateExitedEventDetails", details))))
            }
            WorkflowEvent::Failed(failed) => {
                let mut details = problem(failed.error.as_ref(), failed.cause.as_ref());
                if let Some(location) = failed.evaluation.as_ref().and_then(|evaluation| evaluation.location.as_ref()) {
                    details.insert("location".into(), (**location).into());
                }
                details.insert("state".into(), (*branch.state).into());
                Some(("EvaluationFailed".into(), Some(("evaluationFailedEventDetails", details))))
            }
            WorkflowEvent::Broken(_) => Some((format!("{}StateFailed", word(branch.kind)), None)),
            WorkflowEvent::Aborted(aborted) => {
                let kind = after.branches.get(&aborted.branch).map_or(branch.kind, |branch| branch.kind);
                Some((format!("{}StateAborted", word(kind)), None))
            }
            _ => None,
        }
    }

    fn show_join(&self, event: &WorkflowEvent, kind: MarkKind) -> Shown {
        let branch = self.branch.as_ref()?;
        let iteration = |word: &str, key, name: &str, index: u64| {
            let mut details = Map::new();
            details.insert("name".into(), name.into());
            details.insert("index".into(), index.into());
            Some((format!("MapIteration{word}"), Some((key, details))))
        };
        match event {
            WorkflowEvent::MapStarted(started) => Some(match kind {
                MarkKind::Run => {
                    let mut details = Map::new();
                    details.insert("mapRunArn".into(), started.run.as_deref().unwrap_or_default().into());
                    ("MapRunStarted".into(), Some(("mapRunStartedEventDetails", details)))
                }
                _ => {
                    let mut details = Map::new();
                    let length = started.items.as_ref().map_or(0, |items| items.len());
                    details.insert("length".into(), length.into());
                    ("MapStateStarted".into(), Some(("mapStateStartedEventDetails", details)))
                }
            }),
            WorkflowEvent::IterationStarted(started) => {
                iteration("Started", "mapIterationStartedEventDetails", &branch.state, started.index)
            }
            WorkflowEvent::IterationSucceeded(_) | WorkflowEvent::IterationFailed(_) => {
                let (name, index) = (Arc::clone(&self.parent.as_ref()?.state), branch.parent?.1);
                if matches!(event, WorkflowEvent::IterationSucceeded(_)) {
                    iteration("Succeeded", "mapIterationSucceededEventDetails", &name, index)
                } else {
                    iteration("Failed", "mapIterationFailedEventDetails", &name, index)
                }
            }
            WorkflowEvent::ParallelStarted(_) => Some(("ParallelStateStarted".into(), None)),
            WorkflowEvent::Joined(_) => Some(match kind {
                MarkKind::Run => ("MapRunSucceeded".into(), None),
                _ => (format!("{}StateSucceeded", word(branch.kind)), None),
            }),
            _ => None,
        }
    }

    fn show_task(&self, event: &WorkflowEvent, kind: MarkKind) -> Shown {
        let branch = self.branch.as_ref()?;
        let arn = match (event, &branch.phase) {
            (WorkflowEvent::TaskScheduled(scheduled), _) => Arc::clone(&scheduled.resource),
            (_, Phase::Task(task)) => Arc::clone(&task.resource),
            _ => return None,
        };
        let resource = Resource::parse(&arn)?;
        let (prefix, mut details) = match &resource.integration {
            Integration::Function => ("LambdaFunction", Map::new()),
            Integration::Activity => ("Activity", Map::new()),
            Integration::Service { service, action } => {
                let mut details = Map::new();
                details.insert("resourceType".into(), (**service).into());
                details.insert("resource".into(), (**action).into());
                ("Task", details)
            }
        };
        let is_service = prefix == "Task";
        let word = match event {
            WorkflowEvent::TaskScheduled(_) if kind == MarkKind::Began => {
                return Some((format!("{prefix}Started"), is_service.then_some(("taskStartedEventDetails", details))));
            }
            WorkflowEvent::TaskScheduled(scheduled) => {
                self.scheduled(scheduled, is_service, &branch.value, &mut details);
                "Scheduled"
            }
            WorkflowEvent::TaskTaken(taken) => {
                if let Some(worker) = &taken.worker {
                    details.insert("workerName".into(), (**worker).into());
                }
                "Started"
            }
            WorkflowEvent::TaskSubmitted(submitted) => {
                details.extend(payload("output", &submitted.output));
                "Submitted"
            }
            WorkflowEvent::TaskSucceeded(done) => {
                details.extend(payload("output", &done.output));
                "Succeeded"
            }
            WorkflowEvent::TaskFailed(failed) => {
                details.extend(problem(failed.error.as_ref(), failed.cause.as_ref()));
                "Failed"
            }
            WorkflowEvent::TaskTimedOut(_) => {
                details.insert("error".into(), "States.Timeout".into());
                "TimedOut"
            }
            _ => return None,
        };
        Some((format!("{prefix}{word}"), Some((details_key(prefix, word), details))))
    }

    fn scheduled(
        &self,
        scheduled: &TaskScheduled,
        is_service: bool,
        value: &Arc<Value>,
        details: &mut Map<String, Value>,
    ) {
        let input = scheduled.input.as_ref().unwrap_or(value);
        if is_service {
            details.insert("region".into(), self.region.clone().into());
            details.insert("parameters".into(), input.to_string().into());
        } else {
            details.insert("resource".into(), (*scheduled.resource).into());
            details.extend(payload("input", input));
        }
        if let Some(seconds) = scheduled.timeout_seconds {
            details.insert("timeoutInSeconds".into(), seconds.into());
        }
        if let Some(seconds) = scheduled.heartbeat_seconds {
            details.insert("heartbeatInSeconds".into(), seconds.into());
        }
        if let Some(role) = &scheduled.role {
            details.insert("taskCredentials".into(), json!({"roleArn": role}));
        }
    }
}

fn subject(state: &WorkflowState, event: &WorkflowEvent) -> Option<BranchId> {
    match event {
        WorkflowEvent::Started(_)
        | WorkflowEvent::Ended(_)
        | WorkflowEvent::Redriven(_)
        | WorkflowEvent::MapRunChanged(_)
        | WorkflowEvent::Forked(_) => None,
        WorkflowEvent::Entered(event) => Some(event.branch),
        WorkflowEvent::Exited(event) => Some(event.branch),
        WorkflowEvent::Failed(event) => Some(event.branch),
        WorkflowEvent::Retried(event) => Some(event.branch),
        WorkflowEvent::WaitStarted(event) => Some(event.branch),
        WorkflowEvent::TaskScheduled(event) => Some(event.branch),
        WorkflowEvent::TaskTaken(event) => state.calls.get(&event.call).copied(),
        WorkflowEvent::TaskSubmitted(event) | WorkflowEvent::TaskSucceeded(event) => {
            state.calls.get(&event.call).copied()
        }
        WorkflowEvent::TaskBeat(event) => state.calls.get(&event.call).copied(),
        WorkflowEvent::TaskFailed(event) => state.calls.get(&event.call).copied(),
        WorkflowEvent::TaskTimedOut(event) => state.calls.get(&event.call).copied(),
        WorkflowEvent::ItemsRead(event) => state.calls.get(&event.call).copied(),
        WorkflowEvent::ResultsRequested(event) => Some(event.branch),
        WorkflowEvent::ResultsWritten(event) => state.calls.get(&event.call).copied(),
        WorkflowEvent::MapStarted(event) => Some(event.branch),
        WorkflowEvent::ItemsRequested(event) => Some(event.branch),
        WorkflowEvent::IterationStarted(event) => Some(event.branch),
        WorkflowEvent::IterationSucceeded(event) => Some(event.branch),
        WorkflowEvent::IterationFailed(event) => Some(event.branch),
        WorkflowEvent::ParallelStarted(event) => Some(event.branch),
        WorkflowEvent::Joined(event) => Some(event.branch),
        WorkflowEvent::ChildrenBegun(event) => Some(event.branch),
        WorkflowEvent::ChildrenEnded(event) => Some(event.branch),
        WorkflowEvent::Broken(event) => Some(event.branch),
        WorkflowEvent::Aborted(event) => Some(event.branch),
    }
}

fn details_key(prefix: &str, word: &str) -> &'static str {
    match (prefix, word) {
        ("LambdaFunction", "Scheduled") => "lambdaFunctionScheduledEventDetails",
        ("LambdaFunction", "Succeeded") => "lambdaFunctionSucceededEventDetails",
        ("LambdaFunction", "Failed") => "lambdaFunctionFailedEventDetails",
        ("LambdaFunction", "TimedOut") => "lambdaFunctionTimedOutEventDetails",
        ("Activity", "Scheduled") => "activityScheduledEventDetails",
        ("Activity", "Started") => "activityStartedEventDetails",
        ("Activity", "Succeeded") => "activitySucceededEventDetails",
        ("Activity", "Failed") => "activityFailedEventDetails",
        ("Activity", "TimedOut") => "activityTimedOutEventDetails",
        (_, "Scheduled") => "taskScheduledEventDetails",
        (_, "Submitted") => "taskSubmittedEventDetails",
        (_, "Succeeded") => "taskSucceededEventDetails",
        (_, "Failed") => "taskFailedEventDetails",
        (_, "TimedOut") => "taskTimedOutEventDetails",
        (_, _) => "taskStartedEventDetails",
    }
}

fn payload(name: &str, value: &Value) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert(name.to_owned(), value.to_string().into());
    details.insert(format!("{name}Details"), json!({"truncated": false}));
    details
}

fn problem(error: Option<&Arc<str>>, cause: Option<&Arc<str>>) -> Map<String, Value> {
    let mut details = Map::new();
    for (name, text) in [("error", error), ("cause", cause)] {
        if let Some(text) = text {
            details.insert(name.to_owned(), (**text).into());
        }
    }
    details
}

fn variables(assigned: &Variables) -> Value {
    Value::Object(assigned.iter().map(|(name, value)| (name.to_string(), value.to_string().into())).collect())
}

const fn word(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Task => "Task",
        StateKind::Choice => "Choice",
        StateKind::Parallel => "Parallel",
        StateKind::Map => "Map",
        StateKind::Wait => "Wait",
        StateKind::Pass => "Pass",
        StateKind::Succeed => "Succeed",
        StateKind::Fail => "Fail",
    }
}
