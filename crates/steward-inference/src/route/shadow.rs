//! Copies of calls for a candidate that is only watched: sent when the answer has been given, compared with it, never shown.
//!
//! A copy is Steward's own call: its cost is the experiment's, under the route's name with `/shadow`, and no caller's budget pays for it.

use std::sync::Arc;

use futures_util::StreamExt;
use steward_domain::clock::Timestamp;
use steward_domain::id::RequestId;
use steward_domain::model::{Caller, ModelEvent, ModelRequest};
use steward_domain::principal::Principal;

use super::Shared;
use super::attend::{Stopwatch, is_callers_own};
use super::rollouts::Running;
use crate::rollout::parity::{Answer, Parity};
use crate::rollout::{Arm, Observation};
use crate::tables::Plan;

/// Copies of all routes that are under way at once; past that a call has none.
pub(crate) const COPIES: usize = 32;

/// A copy that waits for the answer it will be compared with.
pub(crate) struct Shadow {
    pub(crate) shared: Arc<Shared>,
    pub(crate) running: Arc<Running>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) request: ModelRequest,
    pub(crate) original: RequestId,
}

impl Shadow {
    /// Sends the copy in the background. `shown` is the answer that was given, `seen` what it took.
    pub(crate) fn send(self, shown: Answer, mut seen: Observation) {
        let Ok(place) = Arc::clone(&self.shared.copies).try_acquire_owned() else {
            tracing::debug!(route.name = %self.plan.name, "too many copies are under way; this call has none");
            return;
        };
        let tracker = self.shared.tracker.clone();
        tracker.spawn(async move {
            let _place = place;
            // The answer that was shown is at par with itself.
            seen.is_good = Some(true);
            self.shared.observed(&self.running, Arm::Incumbent, &seen, &self.original);
            self.run(shown).await;
        });
    }

    async fn run(self, shown: Answer) {
        let id = RequestId::from_text(format!("{}.shadow", self.original));
        let caller = Caller::new(Principal::System, id.clone());
        let mut request = self.request.clone();
        request.model.clone_from(&self.plan.name);
        let mut stopwatch = Stopwatch::start(self.now());
        let mut copy = Answer::default();
        let mut events = self.shared.call(Arc::clone(&self.plan), request, caller);
        while let Some(event) = events.next().await {
            stopwatch.take(&event, || self.now());
            copy.take(&event);
            if let ModelEvent::Failed(error) = &event
                && is_callers_own(error.kind)
            {
                return;
            }
        }
        let mut seen = stopwatch.observation();
        if seen.is_ok {
            let parity = Parity::of(&self.request, &shown, &copy);
            tracing::debug!(route.name = %self.plan.name, request.id = %self.original, ?parity, "a copy was compared");
            seen.is_good = Some(parity.is_good());
        }
        self.shared.observed(&self.running, Arm::Candidate, &seen, &id);
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}
