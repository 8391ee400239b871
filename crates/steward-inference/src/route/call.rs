//! The first half of a call: which target, which key, when to try again, when to go on to the next.
//!
//! Nothing reaches the caller before the first content. No header and no key of one target is ever used for another.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use smallvec::SmallVec;
use steward_domain::clock::Timestamp;
use steward_domain::model::{Answerer, Caller, ModelError, ModelErrorKind, ModelRequest, Retry};

use super::Shared;
use super::bill::{Bill, BillParts};
use super::embed::{EmbedCargo, Embedding};
use super::launch::{Arrived, Cargo, Crashed, Hold, Launch};
use super::live::Live;
use super::outcome::Failures;
use super::seat::{Patience, Seat};
use crate::balance::choose::Order;
use crate::balance::lane::Slot;
use crate::balance::meters::UnderWay;
use crate::config::RetryConfig;
use crate::explain::{Cause, Record};
use crate::health::Permit;
use crate::keys::ProviderKey;
use crate::measure::{CallSpan, FallbackCause, waiting};
use crate::needs::Needs;
use crate::tables::{Place, Plan, Target};
use crate::wait::since;

/// First content must come within this where a route says nothing.
const FIRST_TOKEN_LIMIT: Duration = Duration::from_secs(120);

/// One call on its way to its first content.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) request: ModelRequest,
    pub(crate) caller: Arc<Caller>,
    pub(crate) record: Record,
    pub(crate) needs: Needs,
    pub(crate) started_at: Timestamp,
    pub(crate) input_tokens: u64,
    pub(crate) attempts: u32,
    pub(crate) failures: Failures,
    /// Vectors are wanted, not an answer.
    pub(crate) embedding: Option<Arc<Embedding>>,
    /// The targets, first choice first.
    pub(crate) order: Order,
    /// The position in the order that is visited next.
    pub(crate) next: usize,
    /// How long it waited for others.
    pub(crate) waited: Duration,
    /// The target that was left last, and why.
    pub(crate) left: Option<(u16, FallbackCause)>,
    /// Its course, when it is traced.
    pub(crate) span: Option<Box<CallSpan>>,
}

/// A target that gave its first content.
pub(crate) struct Opened {
    pub(crate) permit: Permit,
    pub(crate) arrived: Box<Arrived>,
}

/// How a visit to one target ended.
enum Visit {
    Opened(Opened),
    NextTarget,
    /// Its window is full, and another may have room.
    Full,
    End(ModelError),
}

/// What to do after a failed attempt.
enum Then {
    Again(Duration),
    NextTarget,
    End,
}

/// One target while it is visited.
pub(crate) struct Guest {
    pub(crate) index: u16,
    pub(crate) target: Arc<Target>,
    pub(crate) permit: Permit,
    pub(crate) retries: u32,
    pub(crate) bill: Option<Bill>,
}

/// Which of the attempts under way gave content.
pub(crate) enum Winner {
    /// The one that was asked first.
    Own(Box<Arrived>),
    /// The second attempt at a late answer.
    Hedge(Opened),
}

impl Call {
    /// Tries the targets in turn until one gives content.
    pub(crate) async fn open(mut self: Box<Self>) -> Result<(Answerer, Box<Live>), ModelError> {
        let opened = match self.find().await {
            Ok(opened) => opened,
            Err(error) => {
                self.measure_failure(&error);
                return Err(error);
            }
        };
        let answerer = Answerer {
            target: opened.arrived.target.name.to_string(),
            attempts: self.attempts,
            ..Answerer::default()
        };
        Ok((answerer, Box::new(Live::new(self, opened))))
    }

    /// The next target in the order that gives content.
    pub(crate) async fn find(&mut self) -> Result<Opened, ModelError> {
        let mut full: SmallVec<[u16; 4]> = SmallVec::new();
        while let Some(&index) = self.order.get(self.next) {
            self.next += 1;
            if !self.is_fit(index) {
                continue;
            }
            match self.visit(index, Patience::of(&self.plan.congestion)).await {
                Visit::Opened(opened) => return Ok(opened),
                Visit::NextTarget => {}
                Visit::Full => full.push(index),
                Visit::End(error) => return Err(error),
            }
        }
        for index in full {
            match self.visit(index, Patience::Waits).await {
                Visit::Opened(opened) => return Ok(opened),
                Visit::NextTarget | Visit::Full => {}
                Visit::End(error) => return Err(error),
            }
        }
        Err(std::mem::take(&mut self.failures).into_error())
    }

