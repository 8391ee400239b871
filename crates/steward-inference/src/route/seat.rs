//! A key and a place in its window, for one attempt at one target.
//!
//! Waits only where waiting is allowed, and never longer than the call has time.

use std::sync::Arc;
use std::time::Duration;

use steward_domain::model::{ModelError, ModelErrorKind, Retry};

use super::call::Call;
use crate::balance::lane::{Lane, NoSlot, Slot};
use crate::config::{CongestionConfig, WhenFull};
use crate::keys::{Pick, ProviderKey};
use crate::tables::{Place, Target};

/// What a call does that finds a window full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It goes on to the next target.
    Spills,
    /// It waits for its turn.
    Waits,
}

impl Patience {
    pub(crate) fn of(config: &CongestionConfig) -> Self {
        match config.when_full {
            WhenFull::Spill => Patience::Spills,
            WhenFull::Wait => Patience::Waits,
        }
    }
}

/// The outcome of looking for a place.
pub(crate) enum Seat {
    /// Use this key, if one is needed, and this place.
    Taken(Option<Arc<ProviderKey>>, Slot),
    /// Something has changed meanwhile.
    LookAgain,
    /// No place, and waiting is not wanted.
    Full,
    /// There will be none in time, and why.
    None(ModelError),
}

/// The target wants no key.
struct Keyless;

impl Call {
    /// Looks for a key that is ready and has room, and takes a place in its window.
    pub(crate) async fn seat(&self, target: &Arc<Target>, patience: Patience) -> Seat {
        match self.pick_key(target) {
            Err(Keyless) => self.place(target, 0, None, patience).await,
            Ok(Pick::Key(position, key)) => self.place(target, position, Some(key), patience).await,
            Ok(Pick::Full(position)) => {
                let key = key_at(target, position);
                self.place(target, position, key, patience).await
            }
            Ok(Pick::Wait(wait)) if wait <= self.plan.retry.max && wait < self.time_left() => {
                self.shared.clock.sleep(wait).await;
                Seat::LookAgain
            }
            Ok(Pick::Wait(wait)) => Seat::None(cooling(wait)),
            Ok(Pick::None(reason)) => Seat::None(no_key(target, reason)),
        }
    }

    /// A key and a place that can be had at once.
    pub(crate) fn seat_now(&self, target: &Arc<Target>) -> Option<(Option<Arc<ProviderKey>>, Slot)> {
        let (position, key) = match self.pick_key(target) {
            Err(Keyless) => (0, None),
            Ok(Pick::Key(position, key)) => (position, Some(key)),
            Ok(Pick::Full(_) | Pick::Wait(_) | Pick::None(_)) => return None,
        };
        Some((key, target.lanes.get(position)?.enter()?))
    }

    /// Could another key be used at once?
    pub(crate) fn has_ready_key(&self, target: &Target) -> bool {
        matches!(self.pick_key(target), Ok(Pick::Key(..)))
    }

    async fn place(&self, target: &Target, position: usize, key: Option<Arc<ProviderKey>>, patience: Patience) -> Seat {
        let Some(lane) = target.lanes.get(position) else {
            return Seat::None(ModelError::new(ModelErrorKind::Overloaded, "it has no lane"));
        };
        if let Some(slot) = lane.enter() {
            return Seat::Taken(key, slot);
        }
        if patience == Patience::Spills {
            return Seat::Full;
        }
        let config = &self.plan.congestion;
        let limit = config.wait.min(self.time_left());
        match lane.wait(&self.caller.principal, config, limit, &*self.shared.clock).await {
            // A key may have been refused or told to rest while its turn came.
            Ok(slot) if key.as_ref().is_none_or(|key| key.is_ready(self.shared.clock.now())) => Seat::Taken(key, slot),
            Ok(_) => Seat::LookAgain,
            Err(reason) => Seat::None(no_slot(reason, limit)),
        }
    }

    fn pick_key(&self, target: &Target) -> Result<Pick, Keyless> {
        let Place::Http { provider, endpoint } = &target.place else {
            return Err(Keyless);
        };
        if !endpoint.auth.wants_key() {
            return Err(Keyless);
        }
        let queue = |position: usize| target.lanes.get(position).and_then(|lane| queue_of(lane));
        Ok(provider.keys.pick(&self.caller, self.shared.clock.now(), queue))
    }
}

/// How many wait; `None` when there is room.
fn queue_of(lane: &Lane) -> Option<usize> {
    let waiting = lane.waiting();
    let is_full = waiting > 0 || lane.in_flight() >= lane.limit();
    is_full.then_some(waiting)
}

fn key_at(target: &Target, position: usize) -> Option<Arc<ProviderKey>> {
    match &target.place {
        Place::Http { provider, .. } => provider.keys.iter().nth(position).cloned(),
        Place::Local(_) => None,
    }
}

fn no_key(target: &Target, reason: &str) -> ModelError {
    let message = match &target.place {
        Place::Http { provider, .. } if provider.keys.is_empty() => {
            format!("{reason} for provider {}: {}", provider.name, provider.key_hint())
        }
        Place::Http { provider, .. } => format!("{reason} (provider {})", provider.name),
        Place::Local(_) => reason.to_owned(),
    };
    ModelError::new(ModelErrorKind::Auth, message)
}

fn no_slot(reason: NoSlot, limit: Duration) -> ModelError {
    let message = match reason {
        NoSlot::QueueIsFull => "it has as many requests as it takes, and its queue is full".to_owned(),
        NoSlot::TooLong => format!("it had as many requests as it takes for {limit:?}"),
    };
    ModelError::new(ModelErrorKind::Overloaded, message)
}

fn cooling(wait: Duration) -> ModelError {
    let mut error = ModelError::new(
        ModelErrorKind::RateLimited,
        format!("every key is rate limited for another {wait:?}"),
    );
    error.retry = Retry::After(wait);
    error
}
