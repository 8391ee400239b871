//! One owner a session: whoever writes, turns of a session run strictly one after the other.
//!
//! A session has a task only while it has work, so a thousand quiet sessions cost nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steward_domain::id::{SessionId, TurnId};
use tokio_util::sync::CancellationToken;

/// The sessions that have work.
#[derive(Default)]
pub(crate) struct TurnQueues {
    owners: Mutex<HashMap<SessionId, Owner>>,
}

struct Owner {
    is_dirty: bool,
    running: Option<(TurnId, CancellationToken)>,
}

/// Whether the caller must start the session's task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nobody owns the session: start its task.
    Start,
    /// Its task will look again before it ends.
    Noted,
}

impl TurnQueues {
    /// Says that a session has work.
    pub(crate) fn wake(&self, session: &SessionId) -> Wake {
        let mut owners = self.lock();
        if let Some(owner) = owners.get_mut(session) {
            owner.is_dirty = true;
            return Wake::Noted;
        }
        owners.insert(
            session.clone(),
            Owner {
                is_dirty: false,
                running: None,
            },
        );
        Wake::Start
    }

    /// The session's task found nothing to do. True if it may end; false if work came meanwhile.
    pub(crate) fn try_release(&self, session: &SessionId) -> bool {
        let mut owners = self.lock();
        let has_news = owners.get(session).is_some_and(|owner| owner.is_dirty);
        if has_news {
            if let Some(owner) = owners.get_mut(session) {
                owner.is_dirty = false;
            }
            return false;
        }
        owners.remove(session);
        true
    }

    /// Notes which turn runs and gives the token that stops it.
    pub(crate) fn begin(&self, session: &SessionId, turn: &TurnId) -> CancellationToken {
        let stop = CancellationToken::new();
        if let Some(owner) = self.lock().get_mut(session) {
            owner.running = Some((turn.clone(), stop.clone()));
        }
        stop
    }

    /// The turn is over.
    pub(crate) fn end(&self, session: &SessionId) {
        if let Some(owner) = self.lock().get_mut(session) {
            owner.running = None;
        }
    }

    /// Stops a running turn. False if it does not run here.
    pub(crate) fn stop(&self, session: &SessionId, turn: &TurnId) -> bool {
        let owners = self.lock();
        let running = owners.get(session).and_then(|owner| owner.running.as_ref());
        match running {
            Some((id, stop)) if id == turn => {
                stop.cancel();
                true
            }
            Some(_) | None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Owner>> {
        // The map is whole after each statement, so a panic elsewhere does not spoil it.
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the note of a running turn however its run ends.
pub(crate) struct RunningTurn {
    pub(crate) queues: Arc<TurnQueues>,
    pub(crate) session: SessionId,
}

impl Drop for RunningTurn {
    fn drop(&mut self) {
        self.queues.end(&self.session);
    }
}

#[cfg(test)]
mod tests;