    /// Has the target what the request needs, as far as is known? If not, that is noted.
    pub(crate) fn is_fit(&mut self, index: u16) -> bool {
        let target = &self.plan.targets[usize::from(index)];
        let gap = self
            .needs
            .gap(&target.known)
            .or_else(|| self.failures.gap_after_too_long(&target.known));
        let Some(gap) = gap else { return true };
        self.record.left_out(index, &gap.message);
        self.failures.add(&target.name, gap);
        false
    }

    async fn visit(&mut self, index: u16, patience: Patience) -> Visit {
        let target = Arc::clone(&self.plan.targets[usize::from(index)]);
        let Some(permit) = target.health.admit(&self.plan.breaker, self.shared.clock.now()) else {
            let resting = ModelError::new(ModelErrorKind::Overloaded, "it failed too often and is left alone for a while");
            self.failures.add(&target.name, resting);
            self.left = Some((index, FallbackCause::BreakerOpen));
            return Visit::NextTarget;
        };
        self.measure_fallback();
        let mut guest = Guest {
            index,
            target,
            permit,
            retries: 0,
            bill: None,
        };
        let stay = self.attempts_at(&mut guest, patience).await;
        if let Some(bill) = guest.bill {
            bill.close("unused").await;
        }
        match stay {
            Stay::Answered(Winner::Own(arrived)) => Visit::Opened(Opened {
                permit: guest.permit,
                arrived,
            }),
            Stay::Answered(Winner::Hedge(opened)) => Visit::Opened(opened),
            Stay::NextTarget => {
                self.left = self.failures.last_kind().map(|kind| (index, FallbackCause::Failed(kind)));
                Visit::NextTarget
            }
            Stay::Full => {
                self.left = Some((index, FallbackCause::Full));
                Visit::Full
            }
            Stay::End(error) => Visit::End(error),
        }
    }

    async fn attempts_at(&mut self, guest: &mut Guest, patience: Patience) -> Stay {
        loop {
            if self.time_left().is_zero() {
                return Stay::End(self.out_of_time(&guest.target));
            }
            let clock = Arc::clone(&self.shared.clock);
            let mut waited = Duration::ZERO;
            let seat = waiting(&*clock, &mut waited, self.seat(&guest.target, patience)).await;
            self.waited += waited;
            let (key, slot) = match seat {
                Seat::Taken(key, slot) => (key, slot),
                Seat::LookAgain => continue,
                Seat::Full => return Stay::Full,
                Seat::None(error) => {
                    self.failures.add(&guest.target.name, error);
                    return Stay::NextTarget;
                }
            };
            let bill = match guest.bill.take() {
                Some(bill) => bill,
                None => match self.reserve(&guest.target).await {
                    Ok(bill) => bill,
                    Err(error) => return Stay::End(error),
                },
            };
            if guest.retries == 0 {
                guest.target.health.budget.count_request(self.shared.clock.now());
            }
            let launched = self.launch((guest.index, &guest.target), (key, slot), bill);
            let mut waited = Duration::ZERO;
            let result = match launched {
                Ok(launch) if self.plan.hedge.is_some() => waiting(&*clock, &mut waited, self.race(guest, launch)).await,
                Ok(launch) => waiting(&*clock, &mut waited, launch.fly(&self.shared)).await.map(Winner::Own),
                Err(crashed) => Err(crashed),
            };
            self.waited += waited;
            let crashed = match result {
                Ok(winner) => {
                    self.note_success(&winner, &guest.permit);
                    return Stay::Answered(winner);
                }
                Err(crashed) => crashed,
            };
            match self.after(guest, *crashed) {
                Then::Again(wait) => {
                    clock.sleep(wait).await;
                    self.waited += wait;
                }
                Then::NextTarget => return Stay::NextTarget,
                Then::End => return Stay::End(self.failures.last_or_none()),
            }
        }
    }

    /// Notes a failed attempt, lets key and breaker know, and decides what it leads to.
    fn after(&mut self, guest: &mut Guest, crashed: Crashed) -> Then {
        self.note_failure(&crashed);
        let is_open_now = self.blame(&guest.permit, &crashed);
        guest.bill = crashed.bill;
        let then = self.then(guest, &crashed.error, is_open_now, crashed.key.is_some());
        self.failures.attempted(&guest.target, crashed.error);
        then
    }

