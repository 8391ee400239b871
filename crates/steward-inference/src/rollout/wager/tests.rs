use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Wager;

/// How many of 1,000 wagers on coins of this mean payoff ever refute, over 5,000 looks each.
fn refuted(mean: f64) -> usize {
    let ever_refutes = |seed: u64| {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut wager = Wager::default();
        (0..5_000).any(|_| {
            let is_gain = rng.random_bool(0.5 + mean / 2.0);
            wager.bet(if is_gain { 1.0 } else { -1.0 }, 1.0);
            wager.refutes(0.05)
        })
    };
    (0..1_000).filter(|seed| ever_refutes(*seed)).count()
}

#[test]
fn a_true_claim_is_refuted_no_oftener_than_stated_however_often_one_looks() {
    assert!(refuted(0.0) <= 65, "{} of 1000", refuted(0.0));
}

#[test]
fn a_false_claim_is_refuted() {
    assert_eq!(refuted(0.15), 1_000);
}
