//! Active probes: what they learn before any caller has to.

use std::time::Duration;

use steward_inference::balance::choose::BreakerState;
use steward_testkit::fake_clock::FakeClock;
use steward_testkit::script::Reply;

use super::bench::{Bench, Ledger, provider, server, two};

async fn breaker(bench: &Bench) -> BreakerState {
    bench.router.standing("default").unwrap().targets[0].breaker
}

#[tokio::test]
async fn a_target_that_does_not_answer_probes_is_left_alone_before_anyone_asks() {
    let (one, other) = (server([]).await, server([Reply::text("here")]).await);
    let config = two(&one, &other) + "probe = { every = \"10s\" }\nbreaker = { failures = 2, window = \"60s\", cooldown = \"30s\" }\n";
    drop(one);
    let clock = FakeClock::default();
    let bench = Bench::with(&config, Ledger::default(), std::sync::Arc::new(clock.clone()));
    let moving = async {
        for _ in 0..2_000 {
            if breaker(&bench).await == BreakerState::Open {
                return;
            }
            clock.advance(Duration::from_millis(500)).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = bench.router.watch() => {}
        () = moving => {}
    }
    assert_eq!(breaker(&bench).await, BreakerState::Open);
    assert_eq!(bench.ask("default").await.answerer().attempts, 1);
}

#[tokio::test]
async fn without_a_probe_nobody_is_asked() {
    let one = server([]).await;
    let config = provider("one", "openai-chat", &one) + "[routes.default]\ntargets = [{ model = \"one/m\" }]\n";
    let clock = FakeClock::default();
    let bench = Bench::with(&config, Ledger::default(), std::sync::Arc::new(clock.clone()));
    tokio::select! {
        () = bench.router.watch() => {}
        () = async {
            for _ in 0..20 {
                clock.advance(Duration::from_secs(1)).await;
            }
        } => {}
    }
    assert_eq!(one.count(), 0);
}
