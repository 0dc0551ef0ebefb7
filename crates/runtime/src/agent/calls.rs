//! The calls of an agent: models and tools.

use crate::{
    actor::{Actor, Loaded},
    perform::{InFlight, Work, bounded, broke_down, call_model},
};
use bedplate_core::{
    id::idempotency_key,
    port::{
        Caller,
        model::ModelCall,
        tools::{ToolCall, ToolErrorKind},
    },
    time::Timestamp,
};
use bedplate_engine::{
    agent::{Agent, AgentSignal},
    machine::{Input, Intent},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

impl Actor<Agent> {
    /// Returns what a tool gives that touches nothing outside. Only one that says of itself that it changes nothing and
    /// stays in its own world is asked.
    pub(super) fn at_once(
        &self,
        loaded: &Loaded<Agent>,
        intent: &Intent,
        now: Timestamp,
    ) -> Option<Input<AgentSignal>> {
        let Intent::CallTool { call, tool, input, deadline } = intent else { return None };
        if !tool.annotations.read_only || tool.annotations.open_world {
            return None;
        }
        let asked = ToolCall {
            caller: self.caller(loaded),
            tool: Arc::clone(tool),
            input: input.clone(),
            idempotency_key: idempotency_key(self.key.run, *call),
            deadline: *deadline,
            now,
        };
        let tools = &self.shared.options.tools;
        // A panic inside it ends this call alone, as it does in a call that is performed.
        let result = catch_unwind(AssertUnwindSafe(|| tools.at_once(&asked)))
            .unwrap_or_else(|_| Some(Err(broke_down(ToolErrorKind::Failed))))?;
        Some(Input::Tool { call: *call, result: result.map(bounded), took_ms: 0 })
    }

    fn caller(&self, loaded: &Loaded<Agent>) -> Caller {
        let caller = Caller {
            tenant: self.key.tenant.clone(),
            user: loaded.user.clone(),
            run: Some(self.key.run),
            agent: Some(loaded.name.clone()),
            session: Some(loaded.session.clone()),
            ..Caller::default()
        };
        match loaded.state.billing() {
            Some(billing) => billing.on(caller),
            None => caller,
        }
    }

    pub(super) fn begin(&self, loaded: &Loaded<Agent>, intent: Intent, now: Timestamp) -> Option<InFlight> {
        let options = &self.shared.options;
        let run = self.key.run;
        let caller = self.caller(loaded);
        let (call, deadline, work) = match intent {
            Intent::CallModel { call, request, deadline, not_before } => {
                let asked = ModelCall { deadline: Some(deadline), ..ModelCall::new(caller, request) };
                let (hub, model, clock) =
                    (Arc::clone(&self.hub), Arc::clone(&options.model), Arc::clone(&options.clock));
                let work = Box::pin(call_model(hub, model, clock, call, asked, not_before));
                (call, deadline, Work::Model(work))
            }
            Intent::PrepareTool { call, tool, input, deadline } => {
                let idempotency_key = idempotency_key(run, call);
                let looked = ToolCall { caller, tool, input, idempotency_key, deadline, now };
                (call, deadline, Work::Prepare(options.tools.prepare(looked)))
            }
            Intent::CallTool { call, tool, input, deadline } => {
                let idempotency_key = idempotency_key(run, call);
                let called = ToolCall { caller, tool, input, idempotency_key, deadline, now };
                (call, deadline, Work::Tool(options.tools.call(called)))
            }
            // No agent decides this; should it ever, the log says why nothing happens.
            Intent::RunTask { call, resource, .. } => {
                tracing::error!(%run, call, %resource, "an agent's run cannot perform a workflow's task");
                return None;
            }
            Intent::RunChildren { .. } | Intent::Abandon { .. } => return None,
        };
        Some(InFlight { call, deadline, begun: now, work })
    }
}
