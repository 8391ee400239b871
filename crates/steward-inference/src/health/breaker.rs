//! The breaker of one target: closed, open after too many failures, half-open for exactly one probe, closed again.
//!
//! Counts in seconds, without a lock; a probe that is given up lets the next one go.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use steward_domain::clock::Timestamp;

use super::TargetHealth;
use crate::balance::choose::BreakerState;
use crate::config::BreakerConfig;

/// Seconds that are remembered; windows are no longer, see the checks of the configuration.
pub(crate) const SECONDS: usize = 320;

/// Not open.
const CLOSED: i64 = i64::MIN;

/// Nobody probes.
const NO_PROBE: u64 = 0;

/// A second's counts in one word: which second (24 bits), requests (20 bits), failures (20 bits).
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SECOND_MAX: u64 = (1 << 24) - 1;

/// The breaker.
#[derive(Debug)]
pub(crate) struct Breaker {
    opened_us: AtomicI64,
    /// Failures before this are forgotten.
    closed_us: AtomicI64,
    /// The number of the probe that is on its way.
    probe: AtomicU64,
    probes: AtomicU64,
    seconds: [AtomicU64; SECONDS],
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker {
            opened_us: AtomicI64::new(CLOSED),
            closed_us: AtomicI64::new(i64::MIN),
            probe: AtomicU64::new(NO_PROBE),
            probes: AtomicU64::new(NO_PROBE),
            seconds: [const { AtomicU64::new(0) }; SECONDS],
        }
    }
}

impl Breaker {
    /// Is it open or half-open?
    pub(crate) fn is_open(&self) -> bool {
        self.opened_us.load(Ordering::Acquire) != CLOSED
    }

    pub(crate) fn state(&self, config: &BreakerConfig, now: Timestamp) -> BreakerState {
        let opened_us = self.opened_us.load(Ordering::Acquire);
        if opened_us == CLOSED {
            return BreakerState::Closed;
        }
        let open_for_us = now.as_microsecond().saturating_sub(opened_us).max(0);
        let cooldown_us = i64::try_from(config.cooldown.as_micros()).unwrap_or(i64::MAX);
        if open_for_us < cooldown_us {
            BreakerState::Open
        } else {
            BreakerState::HalfOpen
        }
    }

    fn count(&self, now_us: i64, is_failure: bool) {
        let second = second_of(now_us);
        let place = &self.seconds[(second as usize) % SECONDS];
        let counted = |word: u64| {
            let (of, mut requests, mut failures) = unpacked(word);
            if of != second & SECOND_MAX {
                (requests, failures) = (0, 0);
            }
            requests = (requests + 1).min(COUNT_MAX);
            failures = (failures + u64::from(is_failure)).min(COUNT_MAX);
            Some(packed(second & SECOND_MAX, requests, failures))
        };
        // The closure never says no.
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    /// Requests and failures within the window, since it was last closed.
    fn counts(&self, config: &BreakerConfig, now_us: i64) -> (u64, u64) {
        let window_s = config.window.as_secs().clamp(1, SECONDS as u64 - 1);
        let last = second_of(now_us);
        let first = last.saturating_sub(window_s).max(self.first_second());
        let mut sum = (0, 0);
        for second in first..=last {
            let (of, requests, failures) = unpacked(self.seconds[(second as usize) % SECONDS].load(Ordering::Relaxed));
            if of == second & SECOND_MAX {
                sum = (sum.0 + requests, sum.1 + failures);
            }
        }
        sum
    }

    fn first_second(&self) -> u64 {
        match self.closed_us.load(Ordering::Relaxed) {
            i64::MIN => 0,
            closed_us => second_of(closed_us),
        }
    }

    fn is_too_much(&self, config: &BreakerConfig, now_us: i64) -> bool {
        let (requests, failures) = self.counts(config, now_us);
        match config.ratio {
            Some(ratio) if requests >= u64::from(config.min_requests) => failures as f64 >= ratio * requests as f64,
            Some(_) | None => failures >= u64::from(config.failures.max(1)),
        }
    }

    fn open(&self, now_us: i64) {
        self.opened_us.store(now_us, Ordering::Release);
    }

    fn close(&self, now_us: i64) {
        self.closed_us.store(now_us, Ordering::Relaxed);
        // Failures of this second were before.
        self.seconds[(second_of(now_us) as usize) % SECONDS].store(0, Ordering::Relaxed);
        self.opened_us.store(CLOSED, Ordering::Release);
    }

    /// Leave to be the one probe.
    fn begin_probe(&self) -> Option<u64> {
        let number = self.probes.fetch_add(1, Ordering::Relaxed) + 1;
        let begun = self.probe.compare_exchange(NO_PROBE, number, Ordering::AcqRel, Ordering::Relaxed);
        begun.is_ok().then_some(number)
    }

    fn end_probe(&self, number: u64) {
        // Another probe may be on its way by now, and stays.
        let _ = self.probe.compare_exchange(number, NO_PROBE, Ordering::AcqRel, Ordering::Relaxed);
    }
}

fn second_of(now_us: i64) -> u64 {
    u64::try_from(now_us / 1_000_000).unwrap_or(0)
}

fn packed(second: u64, requests: u64, failures: u64) -> u64 {
    second << (2 * COUNT_BITS) | requests << COUNT_BITS | failures
}

fn unpacked(word: u64) -> (u64, u64, u64) {
    (word >> (2 * COUNT_BITS), (word >> COUNT_BITS) & COUNT_MAX, word & COUNT_MAX)
}

impl TargetHealth {
    pub(crate) fn breaker_state(&self, config: &BreakerConfig, now: Timestamp) -> BreakerState {
        self.breaker.state(config, now)
    }

