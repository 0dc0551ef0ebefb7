//! The bodies of the native API, and their making from what core and runtime know.

use bedplate_core::{
    event::{Entry, QuestionKind, RunKind, TurnOutcome},
    id::{CallId, RunId, Seq},
    message::{ContentBlock, Message, Usage},
    port::journal::{Head, RunStatus},
    time::Timestamp,
};
use bedplate_engine::{
    agent::{OpenQuestion, TurnView},
    workflow::OpenTask,
};
use bedplate_runtime::{ExecutionView, Started, TurnResult, TurnState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Returns a time as RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    let bound = if time.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or(bound);
    format!("{time:.3}")
}

/// Returns millionths of a dollar as dollars.
#[expect(clippy::cast_precision_loss, reason = "money below nine billion dollars is exact enough for display")]
pub(crate) fn dollars(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}

/// Tokens of one or more model calls.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct UsageBody {
    /// Input tokens that no cache was involved in.
    input: u64,
    /// Output tokens.
    output: u64,
    /// Input tokens read from the provider's cache.
    cache_read: u64,
    /// Input tokens written to the provider's cache.
    cache_write: u64,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self { input: usage.input, output: usage.output, cache_read: usage.cache_read, cache_write: usage.cache_write }
    }
}

/// The model that stands behind a route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ModelBody {
    /// The provider.
    pub(crate) provider: String,
    /// The model as its provider names it.
    pub(crate) model: String,
    /// Whether it is a real foundation model; `rehearsal` and `scripted` are not.
    pub(crate) foundation_model: bool,
}

/// A question that waits for a person.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct QuestionBody {
    /// The run that asks.
    run_id: String,
    /// Its session.
    session_id: String,
    /// Its agent.
    agent: String,
    /// On whose behalf.
    user_id: String,
    /// The call that waits.
    call: CallId,
    /// `approval`: may this call run? `outcome_unknown`: it began and its outcome is lost; may it be made again?
    kind: &'static str,
    /// The tool.
    tool: String,
    /// The arguments that the model gave.
    input: Value,
    /// The question, for people.
    question: String,
    /// The facts that decide it, from the tool's own query.
    preview: Value,
    /// When the answer is taken to be no, RFC 3339; null: never.
    deadline: Option<String>,
    /// `agent` or `workflow`.
    source: &'static str,
    /// The state of the workflow that asks.
    state: Option<String>,
}

impl QuestionBody {
    pub(crate) fn of(head: &Head, question: &OpenQuestion) -> Self {
        Self {
            run_id: head.run.id.to_string(),
            session_id: head.session.clone(),
            agent: head.name.clone(),
            user_id: head.user.to_string(),
            call: question.call,
            kind: match question.kind {
                QuestionKind::Approval => "approval",
                QuestionKind::OutcomeUnknown => "outcome_unknown",
            },
            tool: question.tool.clone(),
            input: question.input.clone(),
            question: question.question.clone(),
            preview: question.preview.clone(),
            deadline: Some(rfc3339(question.deadline)),
            source: "agent",
            state: None,
        }
    }

    /// Returns the question that a task of a workflow is.
    pub(crate) fn of_task(view: &ExecutionView, task: &OpenTask) -> Self {
        let mut input = Value::clone(&task.input);
        if let Value::Object(fields) = &mut input {
            // Whoever may answer does so here, under their own name, and needs no token.
            fields.retain(|_, value| value.as_str() != Some(&*task.token));
        }
        let said = ["question", "message"].iter().find_map(|name| input.get(*name)?.as_str()).map(ToOwned::to_owned);
        Self {
            run_id: view.run.to_string(),
            session_id: view.execution.to_string(),
            agent: view.machine_name.to_string(),
            user_id: view.user.to_string(),
            call: task.call,
            kind: "approval",
            tool: task.state.to_string(),
            question: said.unwrap_or_else(|| format!("May `{}` of {} go on?", task.state, view.machine_name)),
            preview: input.get("preview").cloned().unwrap_or_default(),
            input,
            deadline: task.deadline.map(rfc3339),
            source: "workflow",
            state: Some(task.state.to_string()),
        }
    }
}

/// What the agent said.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct OutputBody {
    /// All text blocks, joined with a blank line.
    pub(crate) text: String,
    /// The content blocks as they are kept.
    #[schema(value_type = Vec<Object>)]
    pub(crate) content: Vec<ContentBlock>,
}

impl OutputBody {
    pub(crate) fn of(message: &Message) -> Self {
        Self { text: message.text(), content: message.content.clone() }
    }
}

/// Why a turn did not complete.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TurnErrorBody {
    /// The status again, as a code.
    code: &'static str,
    /// What happened, for people.
    message: String,
}

