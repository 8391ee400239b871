//! Champion and challenger: who earns more gets more, and the past fades.
//!
//! Thompson sampling: a call goes to an arm with the probability that this arm's mean reward is the higher one. Both arms forget with every
//! call, so that an arm that has not been asked for long becomes uncertain again and is asked: discounted Thompson sampling, Raj and
//! Kalyani, "Taming non-stationary bandits: a Bayesian approach", 2017 (arXiv:1707.09727); here with a normal posterior, as rewards are
//! numbers and not yes or no. Each arm keeps a floor, so that a change of the better arm is always seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::Both;
use super::{Arm, Observation};
use crate::config::rollout::RewardConfig;

/// The least share of either arm.
const FLOOR: f64 = 0.02;

/// The prior of a mean reward is worth so many calls …
const PRIOR_CALLS: f64 = 2.0;

/// … at this reward …
const PRIOR_MEAN: f64 = 0.5;

/// … with this variance of a single call.
const PRIOR_VARIANCE: f64 = 0.25;

/// What is known of the rewards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bandit {
    rewards: Both<Faded>,
}

/// Sums over the past, each call counted less than the one after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Faded {
    /// Calls ever.
    calls: u64,
    weight: f64,
    sum: f64,
    squares: f64,
}

/// What is believed of an arm's mean reward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Posterior {
    /// Its expectation.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// Calls it rests on, older ones counted less.
    pub weight: f64,
}

impl Bandit {
    /// One more call.
    pub(crate) fn take(&mut self, arm: Arm, seen: &Observation, config: &RewardConfig) {
        for faded in [&mut self.rewards.incumbent, &mut self.rewards.candidate] {
            faded.weight *= config.decay;
            faded.sum *= config.decay;
            faded.squares *= config.decay;
        }
        let reward = reward(seen, config);
        let faded = self.rewards.of_mut(arm);
        faded.calls += 1;
        faded.weight += 1.0;
        faded.sum += reward;
        faded.squares += reward * reward;
    }

    /// A call that was booked as a success turned out to be none.
    pub(crate) fn regret(&mut self, arm: Arm) {
        let faded = self.rewards.of_mut(arm);
        faded.sum -= 1.0;
    }

    /// The challenger's share; `None` while an arm has too few calls.
    pub(crate) fn share(&self, min_samples: u64) -> Option<f64> {
        let is_known = |arm| self.rewards.of(arm).calls >= min_samples;
        (is_known(Arm::Incumbent) && is_known(Arm::Candidate)).then(|| self.candidate_is_better().clamp(FLOOR, 1.0 - FLOOR))
    }

    /// The probability that the challenger's mean reward is the higher one.
    pub(crate) fn candidate_is_better(&self) -> f64 {
        let (old, new) = (self.posterior(Arm::Incumbent), self.posterior(Arm::Candidate));
        let deviation = old.deviation.hypot(new.deviation);
        normal_below((new.mean - old.mean) / deviation)
    }

    pub(crate) fn posterior(&self, arm: Arm) -> Posterior {
        let faded = self.rewards.of(arm);
        let weight = faded.weight + PRIOR_CALLS;
        let mean = (faded.sum + PRIOR_CALLS * PRIOR_MEAN) / weight;
        let squares = faded.squares + PRIOR_CALLS * (PRIOR_VARIANCE + PRIOR_MEAN * PRIOR_MEAN);
        let variance = (squares / weight - mean * mean).max(1e-6);
        Posterior {
            mean,
            deviation: (variance / weight).sqrt(),
            weight: faded.weight,
        }
    }
}

/// Success − cost − latency penalty, between −1 and 1.
fn reward(seen: &Observation, config: &RewardConfig) -> f64 {
    let is_success = seen.is_ok && seen.is_good != Some(false);
    let cost = seen.cost_usd.unwrap_or(0.0) * config.usd;
    let latency = seen.ttft_s.unwrap_or(0.0) * config.second;
    (f64::from(u8::from(is_success)) - cost - latency).clamp(-1.0, 1.0)
}

/// The standard normal distribution function, right to 10⁻⁷ (Abramowitz and Stegun 26.2.17).
fn normal_below(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series;
    if z >= 0.0 { 1.0 - tail } else { tail }
}
