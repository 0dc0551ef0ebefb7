//! The limits of a turn, checked before each intent: reserve first, settle when the result is there.

use super::{
    size,
    state::{AgentState, Turn},
    window::Window,
};
use crate::{definition::Definition, machine::Context};
use bedplate_core::{agent::Price, event::TurnOutcome, message::Usage, time::Timestamp};

/// The fewest output tokens that make a model call worth its price.
const LEAST_REPLY: u64 = 16;

/// Why a turn ends, for the record and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub outcome: TurnOutcome,
    pub message: Option<String>,
}

impl Ending {
    pub fn new(outcome: TurnOutcome, message: impl Into<String>) -> Self {
        Self { outcome, message: Some(message.into()) }
    }
}

/// What a model call may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    pub max_tokens: u32,
    /// Millionths of a US dollar.
    pub reserved: u64,
}

/// Returns the estimated input tokens of a call that shows `window`.
pub(super) fn input_tokens(state: &AgentState, definition: &Definition, window: &Window) -> u64 {
    let system = state.system.as_ref().map_or(0, |system| system.text.len());
    size::tokens(window.bytes(&state.conversation) + system + definition.tool_bytes())
}

/// Returns what `tokens` of input cost; nothing where no price is known.
pub(super) fn input_cost(price: Option<&Price>, tokens: u64) -> u64 {
    price.map_or(0, |price| price.cost(&Usage { input: tokens, ..Usage::default() }))
}

/// Returns what the next model call may spend, or why there is none. Where the turn's tokens or money allow only a
/// shorter reply than the definition does, the reply is bounded by them.
pub(super) fn allowance(
    turn: &Turn,
    definition: &Definition,
    input: u64,
    price: Option<&Price>,
) -> Result<Allowance, Ending> {
    let limits = &definition.limits;
    let least = LEAST_REPLY.min(u64::from(limits.max_tokens));
    let mut output = u64::from(limits.max_tokens);
    if let Some(max) = limits.max_turn_tokens {
        let used = turn.view.usage.total();
        let left = max.saturating_sub(used).saturating_sub(input);
        if left < least.max(1) {
            let message = format!(
                "The turn used {used} of its {max} tokens (max_turn_tokens), and the next model call would read about \
                 {input} more."
            );
            return Err(Ending::new(TurnOutcome::MaxTurnTokens, message));
        }
        output = output.min(left);
    }
    if let (Some(max), Some(price)) = (limits.max_cost_micros, price) {
        let spent = turn.view.cost;
        output = output.min(affordable(price, input, max.saturating_sub(spent)));
        if spent >= max && max > 0 || output < least.max(1) {
            let next = reserve(price, input, least);
            let message = format!(
                "The turn spent {spent} of its {max} millionths of a US dollar (max_cost_micros), and the next model \
                 call would cost at least {next} more."
            );
            return Err(Ending::new(TurnOutcome::MaxCost, message));
        }
    }
    let reserved = price.map_or(0, |price| reserve(price, input, output));
    Ok(Allowance { max_tokens: u32::try_from(output).unwrap_or(u32::MAX), reserved })
}

fn reserve(price: &Price, input: u64, output: u64) -> u64 {
    price.cost(&Usage { input, output, ..Usage::default() })
}

/// Returns how many output tokens `money` buys after `input` was paid for.
fn affordable(price: &Price, input: u64, money: u64) -> u64 {
    let total = u128::from(money) * 1_000_000;
    let paid = u128::from(price.input) * u128::from(input);
    match (total.checked_sub(paid), price.output) {
        (None, _) => 0,
        (Some(_), 0) => u64::MAX,
        (Some(left), output) => u64::try_from(left / u128::from(output)).unwrap_or(u64::MAX),
    }
}

/// Returns how many milliseconds the turn may still work.
pub(super) fn remaining_ms(turn: &Turn, definition: &Definition, now: Timestamp) -> u64 {
    timeout_seconds(turn, definition).saturating_mul(1_000).saturating_sub(turn.worked_ms(now))
}

fn timeout_seconds(turn: &Turn, definition: &Definition) -> u64 {
    turn.timeout_seconds.unwrap_or(definition.limits.timeout_seconds)
}

/// Returns why the turn ends when its time is up.
pub(super) fn time_up(turn: &Turn, definition: &Definition, context: &Context) -> Option<Ending> {
    if remaining_ms(turn, definition, context.now) > 0 {
        return None;
    }
    let seconds = timeout_seconds(turn, definition);
    Some(Ending::new(TurnOutcome::Timeout, format!("The turn worked for its {seconds} seconds (timeout_seconds).")))
}

/// Returns why the turn ends when it made all its model calls.
pub(super) fn iterations_up(turn: &Turn, definition: &Definition) -> Option<Ending> {
    let max = definition.limits.max_iterations;
    (turn.view.iterations >= max).then(|| {
        Ending::new(TurnOutcome::MaxIterations, format!("The turn made its {max} model calls (max_iterations)."))
    })
}

/// Returns why the turn ends when `more` tool calls pass its limit.
pub(super) fn tool_calls_up(turn: &Turn, definition: &Definition, more: usize) -> Option<Ending> {
    let max = definition.limits.max_tool_calls;
    let made = turn.view.tool_calls;
    let wanted = u64::from(made) + u64::try_from(more).unwrap_or(u64::MAX);
    (wanted > u64::from(max)).then(|| {
        let message =
            format!("The turn made {made} tool calls, and {more} more would pass its {max} (max_tool_calls).");
        Ending::new(TurnOutcome::MaxToolCalls, message)
    })
}
