//! Exponential histograms: buckets that grow by a constant factor, so that the relative error is the same for small and large values.
//!
//! After the OpenTelemetry exponential histogram data model at scale 6: bucket `i` holds values above 2^(i/64) and up to 2^((i+1)/64).
//! A percentile is the harmonic middle of its bucket and lies within 0.55 % of the true value. Adding takes no lock; memory is bounded by
//! the range and taken an octave at a time. Snapshots of several nodes are merged by adding their counts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// The scale of all histograms, as OpenTelemetry counts it.
pub const SCALE: i32 = 6;

/// Buckets for each doubling.
const BUCKETS: usize = 1 << SCALE;
const BUCKETS_I32: i32 = 1 << SCALE;

/// The powers of two between which values are told apart. What is smaller or larger goes to the outermost bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Values above 2^`low` are told apart.
    pub low: i32,
    /// Values up to 2^`high` are told apart.
    pub high: i32,
}

impl Range {
    /// Seconds, from a quarter of a microsecond to a bit more than an hour.
    pub const SECONDS: Range = Range { low: -22, high: 12 };
    /// Tokens of one call.
    pub const TOKENS: Range = Range { low: -1, high: 27 };
    /// Tokens per second.
    pub const RATE: Range = Range { low: -7, high: 20 };
    /// US dollars of one call.
    pub const USD: Range = Range { low: -34, high: 14 };
}

type Octave = Box<[AtomicU64; BUCKETS]>;

/// Counts values by size.
#[derive(Debug)]
pub struct Histogram {
    range: Range,
    octaves: Box<[OnceLock<Octave>]>,
    /// Values of zero or less.
    zero: AtomicU64,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub fn new(range: Range) -> Self {
        let octaves = usize::try_from(range.high - range.low).unwrap_or(0);
        Histogram {
            range,
            octaves: (0..octaves).map(|_| OnceLock::new()).collect(),
            zero: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value. One that is no number is left out.
    pub fn record(&self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if value <= 0.0 {
            self.zero.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lowest = self.range.low * BUCKETS_I32;
        let index = index_of(value).clamp(lowest, self.range.high * BUCKETS_I32 - 1);
        let place = usize::try_from(index - lowest).unwrap_or(0);
        if let Some(octave) = self.octaves.get(place / BUCKETS) {
            let octave = octave.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BUCKETS]));
            octave[place % BUCKETS].fetch_add(1, Ordering::Relaxed);
        }
        // Fails only when another call added meanwhile, and is tried again until it holds.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + value).to_bits())
        });
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let mut buckets = Vec::new();
        let mut index = self.range.low * BUCKETS_I32;
        for octave in &self.octaves {
            for place in 0..BUCKETS {
                let count = octave.get().map_or(0, |octave| octave[place].load(Ordering::Relaxed));
                if count > 0 {
                    buckets.push((index, count));
                }
                index += 1;
            }
        }
        Snapshot {
            buckets,
            zero: self.zero.load(Ordering::Relaxed),
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
        }
    }
}

/// The bucket of a value above zero: above its lower bound, up to and with its upper bound.
fn index_of(value: f64) -> i32 {
    let position = value.log2() * f64::from(BUCKETS_I32);
    position.ceil() as i32 - 1
}

/// The upper bound of a bucket.
pub fn upper_bound(index: i32) -> f64 {
    (f64::from(index + 1) / f64::from(BUCKETS_I32)).exp2()
}

/// What a histogram held at one moment. Those of several nodes or labels can be merged, those of two moments subtracted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Index and count, by index; none is zero.
    pub buckets: Vec<(i32, u64)>,
    /// Values of zero or less.
    pub zero: u64,
    /// The sum of all values.
    pub sum: f64,
}

impl Snapshot {
    /// How many values.
    pub fn count(&self) -> u64 {
        self.zero + self.buckets.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// Their mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum / count as f64)
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Snapshot) {
        self.combine(other, u64::saturating_add);
        self.zero += other.zero;
        self.sum += other.sum;
    }

    /// What came since an earlier moment of the same histogram.
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        let mut left = self.clone();
        left.combine(earlier, u64::saturating_sub);
        left.buckets.retain(|(_, count)| *count > 0);
        left.zero = left.zero.saturating_sub(earlier.zero);
        left.sum = (left.sum - earlier.sum).max(0.0);
        left
    }

    fn combine(&mut self, other: &Snapshot, join: fn(u64, u64) -> u64) {
        let mut joined = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let (mut ours, mut theirs) = (self.buckets.iter().copied().peekable(), other.buckets.iter().copied().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some((own, _)), Some((other, _))) => (*own).min(*other),
                (Some((index, _)), None) | (None, Some((index, _))) => *index,
                (None, None) => break,
            };
            let own = ours.next_if(|(index, _)| *index == next).map_or(0, |(_, count)| count);
            let other = theirs.next_if(|(index, _)| *index == next).map_or(0, |(_, count)| count);
            joined.push((next, join(own, other)));
        }
        self.buckets = joined;
    }

    /// The value below which this share of the values lies; `None` without values.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = self.zero;
        if seen >= rank {
            return Some(0.0);
        }
        for (index, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return Some(middle(*index));
            }
        }
        self.buckets.last().map(|(index, _)| middle(*index))
    }

    /// How many values are at most `bound`, to the bucket's precision.
    pub fn count_up_to(&self, bound: f64) -> u64 {
        let within = self.buckets.iter().filter(|(index, _)| middle(*index) <= bound);
        self.zero + within.map(|(_, count)| count).sum::<u64>()
    }
}

/// The point of a bucket whose relative distance to both ends is the same.
fn middle(index: i32) -> f64 {
    let (low, high) = (upper_bound(index - 1), upper_bound(index));
    2.0 * low * high / (low + high)
}

#[cfg(test)]
mod tests;
