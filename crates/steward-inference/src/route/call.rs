//! The first half of a call: which target, which key, when to try again, when to go on to the next.
//!
//! Nothing reaches the caller before the first content. No header and no key of one target is ever used for another.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use steward_domain::clock::Timestamp;
use steward_domain::model::{Answerer, Caller, ModelError, ModelErrorKind, ModelEvent, ModelRequest, Retry};

use super::bill::{Bill, BillParts};
use super::leg::{Leg, Upstream};
use super::live::Live;
use super::outcome::Failures;
use super::{Shared, kind_name};
use crate::config::RetryConfig;
use crate::estimate::estimate_tokens;
use crate::explain::{AttemptRecord, Record};
use crate::health::{Permit, TargetHealth};
use crate::keys::{Pick, ProviderKey};
use crate::needs::Needs;
use crate::tables::{Place, Plan, Target};
use crate::wait::{ms_since, since, within};

/// First content must come within this where a route says nothing.
const FIRST_TOKEN_LIMIT: Duration = Duration::from_secs(120);

/// One call on its way to its first content.
pub(crate) struct Call {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    request: ModelRequest,
    caller: Arc<Caller>,
    record: Record,
    started_at: Timestamp,
    input_tokens: u64,
    attempts: u32,
    failures: Failures,
}

/// How a visit to one target ended.
enum Visit {
    Opened(Box<Live>),
    NextTarget,
    End(ModelError),
}

/// What to do after a failed attempt.
enum Then {
    Again(Duration),
    NextTarget,
    End,
}

/// One target while it is visited.
struct Guest {
    target: Arc<Target>,
    health: Arc<TargetHealth>,
    retries: u32,
    bill: Option<Bill>,
}

impl Call {
    pub(crate) fn new(shared: Arc<Shared>, plan: Arc<Plan>, request: ModelRequest, caller: Caller, record: Record) -> Self {
        Call {
            started_at: shared.clock.now(),
            input_tokens: estimate_tokens(&request),
            shared,
            plan,
            request,
            caller: Arc::new(caller),
            record,
            attempts: 0,
            failures: Failures::default(),
        }
    }

    /// Tries the targets in turn until one gives content.
    pub(crate) async fn open(mut self) -> Result<(Answerer, Box<Live>), ModelError> {
        let needs = Needs::of(&self.request, self.input_tokens);
        let plan = Arc::clone(&self.plan);
        for target in &plan.targets {
            let gap = needs.gap(&target.known).or_else(|| self.failures.gap_after_too_long(&target.known));
            if let Some(gap) = gap {
                self.skip(target, gap);
                continue;
            }
            match self.visit(target).await {
                Visit::Opened(live) => {
                    let target = live.target.to_string();
                    self.record.edit(|explanation| explanation.chosen = Some(target.clone()));
                    let answerer = Answerer {
                        target,
                        attempts: self.attempts,
                    };
                    return Ok((answerer, live));
                }
                Visit::NextTarget => {}
                Visit::End(error) => return Err(error),
            }
        }
        Err(self.failures.into_error())
    }

    fn skip(&mut self, target: &Arc<Target>, gap: ModelError) {
        self.record.edit(|explanation| {
            let candidate = explanation
                .candidates
                .iter_mut()
                .find(|candidate| *candidate.target == *target.name);
            if let Some(candidate) = candidate {
                candidate.state.clone_from(&gap.message);
            }
        });
        self.failures.add(&target.name, gap);
    }

    async fn visit(&mut self, target: &Arc<Target>) -> Visit {
        let health = self.shared.health.of(&target.name);
        let Some(permit) = health.admit(&self.plan.breaker, self.shared.clock.now()) else {
            let resting = ModelError::new(ModelErrorKind::Overloaded, "it failed too often and is left alone for a while");
            self.failures.add(&target.name, resting);
            return Visit::NextTarget;
        };
        let mut guest = Guest {
            target: Arc::clone(target),
            health,
            retries: 0,
            bill: None,
        };
        let visit = self.attempts_at(&mut guest, permit).await;
        if let Some(bill) = guest.bill {
            bill.close("unused").await;
        }
        visit
    }

