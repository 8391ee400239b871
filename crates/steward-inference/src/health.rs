//! What is known of each target: its breaker, its budget of retries, its measures and its lanes.
//!
//! Learns from calls and probes, sends none of its own. Outlives a change of the configuration.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::balance::lane::Lane;
use crate::balance::meters::Meters;
use crate::config::CongestionConfig;

pub(crate) mod breaker;
pub(crate) mod budget;

pub(crate) use breaker::Permit;

use breaker::Breaker;
use budget::ExtraBudget;

/// Past this many targets, those without a story are forgotten.
const TARGET_LIMIT: usize = 1_024;

/// The health of all targets.
#[derive(Debug, Default)]
pub(crate) struct Health {
    targets: Mutex<HashMap<Arc<str>, Arc<TargetHealth>>>,
}

impl Health {
    /// The health of a target, made when it is first asked for. Asked when tables are built, not by calls.
    pub(crate) fn of(&self, target: &Arc<str>) -> Arc<TargetHealth> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(health) = targets.get(target) {
            return Arc::clone(health);
        }
        if targets.len() >= TARGET_LIMIT {
            targets.retain(|_, health| Arc::strong_count(health) > 1 || health.breaker.is_open());
        }
        let health = Arc::new(TargetHealth::default());
        targets.insert(Arc::clone(target), Arc::clone(&health));
        health
    }
}

/// The health of one target.
#[derive(Debug, Default)]
pub(crate) struct TargetHealth {
    pub(crate) breaker: Breaker,
    pub(crate) budget: ExtraBudget,
    pub(crate) meters: Meters,
    /// By key; read when tables are built, not by calls.
    lanes: Mutex<HashMap<u64, Arc<Lane>>>,
}

impl TargetHealth {
    /// The lane of a key, made with `config` when it is first asked for.
    pub(crate) fn lane(&self, key: u64, config: &CongestionConfig) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // Lanes of keys that are gone go with them.
        if lanes.len() > 64 {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        Arc::clone(lanes.entry(key).or_insert_with(|| Arc::new(Lane::new(config))))
    }
}
