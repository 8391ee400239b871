use std::time::Duration;

use super::*;

const CONFIG: BreakerConfig = BreakerConfig {
    failures: 2,
    window: Duration::from_secs(60),
    cooldown: Duration::from_secs(30),
    ratio: None,
    min_requests: 20,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn opened_at_zero() -> Arc<TargetHealth> {
    let health = Arc::new(TargetHealth::default());
    let permit = health.admit(&CONFIG, at(0)).unwrap();
    assert!(!permit.failed(at(0)));
    assert!(permit.failed(at(0)));
    health
}

#[test]
fn enough_failures_in_the_window_open_the_breaker() {
    let health = opened_at_zero();
    assert!(health.admit(&CONFIG, at(29)).is_none());
    assert_eq!(health.breaker_state(&CONFIG, at(29)), BreakerState::Open);
}

#[test]
fn failures_far_apart_do_not_open_it() {
    let health = Arc::new(TargetHealth::default());
    let permit = health.admit(&CONFIG, at(0)).unwrap();
    assert!(!permit.failed(at(0)));
    assert!(!permit.failed(at(100)));
}

#[test]
fn after_the_cooldown_one_probe_goes_and_decides() {
    let health = opened_at_zero();
    let probe = health.admit(&CONFIG, at(30)).unwrap();
    assert!(health.admit(&CONFIG, at(30)).is_none());
    assert!(probe.failed(at(31)));
    drop(probe);
    assert!(health.admit(&CONFIG, at(60)).is_none());
    health.admit(&CONFIG, at(61)).unwrap().succeeded(at(61));
    assert_eq!(health.breaker_state(&CONFIG, at(61)), BreakerState::Closed);
    assert!(health.admit(&CONFIG, at(61)).is_some());
}

#[test]
fn a_probe_that_is_given_up_lets_the_next_one_go() {
    let health = opened_at_zero();
    drop(health.admit(&CONFIG, at(30)));
    assert!(health.admit(&CONFIG, at(30)).is_some());
}

#[test]
fn with_enough_requests_the_ratio_decides() {
    let config = BreakerConfig {
        ratio: Some(0.5),
        min_requests: 10,
        failures: 5,
        ..CONFIG
    };
    let health = Arc::new(TargetHealth::default());
    let permit = health.admit(&config, at(0)).unwrap();
    for _ in 0..30 {
        permit.succeeded(at(1));
    }
    for _ in 0..29 {
        assert!(!permit.failed(at(2)));
    }
    assert!(permit.failed(at(2)));
}

#[test]
fn failures_before_it_closed_are_forgotten() {
    let health = opened_at_zero();
    health.admit(&CONFIG, at(30)).unwrap().succeeded(at(30));
    let permit = health.admit(&CONFIG, at(31)).unwrap();
    assert!(!permit.failed(at(31)), "one failure is not two");
    assert!(permit.failed(at(32)));
}

#[test]
fn a_probe_that_failed_and_is_dropped_late_does_not_let_two_others_go() {
    let health = opened_at_zero();
    let late = health.admit(&CONFIG, at(30)).unwrap();
    assert!(late.failed(at(30)));
    let next = health.admit(&CONFIG, at(60)).unwrap();
    drop(late);
    assert!(health.admit(&CONFIG, at(60)).is_none());
    next.succeeded(at(60));
}

#[test]
fn of_many_threads_exactly_one_may_probe() {
    for _ in 0..200 {
        let health = opened_at_zero();
        let start = std::sync::Barrier::new(4);
        let permits: Vec<Option<Permit>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        health.admit(&CONFIG, at(30))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(permits.iter().flatten().count(), 1);
    }
}
