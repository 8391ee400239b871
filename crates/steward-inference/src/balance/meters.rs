//! What is measured of one target: times, failures, habits, requests under way, and how late first content can be.
//!
//! Fed by every call, read by choices; nothing here decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use steward_domain::clock::Timestamp;

use super::average::{Average, FAILURES, HABIT, LATENCY};

/// Buckets of times to first content, each a quarter longer than the one before.
const BUCKETS: usize = 72;
const BUCKET_GROWTH: f64 = 1.25;

/// With so many times counted, old ones begin to count half.
const FULL_HISTOGRAM: u32 = 2_048;

/// Percentiles of fewer times mean nothing.
const FEWEST_TIMES: u32 = 20;

/// The measures of one target.
#[derive(Debug)]
pub(crate) struct Meters {
    /// Milliseconds from sending to first content.
    pub(crate) ttft_ms: Average,
    /// Milliseconds per output token after the first.
    pub(crate) tpot_ms: Average,
    /// 1 for a failure, 0 for an answer.
    pub(crate) failing: Average,
    /// Share of input tokens from the provider's cache.
    pub(crate) cache_hits: Average,
    /// Output tokens of an answer.
    pub(crate) output_tokens: Average,
    in_flight: AtomicU32,
    times: [AtomicU32; BUCKETS],
    times_count: AtomicU32,
}

impl Default for Meters {
    fn default() -> Self {
        Meters {
            ttft_ms: Average::new(LATENCY),
            tpot_ms: Average::new(LATENCY),
            failing: Average::new(FAILURES),
            cache_hits: Average::new(HABIT),
            output_tokens: Average::new(HABIT),
            in_flight: AtomicU32::new(0),
            times: [const { AtomicU32::new(0) }; BUCKETS],
            times_count: AtomicU32::new(0),
        }
    }
}

impl Meters {
    /// Requests under way, over all routes and keys.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// First content came `after` its request was sent.
    pub(crate) fn answered(&self, after: Duration, now: Timestamp) {
        let ms = after.as_secs_f64() * 1e3;
        let now_us = now.as_microsecond();
        self.ttft_ms.observe(ms, now_us);
        self.failing.observe(0.0, now_us);
        self.count(ms);
    }

    /// A request failed in a way that speaks against the target.
    pub(crate) fn failed(&self, now: Timestamp) {
        self.failing.observe(1.0, now.as_microsecond());
    }

    /// The time to first content that 95 of 100 requests keep; `None` while too little was measured.
    pub(crate) fn ttft_p95(&self) -> Option<Duration> {
        let counts: [u32; BUCKETS] = std::array::from_fn(|index| self.times[index].load(Ordering::Relaxed));
        let total: u32 = counts.iter().sum();
        if total < FEWEST_TIMES {
            return None;
        }
        let wanted = f64::from(total) * 0.95;
        let mut seen = 0.0;
        let bucket = counts.iter().position(|&count| {
            seen += f64::from(count);
            seen >= wanted
        });
        let upper_ms = BUCKET_GROWTH.powi(i32::try_from(bucket? + 1).unwrap_or(i32::MAX));
        Some(Duration::from_secs_f64(upper_ms / 1e3))
    }

    fn count(&self, ms: f64) {
        let bucket = (ms.max(1.0).ln() / BUCKET_GROWTH.ln()) as usize;
        self.times[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        if self.times_count.fetch_add(1, Ordering::Relaxed) + 1 == FULL_HISTOGRAM {
            for time in &self.times {
                // Counts that come in between may be halved with the others, which does not matter.
                let _ = time.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count / 2));
            }
            self.times_count.store(FULL_HISTOGRAM / 2, Ordering::Relaxed);
        }
    }
}

/// Counts one request under way until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<crate::health::TargetHealth>);

impl UnderWay {
    pub(crate) fn at(health: &Arc<crate::health::TargetHealth>) -> Self {
        health.meters.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(health))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.meters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
