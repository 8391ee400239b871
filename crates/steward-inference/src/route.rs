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
use tokio_util::task::TaskTracker;

use crate::catalog::Catalog;
use crate::catalog::price::ModelPrice;
use crate::config::ConfigError;
use crate::estimate::estimate_tokens;
use crate::explain::{Explanation, Record, Records, Replay};
use crate::measure::{Ending, Measures};
use crate::needs::Needs;
use crate::provider::{ClientError, HttpProvider};
use crate::tables::{Plan, RouterTables, Tables};

mod bill;
mod call;
mod coalesce;
mod continuation;
mod count;
mod hedge;
mod launch;
mod leg;
mod live;
mod measuring;
mod outcome;
mod probe;
mod seat;
mod standing;
mod watch;

pub use count::TokenCount;
pub use probe::ProviderTest;
pub use standing::{RouteStanding, TargetStanding};

use call::Call;
use coalesce::Flights;
use live::Live;
use outcome::Failures;

/// Tells the team of a caller, for keys that are scoped to teams.
pub type TeamOf = Arc<dyn Fn(&Caller) -> Option<String> + Send + Sync>;

/// What a router is made of.
pub struct RouterParts {
    /// Providers, routes and local models.
    pub tables: RouterTables,
    /// Counts and bounds the money.
    pub meter: Arc<dyn Meter>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tells teams; without it, keys scoped to teams serve nobody.
    pub team_of: Option<TeamOf>,
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
    pub(crate) team_of: Option<TeamOf>,
    pub(crate) tracker: TaskTracker,
    pub(crate) measures: Arc<Measures>,
    records: Records,
    flights: Arc<Flights>,
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
        Ok(Router {
            tables: ArcSwap::from_pointee(tables),
            shared: Arc::new(Shared {
                http: HttpProvider::new()?,
                meter: parts.meter,
                clock: parts.clock,
                team_of: parts.team_of,
                tracker: TaskTracker::new(),
                measures,
                records: Records::default(),
                flights: Arc::default(),
            }),
        })
    }

    /// Puts new tables in place. Running calls end on the old ones; what is known of targets and keys stays known.
    ///
    /// # Errors
    /// The new tables are wrong; then the old ones stay.
    pub fn replace(&self, tables: RouterTables) -> Result<(), ConfigError> {
        let next = Tables::build(tables, Some(&self.tables.load()))?;
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

    /// Resolves when every call that has ended is booked. New calls may still come.
    pub async fn drain(&self) {
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
        self.shared.tracker.reopen();
    }
}

impl Shared {
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
            order: record.order(),
            next: 0,
            waited: Duration::ZERO,
            left: None,
            span,
            record,
        })
    }

    /// A call of its own.
    fn call(self: &Arc<Self>, plan: Arc<Plan>, request: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent> {
        stream::unfold(Phase::Opening(self.begin(plan, request, caller)), Phase::next).boxed()
    }
}

impl Model for Router {
    fn stream(&self, request: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent> {
        let plan = self.tables.load().resolve(&request.model);
        match plan {
            Ok(plan) if plan.coalesces => coalesce::join(&self.shared, plan, request, caller),
            Ok(plan) => self.shared.call(plan, request, caller),
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
