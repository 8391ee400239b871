//! What a route has beyond its plan: a cache, and a rollout with the plan of its candidate.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Plan, Tables};
use crate::config::cache::CacheConfig;
use crate::config::rollout::{RolloutConfig, RolloutKind};
use crate::config::{ConfigError, RouteConfig, Strategy, TargetConfig};

/// What a route has beyond its plan.
pub(crate) struct Extras {
    pub(crate) cache: CacheConfig,
    pub(crate) rollout: Option<Trial>,
}

/// A candidate beside the targets of the route.
pub(crate) struct Trial {
    pub(crate) config: RolloutConfig,
    /// What is tried against what.
    pub(crate) subject: String,
    /// The candidate first, and then the route's own targets.
    pub(crate) plan: Arc<Plan>,
    /// The candidate alone, for the copies of a shadow.
    pub(crate) copies: Option<Arc<Plan>>,
}

impl Extras {
    /// Those of all routes that have any.
    pub(super) fn of_all(tables: &Tables, routes: &BTreeMap<String, RouteConfig>) -> Result<BTreeMap<String, Arc<Extras>>, ConfigError> {
        let mut all = BTreeMap::new();
        for (name, route) in routes {
            route.cache.check(&format!("routes.{name}.cache"))?;
            let rollout = route
                .rollout
                .as_ref()
                .map(|config| trial(tables, name, route, config))
                .transpose()?;
            if rollout.is_some() || route.cache.is_on() {
                let cache = route.cache.clone();
                all.insert(name.clone(), Arc::new(Extras { cache, rollout }));
            }
        }
        Ok(all)
    }
}

fn trial(tables: &Tables, name: &str, route: &RouteConfig, config: &RolloutConfig) -> Result<Trial, ConfigError> {
    let place = format!("routes.{name}.rollout");
    config.check(&place)?;
    if let Some(own) = config
        .candidate
        .iter()
        .find(|candidate| route.targets.iter().any(|target| target.model == **candidate))
    {
        return Err(ConfigError::new(
            format!("{place}.candidate"),
            format!("{own} is a target of the route already, so there is nothing to try it against"),
        ));
    }
    let candidates: Vec<TargetConfig> = config
        .candidate
        .iter()
        .map(|model| TargetConfig {
            model: model.clone(),
            weight: None,
            prefill: None,
        })
        .collect();
    let plan = |targets: Vec<TargetConfig>| {
        let trial = RouteConfig {
            strategy: Strategy::Priority,
            targets,
            // A slow candidate that an incumbent overtakes would look like one that failed.
            hedge: None,
            cache: CacheConfig::default(),
            rollout: None,
            ..route.clone()
        };
        tables
            .plan(name, &trial, None)
            .map_err(|error| ConfigError::new(format!("{place}.candidate"), error.problem))
    };
    let copies = match config.kind {
        RolloutKind::Shadow => {
            let mut alone = plan(candidates.clone())?;
            // The copies' cost is the experiment's.
            alone.name = format!("{name}/shadow");
            Some(Arc::new(alone))
        }
        RolloutKind::BlueGreen | RolloutKind::Canary | RolloutKind::ChampionChallenger => None,
    };
    let targets: Vec<&str> = route.targets.iter().map(|target| target.model.as_str()).collect();
    Ok(Trial {
        config: config.clone(),
        subject: format!(
            "{:?} of {} against {}",
            config.kind,
            config.candidate.join(", "),
            targets.join(", ")
        ),
        plan: Arc::new(plan([candidates, route.targets.clone()].concat())?),
        copies,
    })
}
