//! What a person may order of a rollout: shift, promote, hold, resume, roll back. Each leaves a record with who and why.

use steward_domain::clock::Timestamp;

use super::{Action, Phase, Rollout, RolloutEvent};
use crate::config::rollout::RolloutKind;

/// An order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Gives the candidate this share at once; a canary goes on from there, a bandit stays there.
    Shift(f64),
    /// The candidate takes over at once; running calls end where they are.
    Promote,
    /// It stays where it is. A candidate that breaks a gate still goes.
    Hold,
    /// It goes on by itself.
    Resume,
    /// The candidate is out at once; running calls end where they are.
    Rollback,
}

/// Why an order cannot be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// The share is none.
    #[error("a share is between 0 and 1, not {0}")]
    NoShare(f64),
    /// A blue-green rollout switches as a whole.
    #[error("a blue-green rollout switches as a whole: its share is 0 or 1, not {0}")]
    Whole(f64),
    /// It is over, so there is nothing to hold or resume.
    #[error("the rollout is over ({0}); shift or promote begins a new one")]
    Over(&'static str),
}

impl Rollout {
    /// Follows an order. Both words are for the record.
    ///
    /// # Errors
    /// The order makes no sense for this rollout as it stands; nothing has changed.
    pub fn order(&mut self, order: Order, who: &str, why: &str, now: Timestamp) -> Result<RolloutEvent, OrderError> {
        let said = (who, why);
        match order {
            Order::Shift(share) => self.shift(share, said, now),
            Order::Promote => Ok(self.enter((Phase::Promoted, 1.0), Action::Promote, said, now)),
            Order::Rollback => Ok(self.enter((Phase::RolledBack, 0.0), Action::Rollback, said, now)),
            Order::Hold => {
                self.must_run()?;
                self.state.phase = Phase::Held;
                Ok(self.note(Action::Hold, said, self.state.share, now))
            }
            Order::Resume => {
                self.must_run()?;
                self.state.phase = Phase::Running;
                Ok(self.note(Action::Resume, said, self.state.share, now))
            }
        }
    }

    fn shift(&mut self, share: f64, said: (&str, &str), now: Timestamp) -> Result<RolloutEvent, OrderError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(OrderError::NoShare(share));
        }
        let is_copying = self.config.kind == RolloutKind::Shadow;
        let phase = match self.config.kind {
            RolloutKind::BlueGreen if share > 0.0 && share < 1.0 => return Err(OrderError::Whole(share)),
            RolloutKind::ChampionChallenger => Phase::Held,
            RolloutKind::BlueGreen | RolloutKind::Canary | RolloutKind::Shadow => Phase::Running,
        };
        let phase = if share <= 0.0 {
            Phase::RolledBack
        } else if share >= 1.0 && !is_copying {
            Phase::Promoted
        } else {
            phase
        };
        let event = self.enter((phase, share), Action::Shift, said, now);
        self.sticky.forget();
        Ok(event)
    }

    fn must_run(&self) -> Result<(), OrderError> {
        match self.state.phase {
            Phase::Running | Phase::Held => Ok(()),
            Phase::Promoted => Err(OrderError::Over("promoted")),
            Phase::RolledBack => Err(OrderError::Over("rolled back")),
        }
    }
}