    async fn attempts_at(&mut self, guest: &mut Guest, permit: Permit) -> Visit {
        loop {
            if self.time_left().is_zero() {
                return Visit::End(self.out_of_time(guest));
            }
            let key = match self.pick_key(&guest.target) {
                Ok(Pick::Key(key)) => Some(key),
                Ok(Pick::Wait(wait)) if wait <= self.plan.retry.max && wait < self.time_left() => {
                    self.shared.clock.sleep(wait).await;
                    continue;
                }
                Ok(Pick::Wait(wait)) => {
                    self.failures.add(&guest.target.name, cooling(wait));
                    return Visit::NextTarget;
                }
                Ok(Pick::None(reason)) => {
                    self.failures.add(&guest.target.name, self.no_key(&guest.target, reason));
                    return Visit::NextTarget;
                }
                Err(Keyless) => None,
            };
            if guest.bill.is_none() {
                match self.reserve(&guest.target).await {
                    Ok(bill) => guest.bill = Some(bill),
                    Err(error) => return Visit::End(error),
                }
            }
            let sent_at = self.shared.clock.now();
            let result = self.attempt(guest, key.as_deref()).await;
            let ms = ms_since(self.shared.clock.now(), sent_at);
            let mut error = match result {
                Ok((leg, first)) => return self.opened(guest, permit, (leg, first), ms),
                Err(error) => error,
            };
            error.target = guest.target.name.to_string();
            self.note_failure(&error, ms);
            let then = self.after(guest, &permit, key.as_deref(), &error);
            let ends = matches!(then, Then::End).then(|| error.clone());
            self.failures.attempted(&guest.target, error);
            match then {
                Then::Again(wait) => self.shared.clock.sleep(wait).await,
                Then::NextTarget => return Visit::NextTarget,
                Then::End => return ends.map_or(Visit::NextTarget, Visit::End),
            }
        }
    }

