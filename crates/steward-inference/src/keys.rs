//! The keys of one provider: which one the next call uses.
//!
//! A refused key rests, a rate-limited one cools down; a scoped key never serves a caller outside its scope. Keys never show.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use steward_domain::clock::Timestamp;
use steward_domain::model::Caller;
use steward_domain::secret::Secret;

use crate::config::ProviderConfig;
use crate::wait::{after, since};

/// A key that was refused is tried again after this: credit may have been added, a permission granted.
const REFUSED_REST: Duration = Duration::from_secs(600);

/// The longest rest that a `retry-after` can impose on a key.
const COOLING_LIMIT: Duration = Duration::from_secs(300);

/// The keys of one provider.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    keys: Vec<Arc<ProviderKey>>,
}

/// One key with what became of it.
#[derive(Debug)]
pub(crate) struct ProviderKey {
    value: Secret<String>,
    weight: u32,
    agents: Vec<String>,
    teams: Vec<String>,
    state: Arc<Mutex<KeyState>>,
}

#[derive(Debug, Default)]
struct KeyState {
    refused_until: Option<Timestamp>,
    cooling_until: Option<Timestamp>,
}

/// The outcome of looking for a key.
#[derive(Debug)]
pub(crate) enum Pick {
    /// Use this one.
    Key(Arc<ProviderKey>),
    /// All usable keys cool down for at least this long.
    Wait(Duration),
    /// There is none, and why.
    None(&'static str),
}

impl KeyRing {
    /// The keys of a configuration. A key that `before` held too keeps its state.
    pub(crate) fn new(config: &ProviderConfig, before: Option<&KeyRing>) -> Self {
        let plain = config
            .api_key
            .iter()
            .chain(&config.api_keys)
            .map(|value| (value, 1, &[][..], &[][..]));
        let scoped = config
            .keys
            .iter()
            .map(|key| (&key.value, key.weight, &key.agents[..], &key.teams[..]));
        let keys = plain.chain(scoped).map(|(value, weight, agents, teams)| {
            let known = before.and_then(|ring| ring.keys.iter().find(|key| key.value == *value));
            Arc::new(ProviderKey {
                value: value.clone(),
                weight,
                agents: agents.to_vec(),
                teams: teams.to_vec(),
                state: known.map(|key| Arc::clone(&key.state)).unwrap_or_default(),
            })
        });
        KeyRing { keys: keys.collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Is there more than one, so that another can step in?
    pub(crate) fn has_several(&self) -> bool {
        self.keys.len() > 1
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ProviderKey>> {
        self.keys.iter()
    }

    /// A key for the next call, by weight among those that are ready.
    pub(crate) fn pick(&self, caller: &Caller, team: Option<&str>, now: Timestamp) -> Pick {
        if self.keys.is_empty() {
            return Pick::None("no key is configured");
        }
        let allowed: Vec<_> = self.keys.iter().filter(|key| key.serves(caller, team)).collect();
        if allowed.is_empty() {
            return Pick::None("this caller may use no key");
        }
        let mut ready = Vec::new();
        let mut soonest: Option<Duration> = None;
        for key in allowed {
            match key.readiness(now) {
                Readiness::Ready => ready.push(key),
                Readiness::Cooling(wait) => soonest = Some(soonest.map_or(wait, |other| other.min(wait))),
                Readiness::Refused => {}
            }
        }
        match (by_weight(&ready), soonest) {
            (Some(key), _) => Pick::Key(Arc::clone(key)),
            (None, Some(wait)) => Pick::Wait(wait),
            (None, None) => Pick::None("every key was refused"),
        }
    }
}

enum Readiness {
    Ready,
    Cooling(Duration),
    Refused,
}

impl ProviderKey {
    /// The key itself, for the one header that carries it.
    pub(crate) fn value(&self) -> &Secret<String> {
        &self.value
    }

    /// The provider refused it: it rests.
    pub(crate) fn refuse(&self, now: Timestamp) {
        self.lock().refused_until = Some(after(now, REFUSED_REST));
    }

    /// The provider asked to wait: it cools down.
    pub(crate) fn cool(&self, now: Timestamp, wait: Duration) {
        self.lock().cooling_until = Some(after(now, wait.min(COOLING_LIMIT)));
    }

    fn serves(&self, caller: &Caller, team: Option<&str>) -> bool {
        let agent = caller.agent.as_ref().map(|agent| agent.as_str());
        let is_within =
            |scope: &[String], name: Option<&str>| scope.is_empty() || name.is_some_and(|name| scope.iter().any(|one| one == name));
        is_within(&self.agents, agent) && is_within(&self.teams, team)
    }

    fn readiness(&self, now: Timestamp) -> Readiness {
        let state = self.lock();
        if state.refused_until.is_some_and(|until| now < until) {
            return Readiness::Refused;
        }
        match state.cooling_until {
            Some(until) if now < until => Readiness::Cooling(since(until, now)),
            Some(_) | None => Readiness::Ready,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, KeyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_weight<'a>(ready: &[&'a Arc<ProviderKey>]) -> Option<&'a Arc<ProviderKey>> {
    let total: u64 = ready.iter().map(|key| u64::from(key.weight)).sum();
    if total == 0 {
        return ready.first().copied();
    }
    let mut point = rand::rng().random_range(0..total);
    ready.iter().copied().find(|key| {
        let weight = u64::from(key.weight);
        let is_hit = point < weight;
        point = point.saturating_sub(weight);
        is_hit
    })
}

#[cfg(test)]
mod tests;
