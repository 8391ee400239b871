//! The health of each target: its breaker and its budget of retries.
//!
//! Passive: learns from calls, sends none of its own. States outlive a change of the configuration.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steward_domain::clock::Timestamp;

use crate::config::BreakerConfig;
use crate::wait::since;

/// Retries are counted within this.
const RETRY_WINDOW: Duration = Duration::from_secs(60);

/// This many retries a window are always allowed.
const RETRY_FLOOR: u64 = 10;

/// Above the floor, one retry for so many requests: 20 %.
const REQUESTS_PER_RETRY: u64 = 5;

/// Past this many targets, those without a story are forgotten.
const TARGET_LIMIT: usize = 1_024;

/// The health of all targets.
#[derive(Debug, Default)]
pub(crate) struct Health {
    targets: Mutex<HashMap<Arc<str>, Arc<TargetHealth>>>,
}

impl Health {
    /// The health of a target, made when it is first asked for.
    pub(crate) fn of(&self, target: &Arc<str>) -> Arc<TargetHealth> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(health) = targets.get(target) {
            return Arc::clone(health);
        }
        if targets.len() >= TARGET_LIMIT {
            targets.retain(|_, health| Arc::strong_count(health) > 1 || health.lock().breaker.opened_at.is_some());
        }
        let health = Arc::new(TargetHealth::default());
        targets.insert(Arc::clone(target), Arc::clone(&health));
        health
    }
}

/// The health of one target.
#[derive(Debug, Default)]
pub(crate) struct TargetHealth {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    window_start: Option<Timestamp>,
    requests: u64,
    retries: u64,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: VecDeque<Timestamp>,
    opened_at: Option<Timestamp>,
    is_probing: bool,
}

/// The state of a breaker, as shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// Calls go through.
    Closed,
    /// No call goes through.
    Open,
    /// One probe may go through, or is on its way.
    HalfOpen,
}

impl BreakerState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

impl TargetHealth {
    pub(crate) fn breaker_state(&self, config: &BreakerConfig, now: Timestamp) -> BreakerState {
        match self.lock().breaker.opened_at {
            None => BreakerState::Closed,
            Some(opened_at) if since(now, opened_at) < config.cooldown => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Leave to call the target; `None` while its breaker is open or another call probes it.
    pub(crate) fn admit(self: &Arc<Self>, config: &BreakerConfig, now: Timestamp) -> Option<Permit> {
        let state = self.breaker_state(config, now);
        let mut inner = self.lock();
        let is_probe = match state {
            BreakerState::Closed => false,
            BreakerState::Open => return None,
            BreakerState::HalfOpen if inner.breaker.is_probing => return None,
            BreakerState::HalfOpen => true,
        };
        inner.breaker.is_probing |= is_probe;
        drop(inner);
        Some(Permit {
            health: Arc::clone(self),
            config: *config,
            is_probe,
        })
    }

    /// Counts an upstream request towards the budget of retries.
    pub(crate) fn count_request(&self, now: Timestamp) {
        let mut state = self.lock();
        state.roll(now);
        state.requests += 1;
    }

    /// Takes one retry from the budget, if there is one left.
    pub(crate) fn take_retry(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        state.roll(now);
        let is_within = state.retries < RETRY_FLOOR.max(state.requests / REQUESTS_PER_RETRY);
        state.retries += u64::from(is_within);
        is_within
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn roll(&mut self, now: Timestamp) {
        let is_over = self.window_start.is_none_or(|start| since(now, start) >= RETRY_WINDOW);
        if is_over {
            self.window_start = Some(now);
            self.requests = 0;
            self.retries = 0;
        }
    }
}

/// Leave to call one target. Dropped without a word it says nothing about the target's health.
#[derive(Debug)]
pub(crate) struct Permit {
    health: Arc<TargetHealth>,
    config: BreakerConfig,
    is_probe: bool,
}

impl Permit {
    /// The target answered: the breaker closes.
    pub(crate) fn succeeded(&self) {
        let mut state = self.health.lock();
        if self.is_probe {
            state.breaker = Breaker::default();
        }
    }

    /// The target failed. Tells whether its breaker is open now.
    pub(crate) fn failed(&self, now: Timestamp) -> bool {
        let mut state = self.health.lock();
        let breaker = &mut state.breaker;
        if self.is_probe {
            breaker.opened_at = Some(now);
            breaker.is_probing = false;
            return true;
        }
        breaker.failures.push_back(now);
        while breaker
            .failures
            .front()
            .is_some_and(|first| since(now, *first) > self.config.window)
        {
            breaker.failures.pop_front();
        }
        let limit = self.config.failures.max(1) as usize;
        while breaker.failures.len() > limit {
            breaker.failures.pop_front();
        }
        if breaker.opened_at.is_none() && breaker.failures.len() >= limit {
            breaker.opened_at = Some(now);
            breaker.failures.clear();
        }
        breaker.opened_at.is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_probe {
            self.health.lock().breaker.is_probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
