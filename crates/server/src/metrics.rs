//! What the server counts, in Prometheus' text format.

use axum::http::{Method, StatusCode};
use bedplate_core::port::{health::ModelHealth, records::CallTotals};
use bedplate_runtime::{Runtime, Stats, TOOL_OUTCOMES, TURN_OUTCOMES};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

/// The server's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    runtime: Runtime,
}

impl Metrics {
    pub(crate) fn new(runtime: Runtime) -> Self {
        let mut registry = Registry::with_prefix("bedplate");
        let requests = Family::<RequestLabels, Counter>::default();
        let seconds =
            Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        registry.register("http_requests", "HTTP requests by method, route and status", requests.clone());
        registry.register("http_request_seconds", "Time until the response began", seconds.clone());
        Self { registry, requests, seconds, runtime }
    }

    pub(crate) fn count_request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let labels = RequestLabels { method: method_label(method), route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Returns all metrics as text (OpenMetrics, which Prometheus reads).
    pub(crate) fn render(&self, calls: &[CallTotals], models: &[ModelHealth]) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        let end = text.rfind("# EOF").unwrap_or(text.len());
        text.truncate(end);
        write_stats(&mut text, &self.runtime.stats());
        crate::model_metrics::write(&mut text, calls, models);
        text.push_str("# EOF\n");
        text
    }
}

/// Returns the method as a label; what a client made up is one label, so that it cannot grow the table.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// Writes the runtime's counters.
fn write_stats(text: &mut String, stats: &Stats) {
    use std::fmt::Write;
    let gauges =
        [("loaded_runs", "Runs in memory", stats.loaded_runs), ("subscribers", "Live subscribers", stats.subscribers)];
    let counters = [
        ("steps", "Model and tool calls whose end was journaled", stats.steps),
        ("appends", "Appends committed", stats.appends),
        ("events", "Events appended", stats.events),
        ("append_conflicts", "Appends refused because another claim took over", stats.conflicts),
        ("store_errors", "Appends that the store failed at least once", stats.store_errors),
        ("recovered_runs", "Runs whose work was taken up again", stats.recovered),
        ("turns_started", "Turns begun", stats.turns_started),
        ("model_replies", "Model calls answered", stats.model_replies),
        ("model_failures", "Model calls failed or lost", stats.model_failures),
        ("questions", "Questions asked", stats.questions),
        ("input_tokens", "Input tokens, without cached ones", stats.input_tokens),
        ("output_tokens", "Output tokens", stats.output_tokens),
        ("cost_micro_usd", "Money in millionths of a US dollar", stats.cost),
    ];
    // Writing to a String cannot fail.
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP bedplate_{name} {help}.\n# TYPE bedplate_{name} gauge\nbedplate_{name} {value}");
    }
    for (name, help, value) in counters {
        let _ = writeln!(
            text,
            "# HELP bedplate_{name} {help}.\n# TYPE bedplate_{name} counter\nbedplate_{name}_total {value}"
        );
    }
    let turns = TURN_OUTCOMES.iter().map(|(_, word)| *word).zip(stats.turns_ended);
    let tools = TOOL_OUTCOMES.iter().map(|(_, word)| *word).zip(stats.tool_calls);
    write_outcomes(text, "turns_ended", "Turns ended, by outcome", turns);
    write_outcomes(text, "tool_calls", "Tool calls closed, by outcome", tools);
}

fn write_outcomes(text: &mut String, name: &str, help: &str, outcomes: impl Iterator<Item = (&'static str, u64)>) {
    use std::fmt::Write;
    let _ = writeln!(text, "# HELP bedplate_{name} {help}.\n# TYPE bedplate_{name} counter");
    for (word, value) in outcomes {
        let _ = writeln!(text, "bedplate_{name}_total{{outcome=\"{word}\"}} {value}");
    }
}
