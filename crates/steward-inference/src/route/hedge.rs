//! The second attempt at a late answer: the first content wins, the other attempt is cancelled and its cost recorded.
//!
//! Off unless a route asks for it; within the budget of the late target; never waits for a place.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{Either, select};

use super::bill::{Bill, Race};
use super::call::{Call, Guest, Opened, Winner};
use super::launch::{Crashed, Launch};
use crate::explain::Cause;
use crate::health::Permit;
use crate::tables::Target;
use crate::wait::{ms_since, within};

/// What a lost race is called in the decision record.
const LOST: &str = "cancelled: the other attempt was quicker";

impl Call {
    /// Sends a request, and a second one if the first is later than the target's own 95th percentile.
    pub(crate) async fn race(&mut self, guest: &mut Guest, mut launch: Launch) -> Result<Winner, Box<Crashed>> {
        let shared = Arc::clone(&self.shared);
        let late_after = self
            .plan
            .hedge
            .zip(guest.target.health.meters.ttft_p95())
            .map(|(hedge, p95)| p95.max(hedge.min_delay));
        let Some(late_after) = late_after else {
            return launch.fly(&shared).await.map(Winner::Own);
        };
        let race = self.race_of(&mut launch.bill);
        let begun_at = shared.clock.now();
        let mut own = pin!(launch.fly(&shared));
        if let Some(result) = within(&*shared.clock, late_after, &mut own).await {
            return result.map(Winner::Own);
        }
        let Some((permit, second)) = self.second(guest).await else {
            return own.await.map(Winner::Own);
        };
        let (index, second_race) = (second.index, second.bill.race());
        race.store(true, Ordering::Release);
        let other_begun_at = shared.clock.now();
        let other = pin!(second.fly(&shared));
        match select(own, other).await {
            Either::Left((Ok(arrived), _)) => {
                race.store(false, Ordering::Release);
                self.note_lost(index, ms_since(shared.clock.now(), other_begun_at));
                Ok(Winner::Own(arrived))
            }
            Either::Right((Ok(arrived), _)) => {
                stop(second_race.as_ref());
                self.note_lost(guest.index, ms_since(shared.clock.now(), begun_at));
                Ok(Winner::Hedge(Opened { permit, arrived }))
            }
            Either::Left((Err(crashed), other)) => match other.await {
                Ok(arrived) => {
                    stop(second_race.as_ref());
                    self.note_failure(&crashed);
                    self.blame(&guest.permit, &crashed);
                    guest.bill = crashed.bill;
                    Ok(Winner::Hedge(Opened { permit, arrived }))
                }
                Err(other) => {
                    self.bury(&permit, *other).await;
                    Err(crashed)
                }
            },
            Either::Right((Err(other), own)) => {
                race.store(false, Ordering::Release);
                self.bury(&permit, *other).await;
                own.await.map(Winner::Own)
            }
        }
    }

    /// The second attempt, on the next target that can take it at once, else on the same.
    async fn second(&mut self, guest: &Guest) -> Option<(Permit, Launch)> {
        let hedge = self.plan.hedge?;
        let late = Arc::clone(&guest.target.health);
        let mut candidates = self.order[self.next.min(self.order.len())..].to_vec();
        candidates.push(guest.index);
        for index in candidates {
            let target = Arc::clone(&self.plan.targets[usize::from(index)]);
            let Some((permit, key_and_slot)) = self.leave_for_second(&target) else {
                continue;
            };
            if !late.budget.take_hedge(hedge.budget, self.shared.clock.now()) {
                return None;
            }
            // No budget for it is no reason to fail the call.
            let mut bill = self.reserve(&target).await.ok()?;
            self.race_of(&mut bill).store(true, Ordering::Release);
            return match self.launch((index, &target), key_and_slot, bill) {
                Ok(launch) => Some((permit, launch)),
                Err(crashed) => {
                    self.bury(&permit, *crashed).await;
                    None
                }
            };
        }
        None
    }

    fn leave_for_second(&mut self, target: &Arc<Target>) -> Option<(Permit, KeyAndSlot)> {
        if self.needs.gap(&target.known).is_some() {
            return None;
        }
        let permit = target.health.admit(&self.plan.breaker, self.shared.clock.now())?;
        Some((permit, self.seat_now(target)?))
    }

    fn race_of(&self, bill: &mut Bill) -> Race {
        let race = Arc::new(AtomicBool::new(false));
        bill.enter_race(Arc::clone(&race), self.input_tokens);
        race
    }

    fn note_lost(&self, index: u16, ms: u64) {
        self.record.lost(index, Cause::Words(LOST.to_owned()), ms);
    }

    /// The second attempt failed by itself: noted, and closed.
    async fn bury(&mut self, permit: &Permit, crashed: Crashed) {
        self.note_failure(&crashed);
        self.blame(permit, &crashed);
        if let Some(bill) = crashed.bill {
            bill.close("unused").await;
        }
    }
}

type KeyAndSlot = (Option<Arc<crate::keys::ProviderKey>>, crate::balance::lane::Slot);

/// It has won: what becomes of it now is no lost race.
fn stop(race: Option<&Race>) {
    if let Some(race) = race {
        race.store(false, Ordering::Release);
    }
}
