//! The second half of a call: content flows, every wait has a limit, and the end is booked before it is told.
//!
//! After the first content there is no retry: a plain answer that breaks off is continued by another target where that is possible,
//! and everything else ends in an error that says what was delivered. Never silently short.

use std::sync::Arc;
use std::time::Duration;

use steward_domain::clock::Timestamp;
use steward_domain::model::{Finish, ModelError, ModelErrorKind, ModelEvent, Retry};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use super::call::{Call, Opened};
use super::continuation::Delivered;
use super::kind_name;
use super::launch::Hold;
use super::leg::Leg;
use crate::estimate::output_chars;
use crate::health::Permit;
use crate::measure::{Class, Ending, Outcome, Timeline, waiting};
use crate::tables::Target;
use crate::wait::{since, within};

/// A call whose content has begun.
pub(crate) struct Live {
    call: Box<Call>,
    stage: Stage,
    delivered: Delivered,
    /// What attempts before this one used and cost, when an answer was continued.
    earlier: Option<(Usage, Usd)>,
    timeline: Timeline,
    is_over: bool,
    has_failed: bool,
}

/// The target that is answering.
struct Stage {
    leg: Leg,
    /// The event that was the first content and is still to be told.
    first: Option<ModelEvent>,
    permit: Permit,
    _hold: Hold,
    index: u16,
    target: Arc<Target>,
    sent_at: Timestamp,
    first_at: Timestamp,
}

impl Stage {
    fn of(opened: Opened) -> Self {
        let Opened { permit, arrived } = opened;
        Stage {
            leg: arrived.leg,
            first: Some(arrived.first),
            permit,
            _hold: arrived.hold,
            index: arrived.index,
            target: arrived.target,
            sent_at: arrived.sent_at,
            first_at: arrived.first_at,
        }
    }
}

impl Live {
    pub(crate) fn new(mut call: Box<Call>, opened: Opened) -> Self {
        let delivered = Delivered::of(&mut call, opened.arrived.index);
        let series = call.series(&opened.arrived.target);
        let class = Class::of(&call.request, &call.caller);
        let timeline = Timeline::new(series, class, call.started_at, opened.arrived.sent_at);
        Live {
            call,
            stage: Stage::of(opened),
            delivered,
            earlier: None,
            timeline,
            is_over: false,
            has_failed: false,
        }
    }

    /// The next event for the caller.
    pub(crate) async fn next(&mut self) -> ModelEvent {
        loop {
            let event = match self.stage.first.take() {
                Some(event) => {
                    self.timeline.came(&event, self.stage.first_at);
                    event
                }
                None => self.wait().await,
            };
            match event {
                ModelEvent::Finished(finish) => return self.finished(finish).await,
                ModelEvent::Failed(error) => match self.failed(error).await {
                    Some(event) => return event,
                    // Another target goes on.
                    None => continue,
                },
                content => {
                    let content = self.delivered.fitted(content);
                    if let Some(content) = content {
                        self.delivered.take(&content, output_chars(&content));
                        return content;
                    }
                }
            }
        }
    }

    async fn wait(&mut self) -> ModelEvent {
        let clock = Arc::clone(&self.call.shared.clock);
        let timeout = self.call.plan.timeout;
        let left = timeout.total.saturating_sub(since(clock.now(), self.call.started_at));
        let limit = timeout.between_tokens.min(left);
        let next = within(&*clock, limit, self.stage.leg.next());
        match waiting(&*clock, &mut self.call.waited, next).await {
            Some(event) => {
                self.timeline.came(&event, clock.now());
                event
            }
            None if left <= timeout.between_tokens => {
                ModelEvent::Failed(timed_out(format!("the answer was not whole after {:?}", timeout.total)))
            }
            None => ModelEvent::Failed(timed_out(format!("no more content came for {:?}", timeout.between_tokens))),
        }
    }

