//! How routes and their targets stand now, for people.
//!
//! A look at running state; changes nothing.

use schemars::JsonSchema;
use serde::Serialize;

use super::Router;
use crate::balance::choose::{BreakerState, Order, choose, scores};
use crate::config::Strategy;
use crate::tables::Plan;

/// How a route stands.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RouteStanding {
    /// Its name.
    pub name: String,
    /// How it picks.
    pub strategy: Strategy,
    /// Its targets, in the order of the configuration.
    pub targets: Vec<TargetStanding>,
}

/// How a target stands.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TargetStanding {
    /// `provider/model`.
    pub target: String,
    /// Its breaker.
    pub breaker: BreakerState,
    /// Its weight.
    pub weight: f64,
    /// What its strategy would score it for a short request: milliseconds for `latency`, pico-dollars for `cost`, points between 0 and 1
    /// for `adaptive`; else none.
    pub score: Option<f64>,
    /// Its place if a call came now; 1 is the first choice.
    pub rank: usize,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests its windows allow at once.
    pub window: u32,
    /// Requests that wait for room.
    pub waiting: usize,
    /// Average time to first content, in milliseconds.
    pub ttft_ms: Option<f64>,
    /// Average time per output token, in milliseconds.
    pub tpot_ms: Option<f64>,
    /// Share of requests that failed lately.
    pub failing: f64,
    /// Share of answers that met the route's objective.
    pub attained: Option<f64>,
}

/// Tokens of the request that scores are shown for.
const SAMPLE_TOKENS: u64 = 1_000;

impl Router {
    /// How all routes stand now.
    pub fn standings(&self) -> Vec<RouteStanding> {
        let now = self.shared.clock.now();
        self.tables.load().plans().map(|plan| standing(plan, now)).collect()
    }

    /// How one route stands now; `None` when there is no such route.
    pub fn standing(&self, route: &str) -> Option<RouteStanding> {
        let now = self.shared.clock.now();
        self.tables.load().route(route).map(|plan| standing(plan, now))
    }
}

fn standing(plan: &Plan, now: steward_domain::clock::Timestamp) -> RouteStanding {
    let inputs = plan.inputs(SAMPLE_TOKENS, now, |_| true);
    let scores = scores(&inputs);
    // Looking must not move the spread on, so the middle of it is taken.
    let order: Order = choose(&inputs, u64::MAX / 2);
    let target = |(index, target): (usize, &std::sync::Arc<crate::tables::Target>)| {
        let known = inputs.targets[index];
        TargetStanding {
            target: target.name.to_string(),
            breaker: known.breaker,
            weight: known.weight,
            score: scores[index],
            rank: order.iter().position(|&at| usize::from(at) == index).map_or(0, |at| at + 1),
            in_flight: known.in_flight,
            window: known.window,
            waiting: target.lanes.iter().map(|lane| lane.waiting()).sum(),
            ttft_ms: known.ttft_ms,
            tpot_ms: known.tpot_ms,
            failing: known.failing,
            attained: known.attained,
        }
    };
    RouteStanding {
        name: plan.name.clone(),
        strategy: plan.strategy,
        targets: plan.targets.iter().enumerate().map(target).collect(),
    }
}
