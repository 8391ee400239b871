//! What the router knows of its targets and routes at the moment someone reads the measures.

use super::performance::Objectives;
use crate::balance::choose::BreakerState;

/// What stands now, beside what was counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Targets of routes, each once.
    pub targets: Vec<TargetGauge>,
    /// What routes want.
    pub objectives: Objectives,
}

/// How a target stands now.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGauge {
    /// `provider/model`.
    pub target: String,
    /// Its breaker.
    pub breaker: BreakerState,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests its windows allow at once.
    pub window: u32,
    /// Requests that wait for room.
    pub waiting: usize,
}

impl TargetGauge {
    /// The breaker as a number: 0 closed, 1 half-open, 2 open.
    pub fn state(&self) -> u32 {
        match self.breaker {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        }
    }
}