    /// Leave to call the target; `None` while its breaker is open or another call probes it.
    pub(crate) fn admit(self: &Arc<Self>, config: &BreakerConfig, now: Timestamp) -> Option<Permit> {
        let probe = match self.breaker.state(config, now) {
            BreakerState::Closed => NO_PROBE,
            BreakerState::Open => return None,
            BreakerState::HalfOpen => self.breaker.begin_probe()?,
        };
        // The probe before this one may have ended in between, either way.
        if probe != NO_PROBE && self.breaker.state(config, now) != BreakerState::HalfOpen {
            self.breaker.end_probe(probe);
            return if self.breaker.is_open() {
                None
            } else {
                Some(self.permit(config, NO_PROBE))
            };
        }
        Some(self.permit(config, probe))
    }

    fn permit(self: &Arc<Self>, config: &BreakerConfig, probe: u64) -> Permit {
        Permit {
            health: Arc::clone(self),
            config: *config,
            probe,
        }
    }
}

/// Leave to call one target. Dropped without a word it says nothing about the target's health.
#[derive(Debug)]
pub(crate) struct Permit {
    health: Arc<TargetHealth>,
    config: BreakerConfig,
    probe: u64,
}

impl Permit {
    /// The target answered: after a probe the breaker closes.
    pub(crate) fn succeeded(&self, now: Timestamp) {
        let breaker = &self.health.breaker;
        let now_us = now.as_microsecond();
        if self.is_the_probe() {
            breaker.close(now_us);
            breaker.end_probe(self.probe);
        }
        breaker.count(now_us, false);
    }

    /// The target failed. Tells whether its breaker is open now.
    pub(crate) fn failed(&self, now: Timestamp) -> bool {
        let breaker = &self.health.breaker;
        let now_us = now.as_microsecond();
        self.health.meters.failed(now);
        if self.is_the_probe() {
            breaker.open(now_us);
            breaker.end_probe(self.probe);
            return true;
        }
        breaker.count(now_us, true);
        if !breaker.is_open() && breaker.is_too_much(&self.config, now_us) {
            breaker.open(now_us);
        }
        breaker.is_open()
    }

    fn is_the_probe(&self) -> bool {
        self.probe != NO_PROBE && self.health.breaker.probe.load(Ordering::Acquire) == self.probe
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe != NO_PROBE {
            self.health.breaker.end_probe(self.probe);
        }
    }
}

#[cfg(test)]
mod tests;
