//! `bedrock:invokeModel`: a model through the gateway, with a body in the form of Anthropic's Messages.

use crate::{
    Handler, Task,
    error::{failed, missing, not_configured, text},
};
use bedplate_core::port::{
    BoxFuture,
    model::{Asked, ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelReply},
    tasks::{TaskError, TaskPlan, TaskReply},
};
use bedplate_dialects::{Envelope, anthropic_messages};
use futures::StreamExt;
use serde_json::{Value, json};

/// Invokes models.
pub struct InvokeModel;

impl Handler for InvokeModel {
    fn plan(&self, _: &Task) -> Result<TaskPlan, TaskError> {
        // A model call has no effect; one that was cut is made again and both are paid.
        Ok(TaskPlan::PerformAgain)
    }

    fn perform(&self, task: Task) -> BoxFuture<'static, Result<TaskReply, TaskError>> {
        Box::pin(async move {
            let input = &task.call.input;
            let id = text(input, "ModelId")?;
            let id = id.rsplit_once('/').map_or(id, |(_, id)| id);
            let route = match task.shared.definitions.route_of_model_id(id) {
                Some(route) => route,
                None if task.shared.model.describe(id).is_some() => id.to_owned(),
                None => {
                    return Err(not_configured(
                        format!("the model {id:?}"),
                        format!("\"{id}\" = \"default\" under [model_ids]"),
                    ));
                }
            };
            let body = match input.get("Body") {
                Some(Value::String(text)) => text.clone(),
                Some(body) => body.to_string(),
                None => return Err(missing("Body")),
            };
            let mut request = anthropic_messages::decode_invoke(body.as_bytes(), &route)
                .map_err(|problem| failed("Bedrock.ValidationException", problem.to_string()))?;
            request.model = route;
            let call = ModelCall {
                caller: task.call.caller.clone(),
                asked: Asked::Core(request),
                stream: false,
                deadline: task.call.deadline,
            };
            let reply = whole(&task, call).await.map_err(|error| named(&error))?;
            let envelope = Envelope {
                id: format!("msg_bdrk_{}", task.call.idempotency_key.chars().take(24).collect::<String>()),
                model: reply.model.clone(),
                created: 0,
            };
            let body = anthropic_messages::encode_reply(&reply, &envelope).to_json();
            let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            Ok(TaskReply::Done(json!({ "Body": body, "ContentType": "application/json" })))
        })
    }
}

async fn whole(task: &Task, call: ModelCall) -> Result<ModelReply, ModelError> {
    let mut events = task.shared.model.call(call).await?.answer.into_events()?;
    while let Some(event) = events.next().await {
        if let ModelEvent::End(reply) = event? {
            return Ok(*reply);
        }
    }
    Err(ModelError::new(ModelErrorKind::BrokenStream, "the model's reply ended too early"))
}

/// Returns a model's failure under the name that Bedrock gives it.
fn named(error: &ModelError) -> TaskError {
    let name = match error.kind {
        ModelErrorKind::InvalidRequest | ModelErrorKind::TooLarge => "Bedrock.ValidationException",
        ModelErrorKind::NotFound => "Bedrock.ResourceNotFoundException",
        ModelErrorKind::Unauthorized => "Bedrock.AccessDeniedException",
        ModelErrorKind::RateLimited => "Bedrock.ThrottlingException",
        ModelErrorKind::Timeout => "Bedrock.ModelTimeoutException",
        ModelErrorKind::Unavailable | ModelErrorKind::BrokenStream => "Bedrock.ServiceUnavailableException",
        _ => "Bedrock.ModelErrorException",
    };
    failed(name, &error.message)
}
