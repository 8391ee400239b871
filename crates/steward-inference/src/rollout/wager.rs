//! Evidence that may be looked at after every call: the wealth of someone who bets against a claim.
//!
//! The claim is "the mean payoff is at most nothing, whatever came before". A bettor who stakes a fixed part of the wealth each time cannot
//! be expected to gain while the claim holds, and neither can the average of several bettors; by Ville's inequality the wealth ever reaches
//! 1/α with a probability of at most α. So a threshold of 1/α keeps its error rate however often, and whenever, one looks.
//! Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal Statistical Society B 86(1), 2024
//! (arXiv:2010.09686); Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023 (arXiv:2210.01948).

use serde::{Deserialize, Serialize};

/// The part of the largest stake that each bettor lays down: bold ones learn fast of large differences, shy ones survive small ones.
const STAKES: [f64; 8] = [0.95, 0.6, 0.35, 0.2, 0.1, 0.05, 0.025, 0.0125];

/// The wealth of several bettors who began with one each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wager {
    log_wealth: [f64; STAKES.len()],
}

impl Wager {
    /// One more payoff, which is never below `-worst`.
    pub(crate) fn bet(&mut self, payoff: f64, worst: f64) {
        debug_assert!(worst > 0.0 && payoff >= -worst - 1e-9, "a payoff of {payoff} is below -{worst}");
        for (wealth, stake) in self.log_wealth.iter_mut().zip(STAKES) {
            *wealth += (stake / worst * payoff).max(-stake).ln_1p();
        }
    }

    /// The logarithm of the mean wealth.
    pub(crate) fn log_evidence(&self) -> f64 {
        let richest = self.log_wealth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.log_wealth.iter().map(|wealth| (wealth - richest).exp()).sum();
        richest + (sum / STAKES.len() as f64).ln()
    }

    /// Is the claim refuted, with at most this chance of being wrong?
    pub(crate) fn refutes(&self, error_rate: f64) -> bool {
        self.log_evidence() >= -error_rate.ln()
    }
}

#[cfg(test)]
mod tests;
