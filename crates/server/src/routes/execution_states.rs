//! What each state of an execution did, folded from the history that Step Functions tells.

use crate::wire::rfc3339;
use bedplate_engine::workflow::{OpenTask, StateNow, history::HistoryEvent};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Payloads that are longer stay in the history.
const MAX_SHOWN: usize = 32 * 1024;

/// A state of a definition with what it did in an execution.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct StateBody {
    /// `running`, `waiting`, `retrying`, `failed`, `caught`, `aborted` or `done`: what its latest visits say.
    status: &'static str,
    /// How often it was entered.
    entered: u64,
    /// How often it was left.
    exited: u64,
    /// How often its work failed.
    failed: u64,
    /// How often it was tried again.
    retried: u64,
    /// How often a catcher went on.
    caught: u64,
    /// How many visits are under way.
    running: u64,
    first_at: String,
    last_at: String,
    /// The input of the latest visit; absent where it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    /// The output of the latest visit that ended; absent where it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// Whether a payload is left out because it is long.
    truncated: bool,
    /// The latest failure.
    error: Option<String>,
    cause: Option<String>,
    /// The token of a task that waits for somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// When that is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<String>,
}

/// Folds a history into its states.
#[derive(Debug, Default)]
pub(crate) struct States {
    by_name: BTreeMap<String, StateBody>,
    /// The state that each event is of, and whether its work had failed by then.
    events: BTreeMap<u64, (String, bool)>,
}

impl States {
    /// Takes the next event of the history.
    pub(crate) fn add(&mut self, event: &HistoryEvent) {
        let details = event.details.as_ref().map(|(_, details)| details);
        let text = |name: &str| details.and_then(|details| details.get(name)).and_then(Value::as_str);
        let at = rfc3339(event.timestamp);
        if event.kind.ends_with("StateEntered") {
            let Some(name) = text("name") else { return };
            let state = self.by_name.entry(name.to_owned()).or_default();
            if state.entered == 0 {
                state.first_at.clone_from(&at);
            }
            state.entered += 1;
            state.running += 1;
            state.status = "running";
            state.last_at = at;
            set(text("input"), &mut state.input, &mut state.truncated);
            self.events.insert(event.id, (name.to_owned(), false));
            return;
        }
        let exited = event.kind.ends_with("StateExited");
        let before = self.events.get(&event.previous_event_id).cloned();
        let known = if exited { text("name").map(ToOwned::to_owned) } else { None };
        let Some(name) = known.or_else(|| before.as_ref().map(|(name, _)| name.clone())) else { return };
        let had_failed = before.is_some_and(|(of, failed)| failed && of == name);
        let Some(state) = self.by_name.get_mut(&name) else { return };
        state.last_at = at;
        let failed = event.kind.ends_with("Failed") || event.kind.ends_with("TimedOut");
        if exited {
            state.exited += 1;
            state.running = state.running.saturating_sub(1);
            state.caught += u64::from(had_failed);
            state.status = if had_failed { "caught" } else { "done" };
            set(text("output"), &mut state.output, &mut state.truncated);
        } else if event.kind.ends_with("StateAborted") {
            state.running = state.running.saturating_sub(1);
            state.status = "aborted";
        } else if failed {
            // A Map or Parallel tells of the same failure once more when it stands.
            state.failed += u64::from(!had_failed);
            state.status = "failed";
            state.error = text("error").map(ToOwned::to_owned).or(state.error.take());
            state.cause = text("cause").map(ToOwned::to_owned).or(state.cause.take());
        } else if had_failed && event.kind.ends_with("Scheduled") {
            state.retried += 1;
            state.status = "running";
        }
        self.events.insert(event.id, (name, failed && !exited));
    }

    /// Returns the states with what goes on in them now.
    pub(crate) fn finish(mut self, now: &[StateNow], tasks: &[OpenTask], ended: bool) -> BTreeMap<String, StateBody> {
        for state in self.by_name.values_mut().filter(|state| ended && state.running > 0) {
            // The failure that ended the execution is the state's own.
            state.status = if state.error.is_some() || state.failed > 0 { "failed" } else { "aborted" };
            state.running = 0;
        }
        for at in now {
            let Some(state) = self.by_name.get_mut(&*at.state) else { continue };
            state.next_try_at = at.next_try_at.map(rfc3339).or(state.next_try_at.take());
            state.status = match (at.doing, state.status) {
                (_, "running") if state.running > 1 => "running",
                ("retrying", _) => "retrying",
                ("waiting", _) => "waiting",
                ("failed" | "aborted", status) => status,
                _ if state.running > 0 => "running",
                (_, status) => status,
            };
        }
        for task in tasks.iter().filter(|task| waits_for_somebody(task)) {
            let Some(state) = self.by_name.get_mut(&*task.state) else { continue };
            state.status = "waiting";
            state.token = Some(task.token.to_string());
            state.deadline = task.deadline.map(rfc3339);
        }
        self.by_name
    }
}

/// Returns whether a task goes on only when somebody outside says so.
pub(crate) fn waits_for_somebody(task: &OpenTask) -> bool {
    task.resource.contains(":activity:") || task.resource.ends_with(".waitForTaskToken")
}

fn set(text: Option<&str>, field: &mut Option<Value>, truncated: &mut bool) {
    let Some(text) = text else { return };
    *truncated = text.len() > MAX_SHOWN;
    *field = if *truncated { None } else { serde_json::from_str(text).ok() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::time::Timestamp;
    use serde_json::json;

    fn history(events: &[(u64, u64, &str, Value)]) -> BTreeMap<String, StateBody> {
        let mut states = States::default();
        for (id, previous, kind, details) in events {
            let details = details.as_object().cloned().unwrap_or_default();
            states.add(&HistoryEvent {
                id: *id,
                previous_event_id: *previous,
                seq: *id,
                branch: 0,
                timestamp: Timestamp(i64::try_from(*id).unwrap_or(0)),
                kind: (*kind).to_owned(),
                details: Some(("details", details)),
            });
        }
        states.finish(&[], &[], true)
    }

    #[test]
    fn a_retried_and_caught_failure_is_counted_where_it_happened() {
        let states = history(&[
            (1, 0, "ExecutionStarted", json!({})),
            (2, 0, "TaskStateEntered", json!({"name": "T", "input": "{}"})),
            (3, 2, "TaskScheduled", json!({})),
            (4, 3, "TaskStarted", json!({})),
            (5, 4, "TaskFailed", json!({"error": "E", "cause": "c"})),
            (6, 5, "TaskScheduled", json!({})),
            (7, 6, "TaskStarted", json!({})),
            (8, 7, "TaskFailed", json!({"error": "E", "cause": "c"})),
            (9, 8, "TaskStateExited", json!({"name": "T", "output": "1"})),
            (10, 9, "PassStateEntered", json!({"name": "P", "input": "1"})),
            (11, 10, "PassStateExited", json!({"name": "P", "output": "2"})),
        ]);
        let task = &states["T"];
        assert_eq!((task.failed, task.retried, task.caught, task.status), (2, 1, 1, "caught"));
        assert_eq!(task.error.as_deref(), Some("E"));
        let pass = &states["P"];
        assert_eq!((pass.entered, pass.status, &pass.output), (1, "done", &Some(json!(2))));
    }

    #[test]
    fn what_was_under_way_when_the_execution_was_stopped_is_aborted() {
        let states = history(&[(2, 0, "WaitStateEntered", json!({"name": "W", "input": "{}"}))]);
        assert_eq!((states["W"].status, states["W"].running), ("aborted", 0));
    }
}
