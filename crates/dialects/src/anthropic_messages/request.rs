//! Requests: core → Messages and back, also as the body of Bedrock's InvokeModel.

use super::{
    BEDROCK_NAME_RULE, NAME, NAME_RULE,
    block::{blocks_out, content_in},
    seal,
    wire::{self, Block, CacheControl},
};
use crate::{
    DecodeError, EncodeError, NameMap,
    json::{self, TextOr},
    normalise, output, params,
    tools::{check_choice, empty_schema, placeholder},
};
use bedplate_core::{
    message::{ContentBlock, Message, Role},
    port::model::{ModelParams, ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How endpoints of the dialect differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Whether the reply is wanted as a stream; Bedrock says that in the path.
    pub stream: bool,
    /// The bound of a reply where the request has none: the dialect demands one.
    pub default_max_tokens: u32,
    /// Whether this is the body of Bedrock's InvokeModel.
    pub bedrock: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { stream: false, default_max_tokens: 4096, bedrock: false }
    }
}

/// A client's request.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// What is asked; `model` is what the client calls it.
    pub request: ModelRequest,
    /// Whether the client wants a stream.
    pub stream: bool,
}

const BEDROCK_VERSION: &str = "bedrock-2023-05-31";

/// Says a core request in this dialect; the names are needed to read the reply.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_request(request: &ModelRequest, options: EncodeOptions) -> Result<(wire::Request, NameMap), EncodeError> {
    let names = NameMap::of(request, if options.bedrock { BEDROCK_NAME_RULE } else { NAME_RULE });
    let extra = extra_out(&request.params, options.bedrock);
    let thinks =
        matches!(extra.get("thinking").and_then(|thinking| thinking["type"].as_str()), Some("enabled" | "adaptive"));
    if thinks && matches!(request.tool_choice, ToolChoice::Any | ToolChoice::Tool(_)) {
        return Err(EncodeError::ForcedChoiceWithReasoning);
    }
    let conversation = conversation(&request.messages);
    if conversation.first().is_none_or(|message| message.role != Role::User) {
        return Err(EncodeError::NoUserMessageFirst);
    }
    let messages = conversation.iter().map(|message| message_out(message, &names)).collect::<Result<_, _>>()?;
    let (tools, tool_choice) = tools_out(request, &names)?;
    let ModelParams { max_tokens, temperature, top_p, stop_sequences, .. } = &request.params;
    let system: Vec<ContentBlock> =
        request.system.iter().cloned().chain(output::instruction(&request.params)).collect();
    let body = wire::Request {
        model: (!options.bedrock).then(|| request.model.clone()),
        anthropic_version: options.bedrock.then(|| BEDROCK_VERSION.to_owned()),
        max_tokens: max_tokens.unwrap_or(options.default_max_tokens),
        system: system_out(&system, &names)?,
        messages,
        tools,
        tool_choice,
        temperature: temperature.map(|temperature| temperature.min(1.0)),
        top_p: *top_p,
        stop_sequences: stop_sequences.clone(),
        stream: (options.stream && !options.bedrock).then_some(true),
        extra,
    };
    Ok((body, names))
}

/// Reads a client's request to `/v1/messages`.
///
/// # Errors
/// [`DecodeError`], also for what has no core form: remote images, tools that run at the provider.
pub fn decode_request(body: &[u8]) -> Result<Inbound, DecodeError> {
    let wire: wire::Request = json::from_slice(body)?;
    match wire.model.clone() {
        Some(model) => request_in(wire, model),
        None => Err(DecodeError::new("", "missing field `model`")),
    }
}

/// Reads a client's request to `/v1/messages/count_tokens`, which has no bound of the reply.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_count(body: &[u8]) -> Result<ModelRequest, DecodeError> {
    let mut fields: Map<String, Value> = json::from_slice(body)?;
    fields.entry("max_tokens").or_insert_with(|| json!(1));
    decode_request(&json::to_vec(&fields)).map(|inbound| inbound.request)
}

