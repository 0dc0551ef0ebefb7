//! Turns of agents that a task asks for: child runs, too.

use crate::{
    api::{StartTurn, TurnResult, TurnState},
    perform::task_failed,
    runtime::Runtime,
};
use bedplate_core::{
    event::{Billing, TurnOutcome},
    id::{CallId, RunId},
    port::tasks::{AgentReply, AgentTask, TaskCall},
};
use bedplate_engine::machine::TaskReport;
use serde_json::json;
use std::sync::Arc;

impl Runtime {
    /// Takes a turn of an agent, and returns what its end means for the task. A question to a person holds it up.
    pub(super) async fn run_agent(self, asked: TaskCall, call: CallId, task: AgentTask) -> TaskReport {
        let Some(parent) = asked.caller.run else { return task_failed("the task belongs to no execution") };
        let tenant = asked.caller.tenant.clone();
        let agent = task.agent;
        let session = task.session.unwrap_or_else(|| RunId::child(parent, call).to_string());
        let billing = Billing::of(&asked.caller);
        let request = StartTurn {
            tenant: tenant.clone(),
            user: asked.caller.user,
            agent: agent.clone(),
            session: Some(session.clone()),
            message: task.message,
            idempotency_key: Some(asked.idempotency_key),
            policy: None,
            timeout_seconds: None,
            adapted: None,
            billing,
        };
        let started = match self.start_turn_of(request, Some(parent)).await {
            Ok(started) => started,
            Err(error) => return task_failed(&error.to_string()),
        };
        self.shared().children.note(parent, call, super::Child::Turn { run: started.run, turn: started.turn });
        let result = self.end_of_turn(&tenant, started.run, started.turn).await;
        self.shared().children.take(parent, call);
        match result {
            Ok(result) => report(&agent, &session, task.reply, &result),
            Err(error) => task_failed(&error.to_string()),
        }
    }
}

fn report(agent: &str, session: &str, form: AgentReply, result: &TurnResult) -> TaskReport {
    let TurnState::Ended(outcome) = &result.state else { return task_failed("the agent's turn did not end") };
    if *outcome != TurnOutcome::Completed {
        let why = result.message.as_deref().unwrap_or("it did not complete");
        return TaskReport::Failed {
            error: Some("States.TaskFailed".into()),
            cause: Some(format!("the turn of the agent '{agent}' ended without an answer: {why}").into()),
        };
    }
    let text = result.answer.as_ref().map(|answer| answer.text()).unwrap_or_default();
    let usage = json!({"inputTokens": result.usage.input, "outputTokens": result.usage.output,
        "totalTokens": result.usage.input + result.usage.output});
    // The field's names are those of the documents' function, so that it can be called in its place.
    let body = json!({"response": text, "conversation_id": session, "session": session, "model": result.model, "usage": usage,
        "stopReason": "end_turn"});
    let output = match form {
        AgentReply::Response => body,
        AgentReply::Payload => json!({"ExecutedVersion": "$LATEST", "Payload": body, "StatusCode": 200}),
        AgentReply::Harness => json!({"ContentType": "application/json", "Response": body,
            "RuntimeSessionId": session, "StatusCode": 200}),
    };
    TaskReport::Succeeded(Arc::new(output))
}
