//! The instants of one call: in, sent, first content, each content, last content, end.
//!
//! TTFT = t_1 − t_in; TPOT = (t_last − t_1)/(n − 1); ITL = t_i − t_(i−1); TPS = n/(t_last − t_1); n = billed output tokens.
//! Allocates nothing and takes no lock.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use steward_domain::clock::{Clock, Timestamp};
use steward_domain::model::{Caller, ModelEvent, ModelRequest};
use steward_domain::principal::Principal;
use steward_domain::usage::Usage;

use super::series::{Class, Outcome, Series};
use crate::config::ObjectiveConfig;
use crate::wait::since;

impl Class {
    /// Does anyone wait for the answer?
    pub(crate) fn of(request: &ModelRequest, caller: &Caller) -> Self {
        let is_own_work = matches!(caller.principal, Principal::Agent(_) | Principal::System);
        let tier = request.extra.get("service_tier").and_then(|tier| tier.as_str());
        if is_own_work || matches!(tier, Some("batch" | "flex")) {
            Class::Batch
        } else {
            Class::Interactive
        }
    }
}

/// A call whose content flows.
#[derive(Debug)]
pub(crate) struct Timeline {
    series: Arc<Series>,
    class: Class,
    in_at: Timestamp,
    sent_at: Timestamp,
    first_at: Option<Timestamp>,
    last_at: Timestamp,
}

impl Timeline {
    /// A call that came at `in_at` and whose winning attempt was sent at `sent_at`.
    pub(crate) fn new(series: Arc<Series>, class: Class, in_at: Timestamp, sent_at: Timestamp) -> Self {
        Timeline {
            series,
            class,
            in_at,
            sent_at,
            first_at: None,
            last_at: sent_at,
        }
    }

    /// Something came. Only text, reasoning and arguments of tool calls count as content.
    pub(crate) fn came(&mut self, event: &ModelEvent, now: Timestamp) {
        if !is_content(event) {
            return;
        }
        match self.first_at {
            None => self.first_at = Some(now),
            Some(_) => self.series.times.itl.record(since(now, self.last_at).as_secs_f64()),
        }
        self.last_at = now;
    }

    /// Another target goes on with the answer.
    pub(crate) fn goes_on(&mut self, series: Arc<Series>) {
        self.series = series;
    }

    /// The answer is whole: counted, and judged by the objective.
    pub(crate) fn finished(&self, usage: &Usage, objective: &ObjectiveConfig) {
        let times = &self.series.times;
        let output = usage.total_output();
        times.input.record(usage.total_input() as f64);
        times.output.record(output as f64);
        let class = &self.series.classes[self.class as usize];
        class.output.record(output as f64);
        let mut tpot = None;
        let ttft = self.first_at.map(|first| since(first, self.in_at));
        if let (Some(ttft), Some(first_at)) = (ttft, self.first_at) {
            let decode = since(self.last_at, first_at);
            times.ttft.record(ttft.as_secs_f64());
            class.ttft.record(ttft.as_secs_f64());
            times.prefill.record(since(first_at, self.sent_at).as_secs_f64());
            times.decode.record(decode.as_secs_f64());
            if output > 1 {
                let each = decode.as_secs_f64() / (output - 1) as f64;
                times.tpot.record(each);
                tpot = Some(each);
            }
            if !decode.is_zero() {
                times.rate.record(output as f64 / decode.as_secs_f64());
            }
        }
        let is_quick = ttft.zip(objective.ttft).is_none_or(|(ttft, limit)| ttft <= limit);
        let is_steady = tpot.zip(objective.tpot).is_none_or(|(tpot, limit)| tpot <= limit.as_secs_f64());
        if is_quick && is_steady {
            self.series.met(output);
        }
        self.series.ended(Outcome::Ok);
    }

    /// There will be no whole answer.
    pub(crate) fn broke_off(&self, outcome: Outcome) {
        self.series.ended(outcome);
    }

    /// What is left to measure once the last event was handed on.
    pub(crate) fn ending(&self, waited: Duration, clock: Arc<dyn Clock>) -> Ending {
        Ending {
            series: Arc::clone(&self.series),
            class: self.class,
            in_at: self.in_at,
            waited,
            clock,
        }
    }
}

fn is_content(event: &ModelEvent) -> bool {
    match event {
        ModelEvent::Text(text) | ModelEvent::Thinking(text) | ModelEvent::ToolCallArguments { json: text, .. } => !text.is_empty(),
        ModelEvent::Started(_)
        | ModelEvent::ThinkingSealed { .. }
        | ModelEvent::ToolCallStarted { .. }
        | ModelEvent::Opaque { .. }
        | ModelEvent::Finished(_)
        | ModelEvent::Failed(_) => false,
    }
}

/// Measures the whole call when it is dropped, which its owner does once the last byte was handed to the caller.
pub(crate) struct Ending {
    series: Arc<Series>,
    class: Class,
    in_at: Timestamp,
    waited: Duration,
    clock: Arc<dyn Clock>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let total = since(self.clock.now(), self.in_at);
        let own = total.saturating_sub(self.waited);
        self.series.times.total.record(total.as_secs_f64());
        self.series.times.overhead.record(own.as_secs_f64());
        self.series.classes[self.class as usize].total.record(total.as_secs_f64());
    }
}

/// Runs a future and adds to `waited` how long it had nothing to do, which is time that others took.
pub(crate) async fn waiting<T>(clock: &dyn Clock, waited: &mut Duration, future: impl Future<Output = T>) -> T {
    Waiting {
        future: pin!(future),
        clock,
        waited,
        idle_since: None,
    }
    .await
}

struct Waiting<'a, F> {
    future: Pin<&'a mut F>,
    clock: &'a dyn Clock,
    waited: &'a mut Duration,
    idle_since: Option<Timestamp>,
}

impl<F: Future> Future for Waiting<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(idle_since) = self.idle_since.take() {
            let idle = since(self.clock.now(), idle_since);
            *self.waited += idle;
        }
        let result = self.future.as_mut().poll(context);
        if result.is_pending() {
            self.idle_since = Some(self.clock.now());
        }
        result
    }
}

#[cfg(test)]
mod tests;
