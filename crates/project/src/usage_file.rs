//! Reading `[plans]`, `[limits]`, `[budgets]`, `[caches]`, `[tokens]`, `[prices]`, `[log]` and `[ledger]`.

use crate::{
    config::Config,
    fields::{Fields, Text, check_name},
    node::{Data, Entry},
    problem::Source,
    usage::{
        BudgetConfig, CacheConfig, LedgerConfig, LedgerUrl, LogConfig, PlanConfig, PriceConfig, TokensConfig,
        UsageConfig,
    },
};
use std::collections::BTreeMap;

/// For whom limits hold, and the table that names single ones.
const SUBJECTS: [(&str, &str); 5] =
    [("key", "keys"), ("user", "users"), ("team", "teams"), ("agent", "agents"), ("model", "models")];

/// The largest count of a limit.
const MANY: i64 = 1_000_000_000_000;

/// Reads the tables; models and routes must be in `config` already.
pub fn read(fields: &mut Fields<'_>, config: &Config) -> UsageConfig {
    let known = Known { config };
    let mut usage = UsageConfig::default();
    for (name, table) in named(fields, "plans", Some("a plan")) {
        usage.plans.insert(name, plan(table));
    }
    if let Some(table) = fields.table("limits") {
        limits(table, &mut usage);
    }
    for (name, table) in named(fields, "budgets", Some("a budget")) {
        if let Some(budget) = budget(table, &known) {
            usage.budgets.insert(name, budget);
        }
    }
    for (name, table) in named(fields, "caches", Some("a cache")) {
        if let Some(cache) = cache(table, &known) {
            usage.caches.insert(name, cache);
        }
    }
    if let Some(table) = fields.table("tokens") {
        usage.tokens = tokens(table, &known);
    }
    for (id, table) in named(fields, "prices", None) {
        if let Some(price) = price(table) {
            usage.prices.insert(id, price);
        }
    }
    if let Some(table) = fields.table("log") {
        usage.log = log(table);
    }
    if let Some(table) = fields.table("ledger") {
        usage.ledger = ledger(table);
    }
    usage
}

/// What the rest of the file declares.
struct Known<'a> {
    config: &'a Config,
}

impl Known<'_> {
    /// Reports a name that is neither a route nor a model.
    fn check(&self, source: Source<'_>, name: &Text) {
        let Config { routes, models, .. } = self.config;
        let built_in = ["auto", "rehearsal"];
        if !routes.contains_key(&name.value) && !models.contains_key(&name.value) && !built_in.contains(&&*name.value) {
            let known = routes.keys().chain(models.keys()).map(String::as_str).chain(built_in);
            source.unknown(name.place, "unknown_route", "route or model", &name.value, known);
        }
    }
}

/// Takes the table `key`, whose values are tables.
fn named<'a>(fields: &mut Fields<'a>, key: &'static str, what: Option<&str>) -> Vec<(String, Fields<'a>)> {
    let Some(mut table) = fields.table(key) else { return Vec::new() };
    let source = table.source;
    let mut found = Vec::new();
    for Entry { key, place, node } in table.rest() {
        if let Some(what) = what {
            check_name(source, place, what, &key);
        }
        if let Some(mut fields) = Fields::of(source, node) {
            fields.place = place;
            found.push((key, fields));
        }
    }
    found
}

fn plan(mut table: Fields<'_>) -> PlanConfig {
    let mut count = |key| table.integer(key, 1..=MANY).and_then(|count| u64::try_from(count).ok());
    let plan = PlanConfig {
        requests: [count("requests_per_minute"), count("requests_per_day")],
        input_tokens: [count("input_tokens_per_minute"), count("input_tokens_per_day")],
        output_tokens: [count("output_tokens_per_minute"), count("output_tokens_per_day")],
        tokens: [count("tokens_per_minute"), count("tokens_per_day")],
    };
    if plan == PlanConfig::default() {
        let hint = "add requests_per_minute, tokens_per_day or another limit";
        table.source.warning(table.place, "missing_key", "the plan limits nothing", hint);
    }
    table.finish();
    plan
}

fn limits(mut table: Fields<'_>, usage: &mut UsageConfig) {
    let source = table.source;
    let check = |name: &Text, plans: &BTreeMap<String, PlanConfig>| {
        if !plans.contains_key(&name.value) {
            source.unknown(name.place, "unknown_plan", "plan", &name.value, plans.keys().map(String::as_str));
        }
    };
    let each = [("tenant", "")].into_iter().chain(SUBJECTS);
    for (one, many) in each {
        if let Some(name) = table.text(one) {
            check(&name, &usage.plans);
            usage.each.insert(one, name.value);
        }
        let single = if many.is_empty() { None } else { table.table(many) };
        let Some(mut single) = single else { continue };
        for Entry { key, node, .. } in single.rest() {
            match node.data {
                Data::Text(value) => {
                    let name = Text { value, place: node.place, text: node.text };
                    check(&name, &usage.plans);
                    usage.named.insert((one, key), name.value);
                }
                _ => source.error(node.place, "wrong_type", format!("a plan's name is needed, not {}", node.kind())),
            }
        }
    }
    table.finish();
}

