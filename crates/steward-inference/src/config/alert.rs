//! `alerts` of a route: what must not be exceeded, and for how long before someone is told.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration;

/// One thing that is watched, such as `{ on = "ttft_p95", above = "800ms" }` or `{ on = "attainment", below = 0.95 }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertConfig {
    /// What is watched.
    pub on: AlertOn,
    /// For times: too slow is above this.
    #[serde(default, deserialize_with = "duration::optional")]
    #[schemars(with = "Option<String>")]
    pub above: Option<Duration>,
    /// For `goodput` (requests a second), `goodput_tokens` (tokens a second) and `attainment` (a share): too little is below this.
    #[serde(default)]
    pub below: Option<f64>,
    /// Over how much time it is taken; 1m unless said, at most 5m.
    #[serde(default = "minute", with = "duration::text")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// It must stay so for this long before an alert begins, and be well for as long before it ends; 30s unless said.
    #[serde(default = "half_minute", with = "duration::text")]
    #[schemars(with = "String")]
    pub r#for: Duration,
    /// With fewer calls within the window nothing is judged; 10 unless said.
    #[serde(default = "ten")]
    pub min_requests: u64,
}

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertOn {
    /// First content, 95th percentile.
    TtftP95,
    /// First content, 99th percentile.
    TtftP99,
    /// Per output token, 95th percentile.
    TpotP95,
    /// Per output token, 99th percentile.
    TpotP99,
    /// Between two pieces of content, 95th percentile.
    ItlP95,
    /// Between two pieces of content, 99th percentile.
    ItlP99,
    /// The whole call, 95th percentile.
    TotalP95,
    /// The whole call, 99th percentile.
    TotalP99,
    /// Requests a second that met the objective.
    Goodput,
    /// Output tokens a second of requests that met the objective.
    GoodputTokens,
    /// The share of requests that met the objective.
    Attainment,
}

impl AlertOn {
    /// Its name, as configured.
    pub fn name(self) -> &'static str {
        match self {
            AlertOn::TtftP95 => "ttft_p95",
            AlertOn::TtftP99 => "ttft_p99",
            AlertOn::TpotP95 => "tpot_p95",
            AlertOn::TpotP99 => "tpot_p99",
            AlertOn::ItlP95 => "itl_p95",
            AlertOn::ItlP99 => "itl_p99",
            AlertOn::TotalP95 => "total_p95",
            AlertOn::TotalP99 => "total_p99",
            AlertOn::Goodput => "goodput",
            AlertOn::GoodputTokens => "goodput_tokens",
            AlertOn::Attainment => "attainment",
        }
    }

    /// Is it a time, of which more is worse?
    pub fn is_time(self) -> bool {
        !matches!(self, AlertOn::Goodput | AlertOn::GoodputTokens | AlertOn::Attainment)
    }
}

impl AlertConfig {
    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let name = self.on.name();
        let is_right = match (self.on.is_time(), self.above, self.below) {
            (true, Some(above), None) => !above.is_zero(),
            (false, None, Some(below)) => below.is_finite() && below > 0.0,
            (true | false, _, _) => false,
        };
        if !is_right && self.on.is_time() {
            return Some(format!(
                "{name} is a time: it needs `above` with a duration such as \"800ms\", and no `below`"
            ));
        }
        if !is_right {
            return Some(format!("{name} needs `below` with a number above zero, and no `above`"));
        }
        if self.on == AlertOn::Attainment && self.below.is_some_and(|below| below > 1.0) {
            return Some("attainment is a share: `below` is at most 1".to_owned());
        }
        let is_window = self.window >= Duration::from_secs(10) && self.window <= Duration::from_secs(300);
        (!is_window).then(|| "window must be between 10s and 5m".to_owned())
    }

    /// The limit: seconds for times.
    pub(crate) fn limit(&self) -> f64 {
        match self.above {
            Some(above) => above.as_secs_f64(),
            None => self.below.unwrap_or(0.0),
        }
    }
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

fn half_minute() -> Duration {
    Duration::from_secs(30)
}

fn ten() -> u64 {
    10
}
