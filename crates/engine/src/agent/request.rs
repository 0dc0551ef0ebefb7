//! The request of a model call, built from the fold.

use super::{conversation::Conversation, state::AgentState, window::Window};
use bedplate_core::{
    agent::AgentDefinition,
    id::CallId,
    message::ContentBlock,
    port::model::{ModelParams, ModelRequest, ToolChoice},
    tool::ToolSpec,
};
use std::sync::Arc;

/// Returns the request that shows `window`, of the first `until` parts. Messages and tools are shared, not copied.
pub(super) fn build(
    state: &AgentState,
    definition: &AgentDefinition,
    tools: Arc<[ToolSpec]>,
    window: &Window,
    until: usize,
    max_tokens: u32,
) -> ModelRequest {
    let system = state.system.as_ref().filter(|system| !system.text.trim().is_empty());
    ModelRequest {
        model: definition.model.clone(),
        system: system.map(|system| ContentBlock::text(&*system.text)).into_iter().collect(),
        messages: window.messages(&state.conversation, until),
        tools,
        tool_choice: ToolChoice::Auto,
        params: ModelParams {
            max_tokens: Some(max_tokens),
            temperature: definition.temperature,
            ..ModelParams::default()
        },
    }
}

/// Returns the request of a call that was made before; none when the state no longer knows what it showed.
pub(super) fn of_call(state: &AgentState, call: CallId, definition: &AgentDefinition) -> Option<ModelRequest> {
    let record = state.calls.iter().rev().find(|record| record.call == call)?;
    if record.system != state.system.as_ref().map(|system| system.at) {
        return None;
    }
    let conversation: &Conversation = &state.conversation;
    let window = Window::again(conversation, record.from, record.question)?;
    let tools = definition.tools.iter().map(|tool| tool.spec.clone()).collect();
    let until = conversation.parts_before(call);
    Some(build(state, definition, tools, &window, until, record.max_tokens))
}
