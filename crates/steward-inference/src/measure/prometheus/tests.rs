//! The text is what the format wants, line by line, and hostile names cannot break it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use steward_domain::id::{AgentName, RequestId};
use steward_domain::model::Caller;
use steward_domain::money::Usd;
use steward_domain::principal::Principal;
use steward_domain::usage::Usage;

use super::*;
use crate::balance::choose::BreakerState;
use crate::measure::{TargetGauge, TargetMeasures};

fn text() -> String {
    let measures = Arc::new(Measures::default());
    measures.tick(Timestamp::UNIX_EPOCH);
    let caller = Caller {
        team: Some("red".to_owned()),
        agent: Some(AgentName::from("li\"ne\nbreak\\")),
        ..Caller::new(Principal::System, RequestId::generate())
    };
    let series = TargetMeasures::new(&measures, "default", &"a/m".into()).of(&caller);
    for ttft in [0.003, 0.2, 0.2, 99.0] {
        series.times.ttft.record(ttft);
        series.ended(Outcome::Ok);
        series.met(5);
    }
    series.booked(
        &Usage {
            input: 7,
            ..Usage::default()
        },
        Usd::from_pico(2_500_000_000_000),
    );
    series.fell_back(FallbackCause::BreakerOpen);
    let gauges = Gauges {
        targets: vec![TargetGauge {
            target: "a/m".into(),
            breaker: BreakerState::HalfOpen,
            in_flight: 2,
            window: 64,
            waiting: 0,
        }],
        ..Gauges::default()
    };
    measures.prometheus(crate::wait::after(Timestamp::UNIX_EPOCH, Duration::from_secs(2)), &gauges)
}

/// A line that is no comment: name, labels with their quotes, value.
fn sample(line: &str) -> (String, String, f64) {
    let (key, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match key.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (key, ""),
    };
    let is_name = |name: &str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    assert!(is_name(name) && !name.starts_with(|first: char| first.is_ascii_digit()), "{line}");
    (name.to_owned(), labels.to_owned(), value.parse().unwrap())
}

#[test]
fn every_sample_belongs_to_a_family_that_was_declared_once() {
    let text = text();
    assert!(text.ends_with('\n'));
    let mut families = HashSet::new();
    let mut seen = HashSet::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} twice");
        } else if !line.starts_with("# HELP ") {
            let (name, labels, _) = sample(line);
            let own = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
            assert!(["", "_bucket", "_sum", "_count"].contains(&own), "{line}");
            assert!(seen.insert((name, labels)), "twice: {line}");
        }
    }
}

#[test]
fn buckets_grow_and_end_in_the_count() {
    let text = text();
    let mut buckets: BTreeMap<String, f64> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels, value) = sample(line);
        if let Some(base) = name.strip_suffix("_bucket") {
            let (rest, bound) = labels.split_once(",le=").unwrap();
            let series = format!("{base}{rest}");
            let last = buckets.insert(series.clone(), value).unwrap_or(0.0);
            assert!(value >= last, "{line}");
            if bound == "\"+Inf\"" {
                let count = text.lines().find(|other| other.starts_with(&format!("{base}_count{{{rest}")));
                assert_eq!(sample(count.unwrap()).2, value, "{line}");
            }
        }
    }
    let first = "gen_ai_server_time_to_first_token_seconds_bucket";
    let of = |bound: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(first) && line.contains(&format!("le=\"{bound}\"")));
        sample(line.unwrap()).2
    };
    assert_eq!(
        (of("0.001"), of("0.005"), of("0.25"), of("10"), of("+Inf")),
        (0.0, 1.0, 3.0, 3.0, 4.0)
    );
}

#[test]
fn the_named_metrics_are_there_with_escaped_labels() {
    let text = text();
    let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"a\",gen_ai_request_model=\"m\",route=\"default\",\
                  agent=\"li\\\"ne\\nbreak\\\\\",team=\"red\"";
    for wanted in [
        format!("steward_cost_usd_total{{{labels}}} 2.5\n"),
        format!("steward_fallback_total{{{labels},cause=\"breaker_open\"}} 1\n"),
        format!("steward_tokens_total{{{labels},type=\"input\"}} 7\n"),
        format!("steward_requests_total{{{labels},outcome=\"ok\"}} 4\n"),
        "steward_target_state{target=\"a/m\"} 1\n".to_owned(),
        "steward_goodput_requests_per_second{route=\"default\"} 2\n".to_owned(),
        "steward_goodput_tokens_per_second{route=\"default\"} 10\n".to_owned(),
        "steward_goodput_attainment_ratio{route=\"default\"} 1\n".to_owned(),
    ] {
        assert!(text.contains(&wanted), "{wanted} in {text}");
    }
}
