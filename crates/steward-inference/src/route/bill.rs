//! The money side of one upstream request: reserved before it leaves, then settled or given back, exactly once.
//!
//! Also when the caller goes away: what is still open when a bill is dropped is closed in the background.

use std::sync::Arc;

use steward_domain::clock::Timestamp;
use steward_domain::meter::SettledCall;
use steward_domain::model::Caller;
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};
use tokio::runtime::Handle;

use super::Shared;
use crate::wait::ms_since;

/// What a caller's going away is called in the ledger.
const CANCELLED: &str = "cancelled";

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
    pub(crate) route: String,
    pub(crate) target: Arc<str>,
    /// When the call came in.
    pub(crate) started_at: Timestamp,
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
            route: &self.route,
            target: &self.target,
            usage,
            source,
            status: &status,
            first_token_ms,
            total_ms: ms_since(self.shared.clock.now(), self.started_at),
        };
        self.shared.meter.settle(call).await
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        if matches!(self.state, BillState::Closed) {
            return;
        }
        let state = std::mem::replace(&mut self.state, BillState::Closed);
        let task = self.parts.clone().finish(state, CANCELLED.to_owned());
        match Handle::try_current() {
            Ok(handle) => drop(self.parts.shared.tracker.spawn_on(task, &handle)),
            Err(_) => tracing::error!(target = %self.parts.target, "a call was dropped outside of the runtime and is not booked"),
        }
    }
}
