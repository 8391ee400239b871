//! Metrics and traces to an OpenTelemetry collector, over HTTP in OTLP's JSON form.
//!
//! Histograms go out as the exponential histograms they are. Off unless an address is set. What cannot be delivered is left out: metrics
//! are cumulative and come whole the next time, spans are lost.

use std::time::Duration;

use serde_json::{Value, json};
use steward_domain::clock::Timestamp;

use super::check_address;
use super::gauges::Gauges;
use super::histogram::{SCALE, Snapshot};
use super::registry::Measures;
use super::series::{FallbackCause, Labels, Outcome, TOKEN_TYPES, Taken, TimesTaken};
use super::trace::{AttemptSpan, CallSpan};

/// A collector that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// Where metrics and traces go.
#[derive(Clone, Debug)]
pub struct Collector {
    http: reqwest::Client,
    url: String,
}

impl Collector {
    /// A collector at `url`, such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// The address is none, or there can be no HTTP client; a sentence.
    pub fn new(url: &str) -> Result<Self, String> {
        check_address(url)?;
        let http = reqwest::Client::builder().timeout(LIMIT).no_proxy().build();
        Ok(Collector {
            http: http.map_err(|error| format!("there can be no HTTP client: {error}"))?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// Sends everything that is known now.
    ///
    /// # Errors
    /// The collector does not take it; a sentence.
    pub async fn send(&self, measures: &Measures, since: Timestamp, now: Timestamp, gauges: &Gauges) -> Result<(), String> {
        self.post("/v1/metrics", &measures.otlp_metrics(since, now, gauges)).await?;
        match measures.otlp_traces() {
            Some(traces) => self.post("/v1/traces", &traces).await,
            None => Ok(()),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), String> {
        let sent = self.http.post(format!("{}{path}", self.url)).json(body).send().await;
        let response = sent.map_err(|error| format!("the collector does not answer: {}", error.without_url()))?;
        let status = response.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("the collector refuses {path} with status {status}"))
        }
    }
}

/// A histogram of each series: name, unit, what it is, where it is.
type Family = (&'static str, &'static str, &'static str, fn(&TimesTaken) -> &Snapshot);

const FAMILIES: [Family; 9] = [
    (
        "gen_ai.server.time_to_first_token",
        "s",
        "From the call to its first content",
        |times| &times.ttft,
    ),
    (
        "gen_ai.server.time_per_output_token",
        "s",
        "Time per output token after the first",
        |times| &times.tpot,
    ),
    (
        "gen_ai.server.request.duration",
        "s",
        "From the call to the end of its answer",
        |times| &times.total,
    ),
    (
        "gen_ai.client.operation.time_to_first_chunk",
        "s",
        "First content after the request was sent",
        |times| &times.prefill,
    ),
    (
        "gen_ai.client.operation.time_per_output_chunk",
        "s",
        "Time between two pieces of content",
        |times| &times.itl,
    ),
    ("steward.decode", "s", "From the first to the last content", |times| &times.decode),
    (
        "steward.output_tokens_per_second",
        "{token}/s",
        "Output tokens a second of one answer",
        |times| &times.rate,
    ),
    (
        "steward.overhead",
        "s",
        "Time of a call that was not spent waiting for an upstream",
        |times| &times.overhead,
    ),
    ("steward.request.cost", "USD", "US dollars of an upstream request", |times| {
        &times.cost
    }),
];

/// The instants of a data point: when counting began, and now.
#[derive(Clone, Copy)]
struct Span(Timestamp, Timestamp);

impl Measures {
    /// All metrics as an `ExportMetricsServiceRequest`.
    pub fn otlp_metrics(&self, since: Timestamp, now: Timestamp, gauges: &Gauges) -> Value {
        let series: Vec<(Labels, Taken)> = self.all().iter().map(|series| (series.labels.clone(), series.snapshot())).collect();
        let span = Span(since, now);
        let mut metrics: Vec<Value> = FAMILIES.iter().map(|family| histogram(family, &series, span)).collect();
        metrics.push(token_usage(&series, span));
        metrics.extend(counters(&series, span));
        metrics.push(self.goodput(now));
        metrics.push(gauge(
            "steward.target.state",
            "Breaker of a target: 0 closed, 1 half-open, 2 open",
            gauges.targets.iter().map(|target| {
                let point = json!({ "timeUnixNano": nanos(now), "asInt": target.state().to_string(), "attributes": [text("steward.target", &target.target)] });
                point
            }),
        ));
        json!({ "resourceMetrics": [{ "resource": resource(), "scopeMetrics": [{ "scope": scope(), "metrics": metrics }] }] })
    }

    fn goodput(&self, now: Timestamp) -> Value {
        let window = self.window(now, super::prometheus::RATE_WINDOW);
        let mut routes: Vec<&str> = window.series.iter().map(|(labels, _)| &*labels.route).collect();
        routes.sort_unstable();
        routes.dedup();
        let points = routes.iter().map(|route| {
            let taken = window.merged(|labels| *labels.route == **route);
            let value = taken.good as f64 / window.seconds;
            json!({ "timeUnixNano": nanos(now), "asDouble": value, "attributes": [text("steward.route", route)] })
        });
        gauge(
            "steward.goodput",
            "Requests a second that met every objective of their route",
            points,
        )
    }

    /// The calls that ended since the last time as an `ExportTraceServiceRequest`; `None` when there are none.
    pub fn otlp_traces(&self) -> Option<Value> {
        let (calls, left_out) = self.spans.take();
        if left_out > 0 {
            tracing::warn!(left_out, "{left_out} calls were not traced: too many ended between two deliveries");
        }
        if calls.is_empty() {
            return None;
        }
        let spans: Vec<Value> = calls.iter().flat_map(spans_of).collect();
        Some(json!({ "resourceSpans": [{ "resource": resource(), "scopeSpans": [{ "scope": scope(), "spans": spans }] }] }))
    }
}

fn histogram((name, unit, description, of): &Family, series: &[(Labels, Taken)], span: Span) -> Value {
    let points = series
        .iter()
        .map(|(labels, taken)| point(of(&taken.times), attributes(labels), span));
    exponential(name, unit, description, points)
}

fn token_usage(series: &[(Labels, Taken)], span: Span) -> Value {
    let points = series.iter().flat_map(|(labels, taken)| {
        let kinds = [("input", &taken.times.input), ("output", &taken.times.output)];
        kinds.map(|(kind, tokens)| {
            let mut attributes = attributes(labels);
            attributes.push(text("gen_ai.token.type", kind));
            point(tokens, attributes, span)
        })
    });
    exponential("gen_ai.client.token.usage", "{token}", "Input and output tokens of answers", points)
}

fn exponential(name: &str, unit: &str, description: &str, points: impl Iterator<Item = Value>) -> Value {
    json!({
        "name": name,
        "unit": unit,
        "description": description,
        "exponentialHistogram": {
            "aggregationTemporality": CUMULATIVE,
            "dataPoints": points.filter(|point| point["count"] != "0").collect::<Vec<_>>(),
        },
    })
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;

/// A data point: its buckets follow each other without a gap, as the protocol wants.
fn point(values: &Snapshot, attributes: Vec<Value>, Span(since, now): Span) -> Value {
    let offset = values.buckets.first().map_or(0, |(index, _)| *index);
    let mut counts = Vec::new();
    for (index, count) in &values.buckets {
        let place = usize::try_from(index - offset).unwrap_or(0);
        counts.resize(place, "0".to_owned());
        counts.push(count.to_string());
    }
    json!({
        "attributes": attributes,
        "startTimeUnixNano": nanos(since),
        "timeUnixNano": nanos(now),
        "count": values.count().to_string(),
        "sum": values.sum,
        "scale": SCALE,
        "zeroCount": values.zero.to_string(),
        "positive": { "offset": offset, "bucketCounts": counts },
    })
}

type Worded = (&'static str, &'static str, fn(&Taken) -> &[u64], fn(usize) -> &'static str);

fn counters(series: &[(Labels, Taken)], Span(since, now): Span) -> Vec<Value> {
    let count = |value: Value, mut attributes: Vec<Value>, more: Option<Value>| {
        attributes.extend(more);
        let mut point = json!({ "attributes": attributes, "startTimeUnixNano": nanos(since), "timeUnixNano": nanos(now) });
        let field = if value.is_string() { "asInt" } else { "asDouble" };
        point[field] = value;
        point
    };
    let worded: [Worded; 3] = [
        ("steward.requests", "steward.outcome", |taken| &taken.outcomes, Outcome::name),
        ("steward.fallbacks", "steward.cause", |taken| &taken.fallbacks, FallbackCause::name),
        (
            "steward.tokens",
            "steward.token.type",
            |taken| &taken.tokens,
            |index| TOKEN_TYPES[index],
        ),
    ];
    let mut metrics = Vec::new();
    for (name, label, counts, word) in worded {
        let points = series.iter().flat_map(|(labels, taken)| {
            let counted = counts(taken).iter().enumerate().filter(|(_, count)| **count > 0);
            counted.map(|(index, value)| count(json!(value.to_string()), attributes(labels), Some(text(label, word(index)))))
        });
        metrics.push(sum(name, "1", points.collect()));
    }
    let cost = series
        .iter()
        .map(|(labels, taken)| count(json!(taken.cost_pico as f64 / 1e12), attributes(labels), None));
    metrics.push(sum("steward.cost", "USD", cost.collect()));
    let good = series
        .iter()
        .map(|(labels, taken)| count(json!(taken.good.to_string()), attributes(labels), None));
    metrics.push(sum("steward.goodput.requests", "1", good.collect()));
    metrics
}

fn sum(name: &str, unit: &str, points: Vec<Value>) -> Value {
    json!({ "name": name, "unit": unit, "sum": { "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points } })
}

fn gauge(name: &str, description: &str, points: impl Iterator<Item = Value>) -> Value {
    json!({ "name": name, "description": description, "gauge": { "dataPoints": points.collect::<Vec<_>>() } })
}

/// The attributes of a series; empty ones are left out.
fn attributes(labels: &Labels) -> Vec<Value> {
    let (provider, model) = labels.provider_and_model();
    let all = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", provider),
        ("gen_ai.request.model", model),
        ("steward.route", &*labels.route),
        ("gen_ai.agent.name", &*labels.agent),
        ("steward.team", &*labels.team),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| text(name, value))
        .collect()
}

fn text(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

fn number(name: &str, value: u64) -> Value {
    json!({ "key": name, "value": { "intValue": value.to_string() } })
}

fn resource() -> Value {
    json!({ "attributes": [text("service.name", "steward"), text("service.version", env!("CARGO_PKG_VERSION"))] })
}

fn scope() -> Value {
    json!({ "name": "steward", "version": env!("CARGO_PKG_VERSION") })
}

/// Nanoseconds since 1970, as text because JSON numbers are too short for them.
fn nanos(at: Timestamp) -> String {
    at.as_nanosecond().max(0).to_string()
}

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// `STATUS_CODE_ERROR`.
const FAILED: u8 = 2;

fn spans_of(call: &CallSpan) -> Vec<Value> {
    let mut own = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", &call.route),
        text("steward.request.id", &call.request),
        number("steward.attempts", call.attempts.len() as u64),
    ];
    own.extend(call.agent.as_ref().map(|agent| text("gen_ai.agent.name", agent)));
    if let Some(attempt) = call.attempts.iter().rev().find(|attempt| attempt.error.is_none()) {
        let (provider, model) = attempt.target.split_once('/').unwrap_or(("", &attempt.target));
        own.extend([text("gen_ai.provider.name", provider), text("gen_ai.response.model", model)]);
    }
    if let Some(first_at) = call.first_at {
        let seconds = crate::wait::since(first_at, call.began_at).as_secs_f64();
        own.push(json!({ "key": "gen_ai.response.time_to_first_chunk", "value": { "doubleValue": seconds } }));
    }
    if let Some(usage) = &call.usage {
        own.extend([
            number("gen_ai.usage.input_tokens", usage.total_input()),
            number("gen_ai.usage.output_tokens", usage.total_output()),
            number("gen_ai.usage.cache_read.input_tokens", usage.cached_input),
        ]);
    }
    own.extend(call.error.map(|error| text("error.type", error)));
    let root = json!({
        "traceId": format!("{:032x}", call.trace),
        "spanId": format!("{:016x}", call.id),
        "name": format!("chat {}", call.route),
        "kind": SERVER,
        "startTimeUnixNano": nanos(call.began_at),
        "endTimeUnixNano": nanos(call.ended_at),
        "attributes": own,
        "status": status(call.error),
    });
    std::iter::once(root)
        .chain(call.attempts.iter().map(|attempt| attempt_span(call, attempt)))
        .collect()
}

fn attempt_span(call: &CallSpan, attempt: &AttemptSpan) -> Value {
    let (provider, model) = attempt.target.split_once('/').unwrap_or(("", &attempt.target));
    let mut attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", provider),
        text("gen_ai.request.model", model),
    ];
    if let Some((error, http_status)) = attempt.error {
        attributes.push(text("error.type", error));
        attributes.extend(http_status.map(|status| number("http.response.status_code", u64::from(status))));
    }
    json!({
        "traceId": format!("{:032x}", call.trace),
        "spanId": format!("{:016x}", attempt.id),
        "parentSpanId": format!("{:016x}", call.id),
        "name": format!("chat {model}"),
        "kind": CLIENT,
        "startTimeUnixNano": nanos(attempt.sent_at),
        "endTimeUnixNano": nanos(attempt.failed_at.unwrap_or(call.ended_at)),
        "attributes": attributes,
        "status": status(attempt.error.map(|(error, _)| error)),
    })
}

fn status(error: Option<&str>) -> Value {
    match error {
        Some(error) => json!({ "code": FAILED, "message": error }),
        None => json!({}),
    }
}
