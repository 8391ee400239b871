//! The rollouts of all routes: one engine each, its state kept in a store, its events told to the log.
//!
//! Decides nothing itself; the engine does. What a person orders is durable before it is answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use steward_domain::clock::Timestamp;
use steward_domain::id::RequestId;

use super::{Router, Shared};
use crate::rollout::order::{Order, OrderError};
use crate::rollout::status::RolloutStatus;
use crate::rollout::{Arm, Observation, Rollout, RolloutEvent, RolloutState, Signal};
use crate::tables::Tables;
use crate::wait::since;

/// What is learnt of calls is stored this often; a crash loses no more than that.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// Answers of which something may still be learnt: two generations of so many.
const ANSWERS: usize = 4_096;

/// Keeps the state of rollouts and the record of what happened to them.
pub trait RolloutStore: Send + Sync {
    /// Every route's state, as it was saved.
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, String>>;
    /// Keeps a route's state in place of the one before, and adds what happened, both or neither.
    fn save(&self, saved: SavedRollout) -> BoxFuture<'_, Result<(), String>>;
}

/// What is to be kept of one route.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedRollout {
    /// The route.
    pub route: String,
    /// Its state, JSON.
    pub state: String,
    /// When.
    pub at: Timestamp,
    /// What happened since, oldest first.
    pub events: Vec<RolloutEvent>,
}

/// Why an order was not followed.
#[derive(Debug, thiserror::Error)]
pub enum OrderFailure {
    /// The route has no rollout, or there is no such route.
    #[error("route {0:?} has no rollout: set routes.{0}.rollout in the configuration")]
    NoRollout(String),
    /// It makes no sense now.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// It holds, but a restart may forget it.
    #[error("the order holds now but could not be stored: {0}")]
    NotStored(String),
}

/// The rollouts of all routes.
#[derive(Default)]
pub(crate) struct Rollouts {
    running: RwLock<BTreeMap<String, Arc<Running>>>,
    saved: Mutex<BTreeMap<String, RolloutState>>,
    store: OnceLock<Arc<dyn RolloutStore>>,
    answers: Mutex<Answers>,
}

/// One route's rollout.
pub(crate) struct Running {
    inner: Mutex<Inner>,
}

struct Inner {
    rollout: Rollout,
    saved_at: Timestamp,
}

/// Which arm gave which answer, of the last few thousand.
#[derive(Default)]
struct Answers {
    young: HashMap<RequestId, (Arc<Running>, Arm)>,
    old: HashMap<RequestId, (Arc<Running>, Arm)>,
}

impl Rollouts {
    /// Follows the tables: a new candidate begins anew, the same one goes on.
    pub(crate) fn follow(&self, tables: &Tables, now: Timestamp) {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = BTreeMap::new();
        for (name, extras) in tables.extras() {
            let Some(trial) = &extras.rollout else { continue };
            let kept = running.get(name).filter(|old| old.lock().rollout.subject() == trial.subject);
            let one = match kept {
                Some(old) => {
                    old.lock().rollout.replace_config(trial.config.clone());
                    Arc::clone(old)
                }
                None => {
                    let rollout = Rollout::new(name, trial.config.clone(), &trial.subject, saved.get(name).cloned(), now);
                    Arc::new(Running {
                        inner: Mutex::new(Inner { rollout, saved_at: now }),
                    })
                }
            };
            next.insert(name.clone(), one);
        }
        *running = next;
    }

    /// The rollout of a route.
    pub(crate) fn of(&self, route: &str) -> Option<Arc<Running>> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).get(route).cloned()
    }

    fn note_answer(&self, request: &RequestId, running: &Arc<Running>, arm: Arm) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.young.len() >= ANSWERS {
            answers.old = std::mem::take(&mut answers.young);
        }
        answers.young.insert(request.clone(), (Arc::clone(running), arm));
    }

    fn answer_of(&self, request: &RequestId) -> Option<(Arc<Running>, Arm)> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.young.get(request).or_else(|| answers.old.get(request)).cloned()
    }
}