fn budget(mut table: Fields<'_>, known: &Known<'_>) -> Option<BudgetConfig> {
    let source = table.source;
    if !table.has("limit_usd") {
        source.error(table.place, "missing_key", "the key \"limit_usd\" is missing");
    }
    let limit = table.number("limit_usd", 0.0..=1_000_000_000.0);
    let period = table.word("period", &["day", "month", "run"]);
    let of = table.text("for");
    if let Some(of) = &of {
        let words = ["tenant", "user", "key", "team", "agent", "model", "run"];
        let is_tag = of.value.strip_prefix("tag:").is_some_and(|tag| !tag.is_empty());
        if !is_tag && !words.contains(&of.value.as_str()) {
            let message = format!("{:?} is nothing that a budget can be for", of.value);
            source.error_with(
                of.place,
                "invalid_value",
                message,
                format!("it is one of: {}, tag:NAME", words.join(", ")),
            );
        }
    }
    // A run's money is counted for the run and for as long as it lasts; one without the other has no meaning.
    let of_run = of.as_ref().is_some_and(|of| of.value == "run");
    if (period == Some("run")) != of_run && (of.is_some() || period == Some("run")) {
        let hint = "write for = \"run\" and period = \"run\" together";
        source.error_with(table.place, "invalid_value", "a budget of a run is for the run", hint);
    }
    let who: Vec<String> = table.texts("who").into_iter().map(|text| text.value).collect();
    let alerts = alerts(&mut table);
    let action = table.word("action", &["block", "degrade", "allow"]).unwrap_or("block");
    let degrade_to = table.text("degrade_to");
    match (&degrade_to, action) {
        (Some(route), _) => known.check(source, route),
        (None, "degrade") => {
            let hint = "name the route or model that takes over";
            source.error_with(table.place, "missing_key", "the key \"degrade_to\" is missing", hint);
        }
        (None, _) => {}
    }
    let webhook = table.text("webhook").map(|url| {
        if !url.value.starts_with("http://") && !url.value.starts_with("https://") {
            source.error(url.place, "invalid_value", "\"webhook\" must begin with http:// or https://");
        }
        url.value
    });
    let webhook_secret_env = table.text("webhook_secret_env").map(|text| text.value);
    table.finish();
    Some(BudgetConfig {
        limit_usd: limit?,
        period: period.unwrap_or("month"),
        of: of.map_or_else(|| "tenant".to_owned(), |of| of.value),
        who,
        alerts,
        action,
        degrade_to: degrade_to.map(|text| text.value),
        webhook,
        webhook_secret_env,
    })
}

fn alerts(table: &mut Fields<'_>) -> Vec<u8> {
    let Some(entry) = table.take("alerts") else { return vec![80, 100] };
    let source = table.source;
    let Data::List(items) = entry.node.data else {
        source.error(entry.place, "wrong_type", "\"alerts\" must be a list of per cents, for example [80, 100]");
        return Vec::new();
    };
    let mut alerts = Vec::new();
    for item in items {
        match item.data {
            Data::Integer(percent @ 1..=200) => alerts.push(u8::try_from(percent).unwrap_or(u8::MAX)),
            _ => source.error(item.place, "invalid_value", "an alert is given at 1 to 200 per cent"),
        }
    }
    alerts
}

fn cache(mut table: Fields<'_>, known: &Known<'_>) -> Option<CacheConfig> {
    let source = table.source;
    let routes = table.texts("routes");
    routes.iter().for_each(|route| known.check(source, route));
    if routes.is_empty() {
        let hint = "name the routes whose replies are kept";
        source.error_with(table.place, "missing_key", "the cache has no \"routes\"", hint);
    }
    let mut count = |key, most, default| {
        table.integer(key, 1..=most).and_then(|count| u64::try_from(count).ok()).unwrap_or(default)
    };
    let ttl_seconds = count("ttl_seconds", 31_536_000, 3_600);
    let max_mebibytes = count("max_mebibytes", 65_536, 64);
    let shared = table.word("share", &["user", "tenant"]) == Some("tenant");
    let semantic = table.table("semantic").and_then(|mut semantic| {
        let model = semantic.required_text("model");
        if let Some(model) = &model {
            known.check(source, model);
        }
        let threshold = semantic.number("threshold", 0.5..=1.0).unwrap_or(0.95);
        semantic.finish();
        Some((model?.value, threshold))
    });
    table.finish();
    let routes: Vec<String> = routes.into_iter().map(|route| route.value).collect();
    (!routes.is_empty()).then_some(CacheConfig { routes, ttl_seconds, shared, max_mebibytes, semantic })
}

