//! The router: a [`Model`] made of models. It picks a target, tries again, falls back, and books what was used.
//!
//! Tables are swapped whole; a call ends with the tables it began with.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use steward_domain::clock::Clock;
use steward_domain::id::RequestId;
use steward_domain::meter::Meter;
use steward_domain::model::{Caller, Model, ModelError, ModelErrorKind, ModelEvent, ModelRequest};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::cache::{CacheReport, Caches};
use crate::catalog::Catalog;
use crate::catalog::price::ModelPrice;
use crate::chaos::{self, Chaos, ChaosError, ChaosPlan, ChaosReport};
use crate::config::ConfigError;
use crate::estimate::estimate_tokens;
use crate::explain::{Explanation, Record, Records, Replay};
use crate::measure::{Ending, Measures};
use crate::needs::Needs;
use crate::provider::{ClientError, HttpProvider};
use crate::tables::{Plan, RouterTables, Tables};

mod attend;
mod bill;
mod call;
mod coalesce;
mod continuation;
mod count;
mod embed;
mod hedge;
mod launch;
mod leg;
mod live;
mod measuring;
mod outcome;
mod probe;
mod rollouts;
mod seat;
mod shadow;
mod standing;
mod watch;

pub use count::TokenCount;
pub use embed::EmbedAnswer;
pub use probe::ProviderTest;
pub use rollouts::{OrderFailure, RolloutStore, SavedRollout};
pub use standing::{RouteStanding, TargetStanding};

use call::Call;
use coalesce::Flights;
use live::Live;
use outcome::Failures;
use rollouts::Rollouts;

/// What a router is made of.
pub struct RouterParts {
    /// Providers, routes and local models.
    pub tables: RouterTables,
    /// Counts and bounds the money.
    pub meter: Arc<dyn Meter>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why there is no router.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The tables are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client could not be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Routes calls to targets.
pub struct Router {
    tables: ArcSwap<Tables>,
    shared: Arc<Shared>,
}

/// What calls need for as long as they live.
pub(crate) struct Shared {
    pub(crate) http: HttpProvider,
    pub(crate) meter: Arc<dyn Meter>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tracker: TaskTracker,
    pub(crate) chaos: Chaos,
    pub(crate) measures: Arc<Measures>,
    records: Records,
    flights: Arc<Flights>,
    pub(crate) rollouts: Rollouts,
    pub(crate) caches: Caches,
    /// Places for copies that go to shadows.
    pub(crate) copies: Arc<Semaphore>,
}

impl Router {
    /// A router over the tables.
    ///
    /// # Errors
    /// The tables are wrong, or there can be no HTTP client.
    pub fn new(parts: RouterParts) -> Result<Self, RouterError> {
        let tables = Tables::build(parts.tables, None)?;
        let measures = Arc::clone(&tables.measures);
        measures.tick(parts.clock.now());
        let router = Router {
            tables: ArcSwap::from_pointee(tables),
            shared: Arc::new(Shared {
                http: HttpProvider::new()?,
                meter: parts.meter,
                clock: parts.clock,
                tracker: TaskTracker::new(),
                chaos: Chaos::default(),
                measures,
                records: Records::default(),
                flights: Arc::default(),
                rollouts: Rollouts::default(),
                caches: Caches::default(),
                copies: Arc::new(Semaphore::new(shadow::COPIES)),
            }),
        };
        router.shared.take_extras(&router.tables.load());
        Ok(router)
    }

    /// Puts new tables in place. Running calls end on the old ones; what is known of targets and keys stays known.
    ///
    /// # Errors
    /// The new tables are wrong; then the old ones stay.
    pub fn replace(&self, tables: RouterTables) -> Result<(), ConfigError> {
        let next = Tables::build(tables, Some(&self.tables.load()))?;
        self.shared.take_extras(&next);
        self.tables.store(Arc::new(next));
        Ok(())
    }

    /// What is known of providers and models now.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.tables.load().catalog)
    }

    /// What `provider/model` costs now.
    pub fn price_of(&self, target: &str) -> Option<ModelPrice> {
        self.tables.load().catalog.price_of(target)
    }

    /// Is there such a route, or can such a `provider/model` be asked for?
    pub fn exists(&self, model: &str) -> bool {
        self.tables.load().resolve(model).is_ok()
    }

    /// The smallest context among the targets of a route, or that of a model; `None` when none is known.
    pub fn context_tokens(&self, model: &str) -> Option<u64> {
        let plan = self.tables.load().resolve(model).ok()?;
        plan.targets.iter().filter_map(|target| target.known.context_tokens).min()
    }

    /// The names of the routes.
    pub fn routes(&self) -> Vec<String> {
        self.tables.load().route_names().cloned().collect()
    }

    /// How a call was decided, for the last few thousand calls.
    pub fn explain(&self, request: &RequestId) -> Option<Explanation> {
        self.shared.records.find(request).map(|record| record.explain())
    }

    /// The choice of a call computed again from what was known then, for the last few thousand calls.
    pub fn replay(&self, request: &RequestId) -> Option<Replay> {
        self.shared.records.find(request).map(|record| record.replay())
    }

    /// How a route's cache does; `None` where it has none.
    pub fn cache_report(&self, route: &str) -> Option<CacheReport> {
        Some(self.shared.caches.of(route)?.report())
    }

    /// Resolves when every call that has ended is booked. New calls may still come.
    pub async fn drain(&self) {
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
        self.shared.tracker.reopen();
    }

