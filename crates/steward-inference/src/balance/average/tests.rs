use super::*;

const SECOND: i64 = 1_000_000;

#[test]
fn nothing_measured_is_no_average_and_the_first_sample_is_the_average() {
    let average = Average::new(LATENCY);
    assert_eq!(average.read(0), None);
    average.observe(100.0, 0);
    assert_eq!(average.read(0), Some(100.0));
}

#[test]
fn a_peak_is_felt_at_once_and_forgotten_slowly() {
    let average = Average::new(LATENCY);
    average.observe(100.0, 0);
    average.observe(1_000.0, SECOND);
    let peak = average.read(SECOND).unwrap();
    assert!(peak > 600.0, "{peak}");
    average.observe(100.0, 2 * SECOND);
    let after = average.read(2 * SECOND).unwrap();
    assert!(after > 500.0, "{after}");
}

#[test]
fn a_target_that_is_left_alone_gets_its_chance_again() {
    let average = Average::new(LATENCY);
    average.observe(1_000.0, 0);
    assert_eq!(average.read(2 * SECOND), Some(1_000.0));
    assert!(average.read(16 * SECOND).unwrap() < 100.0);
    average.observe(100.0, 20 * SECOND);
    assert!(average.read(20 * SECOND).unwrap() < 105.0);
}

#[test]
fn many_samples_within_one_instant_count() {
    let average = Average::new(FAILURES);
    average.observe(0.0, 0);
    for _ in 0..20_000 {
        average.observe(1.0, 0);
    }
    assert!(average.read(0).unwrap() > 0.99);
}
