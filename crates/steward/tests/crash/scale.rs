//! How much is run, and with which random numbers.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The full counts are wanted.
pub(crate) fn is_proof() -> bool {
    env::var_os("STEWARD_PROVE").is_some_and(|value| value == "1")
}

/// A count: from the variable, else the full one in a proof, else the sample.
pub(crate) fn count(variable: &str, sample: usize, full: usize) -> usize {
    let named = env::var(variable).ok().and_then(|text| text.parse().ok());
    named.unwrap_or(if is_proof() { full } else { sample })
}

/// The seed of this run: `STEWARD_SEED`, else from the clock.
pub(crate) fn seed() -> u64 {
    let named = env::var("STEWARD_SEED").ok().and_then(|text| text.parse().ok());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    named.unwrap_or(since.as_secs())
}

/// Random numbers that a seed repeats (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is at least 1.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Up to `longest`.
    pub(crate) fn span(&mut self, longest: Duration) -> Duration {
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros))
    }
}
