//! What calls tell the measures, and what the router gives to those who read them.
//!
//! Counts; decides nothing.

use std::sync::Arc;
use std::time::Duration;

use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind};
use steward_domain::usage::Usage;

use super::call::Call;
use super::launch::Crashed;
use super::{Router, kind_name};
use crate::measure::performance::{Dimension, Objectives, Performance};
use crate::measure::{FallbackCause, Gauges, Measures, Outcome, Series, TICK, TargetGauge};
use crate::tables::Target;
use crate::wait::before_ms;

impl Router {
    /// What was measured since the start.
    pub fn measures(&self) -> &Measures {
        &self.shared.measures
    }

    /// How everything performed within the last `span`, at most five minutes.
    pub fn performance(&self, by: Dimension, span: Duration) -> Performance {
        self.shared
            .measures
            .performance(self.shared.clock.now(), span, by, &self.objectives())
    }

    /// Everything that is measured, as Prometheus text.
    pub fn prometheus(&self) -> String {
        self.shared.measures.prometheus(self.shared.clock.now(), &self.gauges())
    }

    /// What stands now, beside what was counted.
    pub fn gauges(&self) -> Gauges {
        let mut targets: Vec<TargetGauge> = Vec::new();
        for target in self.standings().into_iter().flat_map(|route| route.targets) {
            if targets.iter().all(|known| known.target != target.target) {
                targets.push(TargetGauge {
                    target: target.target,
                    breaker: target.breaker,
                    in_flight: target.in_flight,
                    window: target.window,
                    waiting: target.waiting,
                });
            }
        }
        Gauges {
            targets,
            objectives: self.objectives(),
        }
    }

    /// Notes moments and judges alerts for as long as it is polled. Follows every change of the tables.
    pub async fn measure(&self) {
        loop {
            self.shared.clock.sleep(TICK).await;
            self.measure_now(self.shared.clock.now());
        }
    }

    fn measure_now(&self, now: Timestamp) {
        let tables = self.tables.load_full();
        let rules = tables
            .plans()
            .flat_map(|plan| plan.alerts.iter().map(|alert| (plan.name.as_str(), alert)));
        self.shared.measures.judge(now, rules);
        self.shared.measures.tick(now);
    }

    fn objectives(&self) -> Objectives {
        self.tables.load().plans().map(|plan| (plan.name.clone(), plan.objective)).collect()
    }
}

impl Call {
    /// The counters of this caller at a target.
    pub(crate) fn series(&self, target: &Target) -> Arc<Series> {
        target.measures.of(&self.caller)
    }

    /// The call ends without any content.
    pub(crate) fn measure_failure(&mut self, error: &ModelError) {
        if let Some(series) = self.plan.series_of(&error.target, &self.caller) {
            series.ended(Outcome::Failed(error.kind));
        }
        self.end_span(None, Some(kind_name(error.kind)));
    }

    /// A target is asked after another was left.
    pub(crate) fn measure_fallback(&mut self) {
        if let Some((left, cause)) = self.left.take() {
            self.series(&self.plan.targets[usize::from(left)]).fell_back(cause);
        }
    }

    /// Another target goes on with an answer that broke off.
    pub(crate) fn fell_back(&self, target: &str, kind: ModelErrorKind) {
        if let Some(series) = self.plan.series_of(target, &self.caller) {
            series.fell_back(FallbackCause::Failed(kind));
        }
    }

    pub(crate) fn trace_failure(&mut self, crashed: &Crashed) {
        if let Some(span) = &mut self.span {
            let now = self.shared.clock.now();
            let sent_at = before_ms(now, crashed.ms);
            let error = (kind_name(crashed.error.kind), crashed.error.status);
            span.failed(&crashed.target.name, (sent_at, now), error);
        }
    }

    pub(crate) fn trace_break(&mut self, error: &'static str) {
        if let Some(span) = &mut self.span {
            span.broke_off(error, self.shared.clock.now());
        }
    }

    pub(crate) fn end_span(&mut self, usage: Option<Usage>, error: Option<&'static str>) {
        if let Some(span) = self.span.take() {
            self.shared.measures.spans.end(span, usage, error, self.shared.clock.now());
        }
    }
}
