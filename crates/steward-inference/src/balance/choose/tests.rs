use super::*;
use crate::balance::spread::Spread;

fn known() -> Known {
    Known {
        breaker: BreakerState::Closed,
        is_able: true,
        weight: 1.0,
        ttft_ms: Some(500.0),
        tpot_ms: Some(20.0),
        in_flight: 0,
        window: 64,
        failing: 0.0,
        attained: None,
        input_price: Some(3e6),
        cached_price: Some(3e5),
        output_price: Some(15e6),
        cache_hits: 0.0,
        output_tokens: Some(100.0),
    }
}

fn inputs(strategy: Strategy, targets: impl IntoIterator<Item = Known>) -> Inputs {
    Inputs {
        strategy,
        weights: WeightsConfig::default(),
        when_full: WhenFull::Spill,
        objective_share: None,
        input_tokens: 1_000,
        targets: targets.into_iter().collect(),
    }
}

/// The share of first choices that each target gets.
fn shares(inputs: &Inputs) -> Vec<f64> {
    let spread = Spread::of("test");
    let mut counts = vec![0.0; inputs.targets.len()];
    for _ in 0..1_000 {
        counts[usize::from(choose(inputs, spread.next())[0])] += 1.0;
    }
    counts.into_iter().map(|count| count / 1_000.0).collect()
}

fn first(inputs: &Inputs) -> u16 {
    choose(inputs, 7)[0]
}

#[test]
fn the_same_inputs_and_seed_give_the_same_order_with_every_target_once() {
    for strategy in [
        Strategy::Priority,
        Strategy::Weighted,
        Strategy::Latency,
        Strategy::Cost,
        Strategy::Adaptive,
    ] {
        let inputs = inputs(strategy, vec![known(); 5]);
        for seed in 0..200_u64 {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let order = choose(&inputs, seed);
            assert_eq!(order, choose(&inputs, seed));
            let mut sorted = order.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4], "{strategy:?}");
        }
    }
}

#[test]
fn priority_goes_by_order_past_the_broken_and_the_full() {
    let broken = Known {
        breaker: BreakerState::Open,
        ..known()
    };
    let full = Known { in_flight: 64, ..known() };
    let unable = Known { is_able: false, ..known() };
    let inputs = inputs(Strategy::Priority, [unable, broken, full, known()]);
    assert_eq!(choose(&inputs, 0).to_vec(), [3, 2, 1, 0]);
}

#[test]
fn who_waits_does_not_look_at_full_windows() {
    let full = Known { in_flight: 64, ..known() };
    let mut inputs = inputs(Strategy::Priority, [full, known()]);
    assert_eq!(first(&inputs), 1);
    inputs.when_full = WhenFull::Wait;
    assert_eq!(first(&inputs), 0);
}

#[test]
fn weights_are_kept_to_the_percent() {
    let weighing = |weight: f64| Known { weight, ..known() };
    let shares = shares(&inputs(
        Strategy::Weighted,
        [weighing(7.0), weighing(2.0), weighing(1.0), weighing(0.0)],
    ));
    for (share, wanted) in shares.iter().zip([0.7, 0.2, 0.1, 0.0]) {
        assert!((share - wanted).abs() < 0.01, "{shares:?}");
    }
}

#[test]
fn what_a_broken_target_leaves_is_shared_by_weight() {
    let weighing = |weight: f64| Known { weight, ..known() };
    let broken = Known {
        breaker: BreakerState::Open,
        ..weighing(5.0)
    };
    let shares = shares(&inputs(Strategy::Weighted, [broken, weighing(3.0), weighing(1.0)]));
    assert_eq!(shares[0], 0.0);
    assert!((shares[1] - 0.75).abs() < 0.01, "{shares:?}");
}

#[test]
fn equals_share_evenly_under_every_strategy_that_spreads() {
    for strategy in [Strategy::Weighted, Strategy::Latency, Strategy::Cost, Strategy::Adaptive] {
        let shares = shares(&inputs(strategy, [known(), known()]));
        assert!((shares[0] - 0.5).abs() < 0.01, "{strategy:?} {shares:?}");
    }
}