    /// Decides what a failed attempt leads to, and lets key and breaker know.
    fn after(&self, guest: &mut Guest, permit: &Permit, key: Option<&ProviderKey>, error: &ModelError) -> Then {
        let now = self.shared.clock.now();
        let is_open_now = match error.kind {
            ModelErrorKind::Auth => {
                let Some(key) = key else { return Then::NextTarget };
                key.refuse(now);
                // Another key is no retry: the provider has not been asked with it yet.
                return Then::Again(Duration::ZERO);
            }
            ModelErrorKind::BadRequest | ModelErrorKind::BudgetExceeded | ModelErrorKind::NoTarget => return Then::End,
            ModelErrorKind::ContextTooLong | ModelErrorKind::NotFound | ModelErrorKind::Unsupported => return Then::NextTarget,
            ModelErrorKind::RateLimited => {
                self.cool(&guest.target, key, error.retry);
                false
            }
            ModelErrorKind::Overloaded
            | ModelErrorKind::Server
            | ModelErrorKind::Network
            | ModelErrorKind::Timeout
            | ModelErrorKind::Cut
            | ModelErrorKind::Malformed => permit.failed(now),
        };
        let is_limited = error.kind == ModelErrorKind::RateLimited;
        let has_other_key = is_limited && has_several_keys(&guest.target) && matches!(self.pick_key(&guest.target), Ok(Pick::Key(_)));
        let wait = match error.retry {
            Retry::Never => return Then::NextTarget,
            Retry::After(_) | Retry::Now if has_other_key => Duration::ZERO,
            Retry::After(wait) if wait > self.plan.retry.max => return Then::NextTarget,
            Retry::After(wait) => wait,
            Retry::Now => backoff(&self.plan.retry, guest.retries),
        };
        let may_retry = !is_open_now && guest.retries < self.plan.retry.attempts && wait < self.time_left() && guest.health.take_retry(now);
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

    /// One upstream request, up to its first content.
    async fn attempt(&mut self, guest: &mut Guest, key: Option<&ProviderKey>) -> Result<(Leg, ModelEvent), ModelError> {
        let shared = Arc::clone(&self.shared);
        let limit = self.first_token_limit(&guest.target);
        let begun_at = shared.clock.now();
        guest.health.count_request(begun_at);
        self.attempts += 1;
        let late = || ModelError::new(ModelErrorKind::Timeout, format!("no content came within {limit:?}"));
        let upstream = within(&*shared.clock, limit, self.send(&guest.target, key))
            .await
            .ok_or_else(late)??;
        let bill = guest.bill.take().expect("a bill is reserved before each attempt");
        let mut leg = Leg::new(upstream, bill, self.input_tokens);
        let left = limit.saturating_sub(since(shared.clock.now(), begun_at));
        let error = match within(&*shared.clock, left, leg.next()).await {
            Some(ModelEvent::Failed(error)) => error,
            Some(first) => {
                leg.first_token_after(ms_since(shared.clock.now(), self.started_at));
                return Ok((leg, first));
            }
            None => late(),
        };
        guest.bill = leg.refused(&error, kind_name(error.kind)).await;
        Err(error)
    }

    async fn send(&mut self, target: &Target, key: Option<&ProviderKey>) -> Result<Upstream, ModelError> {
        let chaos = &self.shared.chaos;
        let fault = if chaos.is_on() {
            chaos.strike(&self.plan.name).await?
        } else {
            None
        };
        match &target.place {
            Place::Http { endpoint, .. } => {
                let asked_for = std::mem::replace(&mut self.request.model, target.model.clone());
                let now = self.shared.clock.now();
                let answer = self.shared.http.request(endpoint, key.map(ProviderKey::value), &self.request);
                self.request.model = asked_for;
                Ok(Upstream::Http(Box::new(answer?.stream(now).await?.with_fault(fault))))
            }
            Place::Local(model) => {
                let request = ModelRequest {
                    model: target.model.clone(),
                    ..self.request.clone()
                };
                Ok(Upstream::Local(model.stream(request, Caller::clone(&self.caller))))
            }
        }
    }

    fn opened(&self, guest: &Guest, permit: Permit, (leg, first): (Leg, ModelEvent), ms: u64) -> Visit {
        permit.succeeded();
        self.record.edit(|explanation| {
            explanation.attempts.push(AttemptRecord {
                target: guest.target.name.to_string(),
                cause: "ok".into(),
                status: None,
                ms,
            });
        });
        Visit::Opened(Box::new(Live {
            shared: Arc::clone(&self.shared),
            leg,
            first: Some(first),
            permit,
            record: self.record.clone(),
            target: Arc::clone(&guest.target.name),
            started_at: self.started_at,
            between_tokens: self.plan.timeout.between_tokens,
            total: self.plan.timeout.total,
            is_over: false,
        }))
    }

    async fn reserve(&self, target: &Arc<Target>) -> Result<Bill, ModelError> {
        let reserved = self.shared.meter.reserve(&self.request, &self.caller, &target.name).await;
        reserved.map_err(|refusal| ModelError::new(ModelErrorKind::BudgetExceeded, refusal.reason))?;
        Ok(Bill::reserved(BillParts {
            shared: Arc::clone(&self.shared),
            caller: Arc::clone(&self.caller),
            route: self.plan.name.clone(),
            target: Arc::clone(&target.name),
            started_at: self.started_at,
        }))
    }

    fn pick_key(&self, target: &Target) -> Result<Pick, Keyless> {
        let Place::Http { provider, endpoint } = &target.place else {
            return Err(Keyless);
        };
        if !endpoint.auth.wants_key() {
            return Err(Keyless);
        }
        let team = self.shared.team_of.as_ref().and_then(|team_of| team_of(&self.caller));
        Ok(provider.keys.pick(&self.caller, team.as_deref(), self.shared.clock.now()))
    }

    fn no_key(&self, target: &Target, reason: &str) -> ModelError {
        let message = match &target.place {
            Place::Http { provider, .. } if provider.keys.is_empty() => {
                format!("{reason} for provider {}: {}", provider.name, provider.key_hint())
            }
            Place::Http { provider, .. } => format!("{reason} (provider {})", provider.name),
            Place::Local(_) => reason.to_owned(),
        };
        ModelError::new(ModelErrorKind::Auth, message)
    }

    fn note_failure(&self, error: &ModelError, ms: u64) {
        tracing::debug!(target.name = %error.target, kind = %error.kind, status = error.status, ms, "an attempt failed");
        self.record.edit(|explanation| {
            explanation.attempts.push(AttemptRecord {
                target: error.target.clone(),
                cause: error.to_string(),
                status: error.status,
                ms,
            });
        });
    }

    fn out_of_time(&self, guest: &Guest) -> ModelError {
        let message = format!("the call was not answered within {:?}", self.plan.timeout.total);
        let mut error = ModelError::new(ModelErrorKind::Timeout, message);
        error.retry = Retry::Never;
        error.target = guest.target.name.to_string();
        error
    }

    fn time_left(&self) -> Duration {
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

fn has_several_keys(target: &Target) -> bool {
    match &target.place {
        Place::Http { provider, .. } => provider.keys.has_several(),
        Place::Local(_) => false,
    }
}

/// The target wants no key.
struct Keyless;

fn cooling(wait: Duration) -> ModelError {
    let mut error = ModelError::new(
        ModelErrorKind::RateLimited,
        format!("every key is rate limited for another {wait:?}"),
    );
    error.retry = Retry::After(wait);
    error
}

/// Exponential backoff with full jitter: anything between nothing and the cap.
fn backoff(config: &RetryConfig, retries: u32) -> Duration {
    let cap = config.base.saturating_mul(2_u32.saturating_pow(retries)).min(config.max);
    cap.mul_f64(rand::rng().random_range(0.0..=1.0))
}
