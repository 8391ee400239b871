//! Calls of routes that have a cache or a rollout: what is kept is given again, who answers is chosen, what became of it is noted.
//!
//! Stands around a call and changes none of its events. Routes without either never come here.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use steward_domain::clock::Timestamp;
use steward_domain::meter::SettledCall;
use steward_domain::model::{Answerer, CacheUse, Caller, Finish, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use super::Shared;
use super::rollouts::Running;
use super::shadow::Shadow;
use crate::cache::{Found, Kept, Missed, RouteCache, event_bytes};
use crate::config::cache::CacheScope;
use crate::rollout::parity::Answer;
use crate::rollout::{Arm, Observation};
use crate::tables::{Extras, Plan};
use crate::wait::{ms_since, since};

/// Pico-dollars of one US dollar.
const PICO_PER_USD: f64 = 1e12;

/// A call of a route that has a cache or a rollout.
pub(crate) fn call(
    shared: &Arc<Shared>,
    extras: Arc<Extras>,
    plan: Arc<Plan>,
    request: ModelRequest,
    caller: Caller,
) -> BoxStream<'static, ModelEvent> {
    let asked = Asked {
        shared: Arc::clone(shared),
        extras,
        plan,
        request,
        caller,
    };
    stream::once(asked.open()).flatten().boxed()
}

/// A call before anything is known of it.
struct Asked {
    shared: Arc<Shared>,
    extras: Arc<Extras>,
    plan: Arc<Plan>,
    request: ModelRequest,
    caller: Caller,
}

impl Asked {
    async fn open(self) -> BoxStream<'static, ModelEvent> {
        let started_at = self.shared.clock.now();
        let trial = self.extras.rollout.as_ref().zip(self.shared.rollouts.of(&self.plan.name));
        let session = self.caller.session.as_ref().map(|session| session.as_str());
        let choice = trial.as_ref().map(|(_, running)| running.choose(session, started_at));
        let arm = choice.map_or(Arm::Incumbent, |choice| choice.arm);
        let cache = self.shared.caches.of(&self.plan.name);
        let missed = match &cache {
            None => None,
            Some(cache) => match cache.find(cache.ask(&self.request, &self.scope(arm)), started_at).await {
                Found::Hit(kept) => return self.give_again(kept, started_at).await,
                Found::Miss(missed) => Some(missed),
            },
        };
        let mut plan = Arc::clone(&self.plan);
        let watch = match (trial, choice) {
            (Some((trial, running)), Some(choice)) => match &trial.copies {
                Some(copies) if choice.is_copied => Watch::Copied(Box::new(Shadow {
                    shared: Arc::clone(&self.shared),
                    running,
                    plan: Arc::clone(copies),
                    request: self.request.clone(),
                    original: self.caller.request.clone(),
                })),
                // Calls that are not copied have nothing to be compared with.
                Some(_) if arm == Arm::Incumbent => Watch::Nobody,
                Some(_) | None => {
                    if arm == Arm::Candidate {
                        plan = Arc::clone(&trial.plan);
                    }
                    Watch::Arm(running, arm)
                }
            },
            (None, _) | (_, None) => Watch::Nobody,
        };
        // What is needed after the request has left: its tools and its form, to judge the answer.
        let outline = ModelRequest {
            tools: if matches!(watch, Watch::Arm(..)) {
                self.request.tools.clone()
            } else {
                Vec::new()
            },
            format: self.request.format.clone(),
            ..ModelRequest::new(self.plan.name.clone(), Vec::new())
        };
        let attended = Attended {
            caller: self.caller.clone(),
            stopwatch: Stopwatch::start(started_at),
            answer: Answer::default(),
            keeping: cache.zip(missed).map(|(cache, missed)| Keeping {
                cache,
                missed: *missed,
                events: Some(Vec::new()),
                bytes: 0,
            }),
            watch,
            outline,
            extras: self.extras,
            replay: None,
            inner: self.shared.dispatch(plan, self.request, self.caller),
            shared: self.shared,
        };
        stream::unfold(attended, |mut attended| async move { Some((attended.next().await?, attended)) }).boxed()
    }

    /// Whose answers this call may have, and who would give them: answers of a candidate go when it goes.
    fn scope(&self, arm: Arm) -> [String; 3] {
        let tenant = match self.extras.cache.scope {
            CacheScope::Route => String::new(),
            CacheScope::Tenant => self.caller.tenant(),
        };
        let answers = match (arm, &self.extras.rollout) {
            (Arm::Candidate, Some(trial)) => trial.config.candidate.join(" "),
            (Arm::Candidate, None) | (Arm::Incumbent, _) => String::new(),
        };
        [self.plan.name.clone(), tenant, answers]
    }

    async fn give_again(self, kept: Arc<Kept>, started_at: Timestamp) -> BoxStream<'static, ModelEvent> {
        let outline = ModelRequest::new(self.plan.name.clone(), Vec::new());
        book(&self.shared, (&outline, &self.caller), &kept.target, "cache_hit", started_at).await;
        stream::iter(Replay::of(kept, CacheUse::Hit)).boxed()
    }
}

