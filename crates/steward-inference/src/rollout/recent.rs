//! The last few hundred values of a measure, and a percentile of them that is fixed between refreshes.
//!
//! A percentile read here never depends on the value it is about to judge.

use serde::{Deserialize, Serialize};

/// Values kept.
const KEPT: usize = 400;

/// No percentile before so many.
const WARM: usize = 40;

/// New values between two refreshes.
const REFRESH_EVERY: u32 = 20;

/// The last values of one measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    values: Vec<f32>,
    next: usize,
    since_refresh: u32,
    p95: Option<f64>,
    /// Values ever taken.
    pub(crate) count: u64,
}

impl Recent {
    /// Takes a value.
    pub(crate) fn take(&mut self, value: f64) {
        let value = value as f32;
        if self.values.len() < KEPT {
            self.values.push(value);
        } else {
            self.values[self.next] = value;
            self.next = (self.next + 1) % KEPT;
        }
        self.count += 1;
        self.since_refresh += 1;
        let is_first = self.p95.is_none() && self.values.len() >= WARM;
        if is_first || (self.p95.is_some() && self.since_refresh >= REFRESH_EVERY) {
            self.p95 = self.percentile(0.95);
            self.since_refresh = 0;
        }
    }

    /// The 95th percentile at the last refresh; `None` while there are too few values.
    pub(crate) fn p95(&self) -> Option<f64> {
        self.p95
    }

    /// A percentile of what is kept, now.
    pub(crate) fn percentile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f32::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let place = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(place.saturating_sub(1).min(last)).copied().map(f64::from)
    }
}
