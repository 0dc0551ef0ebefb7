//! Performing intents: calls of models and tools as futures that the run's own task polls.
//!
//! A call is never spawned: dropping it cancels it, and one that is ready at once costs no task.

use crate::{live::Hub, workflow::MapChildren};
use bedplate_core::{
    event::Preparation,
    id::CallId,
    message::{ContentBlock, Message, Source, ToolResultContent},
    port::{
        BoxFuture,
        clock::Clock,
        journal::MAX_EVENT_BYTES,
        model::{Model, ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelReply},
        tools::{ToolError, ToolErrorKind},
    },
    time::Timestamp,
    tool::ToolOutput,
};
use bedplate_engine::machine::{Input, TaskReport};
use serde_json::Value;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

/// The largest result that is taken, in bytes of content; escaping may double it on its way into the journal.
const MAX_RESULT_BYTES: usize = MAX_EVENT_BYTES / 4;

/// A call under way.
pub(crate) struct InFlight {
    pub call: CallId,
    pub deadline: Timestamp,
    pub begun: Timestamp,
    pub work: Work,
}

/// What is under way.
pub(crate) enum Work {
    Model(BoxFuture<'static, Result<ModelReply, ModelError>>),
    Prepare(BoxFuture<'static, Result<Preparation, ToolError>>),
    Tool(BoxFuture<'static, Result<ToolOutput, ToolError>>),
    /// A workflow's task, as far as it is not over.
    Task(Option<BoxFuture<'static, Reported>>),
    /// The child executions of a Map.
    Children(Box<MapChildren>),
}

/// What is known about a workflow's task, and where more comes from.
pub(crate) struct Reported {
    pub report: TaskReport,
    pub then: Option<BoxFuture<'static, Reported>>,
}

impl From<TaskReport> for Reported {
    fn from(report: TaskReport) -> Self {
        Self { report, then: None }
    }
}

impl InFlight {
    /// Polls the call; a panic inside it ends this call alone.
    pub(crate) fn poll<S>(&mut self, cx: &mut Context<'_>, clock: &dyn Clock) -> Poll<Input<S>> {
        let (call, begun) = (self.call, self.begun);
        let took = || u64::try_from(clock.now().since(begun).as_millis()).unwrap_or(u64::MAX);
        match &mut self.work {
            Work::Model(future) => poll_caught(future, cx).map(|outcome| Input::Model {
                call,
                result: outcome.unwrap_or_else(|| {
                    Err(ModelError::new(ModelErrorKind::InvalidReply, "the model's adapter broke down"))
                }),
                took_ms: took(),
            }),
            Work::Prepare(future) => poll_caught(future, cx).map(|outcome| Input::Prepared {
                call,
                result: outcome.unwrap_or_else(|| Err(broke_down(ToolErrorKind::Failed))),
            }),
            Work::Tool(future) => poll_caught(future, cx).map(|outcome| Input::Tool {
                call,
                result: outcome.unwrap_or_else(|| Err(broke_down(ToolErrorKind::OutcomeUnknown))).map(bounded),
                took_ms: took(),
            }),
            Work::Children(children) => children.poll(cx).map(|ended| Input::Children { call, ended }),
            Work::Task(slot) => {
                let Some(future) = slot else { return Poll::Pending };
                let Poll::Ready(reported) = poll_caught(future, cx) else { return Poll::Pending };
                let reported = reported.unwrap_or_else(|| task_failed("the task broke down").into());
                *slot = reported.then;
                Poll::Ready(Input::Task { call, report: reported.report })
            }
        }
    }

    /// Returns whether nothing more comes of a call that was ready.
    pub(crate) fn is_over(&self) -> bool {
        match &self.work {
            Work::Model(_) | Work::Prepare(_) | Work::Tool(_) => true,
            Work::Task(more) => more.is_none(),
            Work::Children(children) => children.is_over(),
        }
    }

    /// Returns what a call that was given up at its deadline means.
    pub(crate) fn timed_out<S>(self, now: Timestamp) -> Input<S> {
        let call = self.call;
        let took = now.since(self.begun);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let message = format!("no answer after {:.1} s", took.as_secs_f64());
        match self.work {
            Work::Model(_) => {
                Input::Model { call, result: Err(ModelError::new(ModelErrorKind::Timeout, message)), took_ms }
            }
            Work::Prepare(_) => {
                Input::Prepared { call, result: Err(ToolError { kind: ToolErrorKind::Failed, message }) }
            }
            // The machine itself watches a task's time, and says so before this.
            Work::Task(_) | Work::Children(_) => Input::Task { call, report: task_failed(&message) },
            Work::Tool(_) => {
                Input::Tool { call, result: Err(ToolError { kind: ToolErrorKind::OutcomeUnknown, message }), took_ms }
            }
        }
    }
}

/// Calls a model and shows its reply as it comes.
pub(crate) async fn call_model(
    hub: Arc<Hub>,
    model: Arc<dyn Model>,
    clock: Arc<dyn Clock>,
    id: CallId,
    call: ModelCall,
    not_before: Option<Timestamp>,
) -> Result<ModelReply, ModelError> {
    if let Some(until) = not_before {
        clock.sleep_until(until).await;
    }
    let mut stream = model.call(call).await?.answer.into_events()?;
    while let Some(event) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        match event? {
            ModelEvent::End(reply) if content_bytes(&reply.message) > MAX_RESULT_BYTES => {
                let message = format!("the reply is larger than {MAX_RESULT_BYTES} bytes");
                return Err(ModelError::new(ModelErrorKind::TooLarge, message));
            }
            ModelEvent::End(reply) => return Ok(*reply),
            event => hub.delta(id, event),
        }
    }
    Err(ModelError::new(ModelErrorKind::BrokenStream, "the reply broke off"))
}

/// Returns about how many bytes `message` takes in a journal, before escaping.
pub(crate) fn content_bytes(message: &Message) -> usize {
    message.content.iter().map(block_bytes).sum()
}

/// Returns about how many bytes an input adds to a batch, before escaping.
pub(crate) fn input_bytes<S>(input: &Input<S>) -> usize {
    match input {
        Input::Model { result: Ok(reply), .. } => content_bytes(&reply.message),
        Input::Tool { result: Ok(output), .. } => output.content.iter().map(part_bytes).sum(),
        Input::Prepared { result: Ok(Preparation::Ask { preview, question }), .. } => {
            value_bytes(preview) + question.len()
        }
        Input::Prepared { result: Ok(Preparation::Refuse(output)), .. } => output.content.iter().map(part_bytes).sum(),
        Input::Children { ended, .. } => {
            ended.iter().map(|child| 64 + child.output.as_deref().map_or(0, value_bytes)).sum()
        }
        Input::Task { report: TaskReport::Submitted(value) | TaskReport::Succeeded(value), .. } => value_bytes(value),
        _ => 0,
    }
}

fn poll_caught<T>(future: &mut BoxFuture<'static, T>, cx: &mut Context<'_>) -> Poll<Option<T>> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    }
}

/// Returns the error of a tool whose adapter panicked.
pub(crate) fn broke_down(kind: ToolErrorKind) -> ToolError {
    ToolError { kind, message: "the tool broke down".to_owned() }
}

/// Returns the report of a task that failed.
pub(crate) fn task_failed(cause: &str) -> TaskReport {
    TaskReport::Failed { error: Some("States.TaskFailed".into()), cause: Some(cause.into()) }
}

/// Returns the output, or an error that says that it is too large.
pub(crate) fn bounded(output: ToolOutput) -> ToolOutput {
    let bytes: usize = output.content.iter().map(part_bytes).sum();
    if bytes > MAX_RESULT_BYTES {
        return ToolOutput::error(format!(
            "The tool ran, but its result of {bytes} bytes is larger than the limit of {MAX_RESULT_BYTES}."
        ));
    }
    output
}

fn block_bytes(block: &ContentBlock) -> usize {
    match block {
        ContentBlock::Text { text } => text.len() + 32,
        ContentBlock::Image { source, .. } | ContentBlock::Document { source, .. } => source_bytes(source) + 64,
        ContentBlock::ToolUse(tool_use) => {
            value_bytes(&tool_use.input) + tool_use.malformed.as_ref().map_or(0, String::len) + 96
        }
        ContentBlock::ToolResult(result) => result.content.iter().map(part_bytes).sum::<usize>() + 64,
        ContentBlock::Reasoning(reasoning) => {
            let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            reasoning.text.len() + optional(&reasoning.signature) + optional(&reasoning.redacted) + 64
        }
        ContentBlock::CachePoint => 24,
    }
}

fn part_bytes(part: &ToolResultContent) -> usize {
    match part {
        ToolResultContent::Text { text } => text.len() + 32,
        ToolResultContent::Json { json } => value_bytes(json) + 32,
        ToolResultContent::Image { source, .. } => source_bytes(source) + 64,
    }
}

fn source_bytes(source: &Source) -> usize {
    match source {
        Source::Base64(text) | Source::Url(text) => text.len(),
        Source::Blob(_) => 64,
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 12,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| value_bytes(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, item)| name.len() + 4 + value_bytes(item)).sum::<usize>() + 2
        }
    }
}
