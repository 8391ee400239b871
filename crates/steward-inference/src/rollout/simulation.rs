//! A day of traffic by a seeded model of quality, latency, cost and error, and what a rollout makes of it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use steward_domain::clock::Timestamp;

use super::{Arm, Observation, Phase, Rollout};
use crate::config::rollout::RolloutConfig;

/// How an arm behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    pub(super) errors: f64,
    /// Times all times to first content of a plain arm.
    pub(super) slowness: f64,
    pub(super) cost_usd: f64,
    pub(super) good: f64,
}

pub(super) const PLAIN: Behaviour = Behaviour {
    errors: 0.01,
    slowness: 1.0,
    cost_usd: 0.002,
    good: 0.995,
};

/// Two arms under traffic.
pub(super) struct Day {
    pub(super) rollout: Rollout,
    pub(super) now: Timestamp,
    pub(super) candidate_calls: u64,
    pub(super) calls: u64,
    rng: StdRng,
    gap: Duration,
}

impl Day {
    pub(super) fn new(config: RolloutConfig, seed: u64, calls_a_day: u64) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Day {
            // The subject is part of the seed of draws.
            rollout: Rollout::new("default", config, &format!("run {seed}"), None, now),
            now,
            candidate_calls: 0,
            calls: 0,
            rng: StdRng::seed_from_u64(seed),
            gap: Duration::from_secs(86_400).div_f64(calls_a_day as f64),
        }
    }

    /// One more call.
    pub(super) fn call(&mut self, incumbent: Behaviour, candidate: Behaviour) {
        self.now = self.now.saturating_add(self.gap).unwrap();
        let choice = self.rollout.choose(None, self.now);
        let behaviour = match choice.arm {
            Arm::Incumbent => incumbent,
            Arm::Candidate => candidate,
        };
        self.calls += 1;
        self.candidate_calls += u64::from(choice.arm == Arm::Candidate);
        let seen = self.live(behaviour);
        self.rollout.observe(choice.arm, &seen, self.now);
    }

    /// Calls until the rollout is over, at most so many.
    pub(super) fn run(&mut self, incumbent: Behaviour, candidate: Behaviour, calls: u64) -> Phase {
        for _ in 0..calls {
            self.call(incumbent, candidate);
            if matches!(self.rollout.state.phase, Phase::Promoted | Phase::RolledBack) {
                break;
            }
        }
        self.rollout.state.phase
    }

    fn live(&mut self, behaviour: Behaviour) -> Observation {
        // The bad hour: in every sixth hour everything of both arms fails more and is slower.
        let is_bad_hour = self.now.as_second() / 3_600 % 6 == 3;
        let errors = behaviour.errors * if is_bad_hour { 3.0 } else { 1.0 };
        let slowness = behaviour.slowness * if is_bad_hour { 1.5 } else { 1.0 };
        let is_ok = !self.rng.random_bool(errors);
        let (ttft, tpot, cost) = (self.lognormal(0.5), self.lognormal(0.3), self.lognormal(0.8));
        Observation {
            is_ok,
            ttft_s: is_ok.then_some(0.4 * slowness * ttft),
            tpot_s: is_ok.then_some(0.02 * slowness * tpot),
            cost_usd: is_ok.then_some(behaviour.cost_usd * cost),
            is_good: is_ok.then(|| self.rng.random_bool(behaviour.good)),
        }
    }

    fn lognormal(&mut self, sigma: f64) -> f64 {
        let (u, v): (f64, f64) = (self.rng.random_range(f64::MIN_POSITIVE..1.0), self.rng.random());
        ((-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos() * sigma).exp()
    }
}
