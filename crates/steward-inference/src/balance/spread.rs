//! Points that are spread evenly, however many are taken: the reason why shares neither swing nor drift.
//!
//! The n-th point is n times the golden ratio, modulo one. After any n points every interval has had its share of them, off by a
//! few at most; throwing dice would be off by the square root of n. A point is also the seed from which its choice can be recomputed.

use std::sync::atomic::{AtomicU64, Ordering};

/// The golden ratio's fraction, in units of 2⁻⁶⁴.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of evenly spread points.
#[derive(Debug)]
pub(crate) struct Spread {
    turns: AtomicU64,
    phase: u64,
}

impl Spread {
    /// The points of a route, shifted by its name so that routes are not in step.
    pub(crate) fn of(name: &str) -> Self {
        let hashed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Spread {
            turns: AtomicU64::new(0),
            phase: hashed,
        }
    }

    /// The next point; also the seed of a choice.
    pub(crate) fn next(&self) -> u64 {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.phase.wrapping_add(turn.wrapping_mul(GOLDEN))
    }
}

/// The seed as a point in `0..1`.
pub(crate) fn point(seed: u64) -> f64 {
    (seed >> 11) as f64 / (1_u64 << 53) as f64
}

/// A seed that has nothing to do with this one, for the second decision of the same choice.
pub(crate) fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
