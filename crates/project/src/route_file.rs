//! Reading `[routes.<name>]` and what `[models.<name>]` says for routes, each mistake with its place.
//!
//! What is read is passed on as an object of the same keys; the gateway makes a route of it.

use crate::{
    config::RouteTarget,
    fields::Fields,
    node::{Data, Entry, Node},
    problem::{Place, Source},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path};

/// The strategies.
const STRATEGIES: [&str; 7] = ["static", "weighted", "content", "metric", "learned", "cascade", "ensemble"];

/// A route as it was read, and what it names.
pub struct RouteRead {
    pub target: RouteTarget,
    /// Every name in it, with its place.
    names: Vec<(String, Place)>,
}

/// Reads the table of a route. `folder` is where the file of a learned router is looked for.
pub fn route(mut table: Fields<'_>, folder: &Path) -> Option<RouteRead> {
    let value = table.json();
    let mut reading = Reading { source: table.source, names: Vec::new() };
    let strategy = if table.has("strategy") { table.word("strategy", &STRATEGIES) } else { Some("static") };
    // A route with an unknown strategy has many unknown keys, which are not worth a word each.
    let strategy = strategy?;
    match strategy {
        "weighted" => reading.weighted(&mut table),
        "content" => reading.content(&mut table),
        "metric" => {
            reading.several(&mut table, "models", 2);
            table.word("by", &["latency", "cost", "errors", "quota", "replicas"]);
        }
        "learned" => reading.learned(&mut table, folder),
        "cascade" => reading.cascade(&mut table),
        "ensemble" => reading.ensemble(&mut table),
        _ => reading.one(&mut table, "model"),
    }
    let plain = strategy == "static" && value.as_object().is_some_and(|value| value.keys().all(|key| key == "model"));
    reading.common(&mut table);
    table.finish();
    let target = match (plain, value["model"].as_str()) {
        (true, None) => return None,
        (true, Some("auto")) => RouteTarget::Auto,
        (true, Some("rehearsal")) => RouteTarget::Rehearsal,
        (true, Some(model)) => RouteTarget::Model(model.to_owned()),
        (false, _) => RouteTarget::Strategy(value),
    };
    Some(RouteRead { target, names: reading.names })
}

/// Reports names in `routes` that are neither models nor routes, and routes that lead back to themselves.
pub fn check_names(source: Source<'_>, models: &[String], routes: &BTreeMap<String, RouteRead>) {
    let known = || models.iter().chain(routes.keys()).map(String::as_str).chain(["auto", "rehearsal"]);
    for (name, route) in routes {
        for (target, place) in &route.names {
            if !known().any(|known| known == target) {
                source.unknown(*place, "unknown_model", "model", target, known());
            } else if !models.contains(target) && leads_to(routes, models, target, name, routes.len()) {
                let message = format!("the route {name:?} leads back to itself");
                source.error_with(
                    *place,
                    "circular_route",
                    message,
                    "name a model, or a route that does not come here",
                );
            }
        }
    }
}

fn leads_to(routes: &BTreeMap<String, RouteRead>, models: &[String], from: &str, to: &str, depth: usize) -> bool {
    if from == to {
        return true;
    }
    // No way without a circle is longer than there are routes.
    let Some(route) = routes.get(from).filter(|_| depth > 0) else { return false };
    let mut next = route.names.iter().map(|(name, _)| name).filter(|name| !models.contains(name));
    next.any(|name| leads_to(routes, models, name, to, depth - 1))
}

/// Reads what the table of a model says for routes; the rest of the table is left to the caller.
pub fn model_policy(table: &mut Fields<'_>) -> Value {
    const KEYS: [&str; 5] = ["jurisdictions", "context_tokens", "max_concurrency", "adaptive_concurrency", "breaker"];
    let value = table.json();
    for place in table.texts("jurisdictions") {
        check_jurisdiction(table.source, place.place, &place.value);
    }
    table.integer("context_tokens", 1..=100_000_000);
    table.integer("max_concurrency", 1..=100_000);
    table.boolean("adaptive_concurrency");
    if let Some(mut breaker) = table.table("breaker") {
        breaker.number("shift_at", 0.01..=1.0);
        breaker.number("down_at", 0.01..=1.0);
        breaker.integer("window", 1..=10_000);
        breaker.integer("min_calls", 1..=10_000);
        breaker.integer("probes", 1..=100);
        breaker.number("cooldown_seconds", 0.001..=86_400.0);
        breaker.number("longest_seconds", 0.001..=86_400.0);
        breaker.finish();
    }
    let Value::Object(mut all) = value else { return Value::Null };
    let mut policy = Map::new();
    for key in KEYS {
        if let Some(value) = all.remove(key) {
            policy.insert(key.to_owned(), value);
        }
    }
    if policy.is_empty() { Value::Null } else { Value::Object(policy) }
}

