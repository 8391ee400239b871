//! One gate of a canary: is the candidate shown to keep to it, shown to break it, or is that not known yet?
//!
//! Calls are compared in blocks: each block holds at least one call of both arms that ended in the same stretch of time, so a bad hour
//! that hits both arms is no evidence against either, and a change of the share between blocks does not bend the comparison.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wager::Wager;
use crate::rollout::Arm;

/// What a gate is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The share of failed calls.
    Errors,
    /// The 95th percentile of the time to first content.
    TtftP95,
    /// The 95th percentile of the time between tokens.
    TpotP95,
    /// The mean cost.
    Cost,
    /// The share of good answers.
    Parity,
}

impl Measure {
    /// All of them.
    pub(crate) const ALL: [Measure; 5] = [Measure::Errors, Measure::TtftP95, Measure::TpotP95, Measure::Cost, Measure::Parity];

    /// As the configuration names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Measure::Errors => "errors",
            Measure::TtftP95 => "ttft_p95",
            Measure::TpotP95 => "tpot_p95",
            Measure::Cost => "cost",
            Measure::Parity => "parity",
        }
    }
}

/// Where a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing was measured; it is in nobody's way.
    Unmeasured,
    /// Not known yet.
    Unsure,
    /// Shown to be kept.
    Met,
    /// Shown to be broken.
    Broken,
}

/// One value of an arm, between 0 and 1, where more is worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Badness {
    /// As it counts when the candidate is accused.
    pub(crate) accused: f64,
    /// As it counts when the candidate is defended; differs only for incumbents that lie exactly on a percentile.
    pub(crate) defended: f64,
}

impl Badness {
    pub(crate) fn plain(value: f64) -> Self {
        Badness {
            accused: value,
            defended: value,
        }
    }
}

/// What the candidate's badness may be: at most `factor` times the incumbent's, plus `margin`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) factor: f64,
    pub(crate) margin: f64,
}

/// The evidence on one gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gate {
    candidate: Sum,
    incumbent: Sum,
    broken: Wager,
    met: Wager,
    /// Values of the candidate ever seen on this gate.
    measured: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    count: u32,
    accused: f64,
    defended: f64,
}

impl Sum {
    fn add(&mut self, badness: Badness) {
        self.count += 1;
        self.accused += badness.accused;
        self.defended += badness.defended;
    }

    fn mean(&self) -> Badness {
        Badness {
            accused: self.accused / f64::from(self.count),
            defended: self.defended / f64::from(self.count),
        }
    }
}

impl Gate {
    /// Something was measured of the candidate that cannot be compared yet.
    pub(crate) fn note(&mut self, arm: Arm) {
        self.measured += u64::from(arm == Arm::Candidate);
    }

    /// A value of one arm. Closes the block when both have one.
    pub(crate) fn take(&mut self, arm: Arm, badness: Badness, limit: Limit) {
        match arm {
            Arm::Candidate => self.candidate.add(badness),
            Arm::Incumbent => self.incumbent.add(badness),
        }
        if self.candidate.count == 0 || self.incumbent.count == 0 {
            return;
        }
        let (candidate, incumbent) = (std::mem::take(&mut self.candidate), std::mem::take(&mut self.incumbent));
        let (candidate, incumbent) = (candidate.mean(), incumbent.mean());
        let excess = |candidate: f64, incumbent: f64| candidate - limit.factor * incumbent - limit.margin;
        // An excess lies between the two: all incumbents bad and no candidate, and the other way round.
        let (least, most) = (limit.factor + limit.margin, 1.0 - limit.margin);
        self.broken.bet(excess(candidate.accused, incumbent.accused), least);
        self.met.bet(-excess(candidate.defended, incumbent.defended), most);
    }

    /// Where it stands, with these chances of a false rollback and a false promotion.
    pub(crate) fn standing(&self, false_rollback: f64, false_promotion: f64) -> Standing {
        if self.broken.refutes(false_rollback) {
            return Standing::Broken;
        }
        if self.met.refutes(false_promotion) {
            return Standing::Met;
        }
        if self.measured == 0 {
            Standing::Unmeasured
        } else {
            Standing::Unsure
        }
    }

    /// A new test of breaking it begins; what speaks for the candidate stays.
    pub(crate) fn begin_again(&mut self) {
        self.broken = Wager::default();
        self.candidate = Sum::default();
        self.incumbent = Sum::default();
    }

    /// How far each side is on the way to its verdict, from 0 to 1.
    pub(crate) fn progress(&self, false_rollback: f64, false_promotion: f64) -> (f64, f64) {
        let part = |wager: &Wager, error_rate: f64| (wager.log_evidence() / -error_rate.ln()).clamp(0.0, 1.0);
        (part(&self.met, false_promotion), part(&self.broken, false_rollback))
    }
}