/// Who is to learn what became of a call.
enum Watch {
    Nobody,
    /// The rollout, of this arm.
    Arm(Arc<Running>, Arm),
    /// A copy goes to the candidate.
    Copied(Box<Shadow>),
}

/// An answer on its way into the cache.
struct Keeping {
    cache: Arc<RouteCache>,
    missed: Missed,
    /// `None` once it is too large.
    events: Option<Vec<ModelEvent>>,
    bytes: usize,
}

/// A call that is attended.
struct Attended {
    shared: Arc<Shared>,
    extras: Arc<Extras>,
    inner: BoxStream<'static, ModelEvent>,
    caller: Caller,
    outline: ModelRequest,
    stopwatch: Stopwatch,
    answer: Answer,
    watch: Watch,
    keeping: Option<Keeping>,
    /// A stale answer that is given instead.
    replay: Option<Replay>,
}

impl Attended {
    async fn next(&mut self) -> Option<ModelEvent> {
        if let Some(replay) = &mut self.replay {
            return replay.next();
        }
        let mut event = self.inner.next().await?;
        let shared = Arc::clone(&self.shared);
        self.stopwatch.take(&event, || shared.clock.now());
        if !matches!(self.watch, Watch::Nobody) {
            self.answer.take(&event);
        }
        match &mut event {
            ModelEvent::Started(answerer) => {
                if self.keeping.is_some() {
                    answerer.cache = CacheUse::Miss;
                }
            }
            ModelEvent::Failed(error) => {
                let kind = error.kind;
                self.note_end(Some(kind));
                if let Some(first) = self.stale(kind).await {
                    return Some(first);
                }
            }
            ModelEvent::Finished(finish) => {
                let finish = Finish::clone(finish);
                self.note_end(None);
                self.keep(finish);
            }
            _ => {
                if let Some(keeping) = &mut self.keeping {
                    keeping.take(&event);
                }
            }
        }
        Some(event)
    }

    /// Tells whoever is to learn how it ended.
    fn note_end(&mut self, failure: Option<ModelErrorKind>) {
        let is_no_verdict = failure.is_some_and(is_callers_own);
        let mut seen = self.stopwatch.observation();
        match std::mem::replace(&mut self.watch, Watch::Nobody) {
            Watch::Nobody => {}
            Watch::Arm(..) | Watch::Copied(_) if is_no_verdict => {}
            Watch::Arm(running, arm) => {
                let is_elsewhere = arm == Arm::Candidate && !self.is_candidates();
                if is_elsewhere {
                    // It was answered, but not by the arm that was asked.
                    seen = Observation::default();
                } else if seen.is_ok {
                    seen.is_good = self.answer.is_valid(&self.outline);
                }
                self.shared.observed(&running, arm, &seen, &self.caller.request);
            }
            Watch::Copied(shadow) => {
                if seen.is_ok {
                    shadow.send(std::mem::take(&mut self.answer), seen);
                }
            }
        }
    }

    fn is_candidates(&self) -> bool {
        let candidates = self.extras.rollout.iter().flat_map(|trial| &trial.config.candidate);
        candidates.into_iter().any(|candidate| *candidate == self.stopwatch.target)
    }

    /// The first event of an answer that is past its time, where every target failed before a word was said.
    async fn stale(&mut self, kind: ModelErrorKind) -> Option<ModelEvent> {
        if self.stopwatch.has_begun || !kind.is_of_targets() {
            return None;
        }
        let keeping = self.keeping.take()?;
        let kept = keeping.cache.stale(&keeping.missed, self.shared.clock.now())?;
        let whose = (&self.outline, &self.caller);
        book(&self.shared, whose, &kept.target, "cache_stale", self.stopwatch.started_at).await;
        let mut replay = Replay::of(kept, CacheUse::Stale);
        let first = replay.next();
        self.replay = Some(replay);
        first
    }

