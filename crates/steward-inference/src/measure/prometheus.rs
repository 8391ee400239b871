//! The measures as Prometheus text, with the names of the OpenTelemetry GenAI conventions and Steward's own.
//!
//! Dots are underscores and units are suffixes, as the conventions say for Prometheus. Histograms are put into the conventions' fixed
//! buckets; the finer ones go out over OTLP.

use std::fmt::Write;
use std::time::Duration;

use steward_domain::clock::Timestamp;

use super::gauges::Gauges;
use super::histogram::Snapshot;
use super::registry::Measures;
use super::series::{FallbackCause, Labels, Outcome, TOKEN_TYPES, Taken, TimesTaken};

/// Goodput, throughput and attainment look back this far.
pub(crate) const RATE_WINDOW: Duration = Duration::from_secs(60);

const TTFT: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const PER_TOKEN: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
const DURATION: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const OVERHEAD: &[f64] = &[
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0,
];
const RATE: &[f64] = &[1.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0, 400.0, 800.0, 1600.0];

/// One histogram of each series.
struct Family {
    name: &'static str,
    help: &'static str,
    bounds: &'static [f64],
    of: fn(&TimesTaken) -> &Snapshot,
}

const FAMILIES: [Family; 8] = [
    Family {
        name: "gen_ai_server_time_to_first_token_seconds",
        help: "From the call to its first content, retries and fallbacks included",
        bounds: TTFT,
        of: |times| &times.ttft,
    },
    Family {
        name: "gen_ai_server_time_per_output_token_seconds",
        help: "Time per output token after the first",
        bounds: PER_TOKEN,
        of: |times| &times.tpot,
    },
    Family {
        name: "gen_ai_server_request_duration_seconds",
        help: "From the call to the end of its answer, for whole answers",
        bounds: DURATION,
        of: |times| &times.total,
    },
    Family {
        name: "gen_ai_client_operation_time_to_first_chunk_seconds",
        help: "First content after the request was sent to the provider",
        bounds: DURATION,
        of: |times| &times.prefill,
    },
    Family {
        name: "gen_ai_client_operation_time_per_output_chunk_seconds",
        help: "Time between two pieces of content",
        bounds: DURATION,
        of: |times| &times.itl,
    },
    Family {
        name: "steward_decode_seconds",
        help: "From the first to the last content of an answer",
        bounds: DURATION,
        of: |times| &times.decode,
    },
    Family {
        name: "steward_output_tokens_per_second",
        help: "Output tokens a second of one answer",
        bounds: RATE,
        of: |times| &times.rate,
    },
    Family {
        name: "steward_overhead_seconds",
        help: "Time of a call that was not spent waiting for an upstream",
        bounds: OVERHEAD,
        of: |times| &times.overhead,
    },
];

impl Measures {
    /// Everything as Prometheus text, format 0.0.4.
    pub fn prometheus(&self, now: Timestamp, gauges: &Gauges) -> String {
        let series: Vec<(Labels, Taken)> = self.all().iter().map(|series| (series.labels.clone(), series.snapshot())).collect();
        let mut text = Text::default();
        for family in &FAMILIES {
            text.family(family.name, "histogram", family.help);
            for (labels, taken) in &series {
                text.histogram(family.name, &shown(labels), (family.of)(&taken.times), family.bounds);
            }
        }
        token_usage(&mut text, &series);
        counters(&mut text, &series);
        self.rates(&mut text, now, gauges);
        targets(&mut text, gauges);
        text.family("steward_build_info", "gauge", "The running version");
        text.sample("steward_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        text.out
    }

    fn rates(&self, text: &mut Text, now: Timestamp, gauges: &Gauges) {
        let window = self.window(now, RATE_WINDOW);
        let mut routes: Vec<&str> = window.series.iter().map(|(labels, _)| &*labels.route).collect();
        routes.sort_unstable();
        routes.dedup();
        let of_routes: Vec<(&str, Taken)> = routes
            .into_iter()
            .map(|route| (route, window.merged(|labels| *labels.route == *route)))
            .collect();
        type Value<'a> = dyn Fn(&str, &Taken) -> Option<f64> + 'a;
        let seconds = window.seconds;
        let mut each = |name: &str, help: &str, value: &Value<'_>| {
            text.family(name, "gauge", help);
            for (route, taken) in &of_routes {
                if let Some(value) = value(route, taken) {
                    text.sample(name, &[("route", route)], value);
                }
            }
        };
        each(
            "steward_goodput_requests_per_second",
            "Answers of the last minute that met every objective of their route",
            &|_, taken| Some(taken.good as f64 / seconds),
        );
        each(
            "steward_goodput_tokens_per_second",
            "Output tokens of answers of the last minute that met every objective of their route",
            &|_, taken| Some(taken.good_tokens as f64 / seconds),
        );
        each(
            "steward_throughput_requests_per_second",
            "Whole answers of the last minute",
            &|_, taken| Some(taken.ok() as f64 / seconds),
        );
        each(
            "steward_throughput_tokens_per_second",
            "Output tokens of whole answers of the last minute",
            &|_, taken| Some(taken.times.output.sum / seconds),
        );
        each(
            "steward_goodput_attainment_ratio",
            "Share of calls of the last minute that met every objective of their route",
            &|_, taken| taken.attainment(),
        );
        excess(text, &of_routes, gauges);
    }
}

