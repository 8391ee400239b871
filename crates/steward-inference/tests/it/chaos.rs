use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use steward_domain::model::{Model, ModelErrorKind};
use steward_inference::chaos::{ChaosError, ChaosPlan};
use steward_testkit::fake_clock::FakeClock;
use steward_testkit::script::Reply;

use super::bench::{Bench, Ledger, attempts, caller, provider, server, two};

fn plan(change: impl FnOnce(&mut ChaosPlan)) -> ChaosPlan {
    let mut plan = ChaosPlan {
        route: "default".into(),
        for_ms: 60_000,
        ..ChaosPlan::default()
    };
    change(&mut plan);
    plan
}

#[tokio::test]
async fn injected_errors_are_answered_by_retries_and_fallbacks_and_told() {
    let (one, other) = (server([]).await, server([]).await);
    // Breakers that never open, or few calls would be left to look at.
    let bench = Bench::new(&(two(&one, &other) + "breaker = { failures = 10000 }\n"));
    let id = bench.router.start_chaos(plan(|plan| plan.errors = 0.4)).unwrap();
    for _ in 0..40 {
        bench.ask("default").await;
    }
    let report = bench.router.stop_chaos(&id).unwrap();
    let failed: u64 = report.errors.values().sum();
    assert_eq!((report.requests, report.ok + failed), (40, 40), "{report:?}");
    assert!(
        report.ok > 25 && report.injected["errors"] > 0 && report.further_attempts > 0,
        "{report:?}"
    );
    assert_eq!(report.state, "stopped");
    assert!(report.whole_ms.max >= report.whole_ms.p50 && report.first_content_ms.p99 >= report.first_content_ms.p50);
    assert_eq!(one.count() + other.count(), report.ok, "what the drill refuses is not sent");
    bench.ledger.assert_balanced();
    let after = bench.router.watch_chaos(&id).unwrap();
    assert_eq!(after.requests, 40, "calls after the drill are not its calls");
}

#[tokio::test]
async fn every_kind_of_fault_reaches_the_caller_as_its_own_error() {
    type Change = fn(&mut ChaosPlan);
    let kinds: [(Change, ModelErrorKind); 5] = [
        (|plan| plan.dns = 1.0, ModelErrorKind::Network),
        (|plan| plan.errors = 1.0, ModelErrorKind::Server),
        (|plan| plan.rate_limit = 1.0, ModelErrorKind::RateLimited),
        (|plan| plan.cut = 1.0, ModelErrorKind::Cut),
        (|plan| plan.garble = 1.0, ModelErrorKind::Malformed),
    ];
    for (change, kind) in kinds {
        let one = server([]).await;
        let route = "[routes.default]\ntargets = [{ model = \"one/m\" }]\nretry = { attempts = 0 }\n";
        let bench = Bench::new(&(provider("one", "openai-chat", &one) + route));
        let id = bench.router.start_chaos(plan(change)).unwrap();
        let mut causes = Vec::new();
        for _ in 0..4 {
            let outcome = bench.ask("default").await;
            causes.extend(attempts(&bench, &outcome).into_iter().map(|(_, status)| status));
        }
        let report = bench.router.stop_chaos(&id).unwrap();
        assert_eq!(report.ok, 0, "{kind:?}: {report:?} {causes:?}");
        let injected: u64 = report.injected.values().sum();
        assert_eq!((report.requests, injected), (4, 4), "{kind:?}: {report:?}");
        bench.ledger.assert_balanced();
        let after = bench.ask("default").await.text();
        assert!(!after.is_empty(), "{kind:?}: after the drill all is well");
    }
}

