//! Requests: core → Responses and back.

use super::{
    NAME, NAME_RULE,
    item::{Conversation, items_out},
    wire::{self, Item},
};
use crate::{
    DecodeError, EncodeError, NameMap,
    json::{self, TextOr},
    normalise, output, params,
    tools::{check_choice, choice_of_word, empty_schema},
};
use bedplate_core::{
    message::ContentBlock,
    port::model::{ModelParams, ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use serde_json::{Map, Value, json};

/// The fields of a request that its response says again, with what the API says where a request leaves them out.
const ECHOED: &[&str] = &[
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "user",
];

/// What has no core form and no meaning here, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("conversation", "conversations are not kept here: use `previous_response_id`"),
    ("prompt", "stored prompts are not known here: send the text"),
];

/// A client's request, before what it refers to was looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    wire: wire::Request,
    /// What the response says again.
    pub echo: Map<String, Value>,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// Whether the response is kept, so that a later request can go on from it.
    pub store: bool,
    /// The response that this one goes on from.
    pub previous: Option<String>,
    /// The items that the client sent.
    pub items: Vec<Item>,
}

impl Inbound {
    /// Returns what the client calls the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.wire.model
    }

    /// Returns the ids of stored items that the request refers to.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter(|item| item.kind() == "item_reference").filter_map(|item| item.id.as_deref())
    }

    /// Puts a stored item in the place of the references to it.
    pub fn resolve(&mut self, id: &str, stored: &Item) {
        for item in &mut self.items {
            if item.kind() == "item_reference" && item.id.as_deref() == Some(id) {
                item.clone_from(stored);
            }
        }
    }

    /// Returns the core request; `before` are the items of the responses that this one goes on from, oldest first.
    ///
    /// # Errors
    /// [`DecodeError`], also for what has no core form: tools that run at the provider, remote pictures, references
    /// that were not resolved.
    pub fn into_request(self, before: Vec<Item>) -> Result<ModelRequest, DecodeError> {
        let Self { mut wire, items, .. } = self;
        let names = NameMap::default();
        let mut conversation = Conversation::default();
        match wire.instructions {
            None => {}
            Some(TextOr::Text(text)) => conversation.system.push(ContentBlock::Text { text }),
            Some(TextOr::Parts(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    conversation.read(item, &format!("instructions[{index}]"), &names)?;
                }
            }
        }
        for (index, item) in before.into_iter().enumerate() {
            conversation.read(item, &format!("previous_response_id[{index}]"), &names)?;
        }
        for (index, item) in items.into_iter().enumerate() {
            conversation.read(item, &format!("input[{index}]"), &names)?;
        }
        let messages = normalise(&conversation.messages);
        if messages.is_empty() {
            return Err(DecodeError::new("input", "at least one item that is not empty is needed"));
        }
        let output = output::take_within(&mut wire.extra, "text", "format")?;
        let mut tools = wire.tools.into_iter().enumerate().map(tool_in).collect::<Result<Vec<_>, _>>()?;
        let tool_choice = tool_choice_in(wire.tool_choice, &mut tools)?;
        Ok(ModelRequest {
            model: wire.model,
            system: conversation.system.into_iter().filter(|block| *block != ContentBlock::text("")).collect(),
            messages,
            tools: tools.into(),
            tool_choice,
            params: ModelParams {
                max_tokens: wire.max_output_tokens,
                temperature: wire.temperature,
                top_p: wire.top_p,
                stop_sequences: Vec::new(),
                parallel_tool_calls: wire.parallel_tool_calls,
                output,
                extra: params::keep(kept(wire.extra), NAME),
            },
        })
    }
}

/// Reads a client's request, which may refer to what was stored.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_inbound(body: &[u8]) -> Result<Inbound, DecodeError> {
    let wire: wire::Request = json::from_slice(body)?;
    for (field, message) in REFUSED {
        if wire.extra.get(*field).is_some_and(|value| !value.is_null()) {
            return Err(DecodeError::new(*field, *message));
        }
    }
    if wire.extra.get("background") == Some(&Value::Bool(true)) {
        return Err(DecodeError::new("background", "responses are not made in the background here"));
    }
    let items = match wire.input.clone() {
        None => Vec::new(),
        Some(TextOr::Text(text)) => {
            vec![Item { role: Some("user".into()), content: Some(TextOr::Text(text)), ..Item::default() }]
        }
        Some(TextOr::Parts(items)) => items,
    };
    Ok(Inbound {
        echo: echo(&wire),
        stream: wire.stream.unwrap_or(false),
        store: wire.store.unwrap_or(true),
        previous: wire.previous_response_id.clone(),
        items,
        wire,
    })
}

/// Reads a client's request that stands for itself.
///
/// # Errors
/// [`DecodeError`], also for a request that refers to what was stored.
pub fn decode_request(body: &[u8]) -> Result<ModelRequest, DecodeError> {
    let inbound = decode_inbound(body)?;
    if inbound.previous.is_some() {
        return Err(DecodeError::new("previous_response_id", "nothing is stored here"));
    }
    inbound.into_request(Vec::new())
}

