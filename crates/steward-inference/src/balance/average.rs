//! A moving average over time that many calls feed at once, without a lock.
//!
//! Rises quickly and falls slowly, so that a peak is felt at once; left alone for a while it fades to its resting value.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Nothing was measured yet.
const NEVER: i64 = i64::MIN;

/// Two samples are at least this far apart, so that many within one instant still count.
const SHORTEST_US: f64 = 2_000.0;

/// How an average moves. Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Time constant when the sample is above the average.
    pub(crate) rise_us: f64,
    /// Time constant when it is below.
    pub(crate) fall_us: f64,
    /// Without a sample for this long it begins to fade.
    pub(crate) grace_us: i64,
    /// Time constant of fading.
    pub(crate) fade_us: f64,
    /// What it fades to.
    pub(crate) rest: f64,
}

/// Times of answers: a peak is felt within a second, forgotten within many.
pub(crate) const LATENCY: Pace = Pace {
    rise_us: 1e6,
    fall_us: 6e6,
    grace_us: 2_000_000,
    fade_us: 6e6,
    rest: 0.0,
};

/// Shares of failures: without calls they are forgiven.
pub(crate) const FAILURES: Pace = Pace {
    rise_us: 5e6,
    fall_us: 10e6,
    grace_us: 5_000_000,
    fade_us: 10e6,
    rest: 0.0,
};

/// Shares of answers within the objective: without calls a target gets its chance again.
pub(crate) const ATTAINED: Pace = Pace {
    rise_us: 20e6,
    fall_us: 20e6,
    grace_us: 10_000_000,
    fade_us: 20e6,
    rest: 1.0,
};

/// What a conversation is like: how much of it is cached, how long answers are. Does not fade.
pub(crate) const HABIT: Pace = Pace {
    rise_us: 120e6,
    fall_us: 120e6,
    grace_us: i64::MAX,
    fade_us: 1e6,
    rest: 0.0,
};

/// The average.
#[derive(Debug)]
pub(crate) struct Average {
    bits: AtomicU64,
    at_us: AtomicI64,
    pace: Pace,
}

impl Average {
    pub(crate) fn new(pace: Pace) -> Self {
        Average {
            bits: AtomicU64::new(0),
            at_us: AtomicI64::new(NEVER),
            pace,
        }
    }

    /// Takes one sample in.
    pub(crate) fn observe(&self, sample: f64, now_us: i64) {
        let before_us = self.at_us.fetch_max(now_us, Ordering::Relaxed);
        let next = |bits: u64| {
            let value = f64::from_bits(bits);
            Some(self.mixed(value, sample, before_us, now_us).to_bits())
        };
        // The closure never says no.
        let _ = self.bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The average now; `None` while nothing was measured.
    pub(crate) fn read(&self, now_us: i64) -> Option<f64> {
        let at_us = self.at_us.load(Ordering::Relaxed);
        if at_us == NEVER {
            return None;
        }
        Some(self.faded(f64::from_bits(self.bits.load(Ordering::Relaxed)), at_us, now_us))
    }

    fn mixed(&self, value: f64, sample: f64, before_us: i64, now_us: i64) -> f64 {
        if before_us == NEVER {
            return sample;
        }
        let start = self.faded(value, before_us, now_us);
        let time_constant = if sample > start { self.pace.rise_us } else { self.pace.fall_us };
        let elapsed = ((now_us.saturating_sub(before_us)) as f64).max(SHORTEST_US);
        let kept = (-elapsed / time_constant).exp();
        start * kept + sample * (1.0 - kept)
    }

    fn faded(&self, value: f64, at_us: i64, now_us: i64) -> f64 {
        let idle_us = now_us.saturating_sub(at_us).saturating_sub(self.pace.grace_us);
        if idle_us <= 0 {
            return value;
        }
        self.pace.rest + (value - self.pace.rest) * (-(idle_us as f64) / self.pace.fade_us).exp()
    }
}

#[cfg(test)]
mod tests;