    /// Lets key and breaker know of a failure. Tells whether the breaker is open now.
    pub(crate) fn blame(&self, permit: &Permit, crashed: &Crashed) -> bool {
        let now = self.shared.clock.now();
        match crashed.error.kind {
            ModelErrorKind::Auth => {
                if let Some(key) = &crashed.key {
                    key.refuse(now);
                }
                false
            }
            ModelErrorKind::RateLimited => {
                self.cool(&crashed.target, crashed.key.as_deref(), crashed.error.retry);
                false
            }
            ModelErrorKind::Overloaded
            | ModelErrorKind::Server
            | ModelErrorKind::Network
            | ModelErrorKind::Timeout
            | ModelErrorKind::Cut
            | ModelErrorKind::Malformed => {
                self.note_missed(&crashed.target);
                permit.failed(now)
            }
            ModelErrorKind::BadRequest
            | ModelErrorKind::BudgetExceeded
            | ModelErrorKind::NoTarget
            | ModelErrorKind::ContextTooLong
            | ModelErrorKind::NotFound
            | ModelErrorKind::Unsupported => false,
        }
    }

    /// A failure is an answer that missed the objective, where there is one.
    pub(crate) fn note_missed(&self, target: &Target) {
        if self.plan.objective.is_set() {
            target.attained.0.observe(0.0, self.shared.clock.now().as_microsecond());
        }
    }

    fn then(&self, guest: &mut Guest, error: &ModelError, is_open_now: bool, had_key: bool) -> Then {
        match error.kind {
            // Another key is no retry: the provider has not been asked with it yet.
            ModelErrorKind::Auth if had_key => return Then::Again(Duration::ZERO),
            ModelErrorKind::BadRequest | ModelErrorKind::BudgetExceeded | ModelErrorKind::NoTarget => return Then::End,
            ModelErrorKind::Auth | ModelErrorKind::ContextTooLong | ModelErrorKind::NotFound | ModelErrorKind::Unsupported => {
                return Then::NextTarget;
            }
            ModelErrorKind::RateLimited
            | ModelErrorKind::Overloaded
            | ModelErrorKind::Server
            | ModelErrorKind::Network
            | ModelErrorKind::Timeout
            | ModelErrorKind::Cut
            | ModelErrorKind::Malformed => {}
        }
        let is_limited = error.kind == ModelErrorKind::RateLimited;
        let has_other_key = is_limited && has_several_keys(&guest.target) && self.has_ready_key(&guest.target);
        let wait = match error.retry {
            Retry::Never => return Then::NextTarget,
            Retry::After(_) | Retry::Now if has_other_key => Duration::ZERO,
            Retry::After(wait) if wait > self.plan.retry.max => return Then::NextTarget,
            Retry::After(wait) => wait,
            Retry::Now => backoff(&self.plan.retry, guest.retries),
        };
        let now = self.shared.clock.now();
        let may_retry = !is_open_now
            && guest.retries < self.plan.retry.attempts
            && wait < self.time_left()
            && guest.target.health.budget.take_retry(now);
        if !may_retry {
            return Then::NextTarget;
        }
        guest.retries += 1;
        Then::Again(wait)
    }

    /// A rate-limited key rests as long as the provider asks; without a word for a moment, if another can step in.
    fn cool(&self, target: &Target, key: Option<&ProviderKey>, retry: Retry) {
        let Some(key) = key else { return };
        let now = self.shared.clock.now();
        match retry {
            Retry::After(wait) => key.cool(now, wait),
            Retry::Now | Retry::Never if has_several_keys(target) => key.cool(now, self.plan.retry.base),
            Retry::Now | Retry::Never => {}
        }
    }

    /// Makes one upstream request ready to leave.
    pub(crate) fn launch(
        &mut self,
        (index, target): (u16, &Arc<Target>),
        (key, slot): (Option<Arc<ProviderKey>>, Slot),
        bill: Bill,
    ) -> Result<Launch, Box<Crashed>> {
        self.attempts += 1;
        let cargo = match self.cargo(target, key.as_deref()) {
            Ok(cargo) => cargo,
            Err(mut error) => {
                error.target = target.name.to_string();
                return Err(Box::new(Crashed {
                    index,
                    target: Arc::clone(target),
                    key,
                    error,
                    bill: Some(bill),
                    ms: 0,
                }));
            }
        };
        Ok(Launch {
            index,
            target: Arc::clone(target),
            key,
            hold: Hold {
                slot,
                _under_way: UnderWay::at(&target.health),
            },
            bill,
            cargo,
            limit: self.first_token_limit(target),
            congestion: self.plan.congestion,
            input_tokens: self.input_tokens,
            called_at: self.started_at,
            drilled: self.shared.chaos.is_on().then(|| Arc::clone(&self.plan)),
        })
    }