impl Running {
    pub(crate) fn choose(&self, session: Option<&str>, now: Timestamp) -> crate::rollout::Choice {
        self.lock().rollout.choose(session, now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What is to be stored now, if anything.
    fn due(&mut self, events: Vec<RolloutEvent>, now: Timestamp) -> Option<SavedRollout> {
        let is_due = !events.is_empty() || since(now, self.saved_at) >= SAVE_EVERY;
        if !is_due {
            return None;
        }
        self.saved_at = now;
        let state = serde_json::to_string(self.rollout.state()).expect("numbers and texts have a form in JSON");
        Some(SavedRollout {
            route: self.rollout.status().route,
            state,
            at: now,
            events,
        })
    }
}

impl Shared {
    /// What became of a call of an arm.
    pub(crate) fn observed(self: &Arc<Self>, running: &Arc<Running>, arm: Arm, seen: &Observation, request: &RequestId) {
        self.rollouts.note_answer(request, running, arm);
        self.tell(running, |rollout, now| rollout.observe(arm, seen, now));
    }

    /// Lets the engine learn something, and stores and tells what it led to.
    fn tell(self: &Arc<Self>, running: &Arc<Running>, learn: impl FnOnce(&mut Rollout, Timestamp) -> Vec<RolloutEvent>) {
        let now = self.clock.now();
        let saved = {
            let mut inner = running.lock();
            let events = learn(&mut inner.rollout, now);
            for event in &events {
                say(event);
            }
            inner.due(events, now)
        };
        let (Some(saved), Some(store)) = (saved, self.rollouts.store.get()) else {
            return;
        };
        let store = Arc::clone(store);
        self.tracker.spawn(async move {
            let route = saved.route.clone();
            if let Err(problem) = store.save(saved).await {
                tracing::error!(route.name = %route, problem, "the rollout of route {route} cannot be stored: {problem}");
            }
        });
    }
}

fn say(event: &RolloutEvent) {
    tracing::info!(
        route.name = %event.route,
        action = event.action.name(),
        who = %event.who,
        share = event.share_after,
        "rollout of route {}: {} by {}: {}",
        event.route,
        event.action.name(),
        event.who,
        event.why
    );
}

impl Router {
    /// Goes on where rollouts were, and keeps them in `store` from now on. Called once, before calls come.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn keep_rollouts(&self, store: Arc<dyn RolloutStore>) -> Result<(), String> {
        let mut states = BTreeMap::new();
        for (route, state) in store.load().await? {
            match serde_json::from_str::<RolloutState>(&state) {
                Ok(state) => drop(states.insert(route, state)),
                Err(error) => tracing::warn!(route.name = %route, %error, "the rollout of route {route} begins anew: {error}"),
            }
        }
        let rollouts = &self.shared.rollouts;
        *rollouts.saved.lock().unwrap_or_else(PoisonError::into_inner) = states;
        rollouts.running.write().unwrap_or_else(PoisonError::into_inner).clear();
        rollouts.follow(&self.tables.load(), self.shared.clock.now());
        // Whoever calls this twice keeps the first store.
        let _ = rollouts.store.set(store);
        Ok(())
    }

    /// A route's rollout as it stands.
    pub fn rollout(&self, route: &str) -> Option<RolloutStatus> {
        Some(self.shared.rollouts.of(route)?.lock().rollout.status())
    }

    /// Follows a person's order, and answers once it is durable.
    ///
    /// # Errors
    /// See [`OrderFailure`].
    pub async fn order(&self, route: &str, order: Order, who: &str, why: &str) -> Result<RolloutEvent, OrderFailure> {
        let no_rollout = || OrderFailure::NoRollout(route.to_owned());
        let running = self.shared.rollouts.of(route).ok_or_else(no_rollout)?;
        let now = self.shared.clock.now();
        let (event, saved) = {
            let mut inner = running.lock();
            let event = inner.rollout.order(order, who, why, now)?;
            let saved = inner.due(vec![event.clone()], now);
            (event, saved)
        };
        say(&event);
        if let (Some(saved), Some(store)) = (saved, self.shared.rollouts.store.get()) {
            store.save(saved).await.map_err(OrderFailure::NotStored)?;
        }
        Ok(event)
    }

    /// Something was learnt of an earlier answer; `false` when it was no answer of a rollout, or too long ago.
    pub fn signal(&self, request: &RequestId, signal: Signal) -> bool {
        let Some((running, arm)) = self.shared.rollouts.answer_of(request) else {
            return false;
        };
        self.shared.tell(&running, |rollout, now| rollout.signal(arm, signal, now));
        true
    }
}