/// Reads a client's body of Bedrock's InvokeModel for `model`, which its path names. It says nothing of streams.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_invoke(body: &[u8], model: &str) -> Result<ModelRequest, DecodeError> {
    let wire: wire::Request = json::from_slice(body)?;
    if wire.anthropic_version.is_none() {
        return Err(DecodeError::new("", "missing field `anthropic_version`"));
    }
    request_in(wire, model.to_owned()).map(|inbound| inbound.request)
}

fn request_in(mut wire: wire::Request, model: String) -> Result<Inbound, DecodeError> {
    // The second is the name that the field had while it was new.
    let output = match output::take_within(&mut wire.extra, "output_config", "format")? {
        Some(output) => Some(output),
        None => output::take(&mut wire.extra, "output_format")?,
    };
    let names = NameMap::default();
    let mut messages = Vec::with_capacity(wire.messages.len());
    for (index, message) in wire.messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let role = match message.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => return Err(DecodeError::new(format!("{path}.role"), format!("unknown role `{other}`"))),
        };
        let content = content_in(message.content, &format!("{path}.content"), &names)?;
        messages.push(Arc::new(Message { role, content }));
    }
    let messages = normalise(&messages);
    if messages.is_empty() {
        return Err(DecodeError::new("messages", "at least one message that is not empty is needed"));
    }
    let mut system = Vec::new();
    if wire.tools.iter().any(|tool| tool.cache_control.is_some()) {
        system.push(ContentBlock::CachePoint);
    }
    if let Some(content) = wire.system {
        system.extend(system_in(content, &names)?);
    }
    let tools = wire.tools.into_iter().enumerate().map(tool_in).collect::<Result<Vec<_>, _>>()?;
    let (tool_choice, parallel_tool_calls) = tool_choice_in(wire.tool_choice)?;
    let request = ModelRequest {
        model,
        system,
        messages,
        tools: tools.into(),
        tool_choice,
        params: ModelParams {
            max_tokens: Some(wire.max_tokens),
            temperature: wire.temperature,
            top_p: wire.top_p,
            stop_sequences: wire.stop_sequences,
            parallel_tool_calls,
            output,
            extra: params::keep(wire.extra, NAME),
        },
    };
    Ok(Inbound { request, stream: wire.stream.unwrap_or(false) })
}

fn extra_out(params: &ModelParams, bedrock: bool) -> Map<String, Value> {
    let mut extra = json::without(params::kept(params, NAME), wire::REQUEST_FIELDS);
    if !bedrock {
        // A header elsewhere; Bedrock alone takes it in the body.
        extra.shift_remove("anthropic_beta");
    }
    if let Some(format) = params.output.as_ref().and_then(output::anthropic) {
        output::put_within(&mut extra, "output_config", "format", format);
    }
    extra
}

