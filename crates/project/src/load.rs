//! Loading a project folder: every file is read and checked, and all problems come back together.

use crate::{
    agent_file,
    canonical::canonical,
    config::{self, Config},
    config_file,
    fields::check_name,
    mocks_file, parse,
    problem::{Place, Problem, Report, Source},
    prompt_file::{self, Prompt},
    task_config, tool_file,
    workflow_file::{self, ENDING, MOCKS_ENDING, Names},
};
use bedplate_core::{
    agent::AgentDefinition,
    id::ContentHash,
    port::definitions::{PinnedAgent, ProjectWorkflow},
    tool::ToolDefinition,
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The largest file of a project, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A project without errors.
#[derive(Clone, Debug)]
pub struct Project {
    /// Where it lies.
    pub folder: PathBuf,
    /// What `bedplate.toml` says.
    pub config: Config,
    /// Its agents by name.
    pub agents: BTreeMap<String, PinnedAgent>,
    /// The tools that its files declare, and the built-in ones, by name.
    pub tools: BTreeMap<String, ToolDefinition>,
    /// Its prompts by name.
    pub prompts: BTreeMap<String, Prompt>,
    /// Its workflows by name.
    pub workflows: BTreeMap<String, Arc<ProjectWorkflow>>,
}

impl Project {
    /// Loads the project in `folder`. `builtins` are the tools that need no file. The project is there exactly when no
    /// problem is an error; all problems are found at once, sorted by file and place.
    #[must_use]
    pub fn load(folder: &Path, builtins: &[ToolDefinition]) -> (Option<Self>, Vec<Problem>) {
        let report = Report::default();
        let loader = Loader { folder, report: &report };
        let project = loader.load(builtins);
        let project = if report.has_errors() { None } else { project };
        (project, report.finish())
    }

    /// Returns the agent that a request without a name means: the configured one, or the only one.
    #[must_use]
    pub fn default_agent(&self) -> Option<&PinnedAgent> {
        match &self.config.default_agent {
            Some(name) => self.agents.get(name),
            None if self.agents.len() == 1 => self.agents.values().next(),
            None => None,
        }
    }
}

struct Loader<'a> {
    folder: &'a Path,
    report: &'a Report,
}

/// A file of one of the folders.
struct File {
    /// Its path for problems.
    shown: String,
    /// Its name without the extension.
    name: String,
    text: String,
}