    /// Begins a drill: what the plan says goes wrong on its route until its time is over, it is stopped, or nobody watches it.
    ///
    /// # Errors
    /// There is no such route, the plan cannot be meant, or a drill goes on already.
    pub fn start_chaos(&self, plan: ChaosPlan) -> Result<String, ChaosError> {
        if let Err(error) = self.tables.load().resolve(&plan.route) {
            return Err(ChaosError::Plan(error.message));
        }
        self.shared.chaos.start(plan, &self.shared.clock)
    }

    /// What callers have seen of a drill so far; asking keeps it alive.
    ///
    /// # Errors
    /// There is no such drill.
    pub fn watch_chaos(&self, id: &str) -> Result<ChaosReport, ChaosError> {
        self.shared.chaos.watch(id)
    }

    /// What callers saw of the last drill since the start of the process.
    pub fn last_chaos(&self) -> Option<ChaosReport> {
        self.shared.chaos.last()
    }

    /// Ends a drill and gives what callers have seen of it.
    ///
    /// # Errors
    /// There is no such drill.
    pub fn stop_chaos(&self, id: &str) -> Result<ChaosReport, ChaosError> {
        self.shared.chaos.stop(id)
    }
}

impl Shared {
    /// Caches and rollouts follow the tables.
    fn take_extras(&self, tables: &Tables) {
        self.rollouts.follow(tables, self.clock.now());
        self.caches.follow(tables);
    }

    /// A call that joins others where its plan says so.
    pub(crate) fn dispatch(self: &Arc<Self>, plan: Arc<Plan>, request: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent> {
        if plan.coalesces {
            return coalesce::join(self, plan, request, caller);
        }
        self.call(plan, request, caller)
    }

    /// Notes the choice of a call and makes it ready to open.
    fn begin(self: &Arc<Self>, plan: Arc<Plan>, request: ModelRequest, caller: Caller) -> Box<Call> {
        let started_at = self.clock.now();
        let span = self.measures.spans.begin(&plan.name, &caller, started_at);
        let input_tokens = estimate_tokens(&request);
        let needs = Needs::of(&request, input_tokens);
        let inputs = plan.inputs(input_tokens, started_at, |target| needs.gap(&target.known).is_none());
        let record = Record::new(&plan, needs, started_at, inputs);
        self.records.keep(&caller.request, record.clone());
        Box::new(Call {
            shared: Arc::clone(self),
            plan,
            request,
            caller: Arc::new(caller),
            needs,
            started_at,
            input_tokens,
            attempts: 0,
            failures: Failures::default(),
            embedding: None,
            order: record.order(),
            next: 0,
            waited: Duration::ZERO,
            left: None,
            span,
            record,
        })
    }

    /// A call of its own.
    pub(crate) fn call(self: &Arc<Self>, plan: Arc<Plan>, request: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent> {
        stream::unfold(Phase::Opening(self.begin(plan, request, caller)), Phase::next).boxed()
    }
}

impl Model for Router {
    fn stream(&self, request: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent> {
        let tables = self.tables.load();
        match tables.resolve(&request.model) {
            Ok(plan) => {
                let drill = if self.shared.chaos.is_on() {
                    self.shared.chaos.of(&plan.name)
                } else {
                    None
                };
                let first_target = drill.as_ref().and(plan.targets.first()).map(|target| Arc::clone(&target.name));
                let events = match tables.extras_of(&plan.name) {
                    Some(extras) => attend::call(&self.shared, Arc::clone(extras), plan, request, caller),
                    None => self.shared.dispatch(plan, request, caller),
                };
                match drill {
                    Some(drill) => chaos::watched(events, drill, first_target),
                    None => events,
                }
            }
            Err(error) => stream::iter([ModelEvent::Failed(error)]).boxed(),
        }
    }
}

/// Where a call stands.
enum Phase {
    Opening(Box<Call>),
    Live(Box<Live>),
    /// The last event was given; the end is measured when the caller lets go of the stream.
    Over(Option<Ending>),
}

impl Phase {
    async fn next(self) -> Option<(ModelEvent, Phase)> {
        match self {
            Phase::Opening(call) => match call.open().await {
                Ok((answerer, live)) => Some((ModelEvent::Started(answerer), Phase::Live(live))),
                Err(error) => Some((ModelEvent::Failed(error), Phase::Over(None))),
            },
            Phase::Live(mut live) => {
                let event = live.next().await;
                let is_last = matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_));
                let next = if is_last { Phase::Over(live.ending()) } else { Phase::Live(live) };
                Some((event, next))
            }
            Phase::Over(ending) => {
                drop(ending);
                None
            }
        }
    }
}

/// An error's kind as the ledger names it.
pub(crate) fn kind_name(kind: ModelErrorKind) -> &'static str {
    match kind {
        ModelErrorKind::RateLimited => "rate_limited",
        ModelErrorKind::Overloaded => "overloaded",
        ModelErrorKind::Server => "server",
        ModelErrorKind::Network => "network",
        ModelErrorKind::Timeout => "timeout",
        ModelErrorKind::Auth => "auth",
        ModelErrorKind::BadRequest => "bad_request",
        ModelErrorKind::ContextTooLong => "context_too_long",
        ModelErrorKind::NotFound => "not_found",
        ModelErrorKind::Unsupported => "unsupported",
        ModelErrorKind::BudgetExceeded => "budget_exceeded",
        ModelErrorKind::NoTarget => "no_target",
        ModelErrorKind::Cut => "cut",
        ModelErrorKind::Malformed => "malformed",
    }
}

/// A provider that a caller named and that is not there.
pub(crate) fn no_provider(name: &str) -> ModelError {
    ModelError::new(ModelErrorKind::NotFound, format!("there is no provider {name:?}"))
}
