//! Active probes: asks the targets of routes that want it from time to time whether they are there.
//!
//! Costs no tokens. A failed probe counts like a failed call; a good one closes a breaker only where the operator said what to ask for,
//! because a list of models says little about the models.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use steward_domain::clock::Timestamp;

use super::Router;
use crate::config::ProbeConfig;
use crate::tables::{Place, Plan, Target};
use crate::wait::{after, within};

/// How often it looks whether a probe is due, or whether there are any now.
const TICK: Duration = Duration::from_secs(1);

/// A probe that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(10);

type Due = HashMap<(String, Arc<str>), Timestamp>;

impl Router {
    /// Probes for as long as it is polled. Follows every change of the tables.
    pub async fn watch(&self) {
        let clock = Arc::clone(&self.shared.clock);
        let mut due = Due::new();
        loop {
            self.probe_due(&mut due).await;
            clock.sleep(TICK).await;
        }
    }

    async fn probe_due(&self, due: &mut Due) {
        let now = self.shared.clock.now();
        let tables = self.tables.load_full();
        let mut probes = Vec::new();
        let mut known = Due::new();
        for plan in tables.plans() {
            let Some(config) = &plan.probe else { continue };
            for target in &plan.targets {
                let name = (plan.name.clone(), Arc::clone(&target.name));
                let at = due.get(&name).copied().unwrap_or(now);
                let is_due = at <= now;
                if is_due {
                    probes.push(self.probe_target(plan, target, config));
                }
                known.insert(name, if is_due { after(now, config.every) } else { at });
            }
        }
        *due = known;
        join_all(probes).await;
    }

    async fn probe_target(&self, plan: &Plan, target: &Target, config: &ProbeConfig) {
        let clock = &self.shared.clock;
        let Place::Http { provider, endpoint } = &target.place else {
            return;
        };
        let Some(permit) = target.health.admit(&plan.breaker, clock.now()) else {
            return;
        };
        let key = provider.keys.iter().find(|key| key.is_ready(clock.now()));
        let value = key.map(|key| key.value());
        let http = &self.shared.http;
        let asked = match &config.path {
            Some(path) => within(&**clock, LIMIT, http.look(endpoint, value, path, clock.now())).await,
            None => within(&**clock, LIMIT, http.list_models(endpoint, value, clock.now())).await,
        };
        let is_there = matches!(asked, Some(Ok(status)) if status < 500);
        let now = clock.now();
        if !is_there {
            let is_open = permit.failed(now);
            tracing::warn!(target.name = %target.name, is_open, "{} does not answer probes", target.name);
        } else if config.path.is_some() {
            permit.succeeded(now);
        }
    }
}