    async fn finished(&mut self, mut finish: Box<Finish>) -> ModelEvent {
        self.is_over = true;
        let reported = (finish.usage_source == UsageSource::Reported).then_some(finish.usage);
        (finish.usage, finish.usage_source, finish.cost) = self.stage.leg.settle_whole(reported).await;
        self.measure(&finish.usage, finish.usage_source);
        if let Some((usage, cost)) = self.earlier {
            finish.usage = sum(finish.usage, usage);
            finish.usage_source = UsageSource::Estimated;
            finish.cost += cost;
        }
        self.timeline.finished(&finish.usage, &self.call.plan.objective);
        self.call.end_span(Some(finish.usage), None);
        ModelEvent::Finished(finish)
    }

    /// What is left to measure of a call that ended with a whole answer.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let is_whole = self.is_over && !self.has_failed;
        is_whole.then(|| self.timeline.ending(self.call.waited, Arc::clone(&self.call.shared.clock)))
    }

    /// What the answer says about its target.
    fn measure(&self, usage: &Usage, source: UsageSource) {
        let now = self.call.shared.clock.now();
        let now_us = now.as_microsecond();
        let meters = &self.stage.target.health.meters;
        let output = usage.total_output();
        let mut tpot = None;
        if output > 1 {
            let each = since(now, self.stage.first_at).div_f64((output - 1) as f64);
            meters.tpot_ms.observe(each.as_secs_f64() * 1e3, now_us);
            tpot = Some(each);
        }
        meters.output_tokens.observe(output as f64, now_us);
        if source == UsageSource::Reported && usage.total_input() > 0 {
            let hits = usage.cached_input as f64 / usage.total_input() as f64;
            meters.cache_hits.observe(hits, now_us);
        }
        let objective = &self.call.plan.objective;
        if objective.is_set() {
            let ttft = since(self.stage.first_at, self.stage.sent_at);
            let is_met = is_within(Some(ttft), objective.ttft) && is_within(tpot, objective.tpot);
            self.stage.target.attained.0.observe(if is_met { 1.0 } else { 0.0 }, now_us);
        }
    }

    /// The answer broke off. `None` when another target goes on with it.
    async fn failed(&mut self, mut error: ModelError) -> Option<ModelEvent> {
        let name = Arc::clone(&self.stage.target.name);
        self.stage.permit.failed(self.call.shared.clock.now());
        self.call.note_missed(&self.stage.target);
        self.call.record.end_last(&error.to_string());
        self.call.trace_break(kind_name(error.kind));
        tracing::warn!(target.name = %name, kind = %error.kind, "the answer of {name} broke off: {}", error.message);
        let (usage, cost) = self.stage.leg.settle_broken(kind_name(error.kind)).await;
        let (earlier_usage, earlier_cost) = self.earlier.unwrap_or_default();
        self.earlier = Some((sum(earlier_usage, usage), earlier_cost + cost));
        if let Some(opened) = self.delivered.go_on(&mut self.call, self.stage.index).await {
            self.timeline.goes_on(self.call.series(&opened.arrived.target));
            self.call.fell_back(&name, error.kind);
            self.stage = Stage::of(opened);
            return None;
        }
        self.is_over = true;
        self.has_failed = true;
        self.timeline.broke_off(Outcome::Failed(error.kind));
        self.call.end_span(None, Some(kind_name(error.kind)));
        error.target = name.to_string();
        error.retry = Retry::Never;
        error.message = format!("{} ({})", error.message, self.delivered.described());
        Some(ModelEvent::Failed(error))
    }
}

fn is_within(time: Option<Duration>, limit: Option<Duration>) -> bool {
    time.zip(limit).is_none_or(|(time, limit)| time <= limit)
}

fn sum(left: Usage, right: Usage) -> Usage {
    Usage {
        input: left.input + right.input,
        cached_input: left.cached_input + right.cached_input,
        cache_write_5m: left.cache_write_5m + right.cache_write_5m,
        cache_write_1h: left.cache_write_1h + right.cache_write_1h,
        output: left.output + right.output,
        reasoning: left.reasoning + right.reasoning,
        audio_input: left.audio_input + right.audio_input,
        audio_output: left.audio_output + right.audio_output,
        images: left.images + right.images,
    }
}

fn timed_out(message: String) -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, message)
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.is_over {
            self.call.record.end_last("cancelled");
            self.timeline.broke_off(Outcome::Cancelled);
            self.call.end_span(None, Some("cancelled"));
        }
    }
}
