//! Simulated targets on a clock that the test moves: times with seeded noise, limits, failures, and a log of every request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use steward_domain::clock::{Clock, Timestamp};
use steward_domain::message::{Message, Role};
use steward_domain::model::{Caller, Finish, FinishReason, Model, ModelError, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::principal::Principal;
use steward_domain::usage::{Usage, UsageSource};
use steward_testkit::fake_clock::FakeClock;
use tokio::task::JoinSet;

use super::bench::{Bench, Ledger, caller, tables};

/// A simulated target.
pub(super) struct SimModel {
    clock: FakeClock,
    /// Times are stretched by this, in hundredths.
    pub(super) slowness: AtomicU64,
    /// More at once are refused with 429.
    pub(super) capacity: AtomicU32,
    pub(super) is_broken: AtomicBool,
    in_flight: Arc<AtomicU32>,
    noise: Mutex<StdRng>,
    /// When each request came, and for whom.
    pub(super) log: Mutex<Vec<(Timestamp, String)>>,
}

/// Milliseconds to first content, and for the rest of the answer.
const TTFT_MS: f64 = 300.0;
const REST_MS: f64 = 500.0;
const TOKENS: u64 = 50;

struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl SimModel {
    pub(super) fn new(clock: &FakeClock, seed: u64) -> Arc<Self> {
        Arc::new(SimModel {
            clock: clock.clone(),
            slowness: AtomicU64::new(100),
            capacity: AtomicU32::new(u32::MAX),
            is_broken: AtomicBool::new(false),
            in_flight: Arc::default(),
            noise: Mutex::new(StdRng::seed_from_u64(seed)),
            log: Mutex::default(),
        })
    }

    pub(super) fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Requests that came between two instants.
    pub(super) fn count_between(&self, from: Timestamp, to: Timestamp) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|(at, _)| *at >= from && *at < to).count()
    }

    pub(super) fn slow_down(&self, times: u64) {
        self.slowness.store(times * 100, Ordering::SeqCst);
    }

    /// A time around the usual one; half of them within a fifth of it.
    fn noisy(&self, usual_ms: f64) -> Duration {
        let mut noise = self.noise.lock().unwrap();
        let sum: f64 = (0..12).map(|_| noise.random_range(0.0..1.0)).sum::<f64>() - 6.0;
        let slowness = self.slowness.load(Ordering::SeqCst) as f64 / 100.0;
        Duration::from_secs_f64(usual_ms * slowness * (0.3 * sum).exp() / 1e3)
    }
}

impl Model for SimModel {
    fn stream(&self, _: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent> {
        self.log.lock().unwrap().push((self.clock.now(), caller.principal.to_string()));
        let kind = if self.is_broken.load(Ordering::SeqCst) {
            Some(ModelErrorKind::Server)
        } else if self.in_flight.load(Ordering::SeqCst) >= self.capacity.load(Ordering::SeqCst) {
            Some(ModelErrorKind::RateLimited)
        } else {
            None
        };
        if let Some(kind) = kind {
            return stream::iter([ModelEvent::Failed(ModelError::new(kind, "simulated"))]).boxed();
        }
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let guard = InFlight(Arc::clone(&self.in_flight));
        let (ttft, rest) = (self.noisy(TTFT_MS), self.noisy(REST_MS));
        let clock = self.clock.clone();
        let finish = Finish {
            reason: FinishReason::Stop,
            usage: Usage {
                input: 100,
                output: TOKENS,
                ..Usage::default()
            },
            usage_source: UsageSource::Reported,
            cost: Usd::ZERO,
        };
        let first = {
            let clock = clock.clone();
            async move {
                clock.sleep(ttft).await;
                ModelEvent::Text("word ".into())
            }
        };
        let last = async move {
            clock.sleep(rest).await;
            drop(guard);
            ModelEvent::Finished(Box::new(finish))
        };
        stream::once(first).chain(stream::once(last)).boxed()
    }
}

/// A router over simulated targets `local/a`, `local/b`, ….
pub(super) struct Sim {
    pub(super) bench: Arc<Bench>,
    pub(super) clock: FakeClock,
    pub(super) models: Vec<Arc<SimModel>>,
    arrivals: StdRng,
    calls: JoinSet<Vec<ModelEvent>>,
}

impl Sim {
    /// `route` holds what stands below `[routes.r]` beside its targets.
    pub(super) fn new(count: usize, route: &str) -> Self {
        let clock = FakeClock::default();
        let models: Vec<_> = (0..count).map(|index| SimModel::new(&clock, 7 + index as u64)).collect();
        let bench = Arc::new(Bench::with("", Ledger::default(), Arc::new(clock.clone())));
        let sim = Sim {
            bench,
            clock,
            models,
            arrivals: StdRng::seed_from_u64(1),
            calls: JoinSet::new(),
        };
        sim.replace(&sim.names(), route);
        sim
    }