#[test]
fn a_target_ten_times_slower_gets_next_to_nothing() {
    let slow = Known {
        ttft_ms: Some(5_000.0),
        tpot_ms: Some(200.0),
        ..known()
    };
    for strategy in [Strategy::Latency, Strategy::Adaptive] {
        let shares = shares(&inputs(strategy, [known(), slow]));
        assert!(shares[1] < 0.01, "{strategy:?} {shares:?}");
    }
}

#[test]
fn requests_in_flight_and_failures_make_a_target_slower() {
    let busy = Known { in_flight: 9, ..known() };
    assert!(shares(&inputs(Strategy::Latency, [busy, known()]))[0] < 0.01);
    let failing = Known { failing: 0.9, ..known() };
    assert!(shares(&inputs(Strategy::Latency, [failing, known()]))[0] < 0.01);
}

#[test]
fn who_was_never_measured_counts_as_the_best() {
    let new = Known {
        ttft_ms: None,
        tpot_ms: None,
        output_tokens: None,
        ..known()
    };
    let shares = shares(&inputs(Strategy::Latency, [known(), new]));
    assert!((shares[1] - 0.5).abs() < 0.01, "{shares:?}");
}

#[test]
fn cost_counts_cache_hits_and_an_unknown_price_comes_last() {
    let dear_but_cached = Known {
        cache_hits: 0.9,
        ..known()
    };
    let cheap = Known {
        input_price: Some(2.5e6),
        cached_price: Some(2.5e6),
        ..known()
    };
    let unknown = Known {
        input_price: None,
        ..known()
    };
    let inputs = inputs(Strategy::Cost, [unknown, cheap, dear_but_cached]);
    assert_eq!(choose(&inputs, 3).to_vec(), [2, 1, 0]);
}

#[test]
fn the_cheapest_is_passed_over_while_it_misses_the_objective() {
    let cheap_and_late = Known {
        input_price: Some(1e6),
        output_price: Some(1e6),
        attained: Some(0.5),
        ..known()
    };
    let good = Known {
        attained: Some(0.99),
        ..known()
    };
    let mut inputs = inputs(Strategy::Cost, [cheap_and_late, good]);
    assert_eq!(first(&inputs), 0);
    inputs.objective_share = Some(0.95);
    assert_eq!(first(&inputs), 1);
    inputs.targets[1].attained = Some(0.1);
    assert_eq!(first(&inputs), 0, "where none meets it, the cheapest serves");
}

#[test]
fn adaptive_goes_by_its_weights_and_shows_its_scores() {
    let slow_and_cheap = Known {
        ttft_ms: Some(1_500.0),
        tpot_ms: Some(60.0),
        input_price: Some(1e6),
        output_price: Some(5e6),
        ..known()
    };
    let mut inputs = inputs(Strategy::Adaptive, [known(), slow_and_cheap]);
    inputs.weights = WeightsConfig {
        latency: 1.0,
        cost: 0.0,
        health: 0.0,
        headroom: 0.0,
    };
    assert!(shares(&inputs)[0] > 0.99);
    inputs.weights = WeightsConfig {
        latency: 0.0,
        cost: 1.0,
        ..inputs.weights
    };
    assert!(shares(&inputs)[1] > 0.99);
    let scores = scores(&inputs);
    assert_eq!(scores[1], Some(1.0));
    assert!(scores[0].is_some_and(|score| score < 0.5), "{scores:?}");
}

#[test]
fn of_many_equals_each_gets_its_share() {
    for strategy in [Strategy::Weighted, Strategy::Latency, Strategy::Adaptive] {
        let shares = shares(&inputs(strategy, vec![known(); 4]));
        assert!(shares.iter().all(|share| (share - 0.25).abs() < 0.06), "{strategy:?} {shares:?}");
    }
}

#[test]
fn inputs_survive_being_written_and_read() {
    let inputs = inputs(Strategy::Adaptive, [known(), known()]);
    let text = serde_json::to_string(&inputs).unwrap();
    assert_eq!(serde_json::from_str::<Inputs>(&text).unwrap(), inputs);
}
