use super::*;

const CONFIG: BreakerConfig = BreakerConfig {
    failures: 2,
    window: Duration::from_secs(60),
    cooldown: Duration::from_secs(30),
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
    health.admit(&CONFIG, at(61)).unwrap().succeeded();
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
fn retries_stay_within_a_fifth_of_the_requests() {
    let health = TargetHealth::default();
    let taken = |count: usize| (0..count).filter(|_| health.take_retry(at(0))).count();
    assert_eq!(taken(50), 10);
    for _ in 0..100 {
        health.count_request(at(1));
    }
    assert_eq!(taken(50), 10);
    assert!(health.take_retry(at(61)));
}
