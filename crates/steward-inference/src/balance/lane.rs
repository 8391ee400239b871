//! The lane to one target with one key: its window, and the queue of those who wait for room in it.
//!
//! A place that falls free goes to whoever waits longest in turn, never past the queue. Places come back by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use steward_domain::clock::Clock;
use steward_domain::principal::Principal;

use super::queue::FairQueue;
use super::window::{Verdict, Window};
use crate::config::CongestionConfig;
use crate::wait::within;

/// A lane.
#[derive(Debug)]
pub(crate) struct Lane {
    window: Window,
    queue: FairQueue<Slot>,
    /// How many wait; read without the queue's lock.
    waiting: AtomicUsize,
}

/// A place in a window, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    /// `None` once it was given back.
    lane: Option<Arc<Lane>>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// As many wait as may.
    QueueIsFull,
    /// The wait was too long.
    TooLong,
}

impl Lane {
    pub(crate) fn new(config: &CongestionConfig) -> Self {
        Lane {
            window: Window::new(config),
            queue: FairQueue::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Requests allowed at once.
    pub(crate) fn limit(&self) -> u32 {
        self.window.limit()
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> u32 {
        self.window.in_flight()
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// A place, if there is one and nobody waits for it.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Slot> {
        let may_enter = self.waiting() == 0 && self.window.try_enter();
        may_enter.then(|| Slot::of(self))
    }

    /// Waits for a place. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// The queue is full, or the wait takes too long.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        principal: &Principal,
        config: &CongestionConfig,
        limit: std::time::Duration,
        clock: &dyn Clock,
    ) -> Result<Slot, NoSlot> {
        let ticket = self.queue.join(principal, config.queue as usize).ok_or(NoSlot::QueueIsFull)?;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let seat = Seat {
            lane: self,
            principal,
            number: ticket.number,
        };
        // A place may have come free before the queue was joined.
        self.serve();
        let slot = within(clock, limit, ticket.turn).await;
        drop(seat);
        match slot {
            Some(Ok(slot)) => Ok(slot),
            Some(Err(_)) | None => Err(NoSlot::TooLong),
        }
    }

    /// Hands free places to those who wait.
    fn serve(self: &Arc<Self>) {
        while self.waiting() > 0 && self.window.try_enter() {
            match self.queue.pop() {
                Some(turn) => {
                    if let Err(mut unwanted) = turn.send(Slot::of(self)) {
                        unwanted.give_back();
                    }
                }
                None => {
                    self.window.leave();
                    // Who joined while this place was held may have found the window full.
                    if self.queue.len() == 0 {
                        return;
                    }
                }
            }
        }
    }
}

impl Slot {
    /// Tells the window how the request went.
    pub(crate) fn learn(&self, verdict: Verdict, sent_us: i64, now_us: i64, config: &CongestionConfig) {
        if let Some(lane) = &self.lane {
            lane.window.learn(verdict, sent_us, now_us, config);
        }
    }

    fn of(lane: &Arc<Lane>) -> Self {
        Slot {
            lane: Some(Arc::clone(lane)),
        }
    }

    /// Leaves the window without a look at the queue.
    fn give_back(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.window.leave();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.window.leave();
            if lane.waiting() > 0 {
                lane.serve();
            }
        }
    }
}

/// Someone in the queue.
struct Seat<'a> {
    lane: &'a Arc<Lane>,
    principal: &'a Principal,
    number: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.lane.queue.leave(self.principal, self.number);
        self.lane.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
