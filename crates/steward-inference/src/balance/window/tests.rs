use super::*;

fn config() -> CongestionConfig {
    CongestionConfig {
        start: 8,
        max: 100,
        ..CongestionConfig::default()
    }
}

fn filled(config: &CongestionConfig) -> Window {
    let window = Window::new(config);
    while window.try_enter() {}
    window
}

const QUICK: Verdict = Verdict::Answered { after_us: 100_000 };

#[test]
fn no_more_enter_than_the_window_allows() {
    let window = filled(&config());
    assert_eq!((window.in_flight(), window.limit()), (8, 8));
    window.leave();
    assert!(window.try_enter() && !window.try_enter());
}

#[test]
fn it_doubles_until_the_first_cut_and_then_grows_by_one_a_window() {
    let config = config();
    let window = filled(&config);
    for _ in 0..8 {
        window.learn(QUICK, 0, 100_000, &config);
    }
    assert_eq!(window.limit(), 16);
    while window.try_enter() {}
    window.learn(Verdict::Overloaded, 100_001, 200_000, &config);
    assert_eq!(window.limit(), 11);
    for _ in 0..12 {
        window.learn(QUICK, 200_001, 300_000, &config);
    }
    assert_eq!(window.limit(), 12);
}

#[test]
fn requests_that_were_under_way_at_a_cut_do_not_cut_again() {
    let config = config();
    let window = filled(&config);
    for _ in 0..8 {
        window.learn(Verdict::Overloaded, 0, 100, &config);
    }
    assert_eq!(window.limit(), 5);
    window.learn(Verdict::Overloaded, 101, 200, &config);
    assert_eq!(window.limit(), 3);
}

#[test]
fn a_window_that_nobody_fills_does_not_grow() {
    let config = config();
    let window = Window::new(&config);
    assert!(window.try_enter());
    for _ in 0..100 {
        window.learn(QUICK, 0, 1, &config);
    }
    assert_eq!(window.limit(), 8);
}

#[test]
fn a_latency_jump_under_load_cuts_and_one_slow_answer_does_not() {
    let config = config();
    let window = filled(&config);
    for at in 1..100 {
        window.learn(QUICK, at * 10_000, at * 10_000, &config);
    }
    let wide = window.limit();
    while window.try_enter() {}
    let slow = Verdict::Answered { after_us: 2_000_000 };
    window.learn(slow, 1_000_000, 1_000_000, &config);
    assert!(window.limit() >= wide, "one slow answer");
    for at in 101..200 {
        window.learn(slow, at * 10_000, at * 10_000, &config);
    }
    assert!(window.limit() < wide, "{}", window.limit());
}

#[test]
fn it_keeps_within_its_bounds() {
    let config = config();
    let window = filled(&config);
    for at in 0..100 {
        window.learn(Verdict::Overloaded, at * 10, at * 10 + 1, &config);
    }
    assert_eq!(window.limit(), 1);
}