struct Reading<'a> {
    source: Source<'a>,
    names: Vec<(String, Place)>,
}

impl Reading<'_> {
    /// Reads a key that must name a model or route.
    fn one(&mut self, table: &mut Fields<'_>, key: &'static str) {
        if let Some(name) = table.required_text(key) {
            self.names.push((name.value, name.place));
        }
    }

    /// Reads a key that may name one.
    fn maybe(&mut self, table: &mut Fields<'_>, key: &'static str) {
        if let Some(name) = table.text(key) {
            self.names.push((name.value, name.place));
        }
    }

    /// Reads a list of names of at least so many.
    fn several(&mut self, table: &mut Fields<'_>, key: &'static str, least: usize) {
        let place = table.place;
        let names = table.texts(key);
        if names.len() < least {
            let message = format!("{key:?} must name at least {least} models");
            self.source.error(place, "invalid_value", message);
        }
        self.names.extend(names.into_iter().map(|name| (name.value, name.place)));
    }

    fn weighted(&mut self, table: &mut Fields<'_>) {
        let place = table.place;
        match table.table("models") {
            None => {
                let hint = "for example: models = { one = 90, other = 10 }";
                self.source.error_with(place, "missing_key", "the table \"models\" of weights is missing", hint);
            }
            Some(mut weights) => {
                let mut sum = 0;
                for Entry { key, place, node } in weights.rest() {
                    match node.data {
                        Data::Integer(weight @ 0..=1_000_000) => sum += weight,
                        _ => {
                            let message = format!("a weight must be an integer of 0 to 1,000,000, not {}", node.kind());
                            self.source.error(node.place, "invalid_value", message);
                        }
                    }
                    self.names.push((key, place));
                }
                if sum == 0 {
                    self.source.error(weights.place, "invalid_value", "at least one weight must be above 0");
                }
            }
        }
        table.word("sticky", &["session", "user", "none"]);
        if let Some(mut canary) = table.table("canary") {
            self.one(&mut canary, "model");
            canary.number("percent", 0.0..=100.0);
            canary.finish();
        }
    }

    fn content(&mut self, table: &mut Fields<'_>) {
        self.one(table, "model");
        for mut rule in self.tables(table, "rules") {
            let conditions =
                ["min_tokens", "max_tokens", "tools", "images", "languages", "pattern", "tags", "agent", "team"];
            if !conditions.iter().any(|key| rule.has(key)) {
                let hint = format!("give it one of: {}", conditions.join(", "));
                self.source.error_with(rule.place, "invalid_value", "a rule without a condition always holds", hint);
            }
            self.one(&mut rule, "model");
            rule.integer("min_tokens", 0..=1_000_000_000);
            rule.integer("max_tokens", 0..=1_000_000_000);
            rule.boolean("tools");
            rule.boolean("images");
            for language in rule.texts("languages") {
                let code = &language.value;
                if !matches!(code.len(), 2 | 3) || !code.bytes().all(|byte| byte.is_ascii_lowercase()) {
                    let hint = "write two or three letters, for example \"de\"";
                    self.source.error_with(language.place, "invalid_value", format!("{code:?} is no language"), hint);
                }
            }
            self.pattern(&mut rule, "pattern");
            self.tags(&mut rule);
            rule.text("agent");
            rule.text("team");
            rule.finish();
        }
    }

    fn tags(&mut self, rule: &mut Fields<'_>) {
        let Some(mut tags) = rule.table("tags") else { return };
        for Entry { node, .. } in tags.rest() {
            if !matches!(node.data, Data::Text(_)) {
                self.source.error(node.place, "wrong_type", format!("a tag's value is a text, not {}", node.kind()));
            }
        }
    }

    fn learned(&mut self, table: &mut Fields<'_>, folder: &Path) {
        self.one(table, "cheap");
        self.one(table, "strong");
        if let Some(file) = table.required_text("router")
            && !folder.join(&file.value).is_file()
        {
            let hint = "make it with `bedplate routes train`";
            let message = format!("there is no file {:?} in the project folder", file.value);
            self.source.error_with(file.place, "missing_file", message, hint);
        }
    }

    fn cascade(&mut self, table: &mut Fields<'_>) {
        let place = table.place;
        let tiers = self.tables(table, "tiers");
        if tiers.len() < 2 {
            self.source.error(place, "invalid_value", "a cascade has at least two tiers");
        }
        let last = tiers.len().saturating_sub(1);
        for (index, mut tier) in tiers.into_iter().enumerate() {
            let checks = ["json_schema", "confidence", "logprob", "no_refusal", "deny", "pattern"];
            let checked = checks.iter().any(|key| tier.has(key));
            if checked == (index == last) {
                let (message, hint) = if checked {
                    ("the last tier's answer is taken as it is", "take its checks away, or add a tier")
                } else {
                    ("without a check this tier's answer always passes", "add one, for example: no_refusal = true")
                };
                self.source.warning(tier.place, "useless_check", message, hint);
            }
            self.one(&mut tier, "model");
            if let Some(schema) = tier.take("json_schema") {
                self.schema(&schema.node);
            }
            tier.number("confidence", 0.0..=1.0);
            tier.number("logprob", -100.0..=0.0);
            tier.boolean("no_refusal");
            for denied in tier.texts("deny") {
                self.regex(&denied.value, denied.place);
            }
            self.pattern(&mut tier, "pattern");
            tier.finish();
        }
    }

    fn schema(&self, node: &Node) {
        if let Err(error) = jsonschema::validator_for(&node.json()) {
            self.source.error(node.place, "invalid_schema", format!("\"json_schema\" is no JSON Schema: {error}"));
        }
    }

    fn ensemble(&mut self, table: &mut Fields<'_>) {
        self.several(table, "models", 2);
        let aggregate = table.word("aggregate", &["majority", "best_of", "first"]);
        match aggregate {
            Some("best_of") => self.one(table, "judge"),
            _ => self.maybe(table, "judge"),
        }
    }

    /// Reads the keys that every strategy has.
    fn common(&mut self, table: &mut Fields<'_>) {
        for name in table.texts("fallback") {
            self.names.push((name.value, name.place));
        }
        self.maybe(table, "larger");
        table.boolean("resume");
        if let Some(place) = table.text("jurisdiction") {
            check_jurisdiction(self.source, place.place, &place.value);
        }
        table.integer("hedge_ms", 1..=600_000);
        if let Some(mut retry) = table.table("retry") {
            retry.integer("attempts", 1..=10);
            retry.integer("base_ms", 1..=60_000);
            retry.number("cap_seconds", 0.001..=600.0);
            retry.integer("budget_percent", 0..=100);
            retry.finish();
        }
        if let Some(mut waits) = table.table("timeouts") {
            waits.integer("first_token_ms", 1..=86_400_000);
            waits.integer("idle_ms", 1..=86_400_000);
            waits.integer("total_ms", 1..=86_400_000);
            waits.finish();
        }
        if let Some(mut admission) = table.table("admission") {
            if !admission.has("concurrent") {
                self.source.error(admission.place, "missing_key", "the key \"concurrent\" is missing");
            }
            admission.integer("concurrent", 1..=1_000_000);
            admission.integer("queue", 0..=1_000_000);
            admission.integer("max_wait_ms", 0..=600_000);
            admission.finish();
        }
        if let Some(mut degrade) = table.table("degrade") {
            degrade.integer("cached_seconds", 1..=31_536_000);
            self.maybe(&mut degrade, "model");
            degrade.text("apology");
            degrade.finish();
        }
    }

    fn tables<'t>(&self, table: &mut Fields<'t>, key: &'static str) -> Vec<Fields<'t>> {
        let source = table.source;
        let Some(entry) = table.take(key) else { return Vec::new() };
        match entry.node.data {
            Data::List(items) => items.into_iter().filter_map(|item| Fields::of(source, item)).collect(),
            _ => {
                let message = format!("{key:?} must be a list of tables, not {}", entry.node.kind());
                source.error(entry.node.place, "wrong_type", message);
                Vec::new()
            }
        }
    }

    fn pattern(&self, table: &mut Fields<'_>, key: &'static str) {
        if let Some(pattern) = table.text(key) {
            self.regex(&pattern.value, pattern.place);
        }
    }

    fn regex(&self, text: &str, place: Place) {
        if let Err(error) = regex_lite::Regex::new(text) {
            self.source.error(place, "invalid_pattern", format!("{text:?} is no regular expression: {error}"));
        }
    }
}

fn check_jurisdiction(source: Source<'_>, place: Place, name: &str) {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if name.is_empty() || name.len() > 32 || !name.bytes().all(fits) {
        let hint = "write lower-case letters, digits and -, for example \"eu\"";
        source.error_with(place, "invalid_value", format!("{name:?} is no jurisdiction"), hint);
    }
}