    fn cargo(&mut self, target: &Target, key: Option<&ProviderKey>) -> Result<Cargo, ModelError> {
        if let Some(embedding) = &self.embedding {
            let from = (&self.shared.http, key.map(ProviderKey::value));
            let cargo = EmbedCargo::new(embedding, target, from, self.input_tokens)?;
            return Ok(Cargo::Embed(Box::new(cargo)));
        }
        match &target.place {
            Place::Http { endpoint, .. } => {
                let asked_for = std::mem::replace(&mut self.request.model, target.model.clone());
                let outgoing = self.shared.http.request(endpoint, key.map(ProviderKey::value), &self.request);
                self.request.model = asked_for;
                Ok(Cargo::Http(Box::new(outgoing?)))
            }
            Place::Local(model) => {
                let request = ModelRequest {
                    model: target.model.clone(),
                    ..self.request.clone()
                };
                Ok(Cargo::Local(model.stream(request, Caller::clone(&self.caller))))
            }
        }
    }

    pub(crate) async fn reserve(&self, target: &Arc<Target>) -> Result<Bill, ModelError> {
        let reserved = self.shared.meter.reserve(&self.request, &self.caller, &target.name).await;
        reserved.map_err(|refusal| ModelError::new(ModelErrorKind::BudgetExceeded, refusal.reason))?;
        Ok(Bill::reserved(BillParts {
            shared: Arc::clone(&self.shared),
            caller: Arc::clone(&self.caller),
            route: Arc::clone(&self.plan),
            target: Arc::clone(&target.name),
            started_at: self.started_at,
            race: None,
        }))
    }

    fn note_success(&mut self, winner: &Winner, own: &Permit) {
        let (arrived, permit) = match winner {
            Winner::Own(arrived) => (arrived, own),
            Winner::Hedge(opened) => (&opened.arrived, &opened.permit),
        };
        permit.succeeded(arrived.first_at);
        let ms = u64::try_from(since(arrived.first_at, arrived.sent_at).as_millis()).unwrap_or(u64::MAX);
        self.record.attempted(arrived.index, Cause::Ok, None, ms);
        if let Some(span) = &mut self.span {
            span.answered(&arrived.target.name, arrived.sent_at, arrived.first_at);
        }
    }

    pub(crate) fn note_failure(&mut self, crashed: &Crashed) {
        let (error, ms) = (&crashed.error, crashed.ms);
        tracing::debug!(target.name = %error.target, kind = %error.kind, status = error.status, ms, "an attempt failed");
        self.record
            .attempted(crashed.index, Cause::Words(error.to_string()), error.status, ms);
        self.trace_failure(crashed);
    }

    fn out_of_time(&self, target: &Target) -> ModelError {
        let message = format!("the call was not answered within {:?}", self.plan.timeout.total);
        let mut error = ModelError::new(ModelErrorKind::Timeout, message);
        error.retry = Retry::Never;
        error.target = target.name.to_string();
        error
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.plan
            .timeout
            .total
            .saturating_sub(since(self.shared.clock.now(), self.started_at))
    }

    fn first_token_limit(&self, target: &Target) -> Duration {
        let default = match target.place {
            Place::Http { .. } => FIRST_TOKEN_LIMIT,
            Place::Local(_) => Duration::MAX,
        };
        self.plan.timeout.first_token.unwrap_or(default).min(self.time_left())
    }
}

/// How the attempts at one target ended.
enum Stay {
    Answered(Winner),
    NextTarget,
    Full,
    End(ModelError),
}

fn has_several_keys(target: &Target) -> bool {
    match &target.place {
        Place::Http { provider, .. } => provider.keys.has_several(),
        Place::Local(_) => false,
    }
}

/// Exponential backoff with full jitter: anything between nothing and the cap.
fn backoff(config: &RetryConfig, retries: u32) -> Duration {
    let cap = config.base.saturating_mul(2_u32.saturating_pow(retries)).min(config.max);
    cap.mul_f64(rand::rng().random_range(0.0..=1.0))
}