/// A turn as the native API answers it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TurnBody {
    /// The run.
    pub(crate) run_id: String,
    /// The session.
    pub(crate) session_id: String,
    /// The turn: the position of the event that began it.
    pub(crate) turn: Seq,
    /// `completed`, `waiting`, `running`, `queued`, or why it ended otherwise.
    pub(crate) status: &'static str,
    /// What the agent said last, when it said something.
    pub(crate) output: Option<OutputBody>,
    /// Why it did not complete.
    pub(crate) error: Option<TurnErrorBody>,
    /// What waits for a person.
    pub(crate) questions: Vec<QuestionBody>,
    /// Tokens.
    pub(crate) usage: UsageBody,
    /// Money in US dollars.
    pub(crate) cost_usd: f64,
    /// The model that answers on this agent's route.
    pub(crate) model: Option<ModelBody>,
    /// Model calls made.
    pub(crate) iterations: u32,
    /// Tool calls made.
    pub(crate) tool_calls: u32,
    /// Whether the idempotency key named a turn that was already there.
    pub(crate) joined: bool,
    /// The turn that this one waits for.
    pub(crate) queued_behind: Option<Seq>,
}

impl TurnBody {
    /// Returns the body of a turn that ended or waits for the answers to `questions`.
    pub(crate) fn of(
        started: &Started,
        result: &TurnResult,
        questions: Vec<QuestionBody>,
        model: Option<ModelBody>,
    ) -> Self {
        let status = match &result.state {
            TurnState::Ended(outcome) => outcome_word(*outcome),
            TurnState::Waiting(_) => "waiting",
        };
        let error = match &result.state {
            TurnState::Ended(TurnOutcome::Completed | TurnOutcome::MaxTokens | TurnOutcome::Refused)
            | TurnState::Waiting(_) => None,
            TurnState::Ended(_) => {
                Some(TurnErrorBody { code: status, message: result.message.clone().unwrap_or_else(|| status.into()) })
            }
        };
        Self {
            run_id: started.run.to_string(),
            session_id: started.session.clone(),
            turn: result.turn,
            status,
            output: result.answer.as_deref().map(OutputBody::of),
            error,
            questions,
            usage: result.usage.into(),
            cost_usd: dollars(result.cost),
            model,
            iterations: result.iterations,
            tool_calls: result.tool_calls,
            joined: started.joined,
            queued_behind: None,
        }
    }
}

/// Returns the word for how a turn ended.
pub(crate) fn outcome_word(outcome: TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Completed => "completed",
        TurnOutcome::MaxTokens => "max_tokens",
        TurnOutcome::Refused => "refused",
        TurnOutcome::ContextExceeded => "context_exceeded",
        TurnOutcome::MaxIterations => "max_iterations",
        TurnOutcome::MaxToolCalls => "max_tool_calls",
        TurnOutcome::MaxTurnTokens => "max_turn_tokens",
        TurnOutcome::MaxCost => "max_cost",
        TurnOutcome::Timeout => "timeout",
        TurnOutcome::Cancelled => "cancelled",
        TurnOutcome::Interrupted => "interrupted",
        TurnOutcome::ModelFailed => "model_failed",
    }
}

/// Returns the word for which machine interprets a run.
pub(crate) const fn kind_word(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Agent => "agent",
        RunKind::Workflow => "workflow",
    }
}

/// Returns the word for the state of a run.
pub(crate) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Idle => "idle",
        RunStatus::Running => "running",
        RunStatus::Waiting => "waiting",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::TimedOut => "timed_out",
        RunStatus::Aborted => "aborted",
    }
}

/// A run or session in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RunBody {
    /// The run.
    run_id: String,
    /// `agent` or `workflow`.
    kind: &'static str,
    /// What the user calls the session.
    session_id: String,
    /// On whose behalf.
    user_id: String,
    /// The agent, or the workflow.
    agent: String,
    /// What the last turn asked, cut to a line.
    title: String,
    /// `idle`, `running` or `waiting`.
    status: &'static str,
    /// The run that it was started by.
    parent_run_id: Option<String>,
    /// When it was made, RFC 3339.
    created_at: String,
    /// When its last turn began, RFC 3339.
    touched_at: String,
    /// How many events its journal has.
    events: Seq,
}

impl RunBody {
    pub(crate) fn of(head: &Head) -> Self {
        Self {
            run_id: head.run.id.to_string(),
            kind: kind_word(head.kind),
            session_id: head.session.clone(),
            user_id: head.user.to_string(),
            agent: head.name.clone(),
            title: head.title.clone(),
            status: status_word(head.status),
            parent_run_id: head.parent.map(|id| id.to_string()),
            created_at: rfc3339(head.created_at),
            touched_at: rfc3339(head.touched_at),
            events: head.seq,
        }
    }
}

/// A turn in the view of a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TurnSummary {
    /// The turn: the position of the event that began it.
    turn: Seq,
    /// `queued`, `running`, or how it ended.
    status: &'static str,
    /// Why it did not complete.
    message: Option<String>,
    /// When it began, RFC 3339.
    started_at: String,
    /// When it ended, RFC 3339.
    ended_at: Option<String>,
    /// Tokens.
    usage: UsageBody,
    /// Money in US dollars.
    cost_usd: f64,
    /// Model calls made.
    iterations: u32,
    /// Tool calls made.
    tool_calls: u32,
}

