//! Tools that misbehave as a seed says; their effects arrive at a [`Ledger`].

use super::ledger::Ledger;
use crate::{
    clock::{Rng, SimClock},
    scripted::tool,
};
use bedplate_core::{
    event::Preparation,
    port::{
        BoxFuture,
        clock::Clock,
        tools::{ToolCall, ToolError, ToolErrorKind, Tools},
    },
    tool::{Annotations, Approval, ApprovalMode, ToolDefinition, ToolOutput},
};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

const NEITHER: Annotations = Annotations { read_only: false, destructive: false, idempotent: false, open_world: false };

/// Returns the tools of a simulated agent: `sum` (touches nothing outside), `look` (read-only), `put` (idempotent), `pay` (neither), `refund` (neither,
/// always asks), `move` (idempotent, sometimes asks).
#[must_use]
pub fn sim_tools() -> Vec<ToolDefinition> {
    let asks = |mode| Approval { mode, deadline_seconds: 30, question: None };
    vec![
        tool("sum", Annotations { read_only: true, ..NEITHER }, asks(ApprovalMode::Never)),
        tool("look", Annotations { read_only: true, ..NEITHER }, asks(ApprovalMode::Never)),
        tool("put", Annotations { idempotent: true, ..NEITHER }, asks(ApprovalMode::Never)),
        tool("pay", NEITHER, asks(ApprovalMode::Never)),
        tool("refund", NEITHER, asks(ApprovalMode::Always)),
        tool("move", Annotations { idempotent: true, ..NEITHER }, asks(ApprovalMode::When("input.amount > 50".into()))),
    ]
}

/// The tools of a simulated world. Which of them are idempotent is theirs to know, whatever a project declares.
pub struct SimTools {
    rng: Mutex<Rng>,
    clock: SimClock,
    ledger: Arc<Ledger>,
}

impl SimTools {
    /// Returns the tools of `seed`.
    #[must_use]
    pub fn new(seed: u64, clock: SimClock, ledger: Arc<Ledger>) -> Self {
        Self { rng: Mutex::new(Rng::new(seed)), clock, ledger }
    }

    fn draw(&self) -> (u64, BoxFuture<'static, ()>) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let behaviour = rng.below(100);
        let late = if rng.chance(40) { rng.below(2_600) } else { 0 };
        (behaviour, self.clock.sleep_until(self.clock.now().after(Duration::from_millis(late))))
    }
}

impl Tools for SimTools {
    fn prepare(&self, call: ToolCall) -> BoxFuture<'static, Result<Preparation, ToolError>> {
        let (behaviour, late) = self.draw();
        Box::pin(async move {
            late.await;
            match behaviour {
                0..=4 => Err(failed(ToolErrorKind::Failed, "the facts cannot be had")),
                5..=8 => std::future::pending().await,
                9..=14 => Ok(Preparation::Refuse(ToolOutput::error("not for you"))),
                15..=50 if call.tool.spec.name != "refund" => Ok(Preparation::Run),
                _ => Ok(Preparation::Ask { question: "May it run?".to_owned(), preview: json!({"amount": 7}) }),
            }
        })
    }

    fn at_once(&self, call: &ToolCall) -> Option<Result<ToolOutput, ToolError>> {
        if call.tool.spec.name != "sum" {
            return None;
        }
        self.ledger.executed(&call.idempotency_key, "sum");
        Some(match self.draw().0 {
            0..=9 => Err(failed(ToolErrorKind::InvalidInput, "amount must be a number")),
            10..=19 => Ok(ToolOutput::error("not a sum")),
            _ => Ok(ToolOutput::text("7")),
        })
    }

    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        let (behaviour, late) = self.draw();
        let ledger = Arc::clone(&self.ledger);
        let ToolCall { tool, idempotency_key: key, .. } = call;
        let name = tool.spec.name.clone();
        ledger.executed(&key, &name);
        Box::pin(async move {
            let effect = || match name.as_str() {
                "look" | "sum" => {}
                "put" | "move" => ledger.effect(&key, true),
                _ => ledger.effect(&key, false),
            };
            match behaviour {
                // It had its effect, and then its answer is late, lost, or never comes.
                0..=29 => {
                    effect();
                    late.await;
                    Ok(ToolOutput::text("done"))
                }
                30..=34 => {
                    effect();
                    Err(failed(ToolErrorKind::OutcomeUnknown, "the connection broke"))
                }
                35..=39 => {
                    effect();
                    std::future::pending().await
                }
                // It never got there.
                40..=44 => {
                    late.await;
                    Err(failed(ToolErrorKind::Failed, "refused by the other side"))
                }
                45..=49 => std::future::pending().await,
                50..=54 => Err(failed(ToolErrorKind::OutcomeUnknown, "the connection broke early")),
                55..=59 => Err(failed(ToolErrorKind::InvalidInput, "amount must be a number")),
                60..=64 => Ok(ToolOutput::error("sold out")),
                _ => {
                    late.await;
                    effect();
                    Ok(ToolOutput::text("done"))
                }
            }
        })
    }
}

fn failed(kind: ToolErrorKind, message: &str) -> ToolError {
    ToolError { kind, message: message.to_owned() }
}
