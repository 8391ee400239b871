//! The congestion window of one target and key: how many requests it takes at once.
//!
//! Grows by one for each window of successes, after a first phase of doubling; shrinks by a factor on overload, once for everything
//! that was under way when it happened. Never waits and never locks.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use super::average::{Average, LATENCY, Pace};
use crate::config::CongestionConfig;

/// The usual time to first content: slow to rise, so that an overload does not become usual, quick to fall.
const USUAL: Pace = Pace {
    rise_us: 120e6,
    fall_us: 10e6,
    grace_us: i64::MAX,
    fade_us: 1e6,
    rest: 0.0,
};

/// Below this, a jump is noise: in microseconds.
const LEAST_JUMP_US: f64 = 50_000.0;

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    in_flight: AtomicU32,
    /// Requests allowed at once, as the bits of an `f64`: it grows by fractions.
    limit_bits: AtomicU64,
    /// When it was last cut; before the first cut it doubles.
    cut_at_us: AtomicI64,
    recent_us: Average,
    usual_us: Average,
}

/// How a request went, as far as the window cares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// First content came after so many microseconds.
    Answered { after_us: i64 },
    /// 429, or an overload.
    Overloaded,
}

const NEVER_CUT: i64 = i64::MIN;

impl Window {
    pub(crate) fn new(config: &CongestionConfig) -> Self {
        Window {
            in_flight: AtomicU32::new(0),
            limit_bits: AtomicU64::new(f64::from(config.start.clamp(config.min, config.max)).to_bits()),
            cut_at_us: AtomicI64::new(NEVER_CUT),
            recent_us: Average::new(LATENCY),
            usual_us: Average::new(USUAL),
        }
    }

    /// Requests allowed at once.
    pub(crate) fn limit(&self) -> u32 {
        (f64::from_bits(self.limit_bits.load(Ordering::Relaxed)) as u32).max(1)
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Takes a place, if there is one.
    pub(crate) fn try_enter(&self) -> bool {
        let limit = self.limit();
        let entered = |in_flight: u32| (in_flight < limit).then_some(in_flight + 1);
        self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, entered).is_ok()
    }

    /// Gives a place back.
    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    /// Learns from a request that was sent at `sent_us` and had its verdict at `now_us`.
    pub(crate) fn learn(&self, verdict: Verdict, sent_us: i64, now_us: i64, config: &CongestionConfig) {
        match verdict {
            Verdict::Overloaded => self.cut(sent_us, now_us, config),
            Verdict::Answered { after_us } => {
                let is_jump = self.is_jump(after_us as f64, now_us, config);
                if is_jump {
                    self.cut(sent_us, now_us, config);
                } else {
                    self.grow(config);
                }
            }
        }
    }

    /// Did the time to first content jump? Only a window in use can be the cause; one slow answer alone is none.
    fn is_jump(&self, after_us: f64, now_us: i64, config: &CongestionConfig) -> bool {
        if config.latency_jump <= 0.0 {
            return false;
        }
        let usual_us = self.usual_us.read(now_us);
        self.recent_us.observe(after_us, now_us);
        self.usual_us.observe(after_us, now_us);
        let recent_us = self.recent_us.read(now_us).unwrap_or(after_us);
        let limit_us = (usual_us.unwrap_or(f64::INFINITY) * config.latency_jump).max(LEAST_JUMP_US);
        self.is_in_use() && recent_us > limit_us && after_us > limit_us
    }

    fn is_in_use(&self) -> bool {
        self.in_flight().saturating_mul(2) >= self.limit()
    }

    fn grow(&self, config: &CongestionConfig) {
        // A window that nobody fills says nothing about how wide it may be.
        if !self.is_in_use() {
            return;
        }
        let was_cut = self.cut_at_us.load(Ordering::Relaxed) != NEVER_CUT;
        self.change(config, |limit| if was_cut { limit + 1.0 / limit.max(1.0) } else { limit + 1.0 });
    }

    /// One cut for all requests that were under way: those that were sent before the last cut say nothing new.
    fn cut(&self, sent_us: i64, now_us: i64, config: &CongestionConfig) {
        let cut = |last: i64| (last == NEVER_CUT || sent_us >= last).then_some(now_us);
        if self.cut_at_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, cut).is_ok() {
            self.change(config, |limit| limit * config.decrease);
        }
    }

    fn change(&self, config: &CongestionConfig, next: impl Fn(f64) -> f64) {
        let (min, max) = (f64::from(config.min.max(1)), f64::from(config.max.max(1)));
        let bounded = |bits: u64| Some(next(f64::from_bits(bits)).clamp(min, max.max(min)).to_bits());
        // The closure never says no.
        let _ = self.limit_bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, bounded);
    }
}

#[cfg(test)]
mod tests;
