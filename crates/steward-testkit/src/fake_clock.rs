//! A clock that tests move by hand.
//!
//! Sleepers wake in the order of their instants. `advance` lets each woken task run before the next one wakes, so a task that
//! sleeps again and again is seen at every one of its instants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use steward_domain::clock::{Clock, Timestamp};
use tokio::sync::oneshot;

/// Turns that the scheduler gets for what a wake sets off, before the next sleeper wakes.
const YIELDS_PER_WAKE: usize = 64;

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct FakeClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    next: u64,
}

impl FakeClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        FakeClock {
            state: Arc::new(Mutex::new(State {
                now,
                sleepers: BTreeMap::new(),
                next: 0,
            })),
        }
    }

    /// Moves time on and wakes, one after the other, whoever is due. Meant for a current-thread runtime.
    pub async fn advance(&self, duration: Duration) {
        let target = later(self.now(), duration);
        let_run().await;
        while self.wake_next(target) {
            let_run().await;
        }
        self.lock().now = target;
    }

    /// Moves time on in one go and wakes all who are due, in order, without letting them run in between.
    pub fn jump(&self, duration: Duration) {
        let target = later(self.now(), duration);
        while self.wake_next(target) {}
        self.lock().now = target;
    }

    /// How many are asleep.
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.values().filter(|sleeper| !sleeper.is_closed()).count()
    }

    /// Resolves once at least `count` are asleep. Gives up after two seconds of real time and tells whether they are.
    pub async fn wait_for_sleepers(&self, count: usize) -> bool {
        for _ in 0..2_000 {
            if self.sleepers() >= count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// Wakes the first who is due by `target`; false when nobody is.
    fn wake_next(&self, target: Timestamp) -> bool {
        let mut state = self.lock();
        let is_due = state.sleepers.first_key_value().is_some_and(|((at, _), _)| *at <= target);
        if !is_due {
            return false;
        }
        if let Some(((at, _), sleeper)) = state.sleepers.pop_first() {
            state.now = state.now.max(at);
            // Whoever slept may be gone, which is its right.
            let _ = sleeper.send(());
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeClock {
    /// Shows 2026-01-01T00:00:00Z.
    fn default() -> Self {
        FakeClock::at(Timestamp::from_second(1_767_225_600).expect("an instant in range"))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// The instant of waking is fixed by this call, not by the first poll.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let at = later(state.now, duration);
        let key = (at, state.next);
        state.next += 1;
        state.sleepers.insert(key, sender);
        Box::pin(async move {
            if receiver.await.is_err() {
                // The clock is gone: nobody will ever move it.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Past the end of time is the end of time.
fn later(from: Timestamp, duration: Duration) -> Timestamp {
    from.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

async fn let_run() {
    for _ in 0..YIELDS_PER_WAKE {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests;
