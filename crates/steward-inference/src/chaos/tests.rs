use super::*;

fn plan(change: impl FnOnce(&mut ChaosPlan)) -> ChaosPlan {
    let mut plan = ChaosPlan {
        route: "default".into(),
        errors: 0.1,
        for_ms: 1_000,
        ..ChaosPlan::default()
    };
    change(&mut plan);
    plan
}

#[test]
fn a_plan_that_cannot_be_meant_is_refused() {
    let refused = |change: fn(&mut ChaosPlan), wanted: &str| {
        let problem = plan(change).check().unwrap_err();
        assert!(problem.contains(wanted), "{problem}");
    };
    assert_eq!(plan(|_| {}).check(), Ok(()));
    refused(|plan| plan.errors = 1.5, "from 0 to 1");
    refused(|plan| plan.cut = -0.1, "from 0 to 1");
    refused(|plan| plan.dns = f64::NAN, "from 0 to 1");
    refused(|plan| (plan.errors, plan.cut) = (0.6, 0.6), "together");
    refused(|plan| plan.latency_ms = 60_001, "latency");
    refused(|plan| plan.for_ms = 0, "at most");
    refused(|plan| plan.for_ms = 3_600_001, "at most");
    refused(|plan| plan.errors = 0.0, "nothing would go wrong");
}

#[test]
fn lots_fall_as_the_shares_say() {
    let plan = plan(|plan| {
        (plan.dns, plan.errors, plan.rate_limit, plan.cut, plan.garble) = (0.1, 0.2, 0.1, 0.1, 0.1);
    });
    let mut counts: BTreeMap<Option<Injection>, u32> = BTreeMap::new();
    for lot in 0..1_000 {
        *counts.entry(plan.injection_at(f64::from(lot) / 1_000.0 + 0.0005)).or_default() += 1;
    }
    let wanted = [
        (None, 400),
        (Some(Injection::Dns), 100),
        (Some(Injection::Error), 200),
        (Some(Injection::RateLimit), 100),
        (Some(Injection::Cut), 100),
        (Some(Injection::Garble), 100),
    ];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn percentiles_are_of_the_values_that_were_seen() {
    assert_eq!(Percentiles::of(&[]), Percentiles::default());
    let values: Vec<u64> = (1..=200).rev().collect();
    let wanted = Percentiles {
        p50: 100,
        p95: 190,
        p99: 198,
        max: 200,
    };
    assert_eq!(Percentiles::of(&values), wanted);
}
