//! Requests: core → Chat Completions and back.

use super::{
    NAME, NAME_RULE,
    reply::{assistant_blocks, reasoning_out, tool_call_out},
    wire::{self, Content, Part},
};
use crate::{
    DecodeError, EncodeError, NameMap,
    json::{self, TextOr},
    media::{parse_data_url, text_of, url_of},
    normalise, output, params, tools,
};
use bedplate_core::{
    message::{ContentBlock, Message, Role, Source, ToolResult, ToolResultContent},
    port::model::{ModelParams, ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use std::sync::Arc;

/// How servers of the dialect differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Under which name the bound of a reply goes.
    pub max_tokens_field: MaxTokensField,
    /// Whether the reply is wanted as a stream; usage is always asked for then.
    pub stream: bool,
    /// Whether the server understands our extension fields (another Bedplate).
    pub extensions: bool,
}

/// The name of the bound of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_tokens`, which servers other than OpenAI's expect.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's newer models insist on.
    MaxCompletionTokens,
}

/// A client's request.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// What is asked; `model` is what the client calls it.
    pub request: ModelRequest,
    /// Whether the client wants a stream…
    pub stream: bool,
    /// …with usage at its end.
    pub include_usage: bool,
}

/// Says a core request in this dialect; the names are needed to read the reply.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_request(request: &ModelRequest, options: EncodeOptions) -> Result<(wire::Request, NameMap), EncodeError> {
    let names = NameMap::of(request, NAME_RULE);
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    messages.extend(system_out(&request.system));
    for message in normalise(&request.messages) {
        match message.role {
            Role::User => user_out(&message, &mut messages)?,
            Role::Assistant => messages.push(assistant_out(&message, &names, options.extensions)),
        }
    }
    let ModelParams { max_tokens, temperature, top_p, stop_sequences, parallel_tool_calls, .. } = &request.params;
    let (max_tokens, max_completion_tokens) = match options.max_tokens_field {
        MaxTokensField::MaxTokens => (*max_tokens, None),
        MaxTokensField::MaxCompletionTokens => (None, *max_tokens),
    };
    let has_tools = !request.tools.is_empty();
    let mut extra = json::without(params::kept(&request.params, NAME), wire::REQUEST_FIELDS);
    if let Some(format) = &request.params.output {
        extra.insert("response_format".into(), output::chat(format));
    }
    let body = wire::Request {
        model: request.model.clone(),
        messages,
        tools: request.tools.iter().map(|tool| tool_out(tool, &names)).collect(),
        tool_choice: tool_choice_out(request, &names)?,
        parallel_tool_calls: parallel_tool_calls.filter(|_| has_tools),
        max_tokens,
        max_completion_tokens,
        temperature: *temperature,
        top_p: *top_p,
        stop: (!stop_sequences.is_empty()).then(|| TextOr::Parts(stop_sequences.clone())),
        n: None,
        stream: options.stream.then_some(true),
        stream_options: options.stream.then_some(wire::StreamOptions { include_usage: true }),
        extra,
    };
    Ok((body, names))
}

/// Reads a client's request.
///
/// # Errors
/// [`DecodeError`], also for what has no core form: several choices, remote pictures, audio, the old functions.
pub fn decode_request(body: &[u8]) -> Result<Inbound, DecodeError> {
    let mut wire: wire::Request = json::from_slice(body)?;
    let output = output::take(&mut wire.extra, "response_format")?;
    if wire.n.is_some_and(|n| n != 1) {
        return Err(DecodeError::new("n", "only one choice can be asked for"));
    }
    for (field, instead) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if wire.extra.get(field).is_some_and(|value| !value.is_null()) {
            return Err(DecodeError::new(field, format!("functions are not supported: use `{instead}`")));
        }
    }
    let mut system = Vec::new();
    let mut messages = Vec::with_capacity(wire.messages.len());
    for (index, message) in wire.messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        match message.role.as_deref() {
            Some("system" | "developer") => {
                system.extend(
                    parts_in(message.content, &path)?.into_iter().filter(|block| *block != ContentBlock::text("")),
                );
            }
            Some("user") => {
                messages.push(Arc::new(Message { role: Role::User, content: parts_in(message.content, &path)? }));
            }
            Some("assistant") => {
                let content = assistant_blocks(message, &path, &NameMap::default())?;
                messages.push(Arc::new(Message { role: Role::Assistant, content }));
            }
            Some("tool") => messages.push(Arc::new(tool_in(message, &path)?)),
            Some(other) => return Err(DecodeError::new(format!("{path}.role"), format!("unknown role `{other}`"))),
            None => return Err(DecodeError::new(path, "missing field `role`")),
        }
    }
    let messages = normalise(&messages);
    if messages.is_empty() {
        return Err(DecodeError::new("messages", "at least one message that is not empty is needed"));
    }
    let tools = wire.tools.into_iter().enumerate().map(tool_in_spec).collect::<Result<Vec<_>, _>>()?;
    let stop_sequences = match wire.stop {
        None => Vec::new(),
        Some(TextOr::Text(text)) => vec![text],
        Some(TextOr::Parts(texts)) => texts,
    };
    let request = ModelRequest {
        model: wire.model,
        system,
        messages,
        tools: tools.into(),
        tool_choice: tool_choice_in(wire.tool_choice)?,
        params: ModelParams {
            max_tokens: wire.max_completion_tokens.or(wire.max_tokens),
            temperature: wire.temperature,
            top_p: wire.top_p,
            stop_sequences,
            parallel_tool_calls: wire.parallel_tool_calls,
            output,
            extra: params::keep(wire.extra, NAME),
        },
    };
    let include_usage = wire.stream_options.is_some_and(|options| options.include_usage);
    Ok(Inbound { request, stream: wire.stream.unwrap_or(false), include_usage })
}