/// Returns the conversation without what these models refuse: blank texts, and reasoning that they did not seal.
fn conversation(messages: &[Arc<Message>]) -> Vec<Arc<Message>> {
    let sendable = |block: &ContentBlock| match block {
        ContentBlock::Text { text } => !text.trim().is_empty(),
        ContentBlock::Reasoning(reasoning) => seal::is_own(reasoning),
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
    let content = match message.content.as_slice() {
        [ContentBlock::Text { text }] => TextOr::Text(text.clone()),
        blocks => TextOr::Parts(blocks_out(blocks, names)?),
    };
    Ok(wire::Message { role: role.into(), content })
}

fn system_out(system: &[ContentBlock], names: &NameMap) -> Result<Option<TextOr<Block>>, EncodeError> {
    let texts: Vec<ContentBlock> = system
        .iter()
        .filter(|block| match block {
            ContentBlock::Text { text } => !text.trim().is_empty(),
            other => matches!(other, ContentBlock::CachePoint),
        })
        .cloned()
        .collect();
    let blocks = blocks_out(&texts, names)?;
    Ok(match blocks.as_slice() {
        [] => None,
        [Block::Text { text, cache_control: None }] => Some(TextOr::Text(text.clone())),
        _ => Some(TextOr::Parts(blocks)),
    })
}

fn system_in(content: TextOr<Block>, names: &NameMap) -> Result<Vec<ContentBlock>, DecodeError> {
    let blocks = content_in(content, "system", names)?;
    let is_known = |block: &ContentBlock| matches!(block, ContentBlock::Text { .. } | ContentBlock::CachePoint);
    match blocks.iter().position(|block| !is_known(block)) {
        Some(index) => Err(DecodeError::new(format!("system[{index}]"), "the system's instructions are texts only")),
        None => Ok(blocks.into_iter().filter(|block| *block != ContentBlock::text("")).collect()),
    }
}

fn tools_out(
    request: &ModelRequest,
    names: &NameMap,
) -> Result<(Vec<wire::Tool>, Option<wire::ToolChoice>), EncodeError> {
    check_choice(request)?;
    if request.tools.is_empty() {
        let instead = |tool| (vec![tool_out(&tool, names)], Some(choice("none", None)));
        return Ok(placeholder(request).map(instead).unwrap_or_default());
    }
    let mut tools: Vec<wire::Tool> = request.tools.iter().map(|tool| tool_out(tool, names)).collect();
    if let (Some(ContentBlock::CachePoint), Some(last)) = (request.system.first(), tools.last_mut()) {
        last.cache_control = Some(CacheControl::ephemeral());
    }
    let serial = request.params.parallel_tool_calls.map(|parallel| !parallel);
    let wire_choice = match &request.tool_choice {
        ToolChoice::Auto => serial.map(|_| choice("auto", None)),
        ToolChoice::Any => Some(choice("any", None)),
        ToolChoice::Tool(name) => Some(choice("tool", Some(names.wire(name)))),
        ToolChoice::None => return Ok((tools, Some(choice("none", None)))),
    };
    Ok((tools, wire_choice.map(|choice| wire::ToolChoice { disable_parallel_tool_use: serial, ..choice })))
}

fn choice(kind: &str, name: Option<&str>) -> wire::ToolChoice {
    wire::ToolChoice { kind: kind.into(), name: name.map(str::to_owned), disable_parallel_tool_use: None }
}

fn tool_out(tool: &ToolSpec, names: &NameMap) -> wire::Tool {
    wire::Tool {
        kind: None,
        name: names.wire(&tool.name).to_owned(),
        description: (!tool.description.is_empty()).then(|| tool.description.clone()),
        input_schema: Some(tool.input_schema.clone()),
        cache_control: None,
    }
}

fn tool_in((index, tool): (usize, wire::Tool)) -> Result<ToolSpec, DecodeError> {
    if let Some(kind) = tool.kind.filter(|kind| kind != "custom") {
        let message = format!("a tool of type `{kind}` runs at the provider and is not supported");
        return Err(DecodeError::new(format!("tools[{index}].type"), message));
    }
    Ok(ToolSpec {
        name: tool.name,
        description: tool.description.unwrap_or_default(),
        input_schema: tool.input_schema.unwrap_or_else(empty_schema),
    })
}

fn tool_choice_in(choice: Option<wire::ToolChoice>) -> Result<(ToolChoice, Option<bool>), DecodeError> {
    let Some(choice) = choice else { return Ok((ToolChoice::Auto, None)) };
    let parallel = choice.disable_parallel_tool_use.map(|serial| !serial);
    let tool_choice = match (choice.kind.as_str(), choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Any,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Tool(name),
        ("tool", None) => return Err(DecodeError::new("tool_choice", "missing field `name`")),
        (other, _) => return Err(DecodeError::new("tool_choice.type", format!("unknown type `{other}`"))),
    };
    Ok((tool_choice, parallel))
}