#[tokio::test]
async fn a_cut_after_the_first_content_is_never_silently_short() {
    let mut reply = Reply::text("one two three four five six seven eight nine ten");
    reply.slice_bytes = 40;
    let one = server([reply]).await;
    let bench = Bench::new(&provider("one", "openai-chat", &one));
    let id = bench
        .router
        .start_chaos(plan(|plan| (plan.route, plan.cut) = ("one/m".into(), 1.0)))
        .unwrap();
    let mut broken = 0;
    for _ in 0..12 {
        let outcome = bench.ask("one/m").await;
        outcome.error();
        broken += u64::from(outcome.has_content());
    }
    let report = bench.router.stop_chaos(&id).unwrap();
    assert_eq!((report.requests, report.ok), (12, 0), "{report:?}");
    assert_eq!(report.errors.values().sum::<u64>(), 12);
    assert!(report.broken_off <= broken, "{report:?}");
}

#[tokio::test]
async fn a_drill_ends_with_its_time_and_when_nobody_watches() {
    let one = server([]).await;
    let clock = Arc::new(FakeClock::default());
    let config = provider("one", "openai-chat", &one) + "[routes.default]\ntargets = [{ model = \"one/m\" }]\nretry = { attempts = 0 }\n";
    let bench = Bench::with(&config, Ledger::default(), Arc::clone(&clock) as Arc<_>);
    let id = bench.router.start_chaos(plan(|plan| plan.errors = 1.0)).unwrap();
    assert!(matches!(
        bench.router.start_chaos(plan(|plan| plan.errors = 1.0)),
        Err(ChaosError::Busy(_))
    ));
    clock.jump(Duration::from_secs(9));
    assert_eq!(bench.router.watch_chaos(&id).unwrap().state, "running");
    clock.jump(Duration::from_secs(9));
    assert_eq!(
        bench.router.watch_chaos(&id).unwrap().state,
        "running",
        "whoever asks keeps it alive"
    );
    clock.jump(Duration::from_secs(11));
    assert!(bench.ask("default").await.has_content(), "nobody watches, so nothing goes wrong");
    let report = bench.router.watch_chaos(&id).unwrap();
    assert_eq!((report.state.as_str(), report.ran_ms), ("abandoned", 19_000 + 9_000));
    let id = bench
        .router
        .start_chaos(plan(|plan| (plan.errors, plan.for_ms) = (1.0, 5_000)))
        .unwrap();
    clock.jump(Duration::from_secs(6));
    assert!(bench.ask("default").await.has_content());
    let report = bench.router.watch_chaos(&id).unwrap();
    assert_eq!((report.state.as_str(), report.ran_ms, report.requests), ("time", 5_000, 0));
    assert_eq!(bench.router.watch_chaos("drill-0").unwrap_err(), ChaosError::Unknown);
}

#[tokio::test]
async fn another_route_sees_nothing_of_a_drill() {
    let (one, other) = (server([]).await, server([]).await);
    let bench = Bench::new(&two(&one, &other));
    let id = bench
        .router
        .start_chaos(plan(|plan| (plan.route, plan.errors) = ("one/m".into(), 1.0)))
        .unwrap();
    for _ in 0..5 {
        assert!(bench.ask("default").await.has_content());
    }
    assert_eq!(bench.router.stop_chaos(&id).unwrap().requests, 0);
    assert!(matches!(
        bench
            .router
            .start_chaos(plan(|plan| (plan.route, plan.errors) = ("nosuch".into(), 1.0))),
        Err(ChaosError::Plan(_))
    ));
}

#[tokio::test]
async fn a_caller_who_leaves_is_counted_as_cancelled() {
    let one = server([]).await;
    let bench = Bench::new(&provider("one", "openai-chat", &one));
    let id = bench
        .router
        .start_chaos(plan(|plan| (plan.route, plan.latency_ms) = ("one/m".into(), 1)))
        .unwrap();
    let request = steward_domain::model::ModelRequest::new(
        "one/m",
        vec![steward_domain::message::Message::text(steward_domain::message::Role::User, "hi")],
    );
    let mut stream = bench.router.stream(request, caller());
    stream.next().await;
    drop(stream);
    bench.router.drain().await;
    let report = bench.router.stop_chaos(&id).unwrap();
    assert_eq!(
        (report.requests, report.cancelled, report.injected["latency"]),
        (1, 1, 1),
        "{report:?}"
    );
}