    /// Offers the whole answer to the cache, in the background: a caller need not wait for it.
    fn keep(&mut self, finish: Finish) {
        let Some(keeping) = self.keeping.take() else { return };
        let Some(events) = keeping.events else { return };
        let kept = Kept::new(std::mem::take(&mut self.stopwatch.target), events, finish);
        let now = self.shared.clock.now();
        self.shared
            .tracker
            .spawn(async move { keeping.cache.keep(keeping.missed, kept, now).await });
    }
}

impl Keeping {
    fn take(&mut self, event: &ModelEvent) {
        self.bytes += event_bytes(event);
        if self.cache.is_too_large(self.bytes) {
            self.events = None;
        }
        if let Some(events) = &mut self.events {
            events.push(event.clone());
        }
    }
}

/// A kept answer on its way out again, event by event as it came.
struct Replay {
    kept: Arc<Kept>,
    how: CacheUse,
    /// 0 is the beginning.
    next: usize,
}

impl Replay {
    fn of(kept: Arc<Kept>, how: CacheUse) -> Self {
        Replay { kept, how, next: 0 }
    }
}

impl Iterator for Replay {
    type Item = ModelEvent;

    fn next(&mut self) -> Option<ModelEvent> {
        let place = self.next;
        self.next += 1;
        let Some(place) = place.checked_sub(1) else {
            return Some(ModelEvent::Started(Answerer {
                target: self.kept.target.clone(),
                attempts: 0,
                cache: self.how,
            }));
        };
        if let Some(event) = self.kept.events.get(place) {
            return Some(event.clone());
        }
        (place == self.kept.events.len()).then(|| {
            ModelEvent::Finished(Box::new(Finish {
                cost: Usd::ZERO,
                ..self.kept.finish.clone()
            }))
        })
    }
}

async fn book(shared: &Arc<Shared>, (outline, caller): (&ModelRequest, &Caller), target: &str, status: &str, started_at: Timestamp) {
    let total_ms = ms_since(shared.clock.now(), started_at);
    let call = SettledCall {
        caller,
        route: &outline.model,
        target,
        usage: Usage::default(),
        source: UsageSource::Reported,
        status,
        first_token_ms: Some(total_ms),
        total_ms,
    };
    shared.meter.book_free(outline, call).await;
}

/// Takes the times of one call.
pub(crate) struct Stopwatch {
    started_at: Timestamp,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    has_begun: bool,
    target: String,
    finish: Option<Finish>,
}

impl Stopwatch {
    pub(crate) fn start(now: Timestamp) -> Self {
        Stopwatch {
            started_at: now,
            first_at: None,
            last_at: None,
            has_begun: false,
            target: String::new(),
            finish: None,
        }
    }

    pub(crate) fn take(&mut self, event: &ModelEvent, now: impl FnOnce() -> Timestamp) {
        match event {
            ModelEvent::Started(answerer) => {
                self.has_begun = true;
                self.target.clone_from(&answerer.target);
            }
            ModelEvent::Text(_) | ModelEvent::Thinking(_) | ModelEvent::ToolCallStarted { .. } | ModelEvent::ToolCallArguments { .. } => {
                let now = now();
                self.first_at.get_or_insert(now);
                self.last_at = Some(now);
            }
            ModelEvent::Finished(finish) => self.finish = Some(Finish::clone(finish)),
            ModelEvent::ThinkingSealed { .. } | ModelEvent::Opaque { .. } | ModelEvent::Failed(_) => {}
        }
    }

    /// What became of the call, without a judgement of the answer.
    pub(crate) fn observation(&self) -> Observation {
        let Some(finish) = &self.finish else {
            return Observation::default();
        };
        let tokens = finish.usage.total_output();
        let streamed = self
            .first_at
            .zip(self.last_at)
            .map(|(first, last)| since(last, first))
            .filter(|time| !time.is_zero());
        Observation {
            is_ok: true,
            ttft_s: self.first_at.map(|first| since(first, self.started_at).as_secs_f64()),
            tpot_s: streamed.filter(|_| tokens > 1).map(|time| time.as_secs_f64() / (tokens - 1) as f64),
            cost_usd: Some(finish.cost.pico() as f64 / PICO_PER_USD),
            is_good: None,
        }
    }
}

/// A failure that says nothing about a target. A request that a target calls wrong does: the other arm may have taken it.
pub(crate) fn is_callers_own(kind: ModelErrorKind) -> bool {
    kind == ModelErrorKind::BudgetExceeded
}