impl TurnSummary {
    /// Returns the summary of `turn` in a run where `current` is the turn under way.
    pub(crate) fn of(turn: &TurnView, current: Option<Seq>) -> Self {
        let under_way = if current == Some(turn.id) { "running" } else { "queued" };
        Self {
            turn: turn.id,
            status: turn.outcome.map_or(under_way, outcome_word),
            message: turn.message.clone(),
            started_at: rfc3339(turn.started_at),
            ended_at: turn.ended_at.map(rfc3339),
            usage: turn.usage.into(),
            cost_usd: dollars(turn.cost),
            iterations: turn.iterations,
            tool_calls: turn.tool_calls,
        }
    }
}

/// An event of a journal: its position, its time, its type, and the fields of that type beside them. Times are RFC 3339
/// here as everywhere; the journal itself keeps milliseconds.
pub(crate) fn event_body(entry: &Entry) -> Value {
    let mut body = Map::new();
    body.insert("seq".into(), entry.seq.into());
    body.insert("at".into(), rfc3339(entry.at).into());
    if let Ok(Value::Object(encoded)) = serde_json::to_value(&entry.event) {
        for (kind, fields) in encoded {
            body.insert("type".into(), kind.into());
            if let Value::Object(fields) = fields {
                body.extend(fields.into_iter().map(field));
            }
        }
    }
    body.into()
}

/// Returns a field of an event as the API says it.
fn field((name, value): (String, Value)) -> (String, Value) {
    match (name.as_str(), value.as_i64()) {
        ("deadline" | "not_before", Some(millis)) => (name, rfc3339(Timestamp(millis)).into()),
        // `at` is the event's own time; where a fork was cut is another thing.
        ("at", _) => ("from_at".into(), value),
        _ => (name, value),
    }
}

/// A list of events.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EventsBody {
    /// The events in order, each `{"seq", "at", "type", …}`.
    #[schema(value_type = Vec<Object>)]
    pub(crate) events: Vec<Value>,
    /// Where the next page begins; null at the end.
    pub(crate) next_after: Option<Seq>,
}

/// A message of a conversation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MessageBody {
    /// The position of the event that it came with.
    pub(crate) seq: Seq,
    /// `user` or `assistant`.
    #[schema(value_type = String)]
    pub(crate) role: bedplate_core::message::Role,
    /// Its content blocks.
    #[schema(value_type = Vec<Object>)]
    pub(crate) content: Vec<ContentBlock>,
}

/// What a deletion removed.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct DeletedBody {
    /// Runs.
    pub(crate) runs: u64,
    /// Blobs that nothing else referred to.
    pub(crate) blobs: u64,
    /// Documents: files, batches, jobs and stored replies of the person.
    pub(crate) documents: u64,
}

impl From<bedplate_core::port::journal::Deleted> for DeletedBody {
    fn from(deleted: bedplate_core::port::journal::Deleted) -> Self {
        Self { runs: deleted.runs, blobs: deleted.blobs, documents: 0 }
    }
}

/// The user that a request without a bound key speaks for.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserParam {
    /// The user; default `anonymous`, or the one that the key is bound to.
    pub(crate) user_id: Option<String>,
}

/// Parses the id of a run out of a path.
pub(crate) fn run_id(text: &str) -> Result<RunId, crate::ApiError> {
    text.parse().map_err(|_| crate::ApiError::not_found("run_not_found", "there is no such run"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::event::{Event, Forked, ModelCalled};

    #[test]
    fn every_time_of_an_event_is_said_in_one_form() {
        let called = ModelCalled {
            route: "default".into(),
            from: 2,
            attempt: 2,
            max_tokens: 10,
            reserved: 0,
            deadline: Timestamp(1_000),
            not_before: Some(Timestamp(i64::MAX)),
        };
        let body = event_body(&Entry { seq: 3, at: Timestamp(0), event: Event::ModelCalled(called) });
        assert_eq!(body["type"], "model_called");
        assert_eq!(body["at"], "1970-01-01T00:00:00.000Z");
        assert_eq!(body["deadline"], "1970-01-01T00:00:01.000Z");
        assert!(body["not_before"].as_str().is_some_and(|text| text.starts_with("9999-12-")), "{body}");
    }

    #[test]
    fn the_time_of_a_fork_is_not_hidden_by_where_it_was_cut() {
        let forked = Forked { from: RunId([7; 16]), at: 5, session: "copy".into() };
        let body = event_body(&Entry { seq: 6, at: Timestamp(0), event: Event::Forked(forked) });
        assert_eq!((&body["at"], &body["from_at"]), (&"1970-01-01T00:00:00.000Z".into(), &5.into()));
    }
}