fn system_out(system: &[ContentBlock]) -> Option<wire::Message> {
    let content = texts_out(system.iter().filter_map(|block| match block {
        ContentBlock::Text { text } if !text.is_empty() => Some(text.clone()),
        _ => None,
    }))?;
    Some(wire::Message { role: Some("system".into()), content, ..wire::Message::default() })
}

/// Returns one text as a text and several as parts, which keeps their borders; none when there is none.
pub(super) fn texts_out(texts: impl Iterator<Item = String>) -> Option<Content> {
    let mut texts: Vec<String> = texts.collect();
    match texts.len() {
        0 => None,
        1 => texts.pop().map(Content::text),
        _ => {
            let parts = texts.into_iter().map(|text| Part::Text { text, cache_control: None }).collect();
            Some(Content::Some(TextOr::Parts(parts)))
        }
    }
}

fn user_out(message: &Message, out: &mut Vec<wire::Message>) -> Result<(), EncodeError> {
    let mut parts = Vec::new();
    for block in &message.content {
        match block {
            ContentBlock::ToolResult(result) => {
                let texts = result.content.iter().filter_map(|part| match part {
                    ToolResultContent::Text { text } => Some(text.clone()),
                    ToolResultContent::Json { json } => Some(json.to_string()),
                    ToolResultContent::Image { .. } => None,
                });
                out.push(wire::Message {
                    role: Some("tool".into()),
                    content: texts_out(texts).unwrap_or_else(|| Content::text("")),
                    tool_call_id: Some(result.tool_use_id.clone()),
                    ..wire::Message::default()
                });
                pictures_out(result, &mut parts)?;
            }
            ContentBlock::Text { text } => parts.push(Part::Text { text: text.clone(), cache_control: None }),
            ContentBlock::Image { media_type, source } => parts.push(image_out(media_type, source)?),
            ContentBlock::Document { name, media_type, source } => parts.push(document_out(name, media_type, source)?),
            // A user neither reasons nor calls, and cache points have no place here.
            ContentBlock::ToolUse(_) | ContentBlock::Reasoning(_) | ContentBlock::CachePoint => {}
        }
    }
    let content = match parts.as_slice() {
        [] => return Ok(()),
        [Part::Text { text, .. }] => Content::text(text.clone()),
        _ => Content::Some(TextOr::Parts(parts)),
    };
    out.push(wire::Message { role: Some("user".into()), content, ..wire::Message::default() });
    Ok(())
}

fn pictures_out(result: &ToolResult, parts: &mut Vec<Part>) -> Result<(), EncodeError> {
    for part in &result.content {
        if let ToolResultContent::Image { media_type, source } = part {
            let text = format!("The picture in the result of the call {}:", result.tool_use_id);
            parts.push(Part::Text { text, cache_control: None });
            parts.push(image_out(media_type, source)?);
        }
    }
    Ok(())
}

fn image_out(media_type: &str, source: &Source) -> Result<Part, EncodeError> {
    let image_url = wire::ImageUrl { url: url_of(media_type, source)? };
    Ok(Part::ImageUrl { image_url, cache_control: None })
}

/// Says a document as a file; a text goes as text, because the API takes no files of text.
fn document_out(name: &str, media_type: &str, source: &Source) -> Result<Part, EncodeError> {
    if let (true, Source::Base64(data)) = (media_type.starts_with("text/"), source) {
        let text = text_of(data).ok_or_else(|| EncodeError::NotText(name.to_owned()))?;
        let text = if name.is_empty() { text } else { format!("{name}:\n\n{text}") };
        return Ok(Part::Text { text, cache_control: None });
    }
    let filename = (!name.is_empty()).then(|| name.to_owned());
    let file = wire::File { filename, file_data: Some(url_of(media_type, source)?), file_id: None };
    Ok(Part::File { file, cache_control: None })
}

fn assistant_out(message: &Message, names: &NameMap, extensions: bool) -> wire::Message {
    let texts = message.content.iter().filter_map(|block| match block {
        ContentBlock::Text { text } => Some(text.clone()),
        _ => None,
    });
    let calls: Vec<wire::ToolCall> = message.tool_uses().map(|call| tool_call_out(call, names)).collect();
    let mut out = wire::Message {
        role: Some("assistant".into()),
        content: texts_out(texts).unwrap_or(if calls.is_empty() { Content::text("") } else { Content::Null }),
        tool_calls: (!calls.is_empty()).then_some(calls),
        ..wire::Message::default()
    };
    if extensions {
        (out.reasoning_content, out.bedplate_reasoning) = reasoning_out(&message.content);
    }
    out
}

