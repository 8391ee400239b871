//! The keys of one provider: which one the next call uses.
//!
//! A refused key rests, a rate-limited one cools down; a scoped key never serves a caller outside its scope. Keys never show.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use steward_domain::clock::Timestamp;
use steward_domain::model::Caller;
use steward_domain::secret::Secret;

use crate::config::ProviderConfig;
use crate::wait::after;

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
    state: Arc<KeyState>,
}

/// Instants in microseconds; in the past, they mean nothing.
#[derive(Debug)]
struct KeyState {
    /// Tells keys apart for as long as the process lives, without showing them.
    number: u64,
    refused_until_us: AtomicI64,
    cooling_until_us: AtomicI64,
}

impl Default for KeyState {
    fn default() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        KeyState {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            refused_until_us: AtomicI64::new(i64::MIN),
            cooling_until_us: AtomicI64::new(i64::MIN),
        }
    }
}

/// The outcome of looking for a key.
#[derive(Debug)]
pub(crate) enum Pick {
    /// Use this one, at this position.
    Key(usize, Arc<ProviderKey>),
    /// All usable ones have as many requests under way as they may; this one has the shortest queue.
    Full(usize),
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

    /// A key for the next call, by weight among those that are ready. `queue` tells how many wait for the key at a position, `None`
    /// when it has room.
    pub(crate) fn pick(&self, caller: &Caller, now: Timestamp, queue: impl Fn(usize) -> Option<usize>) -> Pick {
        if self.keys.is_empty() {
            return Pick::None("no key is configured");
        }
        let now_us = now.as_microsecond();
        let mut found = Found::default();
        for (position, key) in self.keys.iter().enumerate() {
            if !key.serves(caller) {
                continue;
            }
            found.is_allowed = true;
            match key.readiness(now_us) {
                Readiness::Ready => match queue(position) {
                    None => found.ready(position, key.weight),
                    Some(waiting) => found.full(position, waiting),
                },
                Readiness::Cooling(wait) => found.soonest = Some(found.soonest.map_or(wait, |other| other.min(wait))),
                Readiness::Refused => {}
            }
        }
        found.pick(&self.keys)
    }
}

/// What a look at the keys has found.
#[derive(Default)]
struct Found {
    is_allowed: bool,
    ready: Option<usize>,
    ready_weight: u64,
    /// The shortest queue and its position.
    full: Option<(usize, usize)>,
    soonest: Option<Duration>,
}

impl Found {
    /// One of those seen so far stays, each with a chance by its weight.
    fn ready(&mut self, position: usize, weight: u32) {
        self.ready_weight += u64::from(weight);
        let is_taken = match self.ready {
            None => true,
            Some(_) => weight > 0 && rand::rng().random_range(0..self.ready_weight) < u64::from(weight),
        };
        if is_taken {
            self.ready = Some(position);
        }
    }

    fn full(&mut self, position: usize, waiting: usize) {
        if self.full.is_none_or(|(shortest, _)| waiting < shortest) {
            self.full = Some((waiting, position));
        }
    }

    fn pick(self, keys: &[Arc<ProviderKey>]) -> Pick {
        match (self.ready, self.full, self.soonest) {
            (Some(position), _, _) => Pick::Key(position, Arc::clone(&keys[position])),
            (None, Some((_, position)), _) => Pick::Full(position),
            (None, None, Some(wait)) => Pick::Wait(wait),
            (None, None, None) if self.is_allowed => Pick::None("every key was refused"),
            (None, None, None) => Pick::None("this caller may use no key"),
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

    /// Tells it apart from others without showing it.
    pub(crate) fn number(&self) -> u64 {
        self.state.number
    }

    /// The provider refused it: it rests.
    pub(crate) fn refuse(&self, now: Timestamp) {
        let until = after(now, REFUSED_REST).as_microsecond();
        self.state.refused_until_us.fetch_max(until, Ordering::Relaxed);
    }

    /// The provider asked to wait: it cools down.
    pub(crate) fn cool(&self, now: Timestamp, wait: Duration) {
        let until = after(now, wait.min(COOLING_LIMIT)).as_microsecond();
        self.state.cooling_until_us.store(until, Ordering::Relaxed);
    }

    /// Is it neither refused nor cooling down?
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        matches!(self.readiness(now.as_microsecond()), Readiness::Ready)
    }

    fn serves(&self, caller: &Caller) -> bool {
        let agent = caller.agent.as_ref().map(|agent| agent.as_str());
        let is_within =
            |scope: &[String], name: Option<&str>| scope.is_empty() || name.is_some_and(|name| scope.iter().any(|one| one == name));
        is_within(&self.agents, agent) && is_within(&self.teams, caller.team.as_deref())
    }

    fn readiness(&self, now_us: i64) -> Readiness {
        if now_us < self.state.refused_until_us.load(Ordering::Relaxed) {
            return Readiness::Refused;
        }
        let cooling_us = self.state.cooling_until_us.load(Ordering::Relaxed).saturating_sub(now_us);
        match u64::try_from(cooling_us) {
            Ok(left_us) if left_us > 0 => Readiness::Cooling(Duration::from_micros(left_us)),
            Ok(_) | Err(_) => Readiness::Ready,
        }
    }
}

#[cfg(test)]
mod tests;
