//! A route made ready: its targets with what is known of them, and its rules.
//!
//! Never changed once built; what is learned of targets lives behind shared handles and survives a change of the tables.

use std::sync::Arc;

use steward_dialects::Dialect;
use steward_domain::clock::Timestamp;
use steward_domain::model::{Caller, Model};

use super::{Endpoint, Provider};
use crate::balance::average::{ATTAINED, Average};
use crate::balance::choose::{Inputs, Known};
use crate::balance::lane::Lane;
use crate::balance::spread::Spread;
use crate::catalog::KnownModel;
use crate::catalog::price::ModelPrice;
use crate::config::{
    AlertConfig, BreakerConfig, ConfigError, CongestionConfig, HedgeConfig, ObjectiveConfig, ProbeConfig, RetryConfig, RouteConfig,
    Strategy, TimeoutConfig, WeightsConfig,
};
use crate::health::TargetHealth;
use crate::health::breaker;
use crate::measure::{Series, TargetMeasures};

/// The most targets of one route.
const TARGET_LIMIT: usize = 256;

/// The lane of a target without keys.
const NO_KEY: u64 = 0;

/// A route, or one target asked for by name.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) strategy: Strategy,
    pub(crate) targets: Vec<Arc<Target>>,
    pub(crate) timeout: TimeoutConfig,
    pub(crate) retry: RetryConfig,
    pub(crate) breaker: BreakerConfig,
    pub(crate) objective: ObjectiveConfig,
    pub(crate) weights: WeightsConfig,
    pub(crate) congestion: CongestionConfig,
    pub(crate) probe: Option<ProbeConfig>,
    pub(crate) hedge: Option<HedgeConfig>,
    pub(crate) coalesces: bool,
    pub(crate) continues: bool,
    pub(crate) alerts: Vec<AlertConfig>,
    pub(crate) spread: Spread,
}

/// One model at one provider, as a target of a route.
pub(crate) struct Target {
    /// `provider/model`.
    pub(crate) name: Arc<str>,
    /// The provider's own name for the model.
    pub(crate) model: String,
    pub(crate) place: Place,
    pub(crate) known: KnownModel,
    pub(crate) price: Option<ModelPrice>,
    pub(crate) weight: f64,
    /// Can it go on from the beginning of an answer?
    pub(crate) can_prefill: bool,
    pub(crate) health: Arc<TargetHealth>,
    /// One for each key of the provider, in their order; one in all where no key is needed.
    pub(crate) lanes: Vec<Arc<Lane>>,
    /// Share of its answers that met the route's objective.
    pub(crate) attained: Arc<Attained>,
    /// Its counters on this route.
    pub(crate) measures: TargetMeasures,
}

/// The share of answers within an objective.
#[derive(Debug)]
pub(crate) struct Attained(pub(crate) Average);

impl Default for Attained {
    fn default() -> Self {
        Attained(Average::new(ATTAINED))
    }
}

/// Where a target is.
pub(crate) enum Place {
    Http { provider: Arc<Provider>, endpoint: Endpoint },
    Local(Arc<dyn Model>),
}

impl Place {
    /// Numbers of the keys that have a lane of their own.
    pub(super) fn key_numbers(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Place::Http { provider, endpoint } if endpoint.auth.wants_key() && !provider.keys.is_empty() => {
                Box::new(provider.keys.iter().map(|key| key.number()))
            }
            Place::Http { .. } | Place::Local(_) => Box::new(std::iter::once(NO_KEY)),
        }
    }

    /// Do models of this dialect go on from a last message that is the beginning of their own answer?
    pub(super) fn can_prefill(&self) -> bool {
        match self {
            Place::Http { endpoint, .. } => matches!(endpoint.dialect, Dialect::Anthropic | Dialect::Gemini),
            Place::Local(_) => false,
        }
    }
}

impl Plan {
    pub(super) fn new(name: &str, route: &RouteConfig, targets: Vec<Arc<Target>>) -> Self {
        Plan {
            name: name.to_owned(),
            strategy: route.strategy,
            targets,
            timeout: route.timeout,
            retry: route.retry,
            breaker: route.breaker,
            objective: route.objective,
            weights: route.weights,
            congestion: route.congestion,
            probe: route.probe.clone(),
            hedge: route.hedge,
            coalesces: route.coalesce,
            continues: route.continuation,
            alerts: route.alerts.clone(),
            spread: Spread::of(name),
        }
    }

    /// The counters of a target of this route, by its name; those of its first target when it has no such target.
    pub(crate) fn series_of(&self, target: &str, caller: &Caller) -> Option<Arc<Series>> {
        let named = self.targets.iter().find(|known| *known.name == *target);
        named.or(self.targets.first()).map(|target| target.measures.of(caller))
    }

    /// What is known of the targets at this moment, for a choice among them.
    pub(crate) fn inputs(&self, input_tokens: u64, now: Timestamp, is_able: impl Fn(&Target) -> bool) -> Inputs {
        let known = |target: &Arc<Target>| target.known_now(&self.breaker, now, is_able(target));
        Inputs {
            strategy: self.strategy,
            weights: self.weights,
            when_full: self.congestion.when_full,
            objective_share: self.objective.is_set().then_some(self.objective.share),
            input_tokens,
            targets: self.targets.iter().map(known).collect(),
        }
    }
}

