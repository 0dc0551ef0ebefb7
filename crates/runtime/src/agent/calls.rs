//! The calls of an agent: models and tools.

use crate::{
    actor::{Actor, Loaded},
    perform::{InFlight, Work, call_model},
};
use bedplate_core::{
    id::idempotency_key,
    port::{Caller, model::ModelCall, tools::ToolCall},
    time::Timestamp,
};
use bedplate_engine::{agent::Agent, machine::Intent};
use std::sync::Arc;

impl Actor<Agent> {
    pub(super) fn begin(&self, loaded: &Loaded<Agent>, intent: Intent, now: Timestamp) -> Option<InFlight> {
        let options = &self.shared.options;
        let run = self.key.run;
        let caller = Caller {
            tenant: self.key.tenant.clone(),
            user: loaded.user.clone(),
            run: Some(run),
            agent: Some(loaded.name.clone()),
            session: Some(loaded.session.clone()),
            ..Caller::default()
        };
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
            Intent::Abandon { .. } => return None,
        };
        Some(InFlight { call, deadline, begun: now, work })
    }
}
