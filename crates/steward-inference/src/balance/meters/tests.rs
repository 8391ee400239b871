use super::*;

#[test]
fn the_95th_percentile_is_known_after_enough_answers() {
    let meters = Meters::default();
    let now = Timestamp::UNIX_EPOCH;
    for _ in 0..19 {
        meters.answered(Duration::from_millis(100), now);
    }
    assert_eq!(meters.ttft_p95(), None);
    for _ in 0..80 {
        meters.answered(Duration::from_millis(100), now);
    }
    meters.answered(Duration::from_secs(60), now);
    let p95 = meters.ttft_p95().unwrap();
    assert!(p95 >= Duration::from_millis(100) && p95 <= Duration::from_millis(130), "{p95:?}");
}

#[test]
fn old_times_are_forgotten() {
    let meters = Meters::default();
    let now = Timestamp::UNIX_EPOCH;
    for _ in 0..3_000 {
        meters.answered(Duration::from_secs(10), now);
    }
    for _ in 0..12_000 {
        meters.answered(Duration::from_millis(10), now);
    }
    assert!(meters.ttft_p95().unwrap() < Duration::from_millis(20));
}