    pub(super) fn names(&self) -> Vec<String> {
        (0..self.models.len()).map(|index| format!("local/{}", letter(index))).collect()
    }

    /// Puts another set of targets in place.
    pub(super) fn replace(&self, targets: &[String], route: &str) {
        let list: Vec<String> = targets.iter().map(|name| format!("{{ model = \"{name}\" }}")).collect();
        let config = format!("[routes.r]\ntargets = [{}]\n{route}\n", list.join(", "));
        let models: HashMap<String, Arc<dyn Model>> = self
            .models
            .iter()
            .enumerate()
            .map(|(index, model)| (format!("local/{}", letter(index)), Arc::clone(model) as Arc<dyn Model>))
            .collect();
        self.bench.router.replace(tables(&config, models)).unwrap();
    }

    /// One call by someone.
    pub(super) fn call(&mut self, user: &str) {
        let caller = Caller {
            principal: Principal::User(user.into()),
            ..caller()
        };
        self.call_as(caller);
    }

    pub(super) fn call_as(&mut self, caller: Caller) {
        let request = ModelRequest::new("r", vec![Message::text(Role::User, "hello there")]);
        let stream = self.bench.router.stream(request, caller);
        self.calls.spawn(stream.collect());
    }

    /// Calls come by chance, so many a second, for so long.
    pub(super) async fn run(&mut self, per_second: f64, seconds: u64) {
        let until = self.clock.now() + Duration::from_secs(seconds);
        loop {
            let chance: f64 = self.arrivals.random_range(f64::EPSILON..1.0);
            let gap = Duration::from_secs_f64(-chance.ln() / per_second);
            if self.clock.now() + gap >= until {
                let left = until.duration_since(self.clock.now());
                self.clock.advance(Duration::try_from(left).unwrap_or_default()).await;
                return;
            }
            self.clock.advance(gap).await;
            self.call("ana");
        }
    }

    /// Lets everything come to its end and gives the events of each call.
    pub(super) async fn finish(&mut self) -> Vec<Vec<ModelEvent>> {
        let mut ended = Vec::new();
        for _ in 0..600 {
            self.clock.advance(Duration::from_millis(500)).await;
            while let Some(events) = self.calls.try_join_next() {
                ended.push(events.unwrap());
            }
            if self.calls.is_empty() {
                break;
            }
        }
        assert!(self.calls.is_empty(), "{} calls never ended", self.calls.len());
        ended
    }

    /// The share that target `index` had of the requests of the last `seconds`.
    pub(super) fn share(&self, index: usize, seconds: u64) -> f64 {
        let to = self.clock.now();
        let from = to - Duration::from_secs(seconds);
        let counts: Vec<usize> = self.models.iter().map(|model| model.count_between(from, to)).collect();
        counts[index] as f64 / counts.iter().sum::<usize>().max(1) as f64
    }
}

fn letter(index: usize) -> char {
    char::from(b'a' + index as u8)
}

/// Is it whole?
pub(super) fn is_answer(events: &[ModelEvent]) -> bool {
    matches!(events.last(), Some(ModelEvent::Finished(_)))
}