fn tokens(mut table: Fields<'_>, known: &Known<'_>) -> TokensConfig {
    let overflow = table.word("overflow", &["send", "refuse", "truncate"]);
    let reserve_output = table.integer("reserve_output", 1..=MANY).and_then(|count| u64::try_from(count).ok());
    let prompt_cache = table.texts("prompt_cache");
    prompt_cache.iter().for_each(|route| known.check(table.source, route));
    table.finish();
    let prompt_cache = prompt_cache.into_iter().map(|text| text.value).collect();
    TokensConfig { overflow, reserve_output, prompt_cache }
}

fn price(mut table: Fields<'_>) -> Option<PriceConfig> {
    let dollars = 0.0..=100_000.0;
    for key in ["input", "output"] {
        if !table.has(key) {
            table.source.error(table.place, "missing_key", format!("the key {key:?} is missing"));
        }
    }
    let input = table.number("input", dollars.clone());
    let output = table.number("output", dollars.clone());
    let cache_read = table.number("cache_read", dollars.clone());
    let cache_write = table.number("cache_write", dollars.clone());
    let mut pair = |one: &'static str, other: &'static str| match (
        table.number(one, dollars.clone()),
        table.number(other, dollars.clone()),
    ) {
        (None, None) => None,
        (Some(input), Some(output)) => Some((input, output)),
        _ => {
            table.source.error(table.place, "missing_key", format!("{one:?} and {other:?} belong together"));
            None
        }
    };
    let batch = pair("batch_input", "batch_output");
    let provisioned = pair("provisioned_input", "provisioned_output");
    table.finish();
    Some(PriceConfig { input: input?, output: output?, cache_read, cache_write, batch, provisioned })
}

/// Reads where limits are counted that servers share.
fn ledger(mut table: Fields<'_>) -> Option<LedgerConfig> {
    let source = table.source;
    let (is, env) = (table.text("redis_url"), table.text("redis_url_env"));
    let prefix = table.text("prefix").map_or_else(|| "bedplate".to_owned(), |text| text.value);
    let timeout_ms = table.integer("timeout_ms", 10..=60_000).and_then(|ms| u32::try_from(ms).ok()).unwrap_or(1_000);
    let place = table.place;
    table.finish();
    let url = match (is, env) {
        (Some(_), Some(env)) => {
            let message = "\"redis_url\" and \"redis_url_env\" exclude each other";
            source.error(env.place, "invalid_value", message);
            return None;
        }
        (Some(is), None) => {
            let host = ["redis://", "rediss://"].iter().find_map(|scheme| is.value.strip_prefix(scheme));
            if host.is_none_or(|host| host.rsplit('@').next().is_none_or(|host| matches!(host, "" | "/"))) {
                let hint = "write redis://host:6379/0, or rediss:// for TLS";
                // It may hold a password, so it is not repeated.
                source.error_with(is.place, "invalid_value", "\"redis_url\" is no address of Redis", hint);
            }
            let who = host.and_then(|host| host.rsplit_once('@')).map(|(who, _)| who);
            if who.and_then(|who| who.split_once(':')).is_some_and(|(_, password)| !password.is_empty()) {
                let hint = "write redis_url_env = \"NAME\" and set that variable in the environment";
                source.error_with(is.place, "secret_in_file", "a password does not belong in this file", hint);
            }
            LedgerUrl::Is(is.value)
        }
        (None, Some(env)) => LedgerUrl::Env(env.value),
        (None, None) => {
            let hint = "add redis_url or redis_url_env, or take the table away to count in this process";
            source.error_with(place, "missing_key", "the ledger has no address", hint);
            return None;
        }
    };
    Some(LedgerConfig { url, prefix, timeout_ms })
}

fn log(mut table: Fields<'_>) -> LogConfig {
    let source = table.source;
    let payloads = table.word("payloads", &["none", "errors", "all"]);
    let mut redact = [false, false];
    for what in table.texts("redact") {
        match what.value.as_str() {
            "email" => redact[0] = true,
            "phone" => redact[1] = true,
            other => source.unknown(what.place, "invalid_value", "kind of text", other, ["email", "phone"]),
        }
    }
    let patterns = table.texts("patterns").into_iter().filter_map(|pattern| pattern_of(source, pattern)).collect();
    let max_payload_bytes =
        table.integer("max_payload_bytes", 1_024..=16_777_216).and_then(|count| usize::try_from(count).ok());
    let retention_days = table.integer("retention_days", 1..=36_500).and_then(|days| u32::try_from(days).ok());
    table.finish();
    let [redact_emails, redact_phones] = redact;
    LogConfig { payloads, redact_emails, redact_phones, patterns, max_payload_bytes, retention_days }
}

