//! How routes, models, agents and teams perform within a window: percentiles, goodput over raw throughput, attainment, excess.
//!
//! A look at the counters; changes nothing. Percentiles are of all calls together, never averages of percentiles.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steward_domain::clock::{Timestamp, rfc3339};
use steward_domain::money::Usd;

use super::histogram::Snapshot;
use super::registry::Measures;
use super::series::{Class, ClassTaken, Labels, Outcome, Taken};
use crate::config::ObjectiveConfig;

/// What rows are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// One row a route; targets asked for by name are the route `direct`.
    #[default]
    Route,
    /// One row a `provider/model`.
    Model,
    /// One row a provider.
    Provider,
    /// One row an agent; calls outside of turns have none.
    Agent,
    /// One row a team; callers without one have none.
    Team,
}

/// How everything performs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Performance {
    /// When it was asked.
    pub at: String,
    /// How far back it looks, in seconds.
    pub window_s: f64,
    /// What rows are about.
    pub by: Dimension,
    /// By name.
    pub rows: Vec<PerformanceRow>,
}

/// How one route, model, provider, agent or team performs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PerformanceRow {
    /// Its name.
    pub name: String,
    /// Calls that ended.
    pub requests: u64,
    /// Of these, with a whole answer.
    pub answered: u64,
    /// Of these, given up by the caller.
    pub cancelled: u64,
    /// Of these, with an error, by its kind.
    pub failed: BTreeMap<String, u64>,
    /// Fallbacks to the next target, by cause.
    pub fallbacks: BTreeMap<String, u64>,
    /// From the call to the first content, in milliseconds.
    pub ttft_ms: Percentiles,
    /// Per output token after the first, in milliseconds.
    pub tpot_ms: Percentiles,
    /// Between two pieces of content, in milliseconds.
    pub itl_ms: Percentiles,
    /// From the call to the end of its answer, in milliseconds.
    pub total_ms: Percentiles,
    /// Of that, inside Steward, in milliseconds.
    pub overhead_ms: Percentiles,
    /// Output tokens a second of one answer.
    pub tps: Percentiles,
    /// Whole answers and their tokens.
    pub throughput: Rate,
    /// Answers that met every objective of their route, and their tokens.
    pub goodput: Rate,
    /// Goodput over throughput, by requests; absent without answers.
    pub goodput_ratio: Option<f64>,
    /// The share of calls that met every objective of their route. Calls given up or refused for their own fault do not count.
    pub attainment: Option<f64>,
    /// What the route wants; absent where it wants nothing, and for rows about something else.
    pub objective: Option<Objective>,
    /// By how much times are over the objective.
    pub excess: Option<Excess>,
    /// Until the first content, from its sending.
    pub prefill: Stage,
    /// From the first to the last content.
    pub decode: Stage,
    /// Calls someone waits for.
    pub interactive: ClassRow,
    /// The house's own work and calls marked `service_tier: batch` or `flex`.
    pub batch: ClassRow,
    /// Tokens by type.
    pub tokens: BTreeMap<String, u64>,
    /// What was booked, in US dollars.
    pub cost_usd: Usd,
}

/// What a route wants of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Objective {
    /// First content within this, in milliseconds.
    pub ttft_ms: Option<f64>,
    /// Time per output token, in milliseconds.
    pub tpot_ms: Option<f64>,
    /// The share of calls that must keep both.
    pub share: f64,
}

/// By how much percentiles are over the objective; zero where they keep it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Excess {
    /// First content, in milliseconds.
    pub ttft_ms: Percentiles,
    /// Per output token, in milliseconds.
    pub tpot_ms: Percentiles,
}

/// Percentiles; absent without values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Percentiles {
    /// Half are below.
    pub p50: Option<f64>,
    /// 95 of 100 are below.
    pub p95: Option<f64>,
    /// 99 of 100 are below.
    pub p99: Option<f64>,
}

/// How much in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Rate {
    /// Requests.
    pub requests_per_s: f64,
    /// Output tokens.
    pub tokens_per_s: f64,
}

/// One of the two stages of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Stage {
    /// How long it takes, in milliseconds.
    pub ms: Percentiles,
    /// Its share of the time of both; absent without answers.
    pub share: Option<f64>,
    /// Tokens read, or written, a second of this stage; absent without answers.
    pub tokens_per_s: Option<f64>,
}

/// Calls of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ClassRow {
    /// Whole answers.
    pub answered: u64,
    /// Whole answers and their tokens a second.
    pub throughput: Rate,
    /// From the call to the first content, in milliseconds.
    pub ttft_ms: Percentiles,
    /// From the call to the end of its answer, in milliseconds.
    pub total_ms: Percentiles,
}

