//! How many requests retries and hedges may add to one target: at most a fifth, so that an outage is not answered with a storm.
//!
//! Counted in windows of a minute, with a floor so that a quiet target can be tried again.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use steward_domain::clock::Timestamp;

/// Requests are counted within this.
const WINDOW_US: i64 = 60_000_000;

/// This many a window are always allowed.
const FLOOR: u64 = 10;

/// Above the floor, one more for so many requests: 20 %.
const REQUESTS_PER_EXTRA: u64 = 5;

/// The budget of one target.
#[derive(Debug)]
pub(crate) struct ExtraBudget {
    window_us: AtomicI64,
    requests: AtomicU64,
    extra: AtomicU64,
    hedges: AtomicU64,
}

impl Default for ExtraBudget {
    fn default() -> Self {
        ExtraBudget {
            window_us: AtomicI64::new(i64::MIN),
            requests: AtomicU64::new(0),
            extra: AtomicU64::new(0),
            hedges: AtomicU64::new(0),
        }
    }
}

impl ExtraBudget {
    /// Counts an upstream request that is neither a retry nor a hedge.
    pub(crate) fn count_request(&self, now: Timestamp) {
        self.roll(now);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one retry, if there is one left.
    pub(crate) fn take_retry(&self, now: Timestamp) -> bool {
        self.roll(now);
        let limit = FLOOR.max(self.requests.load(Ordering::Relaxed) / REQUESTS_PER_EXTRA);
        take(&self.extra, limit)
    }

    /// Takes one hedge for a late request, if there is one left within `share` of the requests and within what all extras may be.
    pub(crate) fn take_hedge(&self, share: f64, now: Timestamp) -> bool {
        self.roll(now);
        let requests = self.requests.load(Ordering::Relaxed) as f64;
        let limit = (requests * share) as u64;
        take(&self.hedges, limit) && self.take_retry(now)
    }

    fn roll(&self, now: Timestamp) {
        let now_us = now.as_microsecond();
        let begun_us = self.window_us.load(Ordering::Relaxed);
        let is_over = begun_us == i64::MIN || now_us.saturating_sub(begun_us) >= WINDOW_US;
        let is_ours = is_over
            && self
                .window_us
                .compare_exchange(begun_us, now_us, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_ours {
            self.requests.store(0, Ordering::Relaxed);
            self.extra.store(0, Ordering::Relaxed);
            self.hedges.store(0, Ordering::Relaxed);
        }
    }
}

fn take(count: &AtomicU64, limit: u64) -> bool {
    let next = |taken: u64| (taken < limit).then_some(taken + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

#[cfg(test)]
mod tests;
