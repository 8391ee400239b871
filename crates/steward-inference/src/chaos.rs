//! Drills: what goes wrong upstream, on purpose, on one route and for a bounded time.
//!
//! Off, it costs one relaxed load for each call and each attempt. A drill ends by its time, by being stopped, or when nobody
//! watches it any more; then nothing it drew before strikes either. It never touches a route other than its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steward_domain::clock::{Clock, Timestamp};
use steward_domain::model::{ModelError, ModelErrorKind};

use crate::wait::{after, since};

mod report;
mod sight;

pub use report::{ChaosReport, Percentiles};
pub(crate) use sight::watched;

use report::Sightings;

/// No drill is longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// No injected latency is longer.
const SLOWEST: Duration = Duration::from_secs(60);

/// Nobody has asked for this long: whoever began the drill is gone.
const LEASE: Duration = Duration::from_secs(10);

/// What shall go wrong. Shares are of upstream requests, from 0 to 1, and come to 1 at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
// What is taken may leave fields out and what is given has them all: two shapes, so it has no name of its own in the description.
#[schemars(inline)]
pub struct ChaosPlan {
    /// The route, or a `provider/model` that is asked for by name.
    pub route: String,
    /// Share that is answered with status 500.
    pub errors: f64,
    /// Share that is answered with status 429.
    pub rate_limit: f64,
    /// Share whose host's name is not found.
    pub dns: f64,
    /// Share whose answer breaks off.
    pub cut: f64,
    /// Share whose answer holds a piece that no dialect has.
    pub garble: f64,
    /// Every upstream request is sent this much later, in milliseconds.
    pub latency_ms: u64,
    /// The drill ends after this, in milliseconds.
    pub for_ms: u64,
}

impl ChaosPlan {
    fn check(&self) -> Result<(), String> {
        let shares = self.shares();
        if shares.iter().any(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err("each share must be from 0 to 1".to_owned());
        }
        if shares.iter().map(|(_, share)| share).sum::<f64>() > 1.0 {
            return Err("the shares together must not be above 1".to_owned());
        }
        if self.latency_ms > as_ms(SLOWEST) {
            return Err(format!("latency must not be above {SLOWEST:?}"));
        }
        if self.for_ms == 0 || self.for_ms > as_ms(LONGEST) {
            return Err(format!("a drill must last for more than nothing and at most {LONGEST:?}"));
        }
        let is_nothing = self.latency_ms == 0 && shares.iter().all(|(_, share)| *share == 0.0);
        if is_nothing {
            return Err("nothing would go wrong: give a share or a latency".to_owned());
        }
        Ok(())
    }

    fn shares(&self) -> [(Injection, f64); 5] {
        [
            (Injection::Dns, self.dns),
            (Injection::Error, self.errors),
            (Injection::RateLimit, self.rate_limit),
            (Injection::Cut, self.cut),
            (Injection::Garble, self.garble),
        ]
    }

    /// What befalls a request whose lot is `point`, from 0 to 1.
    fn injection_at(&self, point: f64) -> Option<Injection> {
        let mut passed = 0.0;
        self.shares().into_iter().find_map(|(injection, share)| {
            passed += share;
            (point < passed).then_some(injection)
        })
    }
}

/// What can be done to one upstream request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Injection {
    Dns,
    Error,
    RateLimit,
    Cut,
    Garble,
    Latency,
}

impl Injection {
    fn name(self) -> &'static str {
        match self {
            Injection::Dns => "dns",
            Injection::Error => "errors",
            Injection::RateLimit => "rate_limit",
            Injection::Cut => "cut",
            Injection::Garble => "garble",
            Injection::Latency => "latency",
        }
    }
}

/// Why there is no drill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChaosError {
    /// The plan cannot be meant.
    #[error("{0}")]
    Plan(String),
    /// One goes on already.
    #[error("a drill of route {0} goes on already; it must end first")]
    Busy(String),
    /// There is no such drill.
    #[error("there is no such drill")]
    Unknown,
}

/// The one drill of the process, if there is one, and the report of the last.
#[derive(Default)]
pub(crate) struct Chaos {
    is_on: AtomicBool,
    drill: Mutex<Option<Arc<Drill>>>,
}

impl Chaos {
    /// May a drill go on?
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Begins a drill and gives its name.
    pub(crate) fn start(&self, plan: ChaosPlan, clock: &Arc<dyn Clock>) -> Result<String, ChaosError> {
        plan.check().map_err(ChaosError::Plan)?;
        let mut place = self.lock();
        if let Some(drill) = place.as_ref().filter(|drill| drill.is_active()) {
            return Err(ChaosError::Busy(drill.plan.route.clone()));
        }
        let now = clock.now();
        let drill = Arc::new(Drill {
            id: format!("drill-{:08x}", rand::rng().random::<u32>()),
            ends_at: after(now, Duration::from_millis(plan.for_ms)),
            begun_at: now,
            clock: Arc::clone(clock),
            plan,
            state: Mutex::new(DrillState {
                watched_at: now,
                ended_at: None,
                injected: BTreeMap::new(),
                sightings: Sightings::default(),
            }),
        });
        let id = drill.id.clone();
        *place = Some(drill);
        self.is_on.store(true, Ordering::Relaxed);
        Ok(id)
    }

    /// What callers have seen so far. Whoever asks keeps the drill alive.
    pub(crate) fn watch(&self, id: &str) -> Result<ChaosReport, ChaosError> {
        let drill = self.find(id)?;
        if drill.is_active() {
            drill.lock().watched_at = drill.clock.now();
        }
        Ok(drill.report())
    }