/// Says a core request in this dialect; the names are needed to read the reply. Nothing is stored upstream, and the
/// reasoning comes back sealed.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_request(request: &ModelRequest, stream: bool) -> Result<(wire::Request, NameMap), EncodeError> {
    let names = NameMap::of(request, NAME_RULE);
    let mut items = Vec::new();
    for message in normalise(&request.messages) {
        items_out(&message, &names, &mut items)?;
    }
    let texts: Vec<&str> = request
        .system
        .iter()
        .filter_map(|block| match block {
            ContentBlock::Text { text } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let ModelParams { max_tokens, temperature, top_p, parallel_tool_calls, .. } = &request.params;
    let mut extra = json::without(params::kept(&request.params, NAME), wire::REQUEST_FIELDS);
    if let Some(format) = &request.params.output {
        output::put_within(&mut extra, "text", "format", output::responses(format));
    }
    let has_tools = !request.tools.is_empty();
    let body = wire::Request {
        model: request.model.clone(),
        input: Some(TextOr::Parts(items)),
        instructions: (!texts.is_empty()).then(|| TextOr::Text(texts.join("\n\n"))),
        tools: request.tools.iter().map(|tool| tool_out(tool, &names)).collect(),
        tool_choice: tool_choice_out(request, &names)?,
        parallel_tool_calls: parallel_tool_calls.filter(|_| has_tools),
        max_output_tokens: *max_tokens,
        temperature: *temperature,
        top_p: *top_p,
        stream: stream.then_some(true),
        store: Some(false),
        previous_response_id: None,
        include: Some(vec!["reasoning.encrypted_content".into()]),
        extra,
    };
    Ok((body, names))
}

/// Returns the fields without a core form that an upstream may be given; what is only said again is not among them.
fn kept(mut extra: Map<String, Value>) -> Map<String, Value> {
    extra.retain(|_, value| !value.is_null());
    json::without(extra, &["background", "stream_options"])
}

fn echo(wire: &wire::Request) -> Map<String, Value> {
    let Ok(Value::Object(said)) = serde_json::to_value(wire) else { return Map::new() };
    let default = |field: &str| match field {
        "background" => json!(false),
        "metadata" => json!({}),
        "parallel_tool_calls" | "store" => json!(true),
        "reasoning" => json!({"effort": null, "summary": null}),
        "service_tier" => json!("default"),
        "temperature" | "top_p" => json!(1.0),
        "text" => json!({"format": {"type": "text"}}),
        "tool_choice" => json!("auto"),
        "tools" => json!([]),
        "truncation" => json!("disabled"),
        _ => Value::Null,
    };
    let value = |field: &str| match said.get(field) {
        None | Some(Value::Null) => default(field),
        Some(value) => value.clone(),
    };
    ECHOED.iter().map(|field| ((*field).to_owned(), value(field))).collect()
}

fn tool_in((index, tool): (usize, wire::Tool)) -> Result<ToolSpec, DecodeError> {
    let path = format!("tools[{index}]");
    if tool.kind != "function" {
        return Err(DecodeError::new(path, format!("a tool of type `{}` is not supported", tool.kind)));
    }
    let name = tool.name.ok_or_else(|| DecodeError::new(path, "missing field `name`"))?;
    Ok(ToolSpec {
        name,
        description: tool.description.unwrap_or_default(),
        input_schema: tool.parameters.filter(|schema| !schema.is_null()).unwrap_or_else(empty_schema),
    })
}

fn tool_out(tool: &ToolSpec, names: &NameMap) -> wire::Tool {
    wire::Tool {
        kind: "function".into(),
        name: Some(names.wire(&tool.name).to_owned()),
        description: (!tool.description.is_empty()).then(|| tool.description.clone()),
        parameters: Some(tool.input_schema.clone()),
        // The API holds a model to the schema unless it is told otherwise, and refuses schemas that it cannot hold it to.
        strict: Some(false),
    }
}

/// Reads the choice; one that allows some tools only takes the others away.
fn tool_choice_in(choice: Option<wire::ToolChoice>, tools: &mut Vec<ToolSpec>) -> Result<ToolChoice, DecodeError> {
    match choice {
        None => Ok(ToolChoice::Auto),
        Some(wire::ToolChoice::Mode(word)) => choice_of_word(&word),
        Some(wire::ToolChoice::Function { kind, name: Some(name), .. }) if kind == "function" => {
            Ok(ToolChoice::Tool(name))
        }
        Some(wire::ToolChoice::Function { kind, mode, tools: allowed, .. }) if kind == "allowed_tools" => {
            let allowed = allowed.unwrap_or_default();
            tools.retain(|tool| allowed.iter().any(|allowed| allowed["name"] == tool.name.as_str()));
            choice_of_word(mode.as_deref().unwrap_or("auto"))
        }
        Some(wire::ToolChoice::Function { kind, .. }) => {
            Err(DecodeError::new("tool_choice.type", format!("`{kind}` has no meaning here")))
        }
    }
}

fn tool_choice_out(request: &ModelRequest, names: &NameMap) -> Result<Option<wire::ToolChoice>, EncodeError> {
    let mode = |word: &str| Ok(Some(wire::ToolChoice::Mode(word.to_owned())));
    check_choice(request)?;
    match &request.tool_choice {
        _ if request.tools.is_empty() => Ok(None),
        ToolChoice::Auto => Ok(None),
        ToolChoice::Any => mode("required"),
        ToolChoice::None => mode("none"),
        ToolChoice::Tool(name) => {
            let name = Some(names.wire(name).to_owned());
            Ok(Some(wire::ToolChoice::Function { kind: "function".into(), name, mode: None, tools: None }))
        }
    }
}
