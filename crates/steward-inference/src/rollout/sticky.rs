//! Which arm a session was given, for as long as it goes on, within a bound.
//!
//! Sessions that have not been seen for two generations are forgotten and are given an arm anew.

use std::collections::HashMap;

use steward_domain::clock::Timestamp;

use super::Arm;
use crate::wait::since;

/// Sessions of one generation; two are kept.
const GENERATION: usize = 32_768;

/// A session is bound to its arm for so long, then follows the share again. Seconds.
const BOUND_FOR_S: u64 = 24 * 3_600;

/// The arms of sessions.
#[derive(Debug, Default)]
pub(crate) struct Sticky {
    young: HashMap<u64, Bound>,
    old: HashMap<u64, Bound>,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    arm: Arm,
    at: Timestamp,
}

impl Sticky {
    /// The arm of a session, which `choose` gives it when it has none.
    pub(crate) fn arm(&mut self, session: u64, now: Timestamp, choose: impl FnOnce() -> Arm) -> Arm {
        if let Some(bound) = self.young.get(&session)
            && bound.holds(now)
        {
            return bound.arm;
        }
        let known = self.old.remove(&session).filter(|bound| bound.holds(now));
        let bound = known.unwrap_or_else(|| Bound { arm: choose(), at: now });
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(session, bound);
        bound.arm
    }

    /// Every session is given an arm anew.
    pub(crate) fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

impl Bound {
    fn holds(&self, now: Timestamp) -> bool {
        since(now, self.at).as_secs() < BOUND_FOR_S
    }
}

/// A number for a session of a route, the same on every start of the program.
pub(crate) fn number_of(route: &str, session: &str) -> u64 {
    // FNV-1a, then mixed: the low bits of FNV alone are not even enough for small shares.
    let bytes = route.bytes().chain([0]).chain(session.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}

/// A well-mixed number (the output function of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number as a point in [0, 1).
pub(crate) fn point(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}
