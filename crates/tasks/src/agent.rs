//! Tasks that are turns of an agent: which agent, and what it is told. Pure; the runtime drives the turn.

use crate::{
    config::Config,
    error::{TASK_FAILED, failed, missing},
    resource::function_name,
};
use bedplate_core::{
    message::{ContentBlock, Message, Role},
    port::{
        definitions::Definitions,
        tasks::{AgentReply, AgentTask, TaskError},
    },
};
use serde_json::Value;

/// Returns the turn that a function's call is, when the function is an agent: one that `[functions.<name>]` makes one,
/// or one of that name in the project. The payload is `{user_id?, query, conversation_id?, agent_type?}`, by itself or
/// as the `body` of a request, also as a text; `agent_type` names another agent of the project.
///
/// # Errors
/// [`TaskError`] when the function is an agent and the payload cannot be one of its turns.
pub fn function(
    config: &Config,
    definitions: &dyn Definitions,
    function: &str,
    payload: &Value,
    reply: AgentReply,
) -> Result<Option<AgentTask>, TaskError> {
    let named = match config.functions.get(function) {
        Some(configured) => configured.agent.as_deref(),
        None => definitions.agent(function).is_some().then_some(function),
    };
    let Some(agent) = named else { return Ok(None) };
    let body = unwrapped(payload)?;
    let agent = match body.get("agent_type").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(other) => other,
        None => agent,
    };
    check(definitions, agent)?;
    let message = told(&body, &["query", "input", "prompt", "message"]).ok_or_else(|| missing("query"))?;
    let session = ["conversation_id", "session_id"].iter().find_map(|name| body.get(*name).and_then(Value::as_str));
    Ok(Some(AgentTask {
        agent: agent.to_owned(),
        message,
        session: session.filter(|session| !session.is_empty()).map(ToOwned::to_owned),
        reply,
    }))
}

/// Returns the turn that a task of `bedrock-agentcore` is: `invokeHarness` with `HarnessArn` and `Messages`, or
/// `invokeAgentRuntime` with `AgentRuntimeArn` and `Payload`; both take a `RuntimeSessionId`.
///
/// # Errors
/// [`TaskError`] when it names no agent of the project, or says nothing to it.
pub fn agentcore(definitions: &dyn Definitions, input: &Value) -> Result<AgentTask, TaskError> {
    let field = |names: &[&str]| names.iter().find_map(|name| input.get(*name));
    let text = |names: &[&str]| field(names).and_then(Value::as_str);
    let arn = text(&["HarnessArn", "harnessArn", "AgentRuntimeArn", "agentRuntimeArn", "AgentName"]);
    let arn = arn.ok_or_else(|| missing("HarnessArn or AgentRuntimeArn"))?;
    let named = arn.rsplit(['/', ':']).next().unwrap_or(arn);
    // AWS ends the id of a runtime with ten characters of its own.
    let bare = named.rsplit_once('-').filter(|(_, suffix)| suffix.len() == 10).map_or(named, |(name, _)| name);
    let agent = [named, bare].into_iter().find(|name| definitions.agent(name).is_some()).unwrap_or(named);
    check(definitions, agent)?;
    let message = match field(&["Messages", "messages"]) {
        Some(messages) => last_said(messages).ok_or_else(|| missing("Messages"))?,
        None => {
            let payload = field(&["Payload", "payload"]).ok_or_else(|| missing("Payload"))?;
            told(&unwrapped(payload)?, &["prompt", "query", "input", "message"]).ok_or_else(|| missing("Payload"))?
        }
    };
    let session = text(&["RuntimeSessionId", "runtimeSessionId", "SessionId"]).map(ToOwned::to_owned);
    Ok(AgentTask { agent: agent.to_owned(), message, session, reply: AgentReply::Harness })
}

/// Returns the name of the function that a task of `lambda:invoke` calls, and what it is given.
///
/// # Errors
/// [`TaskError`] when it names none.
pub fn invocation(input: &Value) -> Result<(&str, Value), TaskError> {
    let named = crate::error::text(input, "FunctionName")?;
    Ok((function_name(named), input.get("Payload").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()))))
}

fn check(definitions: &dyn Definitions, agent: &str) -> Result<(), TaskError> {
    if definitions.agent(agent).is_some() {
        return Ok(());
    }
    let known: Vec<String> = definitions.agents().iter().map(|agent| agent.definition.name.clone()).collect();
    Err(failed(TASK_FAILED, format!("there is no agent {agent:?} in the project; there are: {}", known.join(", "))))
}

/// Returns a payload without what a gateway or a runtime wraps it in.
fn unwrapped(payload: &Value) -> Result<Value, TaskError> {
    let parse = |text: &str| match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) => value,
        _ => Value::String(text.to_owned()),
    };
    let payload = match payload {
        Value::String(text) => parse(text),
        other => other.clone(),
    };
    Ok(match payload.get("body") {
        Some(Value::String(text)) => parse(text),
        Some(body) => body.clone(),
        None => payload,
    })
}

/// Returns what is said: the first of `fields` that is there, else the value itself when it is a text.
fn told(body: &Value, fields: &[&str]) -> Option<Message> {
    let said = match body {
        Value::String(_) => body,
        _ => fields.iter().find_map(|field| body.get(*field))?,
    };
    match said {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(Message::user(text.clone())),
        Value::Null => None,
        // What another state made may be any value; an agent reads it as JSON.
        other => Some(Message::user(other.to_string())),
    }
}

/// Returns the last message of a user in a list of messages in Converse's form.
fn last_said(messages: &Value) -> Option<Message> {
    let role =
        |message: &Value| message.get("role").or_else(|| message.get("Role")).and_then(Value::as_str) == Some("user");
    let message = messages.as_array()?.iter().rev().find(|message| role(message))?;
    let content = message.get("content").or_else(|| message.get("Content"))?;
    let texts: Vec<ContentBlock> = match content {
        Value::String(text) => vec![ContentBlock::text(text.clone())],
        Value::Array(blocks) => {
            let text =
                |block: &Value| block.get("text").or_else(|| block.get("Text"))?.as_str().map(ContentBlock::text);
            blocks.iter().filter_map(text).collect()
        }
        _ => Vec::new(),
    };
    (!texts.is_empty()).then_some(Message { role: Role::User, content: texts })
}
