//! Which events count as content, and what an answer teaches its series.

use std::time::Duration;

use steward_domain::id::RequestId;

use super::*;
use crate::measure::series::Labels;
use crate::wait::after;

fn series() -> Arc<Series> {
    let name = || "a/m".into();
    Arc::new(Series::new(Labels {
        route: "default".into(),
        target: name(),
        agent: "".into(),
        team: "".into(),
    }))
}

fn at(ms: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, Duration::from_millis(ms))
}

fn answer(objective: &ObjectiveConfig) -> Arc<Series> {
    let series = series();
    let mut timeline = Timeline::new(Arc::clone(&series), Class::Interactive, at(0), at(100));
    let thinking = ModelEvent::Thinking("hm".into());
    timeline.came(&ModelEvent::Text(String::new()), at(150));
    timeline.came(&thinking, at(400));
    timeline.came(&ModelEvent::Text("a".into()), at(500));
    timeline.came(&ModelEvent::Text("b".into()), at(700));
    let usage = Usage {
        input: 7,
        output: 3,
        reasoning: 1,
        ..Usage::default()
    };
    timeline.finished(&usage, objective);
    series
}

fn check_near(values: &crate::measure::histogram::Histogram, wanted_s: f64) {
    let told = values.snapshot().quantile(1.0).unwrap();
    assert!((told - wanted_s).abs() / wanted_s < 0.01, "{told} for {wanted_s}");
}

#[test]
fn the_times_are_those_of_the_definitions() {
    let series = answer(&ObjectiveConfig::default());
    check_near(&series.times.ttft, 0.4);
    check_near(&series.times.prefill, 0.3);
    check_near(&series.times.decode, 0.3);
    // Four billed tokens, reasoning included.
    check_near(&series.times.tpot, 0.1);
    check_near(&series.times.rate, 4.0 / 0.3);
    let itl = series.times.itl.snapshot();
    assert_eq!(itl.count(), 2);
    assert!((itl.sum - 0.3).abs() < 1e-9);
    assert_eq!(series.snapshot().ok(), 1);
}

#[test]
fn an_answer_is_good_only_when_it_meets_every_objective() {
    let good = |ttft: u64, tpot: u64| {
        let objective = ObjectiveConfig {
            ttft: Some(Duration::from_millis(ttft)),
            tpot: Some(Duration::from_millis(tpot)),
            share: 0.95,
        };
        answer(&objective).snapshot().good
    };
    assert_eq!((good(400, 100), good(399, 100), good(400, 99)), (1, 0, 0));
}

#[test]
fn the_houses_own_work_and_flex_calls_are_batch() {
    let class = |principal: Principal, tier: Option<&str>| {
        let mut request = ModelRequest::new("default", Vec::new());
        if let Some(tier) = tier {
            request.extra.insert("service_tier".into(), tier.into());
        }
        let caller = Caller::new(principal, RequestId::generate());
        Class::of(&request, &caller)
    };
    assert_eq!(class(Principal::User("ana".into()), None), Class::Interactive);
    assert_eq!(class(Principal::Key("ci".into()), Some("flex")), Class::Batch);
    assert_eq!(class(Principal::System, None), Class::Batch);
}
