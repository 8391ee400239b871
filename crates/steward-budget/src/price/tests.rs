use steward_domain::money::Usd;
use steward_domain::usage::Usage;

use super::Price;

fn price() -> Price {
    let per_mtok = |usd: i128| Usd::from_pico(usd * 1_000_000);
    Price {
        cached_input: Usd::from_pico(300_000),
        cache_write_5m: Usd::from_pico(3_750_000),
        ..Price::flat(per_mtok(3), per_mtok(15), "2026-11")
    }
}

#[test]
fn a_call_costs_the_exact_sum_of_its_parts() {
    let usage = Usage {
        input: 1_000,
        cached_input: 7,
        output: 13,
        reasoning: 1,
        ..Usage::default()
    };
    assert_eq!(price().cost(&usage).to_string(), "0.0032121");
}

#[test]
fn the_worst_case_is_never_below_the_cost() {
    let usage = Usage {
        cache_write_5m: 500,
        input: 500,
        output: 60,
        reasoning: 40,
        ..Usage::default()
    };
    assert!(price().worst_case(1_000, 100) >= price().cost(&usage));
}

#[test]
fn a_hundred_thousand_calls_add_up() {
    let usage = Usage {
        input: 1,
        output: 1,
        ..Usage::default()
    };
    let sum: Usd = (0..100_000).map(|_| price().cost(&usage)).sum();
    assert_eq!(sum, price().cost(&usage).times(100_000));
}
