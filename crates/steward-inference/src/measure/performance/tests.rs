//! Windows slide, rows add up, and what nobody asked for is left out.

use std::sync::Arc;

use steward_domain::id::{AgentName, RequestId};
use steward_domain::model::{Caller, ModelErrorKind};
use steward_domain::principal::Principal;
use steward_domain::usage::Usage;

use super::*;
use crate::measure::TargetMeasures;
use crate::measure::series::{FallbackCause, Series};
use crate::wait::after;

fn at(seconds: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
}

/// The series of an agent at a target of route `default`.
fn series(measures: &Arc<Measures>, target: &str, agent: &str) -> Arc<Series> {
    let caller = Caller {
        agent: (!agent.is_empty()).then(|| AgentName::from(agent)),
        ..Caller::new(Principal::System, RequestId::generate())
    };
    TargetMeasures::new(measures, "default", &target.into()).of(&caller)
}

fn answered(series: &Series, ttft_s: f64, is_good: bool) {
    series.times.ttft.record(ttft_s);
    series.times.output.record(10.0);
    if is_good {
        series.met(10);
    }
    series.ended(Outcome::Ok);
}

fn look(measures: &Measures, seconds: u64, by: Dimension) -> Vec<PerformanceRow> {
    let objective = ObjectiveConfig {
        ttft: Some(Duration::from_millis(500)),
        ..ObjectiveConfig::default()
    };
    let objectives = Objectives::from([("default".to_owned(), objective)]);
    measures.performance(at(seconds), Duration::from_secs(60), by, &objectives).rows
}

#[test]
fn a_window_forgets_what_is_older() {
    let measures = Arc::new(Measures::default());
    let main = series(&measures, "a/m", "main");
    measures.tick(at(0));
    for _ in 0..30 {
        answered(&main, 0.2, true);
    }
    measures.tick(at(10));
    let rows = look(&measures, 20, Dimension::Route);
    assert_eq!((rows[0].requests, rows[0].goodput.requests_per_s), (30, 1.5));
    for second in (20..=70).step_by(10) {
        measures.tick(at(second));
    }
    assert_eq!(look(&measures, 70, Dimension::Route), []);
    answered(&main, 0.2, true);
    let rows = look(&measures, 80, Dimension::Route);
    assert_eq!((rows[0].requests, rows[0].goodput.tokens_per_s), (1, 10.0 / 60.0));
}

#[test]
fn attainment_counts_failures_and_leaves_out_the_callers_own_faults() {
    let measures = Arc::new(Measures::default());
    measures.tick(at(0));
    let main = series(&measures, "a/m", "main");
    for _ in 0..6 {
        answered(&main, 0.1, true);
    }
    answered(&main, 1.5, false);
    main.ended(Outcome::Failed(ModelErrorKind::Server));
    for fault in [Outcome::Cancelled, Outcome::Failed(ModelErrorKind::BadRequest)] {
        main.ended(fault);
    }
    let row = look(&measures, 30, Dimension::Route).remove(0);
    assert_eq!(row.attainment, Some(0.75));
    assert_eq!(row.goodput_ratio, Some(6.0 / 7.0));
    assert_eq!((row.requests, row.answered, row.cancelled), (10, 7, 1));
    assert_eq!(
        row.failed,
        BTreeMap::from([("bad_request".to_owned(), 1), ("server".to_owned(), 1)])
    );
    let excess = row.excess.unwrap().ttft_ms;
    assert_eq!(excess.p50, Some(0.0));
    assert!((excess.p99.unwrap() - 1000.0).abs() < 15.0, "{excess:?}");
}

#[test]
fn rows_of_every_dimension_add_up() {
    let measures = Arc::new(Measures::default());
    measures.tick(at(0));
    for (target, agent) in [("a/m", "main"), ("a/n", "main"), ("b/m", "")] {
        let series = series(&measures, target, agent);
        answered(&series, 0.1, true);
        let usage = Usage {
            input: 5,
            ..Usage::default()
        };
        series.booked(&usage, Usd::from_pico(3));
        series.fell_back(FallbackCause::BreakerOpen);
    }
    let names = |by| {
        let rows = look(&measures, 30, by).into_iter();
        rows.map(|row| (row.name, row.requests, row.cost_usd.pico())).collect::<Vec<_>>()
    };
    let named = |name: &str, count: u64| (name.to_owned(), count, i128::from(count) * 3);
    assert_eq!(names(Dimension::Route), [named("default", 3)]);
    assert_eq!(names(Dimension::Model), [named("a/m", 1), named("a/n", 1), named("b/m", 1)]);
    assert_eq!(names(Dimension::Provider), [named("a", 2), named("b", 1)]);
    assert_eq!(names(Dimension::Agent), [named("main", 2)]);
    assert_eq!(names(Dimension::Team), []);
    let row = look(&measures, 30, Dimension::Route).remove(0);
    assert_eq!(row.fallbacks, BTreeMap::from([("breaker_open".to_owned(), 3)]));
    assert_eq!(row.tokens, BTreeMap::from([("input".to_owned(), 15)]));
}

#[test]
fn the_cost_of_a_row_is_exact() {
    let measures = Arc::new(Measures::default());
    let main = series(&measures, "a/m", "main");
    for _ in 0..10_000 {
        main.booked(&Usage::default(), Usd::from_pico(1_234_567_891));
    }
    assert_eq!(main.snapshot().cost(), Usd::from_pico(12_345_678_910_000));
}