    /// What callers saw of the last drill; does not keep it alive.
    pub(crate) fn last(&self) -> Option<ChaosReport> {
        let drill = self.lock().as_ref().map(Arc::clone)?;
        Some(drill.report())
    }

    /// Ends a drill before its time.
    pub(crate) fn stop(&self, id: &str) -> Result<ChaosReport, ChaosError> {
        let drill = self.find(id)?;
        if drill.is_active() {
            drill.lock().ended_at = Some(drill.clock.now());
        }
        self.is_on.store(false, Ordering::Relaxed);
        Ok(drill.report())
    }

    /// The drill of a route. One that is over is put away.
    pub(crate) fn of(&self, route: &str) -> Option<Arc<Drill>> {
        let place = self.lock();
        let drill = place.as_ref()?;
        if !drill.is_active() {
            self.is_on.store(false, Ordering::Relaxed);
            return None;
        }
        (drill.plan.route == route).then(|| Arc::clone(drill))
    }

    /// What befalls one upstream request of a route: late, refused before it is sent, or with a fault in its answer.
    ///
    /// # Errors
    /// The error that the provider would have given.
    pub(crate) async fn strike(&self, route: &str) -> Result<Option<Fault>, ModelError> {
        let Some(drill) = self.of(route) else { return Ok(None) };
        if drill.plan.latency_ms > 0 {
            drill.count(Injection::Latency);
            drill.clock.sleep(Duration::from_millis(drill.plan.latency_ms)).await;
        }
        let point = rand::rng().random_range(0.0..1.0);
        let Some(injection) = drill.plan.injection_at(point) else {
            return Ok(None);
        };
        let refused = |kind, status, message: &str| {
            drill.count(injection);
            let mut error = ModelError::new(kind, format!("drill: {message}"));
            error.status = status;
            Err(error)
        };
        match injection {
            Injection::Dns => refused(ModelErrorKind::Network, None, "the name of the host was not found"),
            Injection::Error => refused(ModelErrorKind::Server, Some(500), "the provider failed"),
            Injection::RateLimit => refused(ModelErrorKind::RateLimited, Some(429), "too many requests"),
            Injection::Latency => Ok(None),
            Injection::Cut | Injection::Garble => {
                // Half of the faults come before the first content, where a fallback can still help.
                let pieces = if rand::rng().random_bool(0.5) {
                    0
                } else {
                    rand::rng().random_range(1..=3)
                };
                Ok(Some(Fault { drill, injection, pieces }))
            }
        }
    }

    fn find(&self, id: &str) -> Result<Arc<Drill>, ChaosError> {
        let place = self.lock();
        let drill = place.as_ref().filter(|drill| drill.id == id);
        drill.map(Arc::clone).ok_or(ChaosError::Unknown)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Drill>>> {
        self.drill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One drill.
pub(crate) struct Drill {
    id: String,
    plan: ChaosPlan,
    clock: Arc<dyn Clock>,
    begun_at: Timestamp,
    ends_at: Timestamp,
    state: Mutex<DrillState>,
}

struct DrillState {
    watched_at: Timestamp,
    ended_at: Option<Timestamp>,
    injected: BTreeMap<&'static str, u64>,
    sightings: Sightings,
}

impl Drill {
    fn is_active(&self) -> bool {
        self.end().is_none()
    }

    /// When and why it ended; `None` while it goes on.
    fn end(&self) -> Option<(Timestamp, &'static str)> {
        let now = self.clock.now();
        let state = self.lock();
        let abandoned_at = after(state.watched_at, LEASE);
        match state.ended_at {
            Some(at) => Some((at, "stopped")),
            None if now >= self.ends_at && self.ends_at <= abandoned_at => Some((self.ends_at, "time")),
            None if now >= abandoned_at => Some((abandoned_at, "abandoned")),
            None if now >= self.ends_at => Some((self.ends_at, "time")),
            None => None,
        }
    }

    fn count(&self, injection: Injection) {
        *self.lock().injected.entry(injection.name()).or_default() += 1;
    }

    pub(crate) fn saw(&self, sighting: &report::Sighting) {
        self.lock().sightings.add(sighting);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn report(&self) -> ChaosReport {
        let end = self.end();
        let until = end.map_or_else(|| self.clock.now(), |(at, _)| at);
        let state = self.lock();
        ChaosReport {
            id: self.id.clone(),
            plan: self.plan.clone(),
            state: end.map_or("running", |(_, why)| why).to_owned(),
            ran_ms: as_ms(since(until, self.begun_at)),
            injected: state.injected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            ..state.sightings.report()
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, DrillState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault that waits in an answer.
pub(crate) struct Fault {
    drill: Arc<Drill>,
    injection: Injection,
    /// So many pieces of the answer pass first.
    pieces: u32,
}

/// What a fault makes of a piece of an answer.
pub(crate) enum Spoiled {
    /// It passes.
    Passes,
    /// Half of it passes, then the answer ends.
    Cut,
    /// These bytes come before it.
    Garbled(&'static [u8]),
}

impl Fault {
    /// Strikes at its piece, once, unless the drill is over by then.
    pub(crate) fn strike(&mut self) -> Spoiled {
        match self.pieces.checked_sub(1) {
            Some(left) => {
                self.pieces = left;
                return Spoiled::Passes;
            }
            None if !self.drill.is_active() => return Spoiled::Passes,
            None => self.pieces = u32::MAX,
        }
        self.drill.count(self.injection);
        match self.injection {
            Injection::Garble => Spoiled::Garbled(b"data: {\"garbled\n\n"),
            Injection::Cut | Injection::Dns | Injection::Error | Injection::RateLimit | Injection::Latency => Spoiled::Cut,
        }
    }
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