impl Loader<'_> {
    fn load(&self, builtins: &[ToolDefinition]) -> Option<Project> {
        let source = Source { report: self.report, file: config::FILE };
        let text = self.text(&self.folder.join(config::FILE), config::FILE)?;
        let (config, places) = config_file::read(source, parse::toml(source, &text), self.folder);
        let (mut tools, broken) = self.tools(builtins, &config);
        self.started_workflows(&mut tools);
        let prompts = self.prompts();
        let agents = self.agents(&config, &tools, &broken);
        let workflows = self.workflows(source, &config, &tools, &agents);
        if agents.is_empty() && workflows.is_empty() && !self.report.has_errors() {
            let hint = "add a file agents/<name>.md or workflows/<name>.asl.json";
            source.error_with(Place::START, "missing_file", "the project has no agent and no workflow", hint);
        }
        for (place, agent) in places.function_agents {
            if !agents.contains_key(&agent) && !self.folder.join(format!("agents/{agent}.md")).exists() {
                source.unknown(place, "unknown_agent", "agent", &agent, agents.keys().map(String::as_str));
            }
        }
        match &config.default_agent {
            // An agent whose file has problems is not in the list, and those problems say enough.
            Some(name) if !agents.contains_key(name) && !self.folder.join(format!("agents/{name}.md")).exists() => {
                let place = places.default_agent.unwrap_or(Place::START);
                source.unknown(place, "unknown_agent", "agent", name, agents.keys().map(String::as_str));
            }
            None if agents.len() > 1 && !self.report.has_errors() => {
                let message = "the project has several agents and no default_agent";
                let names: Vec<&str> = agents.keys().map(String::as_str).collect();
                let hint = format!("add default_agent to [project]: one of {}", names.join(", "));
                source.warning(Place::START, "missing_key", message, hint);
            }
            _ => {}
        }
        // What is unused shows only once everything that could use it is read.
        if !self.report.has_errors() {
            self.unused(&tools, &agents, &workflows, builtins);
        }
        let mut pinned = BTreeMap::new();
        for (name, agent) in agents {
            match pin(&agent) {
                Ok(agent) => drop(pinned.insert(name, agent)),
                Err(error) => {
                    source.error(Place::START, "invalid_value", format!("agent {name:?} has no JSON form: {error}"))
                }
            }
        }
        Some(Project { folder: self.folder.to_owned(), config, agents: pinned, tools, prompts, workflows })
    }

    /// Returns the tools, and the names of those whose file does not make one.
    fn tools(&self, builtins: &[ToolDefinition], config: &Config) -> (BTreeMap<String, ToolDefinition>, Vec<String>) {
        let mut tools: BTreeMap<_, _> = builtins.iter().map(|tool| (tool.spec.name.clone(), tool.clone())).collect();
        let mut broken = Vec::new();
        for file in self.files("tools", "toml") {
            let source = Source { report: self.report, file: &file.shown };
            if builtins.iter().any(|tool| tool.spec.name == file.name) {
                let message = format!("{:?} is the name of a built-in tool", file.name);
                source.error_with(Place::START, "reserved_name", message, "give the file another name");
            }
            if let Some(tool) = tool_file::read(source, &file.name, parse::toml(source, &file.text), config) {
                tools.insert(file.name, tool);
            } else {
                broken.push(file.name);
            }
        }
        (tools, broken)
    }

    /// Checks that tools start workflows that there are.
    fn started_workflows(&self, tools: &mut BTreeMap<String, ToolDefinition>) {
        for (name, tool) in tools.iter_mut().filter(|(_, tool)| tool.kind == "workflow") {
            let Some(parts) = tool.config.as_object_mut() else { continue };
            let place = parts.remove(tool_file::workflow::PLACE).unwrap_or_default();
            let at = |field: &str| place[field].as_u64().and_then(|at| u32::try_from(at).ok()).unwrap_or(1);
            let Some(workflow) = parts.get("workflow").and_then(|part| part["name"].as_str()) else { continue };
            if !self.folder.join(format!("workflows/{workflow}.{ENDING}")).is_file() {
                let file = format!("tools/{name}.toml");
                let source = Source { report: self.report, file: &file };
                let hint = format!("add a file workflows/{workflow}.{ENDING}");
                let message = format!("there is no workflow {workflow:?}");
                source.error_with(Place { line: at("line"), column: at("column") }, "unknown_workflow", message, hint);
            }
        }
    }

    fn prompts(&self) -> BTreeMap<String, Prompt> {
        let mut prompts = BTreeMap::new();
        for file in self.files("prompts", "md") {
            let source = Source { report: self.report, file: &file.shown };
            if let Some(prompt) = prompt_file::read(source, &file.name, &file.text) {
                prompts.insert(file.name, prompt);
            }
        }
        prompts
    }

    fn agents(
        &self,
        config: &Config,
        tools: &BTreeMap<String, ToolDefinition>,
        broken: &[String],
    ) -> BTreeMap<String, AgentDefinition> {
        let mut agents = BTreeMap::new();
        for file in self.files("agents", "md") {
            let source = Source { report: self.report, file: &file.shown };
            if let Some(agent) = agent_file::read(source, &file.name, &file.text, config, tools, broken) {
                agents.insert(file.name, agent);
            }
        }
        agents
    }

    fn workflows(
        &self,
        main: Source<'_>,
        config: &Config,
        tools: &BTreeMap<String, ToolDefinition>,
        agents: &BTreeMap<String, AgentDefinition>,
    ) -> BTreeMap<String, Arc<ProjectWorkflow>> {
        let tools: Vec<String> = tools.keys().cloned().collect();
        let agents: Vec<String> = agents.keys().cloned().collect();
        let names = Names { config, tools: &tools, agents: &agents };
        let mut workflows = BTreeMap::new();
        let mut known = Vec::new();
        let mut mocks = Vec::new();
        for file in self.files("workflows", "json") {
            let source = Source { report: self.report, file: &file.shown };
            if let Some(name) = file.name.strip_suffix(".asl") {
                task_config::check_name(source, Place::START, "a workflow", name);
                let options = config.workflows.get(name).cloned().unwrap_or_default();
                if let Some(workflow) = workflow_file::read(source, name, &file.text, &options) {
                    workflow_file::check_resources(source, &file.text, &names);
                    workflows.insert(name.to_owned(), workflow);
                }
                known.push(name.to_owned());
            } else if file.name.ends_with(".mocks") {
                mocks.push(file);
            } else {
                let hint = format!("files here are called <name>.{ENDING} or <name>.{MOCKS_ENDING}");
                source.warning(Place::START, "ignored_file", "this file is not read", hint);
            }
        }
        for file in mocks {
            let source = Source { report: self.report, file: &file.shown };
            let name = file.name.trim_end_matches(".mocks");
            let states = workflows.get(name).map(|it| workflow_file::states_of(&it.text)).unwrap_or_default();
            let read = mocks_file::read(source, name, &file.text, &states);
            match workflows.get_mut(name) {
                Some(workflow) => workflow.mocks = Arc::new(read),
                None if !known.iter().any(|known| known == name) => {
                    let what = "workflow for these answers";
                    source.unknown(Place::START, "unknown_workflow", what, name, known.iter().map(String::as_str));
                }
                None => {}
            }
        }
        for (name, options) in &config.workflows {
            if !known.contains(name) {
                let place = Place { line: options.line, column: options.column };
                main.unknown(place, "unknown_workflow", "workflow", name, known.iter().map(String::as_str));
            }
        }
        workflows.into_iter().map(|(name, workflow)| (name, Arc::new(workflow))).collect()
    }

    fn unused(
        &self,
        tools: &BTreeMap<String, ToolDefinition>,
        agents: &BTreeMap<String, AgentDefinition>,
        workflows: &BTreeMap<String, Arc<ProjectWorkflow>>,
        builtins: &[ToolDefinition],
    ) {
        for name in tools.keys() {
            let builtin = builtins.iter().any(|tool| tool.spec.name == *name);
            let is_task = |workflow: &Arc<ProjectWorkflow>| workflow_file::uses_tool(&workflow.text, name);
            let used = agents.values().any(|agent| agent.tool(name).is_some()) || workflows.values().any(is_task);
            if !builtin && !used {
                let shown = format!("tools/{name}.toml");
                let source = Source { report: self.report, file: &shown };
                let hint = "add it to the `tools` of an agent, or remove the file";
                source.warning(
                    Place::START,
                    "unused",
                    format!("no agent and no workflow uses the tool {name:?}"),
                    hint,
                );
            }
        }
    }

    /// Returns the files of a folder with `extension`, sorted by name; whatever else lies there is a warning.
    fn files(&self, kind: &str, extension: &str) -> Vec<File> {
        let folder = self.folder.join(kind);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let source = Source { report: self.report, file: kind };
                source.error(Place::START, "io", format!("the folder cannot be read: {error}"));
                return Vec::new();
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // Editors and version control leave hidden files and backups everywhere.
            if file_name.starts_with('.') || file_name.ends_with('~') {
                continue;
            }
            let shown = format!("{kind}/{file_name}");
            let source = Source { report: self.report, file: &shown };
            let Some(name) = file_name.strip_suffix(extension).and_then(|name| name.strip_suffix('.')) else {
                let hint = format!("files here are called <name>.{extension}");
                source.warning(Place::START, "ignored_file", "this file is not read", hint);
                continue;
            };
            // Workflows are named as AWS names them.
            if kind != "workflows" {
                check_name(source, Place::START, "a file", name);
            }
            if let Some(text) = self.text(&path, &shown) {
                files.push(File { name: name.to_owned(), shown, text });
            }
        }
        files
    }

    fn text(&self, path: &Path, shown: &str) -> Option<String> {
        let source = Source { report: self.report, file: shown };
        let result = fs::metadata(path).and_then(|metadata| {
            if metadata.len() > MAX_FILE_BYTES {
                return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
            }
            fs::read(path)
        });
        match result.map(String::from_utf8) {
            Ok(Ok(text)) => return Some(text),
            Ok(Err(error)) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                source.error(Place::of(&text, valid), "syntax", "the file is not UTF-8 text");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let hint = "`bedplate init` makes a project folder";
                source.error_with(Place::START, "missing_file", format!("there is no file {shown}"), hint);
            }
            Err(error) => source.error(Place::START, "io", format!("the file cannot be read: {error}")),
        }
        None
    }
}

/// Returns the agent with its canonical JSON and its hash.
fn pin(agent: &AgentDefinition) -> Result<PinnedAgent, serde_json::Error> {
    let (json, definition) = canonical(agent)?;
    Ok(PinnedAgent { hash: ContentHash::of(&json), json: Arc::from(json), definition: Arc::new(definition) })
}
