//! An agent definition with what every decision needs of it, derived once and shared by all runs that are pinned to it.

use crate::agent::size;
use bedplate_core::{
    agent::AgentDefinition,
    id::ContentHash,
    port::definitions::PinnedAgent,
    tool::{ToolDefinition, ToolSpec},
};
use std::{collections::HashMap, ops::Deref, sync::Arc};

/// An agent definition, ready to decide with. Whoever loads definitions makes one for each hash and shares it.
#[derive(Clone, Debug)]
pub struct Definition {
    hash: ContentHash,
    agent: Arc<AgentDefinition>,
    specs: Arc<[ToolSpec]>,
    tools: HashMap<String, Arc<ToolDefinition>>,
    tool_bytes: usize,
}

impl Definition {
    /// Returns the definition whose canonical JSON has `hash`.
    #[must_use]
    pub fn new(hash: ContentHash, agent: Arc<AgentDefinition>) -> Self {
        let specs: Arc<[ToolSpec]> = agent.tools.iter().map(|tool| tool.spec.clone()).collect();
        let tools = agent.tools.iter().map(|tool| (tool.spec.name.clone(), Arc::new(tool.clone()))).collect();
        let tool_bytes = specs.iter().map(size::spec).sum();
        Self { hash, agent, specs, tools, tool_bytes }
    }

    /// Returns the hash that turns are pinned by.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Returns the tool called `name`.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Arc<ToolDefinition>> {
        self.tools.get(name)
    }

    /// Returns what models are told of the tools, in the order of the agent file.
    #[must_use]
    pub fn specs(&self) -> &Arc<[ToolSpec]> {
        &self.specs
    }

    /// Returns about how many bytes of a request tell of the tools.
    #[must_use]
    pub fn tool_bytes(&self) -> usize {
        self.tool_bytes
    }
}

impl From<&PinnedAgent> for Definition {
    fn from(pinned: &PinnedAgent) -> Self {
        Self::new(pinned.hash, Arc::clone(&pinned.definition))
    }
}

impl Deref for Definition {
    type Target = AgentDefinition;

    fn deref(&self) -> &AgentDefinition {
        &self.agent
    }
}
