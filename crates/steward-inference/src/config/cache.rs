//! `[routes.NAME] cache = { … }`: which answers are kept and given again, as written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, duration};

/// Which answers of a route are kept and given again.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Answers to the very same request.
    pub exact: bool,
    /// Answers to a request whose last message means the same, all else being equal.
    pub semantic: bool,
    /// How long an answer is good; 1h unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub ttl: Duration,
    /// How long after that it may still be given, marked as stale, when every target fails; never unless said.
    #[serde(deserialize_with = "duration::optional")]
    #[schemars(with = "Option<String>")]
    pub stale: Option<Duration>,
    /// Room for the answers of this route, in MiB; the least used go first. 64 unless said.
    pub max_mib: u64,
    /// Who shares answers.
    pub scope: CacheScope,
    /// How near two messages must be to mean the same, from 0 to 1; 0.95 unless said.
    pub threshold: f64,
    /// May a request with tools have a semantic hit? An exact one always may.
    pub tools: bool,
    /// The share of semantic hits that are asked again and compared, to measure how many are false; 0.05 unless said.
    pub verify: f64,
}

/// Who shares answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheScope {
    /// A team; a user or key without one is alone.
    #[default]
    Tenant,
    /// Everyone who may use the route.
    Route,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig {
            exact: false,
            semantic: false,
            ttl: Duration::from_secs(3_600),
            stale: None,
            max_mib: 64,
            scope: CacheScope::Tenant,
            threshold: 0.95,
            tools: false,
            verify: 0.05,
        }
    }
}

impl CacheConfig {
    /// Is anything kept?
    pub fn is_on(&self) -> bool {
        self.exact || self.semantic
    }

    /// Looks for figures that make no sense.
    ///
    /// # Errors
    /// The key under `place` and what is wrong with it.
    pub(crate) fn check(&self, place: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(format!("{place}.{key}"), problem));
        if self.ttl.is_zero() {
            return refuse("ttl", "it must be longer than nothing");
        }
        if !(1..=65_536).contains(&self.max_mib) {
            return refuse("max_mib", "it is between 1 and 65536");
        }
        if !(0.5..=1.0).contains(&self.threshold) {
            return refuse("threshold", "it is between 0.5 and 1");
        }
        if !(0.0..=1.0).contains(&self.verify) {
            return refuse("verify", "a share is between 0 and 1");
        }
        Ok(())
    }
}
