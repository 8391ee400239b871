//! The money side of one upstream request: reserved before it leaves, then settled or given back, exactly once.
//!
//! Also when the caller goes away: what is still open when a bill is dropped is closed in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use steward_domain::clock::Timestamp;
use steward_domain::meter::SettledCall;
use steward_domain::model::Caller;
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};
use tokio::runtime::Handle;

use super::Shared;
use crate::tables::Plan;
use crate::wait::ms_since;

/// What a caller's going away is called in the ledger.
const CANCELLED: &str = "cancelled";

/// What losing to a second attempt is called in the ledger.
const LOST: &str = "hedge_lost";

/// Is true while two attempts race: whoever is dropped then has lost, and is booked so.
pub(crate) type Race = Arc<AtomicBool>;

/// A reservation on the way to its settlement.
pub(crate) struct Bill {
    parts: BillParts,
    state: BillState,
}

/// What a bill is about.
#[derive(Clone)]
pub(crate) struct BillParts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) route: Arc<Plan>,
    pub(crate) target: Arc<str>,
    /// When the call came in.
    pub(crate) started_at: Timestamp,
    /// The race it is in, with the tokens that were sent.
    pub(crate) race: Option<(Race, u64)>,
}

enum BillState {
    /// Reserved, nothing used as far as is known.
    Reserved,
    /// Reserved, and this much was used if it ends now.
    Used {
        usage: Usage,
        source: UsageSource,
        first_token_ms: Option<u64>,
    },
    /// Settled or given back.
    Closed,
}

impl Bill {
    /// A bill over a reservation that was just made.
    pub(crate) fn reserved(parts: BillParts) -> Self {
        Bill {
            parts,
            state: BillState::Reserved,
        }
    }

    /// From now on it counts as lost when it is dropped while `race` says so.
    pub(crate) fn enter_race(&mut self, race: Race, input_tokens: u64) {
        self.parts.race = Some((race, input_tokens));
    }

    /// The race it is in.
    pub(crate) fn race(&self) -> Option<Race> {
        self.parts.race.as_ref().map(|(race, _)| Arc::clone(race))
    }

    /// Notes what was used, should the bill be dropped without a word.
    pub(crate) fn note(&mut self, usage: Usage, source: UsageSource, first_token_ms: Option<u64>) {
        self.state = BillState::Used {
            usage,
            source,
            first_token_ms,
        };
    }

    /// Books what was noted and gives the exact cost; where nothing was noted, gives the reservation back.
    pub(crate) async fn close(mut self, status: &str) -> Usd {
        let state = std::mem::replace(&mut self.state, BillState::Closed);
        let task = self.parts.clone().finish(state, status.to_owned());
        // A task of its own, so that a caller who goes away in the middle does not stop the booking.
        match self.parts.shared.tracker.spawn(task).await {
            Ok(cost) => cost,
            Err(error) => {
                tracing::error!(target = %self.parts.target, %error, "a call could not be booked");
                Usd::ZERO
            }
        }
    }
}

impl BillParts {
    /// The tokens that were sent by an attempt that is losing its race.
    fn lost_tokens(&self) -> Option<u64> {
        let (race, input_tokens) = self.race.as_ref()?;
        race.load(Ordering::Acquire).then_some(*input_tokens)
    }

    async fn finish(self, state: BillState, status: String) -> Usd {
        let (usage, source, first_token_ms) = match state {
            BillState::Used {
                usage,
                source,
                first_token_ms,
            } => (usage, source, first_token_ms),
            BillState::Reserved => {
                self.shared.meter.release(&self.caller, &self.target).await;
                return Usd::ZERO;
            }
            BillState::Closed => return Usd::ZERO,
        };
        let call = SettledCall {
            caller: &self.caller,
            route: &self.route.name,
            target: &self.target,
            usage,
            source,
            status: &status,
            first_token_ms,
            total_ms: ms_since(self.shared.clock.now(), self.started_at),
        };
        let cost = self.shared.meter.settle(call).await;
        if let Some(series) = self.route.series_of(&self.target, &self.caller) {
            series.booked(&usage, cost);
        }
        cost
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        if matches!(self.state, BillState::Closed) {
            return;
        }
        let mut state = std::mem::replace(&mut self.state, BillState::Closed);
        let mut status = CANCELLED;
        if let Some(input) = self.parts.lost_tokens() {
            status = LOST;
            // It was sent: the provider has read it, whether its answer had begun or not.
            if matches!(state, BillState::Reserved) {
                state = BillState::Used {
                    usage: Usage { input, ..Usage::default() },
                    source: UsageSource::Estimated,
                    first_token_ms: None,
                };
            }
        }
        let task = self.parts.clone().finish(state, status.to_owned());
        match Handle::try_current() {
            Ok(handle) => drop(self.parts.shared.tracker.spawn_on(task, &handle)),
            Err(_) => tracing::error!(target = %self.parts.target, "a call was dropped outside of the runtime and is not booked"),
        }
    }
}
