//! Requests: core → Converse and back.

use super::{
    NAME, NAME_RULE,
    block::{blocks_in, blocks_out},
    is_anthropic,
    wire::{self, CachePoint, InferenceConfig, Nothing, SystemBlock, Tool, ToolConfig},
};
use crate::{
    DecodeError, EncodeError, NameMap,
    anthropic_messages::{self, seal},
    json, normalise, output, params,
    tools::{check_choice, placeholder},
};
use bedplate_core::{
    message::{ContentBlock, Message, Role},
    port::model::{ModelParams, ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Where Anthropic's models on Bedrock are told to call one tool at a time.
const TOOL_CHOICE: &str = "tool_choice";

/// Says a core request in this dialect; the names are needed to read the reply. The model goes in the path.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_request(request: &ModelRequest) -> Result<(wire::Request, NameMap), EncodeError> {
    let names = NameMap::of(request, NAME_RULE);
    let mut extra = params::kept(&request.params, NAME);
    let mut fields = match extra.shift_remove("additionalModelRequestFields") {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    if is_anthropic(&request.model) {
        fields.extend(params::kept(&request.params, anthropic_messages::NAME));
    }
    let thinks =
        matches!(fields.get("thinking").and_then(|thinking| thinking["type"].as_str()), Some("enabled" | "adaptive"));
    if thinks && matches!(request.tool_choice, ToolChoice::Any | ToolChoice::Tool(_)) {
        return Err(EncodeError::ForcedChoiceWithReasoning);
    }
    let conversation = conversation(&request.messages, is_anthropic(&request.model));
    if conversation.first().is_none_or(|message| message.role != Role::User) {
        return Err(EncodeError::NoUserMessageFirst);
    }
    let messages = conversation.iter().map(|message| message_out(message, &names)).collect::<Result<_, _>>()?;
    let tool_config = tools_out(request, &names)?;
    // Other families have no word for it, and refuse fields that they do not know.
    let serial = request.params.parallel_tool_calls == Some(false) && !request.tools.is_empty();
    if serial && is_anthropic(&request.model) {
        fields.insert(TOOL_CHOICE.into(), serial_choice(&request.tool_choice, &names));
    }
    let ModelParams { max_tokens, temperature, top_p, stop_sequences, .. } = &request.params;
    let inference = InferenceConfig {
        max_tokens: *max_tokens,
        temperature: temperature.map(|temperature| temperature.min(1.0)),
        top_p: *top_p,
        stop_sequences: stop_sequences.clone(),
    };
    if let Some(format) = request.params.output.as_ref().and_then(output::converse) {
        output::put_within(&mut extra, "outputConfig", "textFormat", format);
    }
    let body = wire::Request {
        messages,
        system: system_out(request),
        inference_config: (inference != InferenceConfig::default()).then_some(inference),
        tool_config,
        additional_model_request_fields: fields,
        extra: json::without(extra, wire::REQUEST_FIELDS),
    };
    Ok((body, names))
}

/// Reads a client's request for `model`, which its path names.
///
/// # Errors
/// [`DecodeError`], also for what has no core form: guardrails, prompts of Bedrock's store, objects of S3, video.
pub fn decode_request(body: &[u8], model: &str) -> Result<ModelRequest, DecodeError> {
    let mut wire: wire::Request = json::from_slice(body)?;
    let output = output::take_converse(&mut wire.extra)?;
    for (field, message) in [
        ("guardrailConfig", "guardrails of Bedrock are not applied here"),
        ("promptVariables", "prompts of Bedrock's store are not known here"),
    ] {
        if wire.extra.get(field).is_some_and(|value| !value.is_null()) {
            return Err(DecodeError::new(field, message));
        }
    }
    let names = NameMap::default();
    let mut messages = Vec::with_capacity(wire.messages.len());
    for (index, message) in wire.messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let role = match message.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => return Err(DecodeError::new(format!("{path}.role"), format!("unknown role `{other}`"))),
        };
        let content = blocks_in(message.content, &format!("{path}.content"), &names)?;
        messages.push(Arc::new(Message { role, content }));
    }
    let messages = normalise(&messages);
    if messages.is_empty() {
        return Err(DecodeError::new("messages", "at least one message that is not empty is needed"));
    }
    let (tools, tool_choice, marked) = tools_in(wire.tool_config);
    let mut system: Vec<ContentBlock> = if marked { vec![ContentBlock::CachePoint] } else { Vec::new() };
    system.extend(wire.system.into_iter().filter_map(|block| match block {
        SystemBlock::Text(text) if text.is_empty() => None,
        SystemBlock::Text(text) => Some(ContentBlock::Text { text }),
        SystemBlock::CachePoint(_) => Some(ContentBlock::CachePoint),
    }));
    let mut fields = wire.additional_model_request_fields;
    let parallel_tool_calls = parallel_in(&mut fields);
    let inference = wire.inference_config.unwrap_or_default();
    Ok(ModelRequest {
        model: model.to_owned(),
        system,
        messages,
        tools: tools.into(),
        tool_choice,
        params: ModelParams {
            max_tokens: inference.max_tokens,
            temperature: inference.temperature,
            top_p: inference.top_p,
            stop_sequences: inference.stop_sequences,
            parallel_tool_calls,
            output,
            extra: extra_in(wire.extra, fields, model),
        },
    })
}

