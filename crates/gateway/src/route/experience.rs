//! What a learned router learns from: the records of a cascade, which say of each call whether the cheap answer passed.

use super::{
    facts::last_words_of_json,
    learned::{Example, Prompt},
};
use bedplate_core::port::records::{CallRecord, Outcome};
use serde_json::Value;

/// Returns the examples in `records`, oldest first as they are: calls of a cascade that ended well and whose requests
/// were logged. Others teach nothing and are left out.
#[must_use]
pub fn examples(records: &[CallRecord]) -> Vec<Example> {
    let mut found: Vec<(Prompt, bool, u64)> = Vec::new();
    for record in records.iter().filter(|record| record.outcome == Outcome::Ok) {
        let Some(history) = record.reason.as_deref().and_then(|reason| reason.strip_prefix("cascade: ")) else {
            continue;
        };
        let Some(prompt) = record.payload.as_deref().and_then(|payload| prompt(&payload.request)) else { continue };
        let tokens = record.usage.input + record.usage.cache_read + record.usage.cache_write;
        // One name alone: the first tier's answer passed.
        let difficult = history.contains(", ");
        // A call that went through several tiers has read its input as often.
        let tiers = history.split(", ").count() as u64;
        found.push((Prompt { tokens: tokens / tiers, ..prompt }, difficult, record.cost.unwrap_or(0)));
    }
    let mean = |difficult: bool| {
        let costs: Vec<u64> =
            found.iter().filter(|(_, hard, cost)| *hard == difficult && *cost > 0).map(|(_, _, cost)| *cost).collect();
        costs.iter().sum::<u64>().checked_div(costs.len() as u64)
    };
    let cheap = mean(false).unwrap_or(0);
    // Those that went up paid for both.
    let strong = mean(true).map_or(cheap, |both| both.saturating_sub(cheap));
    found
        .into_iter()
        .map(|(prompt, difficult, cost)| {
            let (cost_cheap, cost_strong) =
                if difficult { (cheap, cost.saturating_sub(cheap)) } else { (cost, strong) };
            Example { prompt, difficult, cost_cheap, cost_strong }
        })
        .collect()
}

/// Returns what a router looks at in a request of any dialect.
fn prompt(request: &[u8]) -> Option<Prompt> {
    let request: Value = serde_json::from_slice(request).ok()?;
    let messages = request.get("messages").or_else(|| request.get("input"))?;
    let text = last_words_of_json(messages)?;
    let tools = request.get("tools").or_else(|| request.pointer("/toolConfig/tools"));
    Some(Prompt {
        text,
        messages: messages.as_array().map_or(1, Vec::len),
        tools: tools.and_then(Value::as_array).map_or(0, Vec::len),
        tokens: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::{
        id::{RecordId, Tenant},
        message::Usage,
        port::{Priority, records::Payload},
        time::Timestamp,
    };
    use std::time::Duration;

    fn record(reason: &str, request: &str, cost: u64) -> CallRecord {
        CallRecord {
            id: RecordId([0; 16]),
            at: Timestamp(0),
            tenant: Tenant::default(),
            user: None,
            key: None,
            team: None,
            agent: None,
            session: None,
            run: None,
            tags: Default::default(),
            jurisdiction: None,
            priority: Priority::Interactive,
            dialect: "core",
            stream: false,
            route: "default".into(),
            reason: Some(reason.into()),
            target: None,
            provider: None,
            model: None,
            attempts: 1,
            cache: None,
            degraded: None,
            guard: None,
            prompt_cache_markers: 0,
            usage: Usage { input: 40, ..Usage::default() },
            estimated: false,
            cost: Some(cost),
            saved: 0,
            first_token: None,
            total: Duration::ZERO,
            outcome: Outcome::Ok,
            payload: Some(Box::new(Payload { request: request.to_owned().into(), response: Default::default() })),
        }
    }

    #[test]
    fn a_cascades_record_says_whether_the_cheap_answer_passed() {
        let chat = r#"{"messages":[{"role":"system","content":"x"},{"role":"user","content":"Prove it"}]}"#;
        let blocks = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}],"tools":[{}]}"#;
        let records = [
            record("cascade: small", blocks, 10),
            record("cascade: small: refusal, large", chat, 110),
            record("weight", chat, 1),
            record("cascade: small", "not json", 1),
        ];
        let found = examples(&records);
        assert_eq!(found.len(), 2, "what says nothing teaches nothing");
        assert_eq!((found[0].prompt.text.as_str(), found[0].prompt.tools, found[0].difficult), ("Hello", 1, false));
        assert_eq!((found[1].prompt.text.as_str(), found[1].prompt.tokens, found[1].difficult), ("Prove it", 20, true));
        assert_eq!((found[0].cost_cheap, found[0].cost_strong), (10, 100));
        assert_eq!((found[1].cost_cheap, found[1].cost_strong), (10, 100));
    }
}
