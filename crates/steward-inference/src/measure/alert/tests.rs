//! Alerts begin once, end once, and do not flicker.

use std::sync::Arc;

use steward_domain::id::RequestId;
use steward_domain::model::Caller;
use steward_domain::principal::Principal;

use super::*;
use crate::measure::TargetMeasures;
use crate::measure::series::{Outcome, Series};
use crate::wait::after;

/// A route under watch, ten seconds a step.
struct Scene {
    measures: Arc<Measures>,
    series: Arc<Series>,
    rule: AlertConfig,
    now: Timestamp,
}

impl Scene {
    fn new(rule: &str) -> Self {
        let measures = Arc::new(Measures::default());
        let caller = Caller::new(Principal::System, RequestId::generate());
        let series = TargetMeasures::new(&measures, "default", &"a/m".into()).of(&caller);
        measures.tick(Timestamp::UNIX_EPOCH);
        Scene {
            measures,
            series,
            rule: toml::from_str(rule).unwrap(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Ten seconds in which `count` answers took `ms` each; what is told at their end.
    fn step(&mut self, count: u32, ms: f64) -> Vec<AlertState> {
        for _ in 0..count {
            self.series.times.ttft.record(ms / 1e3);
            if ms < 500.0 {
                self.series.met(1);
            }
            self.series.ended(Outcome::Ok);
        }
        self.now = after(self.now, Duration::from_secs(10));
        self.measures.judge(self.now, [("default", &self.rule)]);
        self.measures.tick(self.now);
        self.measures.take_alerts().into_iter().map(|alert| alert.state).collect()
    }

    fn steps(&mut self, steps: u32, ms: f64) -> Vec<AlertState> {
        (0..steps).flat_map(|_| self.step(20, ms)).collect()
    }
}

const SLOW: &str = "on = \"ttft_p95\"\nabove = \"500ms\"\nwindow = \"30s\"\nfor = \"20s\"";

#[test]
fn an_alert_begins_once_after_its_time_and_ends_once() {
    let mut scene = Scene::new(SLOW);
    assert_eq!(scene.steps(5, 100.0), []);
    assert_eq!(scene.step(20, 900.0), []);
    assert_eq!(scene.steps(2, 900.0), [AlertState::Firing]);
    assert_eq!(scene.steps(10, 900.0), []);
    assert_eq!(scene.measures.alerts().firing.len(), 1);
    assert_eq!(scene.steps(10, 100.0), [AlertState::Resolved]);
    let alerts = scene.measures.alerts();
    assert_eq!(alerts.firing, []);
    assert_eq!(alerts.log[0].id, alerts.log[1].id);
    assert!(alerts.log[1].message.starts_with("route default: ttft_p95 is 9"), "{alerts:?}");
}

#[test]
fn a_measure_that_swings_around_its_limit_begins_one_alert() {
    let mut scene = Scene::new(SLOW);
    scene.steps(6, 900.0);
    for _ in 0..20 {
        // Under the limit, and not by enough.
        assert_eq!(scene.steps(4, 480.0), []);
        assert_eq!(scene.steps(1, 520.0), []);
    }
    assert_eq!(scene.measures.alerts().firing.len(), 1);
}

#[test]
fn a_short_peak_begins_nothing() {
    let mut scene = Scene::new("on = \"ttft_p95\"\nabove = \"500ms\"\nwindow = \"10s\"\nfor = \"30s\"");
    for _ in 0..5 {
        assert_eq!(scene.steps(2, 900.0), []);
        assert_eq!(scene.steps(2, 100.0), []);
    }
}

#[test]
fn few_calls_are_not_judged_and_silence_ends_an_alert() {
    let mut scene = Scene::new(SLOW);
    for _ in 0..10 {
        assert_eq!(scene.step(2, 900.0), []);
    }
    assert_eq!(scene.steps(4, 900.0), [AlertState::Firing]);
    let told: Vec<AlertState> = (0..10).flat_map(|_| scene.step(0, 0.0)).collect();
    assert_eq!(told, [AlertState::Resolved]);
}

#[test]
fn goodput_and_attainment_are_watched_from_below() {
    for rule in ["on = \"goodput\"\nbelow = 1.0", "on = \"attainment\"\nbelow = 0.95"] {
        let mut scene = Scene::new(rule);
        assert_eq!(scene.steps(10, 100.0), [], "{rule}");
        assert_eq!(scene.steps(20, 900.0), [AlertState::Firing], "{rule}");
        assert_eq!(scene.steps(20, 100.0), [AlertState::Resolved], "{rule}");
    }
}

#[test]
fn a_rule_that_is_taken_away_takes_its_alert_along() {
    let mut scene = Scene::new(SLOW);
    scene.steps(6, 900.0);
    scene.measures.judge(scene.now, []);
    assert_eq!(scene.measures.alerts().firing, []);
}

#[test]
fn rules_that_cannot_work_are_refused_with_a_sentence() {
    let problem = |text: &str| toml::from_str::<AlertConfig>(text).unwrap().problem();
    assert_eq!(problem("on = \"ttft_p99\"\nabove = \"1s\""), None);
    for wrong in [
        "on = \"ttft_p99\"",
        "on = \"ttft_p99\"\nbelow = 2.0",
        "on = \"goodput\"\nabove = \"1s\"",
        "on = \"goodput\"\nbelow = 0.0",
        "on = \"attainment\"\nbelow = 1.5",
        "on = \"ttft_p95\"\nabove = \"1s\"\nwindow = \"10m\"",
    ] {
        assert!(problem(wrong).is_some(), "{wrong}");
    }
}