/// Keeps what has no core form. The additional fields are the model's own: for Anthropic's those of Messages.
fn extra_in(mut extra: Map<String, Value>, fields: Map<String, Value>, model: &str) -> Map<String, Value> {
    extra.retain(|_, value| !value.is_null());
    if is_anthropic(model) {
        let mut kept = params::keep(extra, NAME);
        kept.extend(params::keep(fields, anthropic_messages::NAME));
        return kept;
    }
    if !fields.is_empty() {
        extra.insert("additionalModelRequestFields".into(), Value::Object(fields));
    }
    params::keep(extra, NAME)
}

/// Takes out what says whether calls may be parallel.
fn parallel_in(fields: &mut Map<String, Value>) -> Option<bool> {
    let serial = fields.get(TOOL_CHOICE)?.get("disable_parallel_tool_use")?.as_bool()?;
    fields.shift_remove(TOOL_CHOICE);
    Some(!serial)
}

fn serial_choice(choice: &ToolChoice, names: &NameMap) -> Value {
    match choice {
        ToolChoice::Auto | ToolChoice::None => json!({"type": "auto", "disable_parallel_tool_use": true}),
        ToolChoice::Any => json!({"type": "any", "disable_parallel_tool_use": true}),
        ToolChoice::Tool(name) => {
            json!({"type": "tool", "name": names.wire(name), "disable_parallel_tool_use": true})
        }
    }
}

/// Returns the conversation without what models on Bedrock refuse: blank texts, and reasoning that they did not seal.
fn conversation(messages: &[Arc<Message>], anthropic: bool) -> Vec<Arc<Message>> {
    let sendable = |block: &ContentBlock| match block {
        ContentBlock::Text { text } => !text.trim().is_empty(),
        ContentBlock::Reasoning(reasoning) => anthropic && seal::is_own(reasoning),
        _ => true,
    };
    let clean: Vec<Arc<Message>> = messages
        .iter()
        .map(|message| {
            if message.content.iter().all(sendable) {
                Arc::clone(message)
            } else {
                let content = message.content.iter().filter(|block| sendable(block)).cloned().collect();
                Arc::new(Message { role: message.role, content })
            }
        })
        .collect();
    normalise(&clean)
}

fn message_out(message: &Message, names: &NameMap) -> Result<wire::Message, EncodeError> {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    Ok(wire::Message { role: role.into(), content: blocks_out(&message.content, names)? })
}

fn system_out(request: &ModelRequest) -> Vec<SystemBlock> {
    let system = request.system.iter().cloned().chain(output::instruction(&request.params));
    let texts = system.enumerate().filter_map(|(index, block)| match block {
        ContentBlock::Text { text } if !text.trim().is_empty() => Some(SystemBlock::Text(text)),
        // One at the very beginning is the end of the tools.
        ContentBlock::CachePoint if index > 0 => Some(SystemBlock::CachePoint(CachePoint::here())),
        _ => None,
    });
    texts.collect()
}

fn tools_out(request: &ModelRequest, names: &NameMap) -> Result<Option<ToolConfig>, EncodeError> {
    check_choice(request)?;
    if request.tools.is_empty() || request.tool_choice == ToolChoice::None {
        let instead = |tool| ToolConfig { tools: vec![tool_out(&tool, names)], tool_choice: None };
        return Ok(placeholder(request).map(instead));
    }
    let tool_choice = match &request.tool_choice {
        ToolChoice::Auto | ToolChoice::None => None,
        ToolChoice::Any => Some(wire::ToolChoice::Any(Nothing {})),
        ToolChoice::Tool(name) => Some(wire::ToolChoice::Tool(wire::ToolName { name: names.wire(name).to_owned() })),
    };
    let mut tools: Vec<Tool> = request.tools.iter().map(|tool| tool_out(tool, names)).collect();
    if request.system.first() == Some(&ContentBlock::CachePoint) {
        tools.push(Tool::CachePoint(CachePoint::here()));
    }
    Ok(Some(ToolConfig { tools, tool_choice }))
}

fn tool_out(tool: &ToolSpec, names: &NameMap) -> Tool {
    Tool::ToolSpec(wire::ToolSpec {
        name: names.wire(&tool.name).to_owned(),
        description: (!tool.description.is_empty()).then(|| tool.description.clone()),
        input_schema: wire::InputSchema::Json(tool.input_schema.clone()),
    })
}

/// Returns the tools, which of them must be used, and whether their end is marked as a cache point.
fn tools_in(config: Option<ToolConfig>) -> (Vec<ToolSpec>, ToolChoice, bool) {
    let Some(config) = config else { return (Vec::new(), ToolChoice::Auto, false) };
    let (mut tools, mut marked) = (Vec::with_capacity(config.tools.len()), false);
    for tool in config.tools {
        match tool {
            Tool::CachePoint(_) => marked = true,
            Tool::ToolSpec(wire::ToolSpec { name, description, input_schema: wire::InputSchema::Json(schema) }) => {
                tools.push(ToolSpec { name, description: description.unwrap_or_default(), input_schema: schema });
            }
        }
    }
    let choice = match config.tool_choice {
        None | Some(wire::ToolChoice::Auto(_)) => ToolChoice::Auto,
        Some(wire::ToolChoice::Any(_)) => ToolChoice::Any,
        Some(wire::ToolChoice::Tool(tool)) => ToolChoice::Tool(tool.name),
    };
    (tools, choice, marked)
}
