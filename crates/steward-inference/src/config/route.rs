//! The finer keys of a route: its objective, its congestion control, probes, hedging and what adaptive routes weigh.
//!
//! Each has a default that suits most; nothing here is looked up or computed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration;

/// What a route wants of an answer. `cost` picks the cheapest target that gives it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// First content within this.
    #[serde(deserialize_with = "duration::optional")]
    #[schemars(with = "Option<String>")]
    pub ttft: Option<Duration>,
    /// Time per output token after the first, on average.
    #[serde(deserialize_with = "duration::optional")]
    #[schemars(with = "Option<String>")]
    pub tpot: Option<Duration>,
    /// The share of answers that must keep both; 0.95 unless said.
    pub share: f64,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        ObjectiveConfig {
            ttft: None,
            tpot: None,
            share: 0.95,
        }
    }
}

impl ObjectiveConfig {
    /// Does it want anything at all?
    pub fn is_set(&self) -> bool {
        self.ttft.is_some() || self.tpot.is_some()
    }
}

/// What an `adaptive` route weighs. Only the proportions count.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightsConfig {
    /// How quickly it answers; 0.4 unless said.
    pub latency: f64,
    /// What it costs, cache hits counted; 0.3 unless said.
    pub cost: f64,
    /// How seldom it fails; 0.2 unless said.
    pub health: f64,
    /// How much room its congestion window has; 0.1 unless said.
    pub headroom: f64,
}

impl Default for WeightsConfig {
    fn default() -> Self {
        WeightsConfig {
            latency: 0.4,
            cost: 0.3,
            health: 0.2,
            headroom: 0.1,
        }
    }
}

/// How many requests one target takes at once, for each of its keys: more while all goes well, fewer when it is overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CongestionConfig {
    /// Requests at once in the beginning; 64 unless said.
    pub start: u32,
    /// Never fewer; 1 unless said.
    pub min: u32,
    /// Never more; 4096 unless said.
    pub max: u32,
    /// What is left of the window after a 429, an overload or a latency jump; 0.7 unless said.
    pub decrease: f64,
    /// A time to first content so many times the usual one counts as an overload; 4 unless said, 0 for never.
    pub latency_jump: f64,
    /// What a request does that finds the window full; `spill` unless said.
    pub when_full: WhenFull,
    /// So many requests wait for one window, taken in turn by principal; 256 unless said.
    pub queue: u32,
    /// None waits longer than this; 10s unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub wait: Duration,
}

impl Default for CongestionConfig {
    fn default() -> Self {
        CongestionConfig {
            start: 64,
            min: 1,
            max: 4_096,
            decrease: 0.7,
            latency_jump: 4.0,
            when_full: WhenFull::Spill,
            queue: 256,
            wait: Duration::from_secs(10),
        }
    }
}

/// What a request does that finds a target's window full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Goes to the next target; waits only when all are full.
    #[default]
    Spill,
    /// Waits for its turn.
    Wait,
}

/// Asks the targets of a route from time to time whether they are there. Costs no tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeConfig {
    /// How often, such as `30s`.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub every: Duration,
    /// What is asked for, below the provider's address, such as `/health`; its list of models unless said.
    #[serde(default)]
    pub path: Option<String>,
}

/// A second attempt for answers that are late, on the next target.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HedgeConfig {
    /// At most this share of a target's requests get a second attempt; 0.05 unless said.
    pub budget: f64,
    /// Never sooner than this, however quick the target usually is; 50ms unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub min_delay: Duration,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        HedgeConfig {
            budget: 0.05,
            min_delay: Duration::from_millis(50),
        }
    }
}
