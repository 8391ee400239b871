//! What callers saw during a drill: how many were answered, how the others failed, and how long they waited.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::ChaosPlan;

/// Waits of this many calls are kept; later calls are counted and not timed.
const TIMED_LIMIT: usize = 100_000;

/// What callers saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ChaosReport {
    /// The drill's name.
    pub id: String,
    /// What was asked for.
    pub plan: ChaosPlan,
    /// `running`, or why it ended: `time`, `stopped`, `abandoned`.
    pub state: String,
    /// How long it has run, in milliseconds.
    pub ran_ms: u64,
    /// What was done to upstream requests, and how often.
    pub injected: BTreeMap<String, u64>,
    /// Calls that ended while the drill went on or after it, if they began in it.
    pub requests: u64,
    /// Calls that were answered whole.
    pub ok: u64,
    /// Calls that failed, by kind of error.
    pub errors: BTreeMap<String, u64>,
    /// Of those that failed, the ones that had begun to answer.
    pub broken_off: u64,
    /// Calls that their callers gave up.
    pub cancelled: u64,
    /// Calls that another target than the first answered.
    pub fallbacks: u64,
    /// Upstream requests beyond one for each answered call.
    pub further_attempts: u64,
    /// From call to first content, of those that had some.
    pub first_content_ms: Percentiles,
    /// From call to the end of the answer, of those that were answered whole.
    pub whole_ms: Percentiles,
}

/// Waits, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Percentiles {
    /// Half waited no longer.
    pub p50: u64,
    /// 95 of 100 waited no longer.
    pub p95: u64,
    /// 99 of 100 waited no longer.
    pub p99: u64,
    /// The longest wait.
    pub max: u64,
}

impl Percentiles {
    /// Of the values in any order; zeros where there is none.
    pub(super) fn of(values: &[u64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let at = |share: usize| {
            let rank = (sorted.len() * share).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Percentiles {
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
        }
    }
}

/// How one call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    Whole,
    Failed(&'static str),
    Cancelled,
}

/// One call as its caller saw it.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) end: CallEnd,
    pub(crate) attempts: u32,
    pub(crate) is_fallback: bool,
    pub(crate) first_content_ms: Option<u64>,
    pub(crate) whole_ms: u64,
}

/// All calls of a drill.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    report: ChaosReport,
    first_content: Vec<u64>,
    whole: Vec<u64>,
}

impl Sightings {
    pub(super) fn add(&mut self, sighting: &Sighting) {
        let report = &mut self.report;
        report.requests += 1;
        report.fallbacks += u64::from(sighting.is_fallback);
        report.further_attempts += u64::from(sighting.attempts.saturating_sub(1));
        if let Some(ms) = sighting.first_content_ms.filter(|_| self.first_content.len() < TIMED_LIMIT) {
            self.first_content.push(ms);
        }
        match sighting.end {
            CallEnd::Whole => {
                report.ok += 1;
                if self.whole.len() < TIMED_LIMIT {
                    self.whole.push(sighting.whole_ms);
                }
            }
            CallEnd::Failed(kind) => {
                *report.errors.entry(kind.to_owned()).or_default() += 1;
                report.broken_off += u64::from(sighting.first_content_ms.is_some());
            }
            CallEnd::Cancelled => report.cancelled += 1,
        }
    }

    pub(super) fn report(&self) -> ChaosReport {
        ChaosReport {
            first_content_ms: Percentiles::of(&self.first_content),
            whole_ms: Percentiles::of(&self.whole),
            ..self.report.clone()
        }
    }
}