fn tool_out(tool: &ToolSpec, names: &NameMap) -> wire::Tool {
    wire::Tool {
        kind: "function".into(),
        function: Some(wire::Function {
            name: names.wire(&tool.name).to_owned(),
            description: (!tool.description.is_empty()).then(|| tool.description.clone()),
            parameters: Some(tool.input_schema.clone()),
        }),
    }
}

fn tool_choice_out(request: &ModelRequest, names: &NameMap) -> Result<Option<wire::ToolChoice>, EncodeError> {
    let mode = |word: &str| Ok(Some(wire::ToolChoice::Mode(word.to_owned())));
    tools::check_choice(request)?;
    match &request.tool_choice {
        _ if request.tools.is_empty() => Ok(None),
        ToolChoice::Auto => Ok(None),
        ToolChoice::Any => mode("required"),
        ToolChoice::None => mode("none"),
        ToolChoice::Tool(name) => {
            let function = wire::FunctionName { name: names.wire(name).to_owned() };
            Ok(Some(wire::ToolChoice::Function { kind: "function".into(), function }))
        }
    }
}

fn tool_choice_in(choice: Option<wire::ToolChoice>) -> Result<ToolChoice, DecodeError> {
    match choice {
        None => Ok(ToolChoice::Auto),
        Some(wire::ToolChoice::Function { kind, function }) if kind == "function" => {
            Ok(ToolChoice::Tool(function.name))
        }
        Some(wire::ToolChoice::Function { kind, .. }) => {
            Err(DecodeError::new("tool_choice.type", format!("`{kind}` has no meaning here")))
        }
        Some(wire::ToolChoice::Mode(word)) => tools::choice_of_word(&word),
    }
}

fn tool_in_spec((index, tool): (usize, wire::Tool)) -> Result<ToolSpec, DecodeError> {
    match tool.function {
        Some(function) if tool.kind == "function" => Ok(ToolSpec {
            name: function.name,
            description: function.description.unwrap_or_default(),
            input_schema: function.parameters.unwrap_or_else(tools::empty_schema),
        }),
        _ => {
            Err(DecodeError::new(format!("tools[{index}]"), format!("a tool of type `{}` is not supported", tool.kind)))
        }
    }
}

fn tool_in(message: wire::Message, path: &str) -> Result<Message, DecodeError> {
    let Some(tool_use_id) = message.tool_call_id else {
        return Err(DecodeError::new(path, "missing field `tool_call_id`"));
    };
    let mut content = Vec::new();
    let mut marked = false;
    for block in parts_in(message.content, path)? {
        match block {
            ContentBlock::Text { text } if text.is_empty() => {}
            ContentBlock::Text { text } => content.push(ToolResultContent::Text { text }),
            ContentBlock::Image { media_type, source } => content.push(ToolResultContent::Image { media_type, source }),
            ContentBlock::CachePoint => marked = true,
            _ => return Err(DecodeError::new(path, "the result of a tool holds texts and pictures only")),
        }
    }
    let mut blocks = vec![ContentBlock::ToolResult(ToolResult { tool_use_id, content, is_error: false })];
    if marked {
        blocks.push(ContentBlock::CachePoint);
    }
    Ok(Message { role: Role::User, content: blocks })
}

/// Reads the content of a message as blocks.
pub(super) fn parts_in(content: Content, path: &str) -> Result<Vec<ContentBlock>, DecodeError> {
    let parts = match content {
        Content::Absent | Content::Null => return Ok(Vec::new()),
        Content::Some(TextOr::Text(text)) => return Ok(vec![ContentBlock::Text { text }]),
        Content::Some(TextOr::Parts(parts)) => parts,
    };
    let mut blocks = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        let path = format!("{path}.content[{index}]");
        let (block, marker) = match part {
            Part::Text { text, cache_control } => (ContentBlock::Text { text }, cache_control),
            Part::Refusal { refusal } => (ContentBlock::Text { text: refusal }, None),
            Part::ImageUrl { image_url, cache_control } => {
                let (media_type, source) = parse_data_url(&image_url.url, &format!("{path}.image_url.url"))?;
                (ContentBlock::Image { media_type, source }, cache_control)
            }
            Part::File { file: wire::File { filename, file_data: Some(data), .. }, cache_control } => {
                let (media_type, source) = parse_data_url(&data, &format!("{path}.file.file_data"))?;
                (ContentBlock::Document { name: filename.unwrap_or_default(), media_type, source }, cache_control)
            }
            Part::File { .. } => {
                return Err(DecodeError::new(path, "uploaded files are not supported: send `file_data` as a data URL"));
            }
        };
        blocks.push(block);
        if marker.is_some_and(|marker| !marker.is_null()) {
            blocks.push(ContentBlock::CachePoint);
        }
    }
    Ok(blocks)
}