fn excess(text: &mut Text, routes: &[(&str, Taken)], gauges: &Gauges) {
    let name = "steward_goodput_excess_seconds";
    text.family(
        name,
        "gauge",
        "By how much a percentile of the last minute is over its route's objective",
    );
    for (route, taken) in routes {
        let Some(objective) = gauges.objectives.get(*route) else { continue };
        let judged = [
            ("ttft", objective.ttft, &taken.times.ttft),
            ("tpot", objective.tpot, &taken.times.tpot),
        ];
        for (measure, limit, times) in judged {
            for (quantile, share) in [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)] {
                if let Some((value, limit)) = times.quantile(share).zip(limit) {
                    let labels = [("route", *route), ("measure", measure), ("quantile", quantile)];
                    text.sample(name, &labels, (value - limit.as_secs_f64()).max(0.0));
                }
            }
        }
    }
}

fn token_usage(text: &mut Text, series: &[(Labels, Taken)]) {
    let name = "gen_ai_client_token_usage";
    text.family(name, "histogram", "Input and output tokens of answers");
    for (labels, taken) in series {
        for (kind, tokens) in [("input", &taken.times.input), ("output", &taken.times.output)] {
            let mut shown = shown(labels);
            shown.push(("gen_ai_token_type", kind));
            text.histogram(name, &shown, tokens, TOKENS);
        }
    }
}

/// A counter that has one value for each word of a closed list.
type Worded = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Taken) -> &[u64],
    fn(usize) -> &'static str,
);

fn counters(text: &mut Text, series: &[(Labels, Taken)]) {
    let worded: [Worded; 3] = [
        (
            "steward_requests_total",
            "Calls that ended, by outcome",
            "outcome",
            |taken| &taken.outcomes,
            Outcome::name,
        ),
        (
            "steward_fallback_total",
            "Times another target was asked after this one, by cause",
            "cause",
            |taken| &taken.fallbacks,
            FallbackCause::name,
        ),
        (
            "steward_tokens_total",
            "Tokens that were booked, by type",
            "type",
            |taken| &taken.tokens,
            |index| TOKEN_TYPES[index],
        ),
    ];
    for (name, help, label, counts, word) in worded {
        text.family(name, "counter", help);
        for (labels, taken) in series {
            for (index, count) in counts(taken).iter().enumerate().filter(|(_, count)| **count > 0) {
                let mut shown = shown(labels);
                shown.push((label, word(index)));
                text.sample(name, &shown, *count as f64);
            }
        }
    }
    type Plain = (&'static str, &'static str, fn(&Taken) -> f64);
    let plain: [Plain; 3] = [
        ("steward_cost_usd_total", "US dollars that were booked", |taken| {
            taken.cost_pico as f64 / 1e12
        }),
        (
            "steward_goodput_requests_total",
            "Answers that met every objective of their route",
            |taken| taken.good as f64,
        ),
        (
            "steward_goodput_tokens_total",
            "Output tokens of answers that met every objective",
            |taken| taken.good_tokens as f64,
        ),
    ];
    for (name, help, value) in plain {
        text.family(name, "counter", help);
        for (labels, taken) in series {
            text.sample(name, &shown(labels), value(taken));
        }
    }
}

fn targets(text: &mut Text, gauges: &Gauges) {
    type Value = (&'static str, &'static str, fn(&super::gauges::TargetGauge) -> f64);
    let values: [Value; 4] = [
        (
            "steward_target_state",
            "Breaker of a target: 0 closed, 1 half-open, 2 open",
            |target| f64::from(target.state()),
        ),
        ("steward_target_in_flight", "Requests under way", |target| {
            f64::from(target.in_flight)
        }),
        ("steward_target_window", "Requests its windows allow at once", |target| {
            f64::from(target.window)
        }),
        ("steward_target_waiting", "Requests that wait for room", |target| {
            target.waiting as f64
        }),
    ];
    for (name, help, value) in values {
        text.family(name, "gauge", help);
        for target in &gauges.targets {
            text.sample(name, &[("target", &target.target)], value(target));
        }
    }
}

/// The labels of a series; empty ones are left out, which means the same.
fn shown(labels: &Labels) -> Vec<(&'static str, &str)> {
    let (provider, model) = labels.provider_and_model();
    let all = [
        ("gen_ai_operation_name", "chat"),
        ("gen_ai_provider_name", provider),
        ("gen_ai_request_model", model),
        ("route", &*labels.route),
        ("agent", &*labels.agent),
        ("team", &*labels.team),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

#[derive(Default)]
struct Text {
    out: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            self.out.push(if position == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{label}=\"");
            for letter in text.chars() {
                match letter {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    other => self.out.push(other),
                }
            }
            self.out.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.out, "{end} {value}");
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], values: &Snapshot, bounds: &[f64]) {
        let count = values.count();
        let bucket = format!("{name}_bucket");
        for bound in bounds {
            let bound_text = bound.to_string();
            let labels = [labels, &[("le", bound_text.as_str())]].concat();
            self.sample(&bucket, &labels, values.count_up_to(*bound) as f64);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), count as f64);
        self.sample(&format!("{name}_sum"), labels, values.sum);
        self.sample(&format!("{name}_count"), labels, count as f64);
    }
}

#[cfg(test)]
mod tests;
