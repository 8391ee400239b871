//! All that is known of a candidate beside the incumbents: five gates, fed call by call.
//!
//! A false promotion needs every gate to err, so each gate may use the whole error rate. A false rollback needs only one, so they share it.

use serde::{Deserialize, Serialize};

use super::gate::{Badness, Gate, Limit, Measure, Standing};
use super::recent::Recent;
use super::{Arm, Observation};
use crate::config::rollout::GatesConfig;

/// A time to first content that is longer by less than this is no worse, whatever the ratio. Seconds.
const TTFT_SLACK: f64 = 0.005;

/// The same for the time between tokens. Seconds.
const TPOT_SLACK: f64 = 0.001;

/// A cost counts up to so many times the incumbents' 95th percentile.
const COST_CAP: f64 = 3.0;

/// The evidence of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    errors: Gate,
    ttft: Gate,
    tpot: Gate,
    cost: Gate,
    parity: Gate,
    ttft_of: Both<Recent>,
    tpot_of: Both<Recent>,
    cost_of: Both<Recent>,
    /// Tests of breaking a gate that were begun before this one.
    restarts: u32,
}

/// One of each arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Both<T> {
    pub(crate) incumbent: T,
    pub(crate) candidate: T,
}

impl<T> Both<T> {
    pub(crate) fn of(&self, arm: Arm) -> &T {
        match arm {
            Arm::Incumbent => &self.incumbent,
            Arm::Candidate => &self.candidate,
        }
    }

    pub(crate) fn of_mut(&mut self, arm: Arm) -> &mut T {
        match arm {
            Arm::Incumbent => &mut self.incumbent,
            Arm::Candidate => &mut self.candidate,
        }
    }
}

/// The chances of a wrong verdict at this moment.
#[derive(Clone, Copy, Debug)]
struct ErrorRates {
    rollback: f64,
    promotion: f64,
}

impl Evidence {
    /// One more call.
    pub(crate) fn take(&mut self, arm: Arm, seen: &Observation, gates: &GatesConfig) {
        let errors = Limit {
            factor: 1.0,
            margin: gates.errors,
        };
        self.errors.note(arm);
        self.errors.take(arm, Badness::plain(f64::from(u8::from(!seen.is_ok))), errors);
        if let Some(is_good) = seen.is_good {
            self.signal(arm, is_good, gates);
        }
        if let Some(seconds) = seen.ttft_s {
            let limit = Slow {
                factor: gates.ttft_p95,
                slack: TTFT_SLACK,
            };
            slow(&mut self.ttft, &mut self.ttft_of, arm, seconds, limit);
        }
        if let Some(seconds) = seen.tpot_s {
            let limit = Slow {
                factor: gates.tpot_p95,
                slack: TPOT_SLACK,
            };
            slow(&mut self.tpot, &mut self.tpot_of, arm, seconds, limit);
        }
        if let Some(usd) = seen.cost_usd {
            self.dear(arm, usd, gates.cost);
        }
    }

    /// An answer was good, or not: said at once, or later by a person or by the turn's end.
    pub(crate) fn signal(&mut self, arm: Arm, is_good: bool, gates: &GatesConfig) {
        let limit = Limit {
            factor: gates.parity,
            margin: 1.0 - gates.parity,
        };
        self.parity.note(arm);
        self.parity.take(arm, Badness::plain(f64::from(u8::from(!is_good))), limit);
    }

    fn dear(&mut self, arm: Arm, usd: f64, factor: f64) {
        let cap = self.cost_of.incumbent.p95().map(|p95| p95 * COST_CAP);
        self.cost_of.of_mut(arm).take(usd);
        let Some(cap) = cap else { return self.cost.note(arm) };
        // Free beside free is no comparison; dear beside free is as bad as it can be.
        let badness = if cap > 0.0 {
            (usd / cap).min(1.0)
        } else {
            f64::from(u8::from(usd > 0.0))
        };
        if cap > 0.0 || badness > 0.0 {
            self.cost.note(arm);
        }
        self.cost.take(arm, Badness::plain(badness), Limit { factor, margin: 0.0 });
    }

    /// Where each gate stands when the error rate of the whole rollout is this.
    pub(crate) fn standings(&self, error_rate: f64) -> [(Measure, Standing); 5] {
        let rates = self.rates(error_rate);
        Measure::ALL.map(|measure| (measure, self.gate(measure).standing(rates.rollback, rates.promotion)))
    }

    /// How far a gate is on the way to being met, and to being broken, from 0 to 1.
    pub(crate) fn progress(&self, measure: Measure, error_rate: f64) -> (f64, f64) {
        let rates = self.rates(error_rate);
        self.gate(measure).progress(rates.rollback, rates.promotion)
    }

    /// The 95th percentile of a time, or of a cost, of one arm.
    pub(crate) fn p95(&self, measure: Measure, arm: Arm) -> Option<f64> {
        match measure {
            Measure::TtftP95 => self.ttft_of.of(arm).percentile(0.95),
            Measure::TpotP95 => self.tpot_of.of(arm).percentile(0.95),
            Measure::Errors | Measure::Cost | Measure::Parity => None,
        }
    }

    /// The share has changed: load may change what the candidate does, so it is tested anew. What speaks for it is kept.
    pub(crate) fn begin_again(&mut self) {
        for gate in [&mut self.errors, &mut self.ttft, &mut self.tpot, &mut self.cost, &mut self.parity] {
            gate.begin_again();
        }
        self.restarts += 1;
    }

    /// The n-th test may use 2⁻ⁿ of the error rate, so that all tests of a rollout together stay below it.
    fn rates(&self, error_rate: f64) -> ErrorRates {
        let part = 0.5_f64.powi(i32::try_from(self.restarts).unwrap_or(i32::MAX).saturating_add(1));
        ErrorRates {
            rollback: (error_rate * part / Measure::ALL.len() as f64).max(f64::MIN_POSITIVE),
            promotion: error_rate,
        }
    }

    fn gate(&self, measure: Measure) -> &Gate {
        match measure {
            Measure::Errors => &self.errors,
            Measure::TtftP95 => &self.ttft,
            Measure::TpotP95 => &self.tpot,
            Measure::Cost => &self.cost,
            Measure::Parity => &self.parity,
        }
    }
}

/// When a candidate is slower than it may be.
#[derive(Clone, Copy, Debug)]
struct Slow {
    factor: f64,
    slack: f64,
}

/// Compares tails: were the candidate exactly `factor` times as slow, it would be over `factor` times the incumbents' percentile as often
/// as they are over the percentile itself. The percentile is taken before the value that is judged.
fn slow(gate: &mut Gate, of: &mut Both<Recent>, arm: Arm, seconds: f64, limit: Slow) {
    let seconds = f64::from(seconds as f32);
    let p95 = of.incumbent.p95();
    of.of_mut(arm).take(seconds);
    gate.note(arm);
    let Some(p95) = p95 else { return };
    let is_over = |limit: f64| f64::from(u8::from(seconds > limit));
    let badness = match arm {
        Arm::Candidate => Badness::plain(is_over((p95 * limit.factor).max(p95 + limit.slack))),
        Arm::Incumbent => Badness {
            accused: is_over(p95),
            defended: f64::from(u8::from(seconds >= p95)),
        },
    };
    gate.take(arm, badness, Limit { factor: 1.0, margin: 0.0 });
}