impl Target {
    fn known_now(&self, breaker: &BreakerConfig, now: Timestamp, is_able: bool) -> Known {
        let now_us = now.as_microsecond();
        let meters = &self.health.meters;
        let price = |amount: fn(&ModelPrice) -> steward_domain::money::Usd| self.price.as_ref().map(|price| amount(price).pico() as f64);
        Known {
            breaker: self.health.breaker_state(breaker, now),
            is_able,
            weight: self.weight,
            ttft_ms: meters.ttft_ms.read(now_us),
            tpot_ms: meters.tpot_ms.read(now_us),
            in_flight: meters.in_flight(),
            window: self.lanes.iter().map(|lane| lane.limit()).sum(),
            failing: meters.failing.read(now_us).unwrap_or(0.0),
            attained: self.attained.0.read(now_us),
            input_price: price(|price| price.input),
            cached_price: price(|price| price.cached_input),
            output_price: price(|price| price.output),
            cache_hits: meters.cache_hits.read(now_us).unwrap_or(0.0),
            output_tokens: meters.output_tokens.read(now_us),
        }
    }
}

/// Refuses what cannot work, with its place.
pub(super) fn check(name: &str, route: &RouteConfig) -> Result<(), ConfigError> {
    let wrong = |key: &str, problem: &str| Err(ConfigError::new(format!("routes.{name}{key}"), problem));
    if name.contains('/') {
        return wrong("", "a route's name has no slash: with one it would be a model's");
    }
    if route.targets.is_empty() {
        return wrong(".targets", "a route needs at least one target");
    }
    if route.targets.len() > TARGET_LIMIT {
        return wrong(".targets", "a route has at most 256 targets");
    }
    for (index, target) in route.targets.iter().enumerate() {
        if target.weight.is_some_and(|weight| !weight.is_finite() || weight < 0.0) {
            return wrong(&format!(".targets[{index}].weight"), "a weight is a number that is not below zero");
        }
    }
    let weighs_nothing = route.targets.iter().all(|target| target.weight == Some(0.0));
    if route.strategy == Strategy::Weighted && weighs_nothing {
        return wrong(".targets", "at least one target needs a weight above zero");
    }
    for (index, alert) in route.alerts.iter().enumerate() {
        if let Some(problem) = alert.problem() {
            return wrong(&format!(".alerts[{index}]"), &problem);
        }
    }
    check_times(route, &wrong)?;
    check_breaker(&route.breaker, &wrong)?;
    check_balance(route, &wrong)
}

type Wrong<'a> = dyn Fn(&str, &str) -> Result<(), ConfigError> + 'a;

fn check_times(route: &RouteConfig, wrong: &Wrong<'_>) -> Result<(), ConfigError> {
    let limits = [
        Some(route.timeout.between_tokens),
        Some(route.timeout.total),
        route.timeout.first_token,
    ];
    if limits.into_iter().flatten().any(|limit| limit.is_zero()) {
        return wrong(".timeout", "a time-out must be longer than nothing");
    }
    if let Some(probe) = &route.probe {
        if probe.every.as_secs() < 1 {
            return wrong(".probe.every", "it must be at least 1s");
        }
        if probe.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return wrong(".probe.path", "it must begin with a slash");
        }
    }
    Ok(())
}

fn check_breaker(config: &BreakerConfig, wrong: &Wrong<'_>) -> Result<(), ConfigError> {
    if config.failures == 0 {
        return wrong(".breaker.failures", "it must be at least 1");
    }
    if config.window.is_zero() || config.window.as_secs() >= breaker::SECONDS as u64 {
        return wrong(".breaker.window", "it must be longer than nothing and at most 5m");
    }
    if config.ratio.is_some_and(|ratio| !(ratio > 0.0 && ratio <= 1.0)) {
        return wrong(".breaker.ratio", "it must be above 0 and at most 1");
    }
    if config.min_requests == 0 {
        return wrong(".breaker.min_requests", "it must be at least 1");
    }
    Ok(())
}

fn check_balance(route: &RouteConfig, wrong: &Wrong<'_>) -> Result<(), ConfigError> {
    let objective = &route.objective;
    if !(objective.share > 0.0 && objective.share <= 1.0) {
        return wrong(".objective.share", "it must be above 0 and at most 1");
    }
    if [objective.ttft, objective.tpot].into_iter().flatten().any(|limit| limit.is_zero()) {
        return wrong(".objective", "an objective must be longer than nothing");
    }
    let weights = &route.weights;
    let parts = [weights.latency, weights.cost, weights.health, weights.headroom];
    let are_weights = parts.iter().all(|part| part.is_finite() && *part >= 0.0) && parts.iter().sum::<f64>() > 0.0;
    if !are_weights {
        return wrong(".weights", "weights are numbers that are not below zero, and at least one is above");
    }
    let congestion = &route.congestion;
    if congestion.min == 0 || congestion.min > congestion.max {
        return wrong(".congestion", "min must be at least 1 and max not below it");
    }
    if !(congestion.decrease > 0.0 && congestion.decrease < 1.0) {
        return wrong(".congestion.decrease", "it must be between 0 and 1");
    }
    let is_jump = congestion.latency_jump == 0.0 || (congestion.latency_jump > 1.0 && congestion.latency_jump.is_finite());
    if !is_jump {
        return wrong(".congestion.latency_jump", "it must be above 1, or 0 for never");
    }
    if let Some(hedge) = &route.hedge
        && !(hedge.budget > 0.0 && hedge.budget <= 0.2)
    {
        return wrong(".hedge.budget", "it must be above 0 and at most 0.2");
    }
    Ok(())
}