impl Measures {
    /// How everything performed within the last `span`, which is at most five minutes.
    pub fn performance(&self, now: Timestamp, span: Duration, by: Dimension, objectives: &Objectives) -> Performance {
        let window = self.window(now, span);
        let names: BTreeSet<&str> = window.series.iter().filter_map(|(labels, _)| by.of(labels)).collect();
        let row = |name: &&str| {
            let taken = window.merged(|labels| by.of(labels) == Some(*name));
            let objective = objectives
                .get(*name)
                .filter(|objective| by == Dimension::Route && objective.is_set());
            row((*name).to_owned(), &taken, window.seconds, objective)
        };
        Performance {
            at: rfc3339(now),
            window_s: window.seconds,
            by,
            rows: names.iter().map(row).filter(|row| row.requests > 0).collect(),
        }
    }
}

/// The objectives of routes, by name.
pub type Objectives = BTreeMap<String, ObjectiveConfig>;

impl Dimension {
    fn of(self, labels: &Labels) -> Option<&str> {
        let name = match self {
            Dimension::Route => &*labels.route,
            Dimension::Model => &*labels.target,
            Dimension::Provider => labels.provider_and_model().0,
            Dimension::Agent => &*labels.agent,
            Dimension::Team => &*labels.team,
        };
        (!name.is_empty()).then_some(name)
    }
}

fn row(name: String, taken: &Taken, seconds: f64, objective: Option<&ObjectiveConfig>) -> PerformanceRow {
    let times = &taken.times;
    let named = |counts: &[u64], name: fn(usize) -> &'static str, skip: usize| {
        let counted = counts.iter().enumerate().skip(skip).filter(|(_, count)| **count > 0);
        counted.map(|(index, count)| (name(index).to_owned(), *count)).collect()
    };
    let (prefill_s, decode_s) = (times.prefill.sum, times.decode.sum);
    let objective_ms = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64() * 1e3);
    let ok = taken.ok();
    PerformanceRow {
        name,
        requests: taken.calls(),
        answered: ok,
        cancelled: taken.outcomes.get(1).copied().unwrap_or(0),
        failed: named(&taken.outcomes, Outcome::name, 2),
        fallbacks: named(&taken.fallbacks, super::series::FallbackCause::name, 0),
        ttft_ms: ms(&times.ttft),
        tpot_ms: ms(&times.tpot),
        itl_ms: ms(&times.itl),
        total_ms: ms(&times.total),
        overhead_ms: ms(&times.overhead),
        tps: percentiles(&times.rate, 1.0),
        throughput: rate(ok, times.output.sum, seconds),
        goodput: rate(taken.good, taken.good_tokens as f64, seconds),
        goodput_ratio: (ok > 0).then(|| taken.good as f64 / ok as f64),
        attainment: taken.attainment(),
        objective: objective.map(|objective| Objective {
            ttft_ms: objective_ms(objective.ttft),
            tpot_ms: objective_ms(objective.tpot),
            share: objective.share,
        }),
        excess: objective.map(|objective| Excess {
            ttft_ms: over(ms(&times.ttft), objective_ms(objective.ttft)),
            tpot_ms: over(ms(&times.tpot), objective_ms(objective.tpot)),
        }),
        prefill: stage(&times.prefill, prefill_s + decode_s, times.input.sum),
        decode: stage(&times.decode, prefill_s + decode_s, times.output.sum),
        interactive: class_row(&taken.classes[Class::Interactive as usize], seconds),
        batch: class_row(&taken.classes[Class::Batch as usize], seconds),
        tokens: named(&taken.tokens, |index| super::series::TOKEN_TYPES[index], 0),
        cost_usd: taken.cost(),
    }
}

fn class_row(taken: &ClassTaken, seconds: f64) -> ClassRow {
    let answered = taken.output.count();
    ClassRow {
        answered,
        throughput: rate(answered, taken.output.sum, seconds),
        ttft_ms: ms(&taken.ttft),
        total_ms: ms(&taken.total),
    }
}

fn stage(times: &Snapshot, both_s: f64, tokens: f64) -> Stage {
    let is_positive = |seconds: f64| seconds > 0.0;
    Stage {
        ms: ms(times),
        share: is_positive(both_s).then(|| times.sum / both_s),
        tokens_per_s: is_positive(times.sum).then(|| tokens / times.sum),
    }
}

fn rate(requests: u64, tokens: f64, seconds: f64) -> Rate {
    Rate {
        requests_per_s: requests as f64 / seconds,
        tokens_per_s: tokens / seconds,
    }
}

/// Percentiles of seconds, in milliseconds.
fn ms(times: &Snapshot) -> Percentiles {
    percentiles(times, 1e3)
}

fn percentiles(values: &Snapshot, unit: f64) -> Percentiles {
    let at = |share| values.quantile(share).map(|value| value * unit);
    Percentiles {
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
    }
}

fn over(values: Percentiles, limit: Option<f64>) -> Percentiles {
    let over = |value: Option<f64>| value.zip(limit).map(|(value, limit)| (value - limit).max(0.0));
    Percentiles {
        p50: over(values.p50),
        p95: over(values.p95),
        p99: over(values.p99),
    }
}

#[cfg(test)]
mod tests;
