//! `[routes.NAME] rollout = { … }`: how a candidate takes over from the route's targets, as written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{ConfigError, duration};

/// How a candidate is tried against the targets of the route, and takes over from them.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutConfig {
    /// How.
    pub kind: RolloutKind,
    /// `provider/model`, or a list of them, first choice first.
    #[serde(deserialize_with = "one_or_several")]
    #[schemars(with = "OneOrSeveral")]
    pub candidate: Vec<String>,
    /// The candidate's share to begin with: the first step of a canary, the challenger's share until both have `min_samples`, the share of
    /// calls that a shadow copies. The first of `steps`, a half, and all of them unless said.
    #[serde(default)]
    pub share: Option<f64>,
    /// The shares of a canary, growing; the last must be 1.
    #[serde(default = "default_steps")]
    pub steps: Vec<f64>,
    /// The least time a canary stays on a step.
    #[serde(default = "default_step_time", with = "duration::text")]
    #[schemars(with = "String")]
    pub step_time: Duration,
    /// The least calls of the candidate on a step, or of each arm before a bandit acts.
    #[serde(default = "default_min_samples")]
    pub min_samples: u64,
    /// A false promotion and a false rollback are each rarer than one minus this.
    #[serde(default = "default_confidence")]
    pub confidence: f64,
    /// What the candidate must keep to.
    #[serde(default)]
    pub gates: GatesConfig,
    /// What a bandit prefers.
    #[serde(default)]
    pub reward: RewardConfig,
}

impl RolloutConfig {
    /// A rollout with defaults.
    pub fn to(kind: RolloutKind, candidate: impl Into<String>) -> Self {
        RolloutConfig {
            kind,
            candidate: vec![candidate.into()],
            share: None,
            steps: default_steps(),
            step_time: default_step_time(),
            min_samples: default_min_samples(),
            confidence: default_confidence(),
            gates: GatesConfig::default(),
            reward: RewardConfig::default(),
        }
    }

    /// Looks for figures that make no sense.
    ///
    /// # Errors
    /// The key under `place` and what is wrong with it.
    pub(crate) fn check(&self, place: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(format!("{place}.{key}"), problem));
        let is_share = |share: f64| share > 0.0 && share <= 1.0;
        if self.candidate.is_empty() {
            return refuse("candidate", "a rollout needs a candidate");
        }
        if self.share.is_some_and(|share| !is_share(share)) {
            return refuse("share", "a share is more than 0 and at most 1");
        }
        let grows = self.steps.windows(2).all(|pair| pair[0] < pair[1]);
        let ends_whole = self.steps.last().is_some_and(|last| (last - 1.0).abs() < f64::EPSILON);
        if !grows || !ends_whole || !self.steps.iter().copied().all(is_share) {
            return refuse("steps", "the steps must grow, be more than 0, and end with 1");
        }
        if !(0.5..1.0).contains(&self.confidence) {
            return refuse("confidence", "it must be at least 0.5 and less than 1");
        }
        self.gates.check(&format!("{place}.gates"))?;
        self.reward.check(&format!("{place}.reward"))
    }

    /// The shares of a canary: those of `steps` from `share` on.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let Some(first) = self.share else { return self.steps.clone() };
        let later = self.steps.iter().copied().filter(|step| *step > first);
        std::iter::once(first).chain(later).collect()
    }
}

/// The kinds of rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutKind {
    /// Two pools; a person switches at once, and back at once.
    BlueGreen,
    /// A share that grows by steps while the candidate meets its gates.
    Canary,
    /// A bandit that gives more to whoever earns more.
    ChampionChallenger,
    /// The candidate answers copies of calls; its answers are compared and never shown.
    Shadow,
}

/// What a candidate must keep to, measured against the targets of the route.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatesConfig {
    /// Its share of failed calls may be higher by at most this.
    pub errors: f64,
    /// Its 95th percentile of the time to first content may be at most this many times theirs.
    pub ttft_p95: f64,
    /// Its 95th percentile of the time between tokens may be at most this many times theirs.
    pub tpot_p95: f64,
    /// Its mean cost may be at most this many times theirs.
    pub cost: f64,
    /// Its share of good answers must be at least this share of theirs; for a shadow, the share of copies answered alike.
    pub parity: f64,
}

impl Default for GatesConfig {
    fn default() -> Self {
        GatesConfig {
            errors: 0.01,
            ttft_p95: 1.2,
            tpot_p95: 1.2,
            cost: 1.5,
            parity: 0.98,
        }
    }
}

impl GatesConfig {
    fn check(&self, place: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(format!("{place}.{key}"), problem));
        if !(self.errors > 0.0 && self.errors < 1.0) {
            return refuse(
                "errors",
                "it must be more than 0 and less than 1: no number of calls can show a difference of nothing",
            );
        }
        for (key, ratio) in [("ttft_p95", self.ttft_p95), ("tpot_p95", self.tpot_p95), ("cost", self.cost)] {
            if !(1.0..=100.0).contains(&ratio) {
                return refuse(key, "a ratio to the incumbent is between 1 and 100");
            }
        }
        if !(self.parity > 0.0 && self.parity < 1.0) {
            return refuse(
                "parity",
                "it must be more than 0 and less than 1: no number of calls can show a share of 1",
            );
        }
        Ok(())
    }
}

/// What a bandit prefers: reward = success − cost − latency penalty, where success is 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// What one US dollar takes off.
    pub usd: f64,
    /// What one second to the first content takes off.
    pub second: f64,
    /// How much of the past is kept with each call; 0.9995 remembers about the last 2,000.
    pub decay: f64,
}

impl Default for RewardConfig {
    fn default() -> Self {
        RewardConfig {
            usd: 5.0,
            second: 0.05,
            decay: 0.999_5,
        }
    }
}

impl RewardConfig {
    fn check(&self, place: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(format!("{place}.{key}"), problem));
        if !(self.usd >= 0.0 && self.usd.is_finite()) {
            return refuse("usd", "it must be 0 or more");
        }
        if !(self.second >= 0.0 && self.second.is_finite()) {
            return refuse("second", "it must be 0 or more");
        }
        if !(0.9..=1.0).contains(&self.decay) {
            return refuse("decay", "it must be between 0.9 and 1");
        }
        Ok(())
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrSeveral::deserialize(deserializer)? {
        OneOrSeveral::One(name) => vec![name],
        OneOrSeveral::Several(names) => names,
    })
}

fn default_steps() -> Vec<f64> {
    vec![0.01, 0.05, 0.25, 0.5, 1.0]
}

fn default_step_time() -> Duration {
    Duration::from_secs(600)
}

fn default_min_samples() -> u64 {
    200
}

fn default_confidence() -> f64 {
    0.95
}