fn pattern_of(source: Source<'_>, pattern: Text) -> Option<String> {
    match regex_lite::Regex::new(&pattern.value) {
        Ok(_) => Some(pattern.value),
        Err(error) => {
            let message = format!("{:?} is no regular expression: {error}", pattern.value);
            source.error(pattern.place, "invalid_value", message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Report;

    fn read_text(text: &str) -> (UsageConfig, Vec<String>) {
        let report = Report::default();
        let source = Source { report: &report, file: "bedplate.toml" };
        let mut config = Config::default();
        config.routes.insert("default".into(), crate::RouteTarget::Auto);
        let node = crate::parse::toml(source, text);
        let usage = Fields::of(source, node).map(|mut fields| {
            let usage = read(&mut fields, &config);
            fields.finish();
            usage
        });
        let problems = report.finish().into_iter();
        let problems =
            problems.map(|it| format!("{}:{} {} {}", it.line, it.column, it.code, it.hint.unwrap_or_default()));
        (usage.unwrap_or_default(), problems.collect())
    }

    #[test]
    fn every_part_is_read() {
        let (usage, problems) = read_text(
            r#"
            [plans.small]
            requests_per_minute = 60
            tokens_per_day = 1_000_000
            [limits]
            key = "small"
            keys = { 0123 = "small" }
            [budgets.people]
            limit_usd = 12.5
            for = "user"
            period = "day"
            action = "degrade"
            degrade_to = "default"
            webhook = "https://example.com/alerts"
            [caches.answers]
            routes = ["default"]
            semantic = { model = "default", threshold = 0.9 }
            [tokens]
            overflow = "truncate"
            prompt_cache = ["default"]
            [prices."gpt-4.1"]
            input = 1
            output = 4.5
            [log]
            payloads = "errors"
            redact = ["email"]
            patterns = ["MA-[0-9]+"]
            retention_days = 30
            "#,
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(usage.plans["small"].requests, [Some(60), None]);
        assert_eq!((usage.each["key"].as_str(), usage.named[&("key", "0123".to_owned())].as_str()), ("small", "small"));
        let budget = &usage.budgets["people"];
        assert_eq!((budget.limit_usd, budget.period, &*budget.alerts), (12.5, "day", &[80, 100][..]));
        assert_eq!(usage.caches["answers"].semantic, Some(("default".to_owned(), 0.9)));
        assert_eq!((usage.prices["gpt-4.1"].output, usage.log.retention_days), (4.5, Some(30)));
    }

    #[test]
    fn a_password_of_the_ledger_is_refused_in_a_file_that_is_shared() {
        for url in ["redis://:hidden@host", "rediss://user:hid@den@host:6379/0"] {
            let (_, problems) = read_text(&format!("[ledger]\nredis_url = \"{url}\"\n"));
            let [problem] = &problems[..] else { panic!("{problems:?}") };
            assert!(problem.contains("secret_in_file") && problem.contains("redis_url_env"), "{problem}");
            assert!(!problem.contains("hid"), "it is not repeated");
        }
        for url in ["redis://host:6379/0", "redis://user@host:6379"] {
            assert_eq!(read_text(&format!("[ledger]\nredis_url = \"{url}\"\n")).1, [""; 0]);
        }
    }

    #[test]
    fn every_mistake_is_found_at_its_place() {
        let (_, problems) = read_text(
            "[limits]\nkey = \"smal\"\n[budgets.b]\nfor = \"usr\"\nalerts = [0]\naction = \"degrade\"\n[caches.c]\nroutes = [\"defalt\"]\n[log]\npatterns = [\"(\"]\nredact = [\"e-mail\"]\n[budgets.r]\nlimit_usd = 1\nperiod = \"run\"\n",
        );
        let codes: Vec<&str> = problems.iter().map(|problem| problem.split(' ').nth(1).unwrap_or_default()).collect();
        let wanted = [
            "unknown_plan",
            "missing_key",
            "missing_key",
            "invalid_value",
            "invalid_value",
            "unknown_route",
            "invalid_value",
            "invalid_value",
            "invalid_value",
        ];
        let sorted = |mut codes: Vec<&str>| {
            codes.sort_unstable();
            codes.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(sorted(codes), sorted(wanted.to_vec()), "{problems:#?}");
        assert!(problems.iter().any(|problem| problem.starts_with("2:") && problem.contains("unknown_plan")));
    }
}
