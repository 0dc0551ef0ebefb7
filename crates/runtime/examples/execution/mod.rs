//! What the examples that run one execution share: a runtime on the real store, and the request of a start.

use bedplate_core::{
    id::{ContentHash, Tenant},
    port::{tasks::Tasks, workflows::PinnedWorkflow},
};
use bedplate_runtime::{
    Options, Runtime, StartExecution, Unconfigured,
    system::{SystemClock, SystemEntropy},
};
use bedplate_testkit::scripted::{FixedDefinitions, ScriptedModel, ScriptedTools};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Returns a runtime that drives executions alone; with `recover` it takes up what is due.
pub fn runtime(store: &bedplate_store::Store, tasks: Arc<dyn Tasks>, recover: bool) -> Runtime {
    Runtime::start(Options {
        journal: store.journal(),
        model: ScriptedModel::new([]),
        tools: ScriptedTools::echo(),
        definitions: FixedDefinitions::new([]),
        tasks,
        workflows: Arc::new(Unconfigured),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        lease: Duration::from_secs(30),
        idle: Duration::from_millis(500),
        recover,
    })
}

/// Returns the start of an execution `one` of the workflow `name`, which `definition` defines.
pub fn request(name: &str, definition: &Value, input: Value) -> StartExecution {
    let text = definition.to_string();
    StartExecution {
        tenant: Tenant::default(),
        user: "bench".into(),
        execution: format!("arn:aws:states:us-east-1:000000000000:execution:{name}:one").into(),
        name: "one".into(),
        workflow: PinnedWorkflow {
            arn: format!("arn:aws:states:us-east-1:000000000000:stateMachine:{name}").into(),
            name: name.into(),
            qualified: None,
            version: None,
            role: "none".into(),
            express: false,
            hash: ContentHash::of(text.as_bytes()),
            text: text.into(),
        },
        input: Arc::new(input),
        trace_header: None,
    }
}
