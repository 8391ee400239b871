//! Identical calls of one tenant that are under way at the same time share one upstream request, its stream included.
//!
//! Off unless a route asks for it. Whoever comes late gets what was told so far, then the rest as it comes. The first caller pays.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use sha2::{Digest, Sha256};
use steward_domain::id::RequestId;
use steward_domain::model::{Caller, ModelError, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Record, Shared};
use crate::estimate::estimate_tokens;
use crate::needs::Needs;
use crate::tables::Plan;

type Key = [u8; 32];

/// The calls under way that others may join.
#[derive(Default)]
pub(crate) struct Flights {
    by_key: Mutex<HashMap<Key, Arc<Flight>>>,
}

/// One call that several share.
struct Flight {
    /// The call that is made.
    request: RequestId,
    told: Mutex<Told>,
    more: Notify,
    stop: CancellationToken,
}

#[derive(Default)]
struct Told {
    events: Vec<ModelEvent>,
    is_over: bool,
    /// Those who listen; counted under the lock of the flights.
    riders: usize,
}

/// The one upstream call of all who ask the same at the same time.
pub(crate) fn join(shared: &Arc<Shared>, plan: Arc<Plan>, request: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent> {
    let Some(key) = key_of(&plan, &request, &caller) else {
        return shared.call(plan, request, caller);
    };
    match shared.flights.board(&key, &caller.request) {
        Boarded::First(rider) => {
            let source = shared.call(plan, request, caller);
            let task = rider.flight.clone().lead(Arc::clone(&shared.flights), key, source);
            shared.tracker.spawn(task);
            stream::unfold(rider, |mut rider| async move { Some((rider.next().await?, rider)) }).boxed()
        }
        Boarded::Other(rider) => {
            let follower = Follower {
                shared: Arc::clone(shared),
                plan,
                request,
                caller,
                rider,
            };
            stream::once(follower.stream()).flatten().boxed()
        }
    }
}

enum Boarded {
    First(Rider),
    Other(Rider),
}

impl Flights {
    fn board(self: &Arc<Self>, key: &Key, request: &RequestId) -> Boarded {
        let mut by_key = self.lock();
        if let Some(flight) = by_key.get(key) {
            flight.lock().riders += 1;
            return Boarded::Other(Rider::on(self, flight, *key));
        }
        let flight = Arc::new(Flight {
            request: request.clone(),
            told: Mutex::new(Told {
                riders: 1,
                ..Told::default()
            }),
            more: Notify::new(),
            stop: CancellationToken::new(),
        });
        by_key.insert(*key, Arc::clone(&flight));
        Boarded::First(Rider::on(self, &flight, *key))
    }

    /// From now on nobody boards.
    fn close(&self, key: &Key, flight: &Arc<Flight>) {
        let mut by_key = self.lock();
        if by_key.get(key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            by_key.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Makes the call and tells everyone, until it is over or nobody listens.
    async fn lead(self: Arc<Self>, flights: Arc<Flights>, key: Key, mut source: BoxStream<'static, ModelEvent>) {
        loop {
            let event = tokio::select! {
                event = source.next() => event,
                () = self.stop.cancelled() => None,
            };
            let is_last = event
                .as_ref()
                .is_none_or(|event| matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_)));
            if is_last {
                // Whoever asks from now on asks anew: an answer is shared while it is under way and not after.
                flights.close(&key, &self);
            }
            let mut told = self.lock();
            told.events.extend(event);
            told.is_over = is_last;
            drop(told);
            self.more.notify_waiters();
            if is_last {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Someone who listens to a flight.
struct Rider {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    key: Key,
    position: usize,
}

impl Rider {
    fn on(flights: &Arc<Flights>, flight: &Arc<Flight>, key: Key) -> Self {
        Rider {
            flights: Arc::clone(flights),
            flight: Arc::clone(flight),
            key,
            position: 0,
        }
    }

    /// The next event; `None` after the last.
    async fn next(&mut self) -> Option<ModelEvent> {
        loop {
            let more = self.flight.more.notified();
            {
                let told = self.flight.lock();
                if let Some(event) = told.events.get(self.position) {
                    self.position += 1;
                    return Some(event.clone());
                }
                if told.is_over {
                    return None;
                }
            }
            more.await;
        }
    }
}

impl Drop for Rider {
    /// The last to leave stops the call, so that nothing is spent for nobody.
    fn drop(&mut self) {
        let mut by_key = self.flights.lock();
        let riders = {
            let mut told = self.flight.lock();
            told.riders -= 1;
            told.riders
        };
        if riders == 0 {
            if by_key.get(&self.key).is_some_and(|known| Arc::ptr_eq(known, &self.flight)) {
                by_key.remove(&self.key);
            }
            self.flight.stop.cancel();
        }
    }
}

/// Someone who came while the same was being asked.
struct Follower {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    request: ModelRequest,
    caller: Caller,
    rider: Rider,
}

impl Follower {
    async fn stream(mut self) -> BoxStream<'static, ModelEvent> {
        if let Err(error) = self.check_budget().await {
            return stream::iter([ModelEvent::Failed(error)]).boxed();
        }
        let first = match self.rider.next().await {
            // The first caller's budget is not this caller's.
            Some(ModelEvent::Failed(error)) if error.kind == ModelErrorKind::BudgetExceeded => None,
            first => first,
        };
        let Some(first) = first else {
            return self.shared.call(self.plan, self.request, self.caller);
        };
        self.note();
        let rest = stream::unfold(self.rider, |mut rider| async move { Some((rider.next().await?, rider)) });
        stream::iter([first]).chain(rest).map(for_free).boxed()
    }

    /// Who has nothing left to spend gets nothing, shared or not.
    async fn check_budget(&self) -> Result<(), ModelError> {
        let Some(target) = self.plan.targets.first() else { return Ok(()) };
        let meter = &self.shared.meter;
        let reserved = meter.reserve(&self.request, &self.caller, &target.name).await;
        reserved.map_err(|refusal| ModelError::new(ModelErrorKind::BudgetExceeded, refusal.reason))?;
        meter.release(&self.caller, &target.name).await;
        Ok(())
    }

    fn note(&self) {
        let now = self.shared.clock.now();
        let input_tokens = estimate_tokens(&self.request);
        let needs = Needs::of(&self.request, input_tokens);
        let inputs = self.plan.inputs(input_tokens, now, |target| needs.gap(&target.known).is_none());
        let record = Record::new(&self.plan, needs, now, inputs);
        record.shares(self.rider.flight.request.clone());
        self.shared.records.keep(&self.caller.request, record);
    }
}

/// Who shares an answer pays nothing for it.
fn for_free(event: ModelEvent) -> ModelEvent {
    match event {
        ModelEvent::Finished(mut finish) => {
            finish.cost = Usd::ZERO;
            ModelEvent::Finished(finish)
        }
        other => other,
    }
}

/// What makes two calls the same: the tenant, the agent, whose keys may differ, the route and every word of the request.
fn key_of(plan: &Plan, request: &ModelRequest, caller: &Caller) -> Option<Key> {
    let tenant = caller.tenant();
    let agent = caller.agent.as_ref().map_or("", |agent| agent.as_str());
    let mut digest = Hashing(Sha256::new());
    for part in [tenant.as_str(), agent, plan.name.as_str()] {
        digest.0.update((part.len() as u64).to_le_bytes());
        digest.0.update(part.as_bytes());
    }
    serde_json::to_writer(&mut digest, request).ok()?;
    Some(digest.0.finalize().into())
}

/// Hashes what is written to it.
struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
