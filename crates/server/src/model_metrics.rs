//! What `/metrics` says of model calls: by route as they were recorded, and by model as the gateway watches over them.
//! Figures are those of this process; each name is documented in docs/reference/metrics.md.

use bedplate_core::port::{
    health::ModelHealth,
    records::{CallTotals, SPREAD, Spread},
};
use std::fmt::Write;

/// The states of a breaker, each a line of its own.
const BREAKER: [&str; 3] = ["closed", "half_open", "open"];

/// Writes both in Prometheus' text format.
pub(crate) fn write(text: &mut String, totals: &[CallTotals], models: &[ModelHealth]) {
    by_route(text, totals);
    by_model(text, models);
}

fn by_route(text: &mut String, totals: &[CallTotals]) {
    let labels = |of: &CallTotals| {
        let none = "";
        let (model, provider) = (of.target.as_deref().unwrap_or(none), of.provider.as_deref().unwrap_or(none));
        format!("route={},model={},provider={}", quoted(&of.route), quoted(model), quoted(provider))
    };
    family(text, "route_calls", "counter", "Calls that ended, by route, model, provider and outcome");
    for of in totals {
        for (outcome, count) in &of.outcomes {
            line(text, "route_calls_total", &format!("{},outcome={}", labels(of), quoted(outcome)), count);
        }
    }
    family(text, "route_attempts", "counter", "Calls that went upstream");
    for of in totals {
        line(text, "route_attempts_total", &labels(of), of.attempts);
    }
    family(text, "route_tokens", "counter", "Tokens of calls, by kind");
    for of in totals {
        for (kind, count) in [("input", of.input_tokens), ("output", of.output_tokens)] {
            line(text, "route_tokens_total", &format!("{},kind=\"{kind}\"", labels(of)), count);
        }
    }
    family(text, "route_cost_micro_usd", "counter", "Money for calls, in millionths of a US dollar");
    for of in totals {
        line(text, "route_cost_micro_usd_total", &labels(of), of.cost);
    }
    family(text, "route_call_seconds", "histogram", "From a call until its end");
    for of in totals {
        spread(text, "route_call_seconds", &labels(of), &of.total);
    }
    family(text, "route_first_token_seconds", "histogram", "From a call until the first piece of its reply");
    for of in totals {
        spread(text, "route_first_token_seconds", &labels(of), &of.first_token);
    }
}

fn by_model(text: &mut String, models: &[ModelHealth]) {
    let labels = |of: &ModelHealth| format!("model={},provider={}", quoted(&of.name), quoted(&of.info.provider));
    family(text, "model_breaker", "gauge", "Whether the breaker of a model is in a state: 1 or 0");
    for of in models {
        for state in BREAKER {
            let is = u8::from(of.breaker == state);
            line(text, "model_breaker", &format!("{},state=\"{state}\"", labels(of)), is);
        }
    }
    type Figure = fn(&ModelHealth) -> f64;
    let gauges: [(&str, &str, Figure); 4] = [
        ("model_in_flight", "Calls under way to a model", |of| f64::from(of.in_flight)),
        ("model_concurrency_limit", "How many calls may be under way to a model", |of| f64::from(of.limit)),
        ("model_latency_seconds", "Expected time until the first token: a peak that decays", |of| of.latency),
        ("model_error_ratio", "The part of the last calls that failed, 0 to 1", |of| of.errors),
    ];
    for (name, help, figure) in gauges {
        family(text, name, "gauge", help);
        for of in models {
            line(text, name, &labels(of), figure(of));
        }
    }
    family(text, "model_attempts", "counter", "Calls that were sent to a model");
    for of in models {
        line(text, "model_attempts_total", &labels(of), of.attempts);
    }
    family(text, "model_errors", "counter", "Calls to a model that failed, by kind");
    for of in models {
        for (kind, count) in &of.failures {
            line(text, "model_errors_total", &format!("{},kind=\"{kind}\"", labels(of)), count);
        }
    }
}

// Writing to a String cannot fail.

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP bedplate_{name} {help}.\n# TYPE bedplate_{name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "bedplate_{name}{{{labels}}} {value}");
}

fn spread(text: &mut String, name: &str, labels: &str, spread: &Spread) {
    let mut sum = 0;
    let bounds = SPREAD.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(spread.counts) {
        sum += count;
        line(text, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), sum);
    }
    line(text, &format!("{name}_sum"), labels, spread.sum.as_secs_f64());
    line(text, &format!("{name}_count"), labels, sum);
}

/// Returns a label's value as the format has it.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_spread_is_told_as_a_histogram_whose_classes_add_up() {
        let mut totals = CallTotals { route: "a\"b\\c\nd".into(), ..CallTotals::default() };
        for millis in [5, 10, 11, 200, 500_000] {
            totals.total.add(Duration::from_millis(millis));
        }
        let mut text = String::new();
        write(&mut text, &[totals], &[]);
        let labels = r#"route="a\"b\\c\nd",model="",provider="""#;
        for (bound, count) in [("0.01", 2), ("0.025", 3), ("0.25", 4), ("120", 4), ("+Inf", 5)] {
            let expected = format!("bedplate_route_call_seconds_bucket{{{labels},le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&expected), "{expected} is missing in {text}");
        }
        assert!(text.contains(&format!("bedplate_route_call_seconds_count{{{labels}}} 5\n")), "{text}");
    }
}
