use std::sync::Arc;

use steward_domain::clock::Timestamp;
use steward_domain::model::{CacheUse, ModelErrorKind, ModelEvent};
use steward_domain::money::Usd;
use steward_domain::usage::Usage;
use steward_testkit::fake_clock::FakeClock;
use steward_testkit::script::Reply;

use super::bench::{Bench, Ledger, Outcome, server, two};

fn with_cache(config: &str, cache: &str) -> String {
    format!("{config}cache = {{ {cache} }}\n")
}

fn used(outcome: &Outcome) -> CacheUse {
    outcome.answerer().cache
}

/// Everything but who answered and what it cost.
fn content(outcome: &Outcome) -> Vec<ModelEvent> {
    let is_content = |event: &&ModelEvent| !matches!(event, ModelEvent::Started(_) | ModelEvent::Finished(_));
    outcome.events.iter().filter(is_content).cloned().collect()
}

#[tokio::test]
async fn the_same_request_is_answered_again_as_it_came_for_nothing() {
    let (one, other) = (server([Reply::text("a long answer in many pieces")]).await, server([]).await);
    let bench = Bench::new(&with_cache(&two(&one, &other), "exact = true"));
    let (first, again) = (bench.ask("default").await, bench.ask("default").await);
    assert_eq!((used(&first), used(&again)), (CacheUse::Miss, CacheUse::Hit));
    assert_eq!(content(&again), content(&first));
    assert_eq!((again.answerer().target.as_str(), again.answerer().attempts), ("one/m", 0));
    assert_eq!((one.count(), again.finish().cost), (1, Usd::ZERO));
    let free = bench.ledger.free.lock().unwrap().clone();
    assert_eq!(free.len(), 1);
    assert_eq!(
        (free[0].route.as_str(), free[0].status.as_str(), free[0].usage),
        ("default", "cache_hit", Usage::default())
    );
    assert_eq!(bench.router.cache_report("default").unwrap().hit_rate, Some(0.5));
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_failure_is_never_kept() {
    let (one, other) = (server([Reply::error(400), Reply::text("now it works")]).await, server([]).await);
    let bench = Bench::new(&with_cache(&two(&one, &other), "exact = true"));
    assert_eq!(bench.ask("default").await.error().kind, ModelErrorKind::BadRequest);
    let outcome = bench.ask("default").await;
    assert_eq!((outcome.text().as_str(), used(&outcome)), ("now it works", CacheUse::Miss));
}

#[tokio::test]
async fn an_old_answer_is_given_and_marked_when_every_target_fails_and_the_route_allows_it() {
    for (cache, is_given) in [("exact = true, stale = \"1d\"", true), ("exact = true", false)] {
        let down = || vec![Reply::text("as of yesterday"), Reply::error(500), Reply::error(500)];
        let (one, other) = (server(down()).await, server([Reply::error(500)]).await);
        let clock = FakeClock::at(Timestamp::UNIX_EPOCH);
        let bench = Bench::with(
            &with_cache(&two(&one, &other), cache).replace("attempts = 1", "attempts = 0"),
            Ledger::default(),
            Arc::new(clock.clone()),
        );
        bench.ask("default").await;
        clock.jump(std::time::Duration::from_secs(7_200));
        let outcome = bench.ask("default").await;
        if is_given {
            assert_eq!((outcome.text().as_str(), used(&outcome)), ("as of yesterday", CacheUse::Stale));
            assert_eq!(bench.ledger.free.lock().unwrap()[0].status, "cache_stale");
        } else {
            assert_eq!(outcome.error().kind, ModelErrorKind::NoTarget);
        }
        bench.ledger.assert_balanced();
    }
}

#[tokio::test]
async fn a_route_without_a_cache_says_so() {
    let (one, other) = (server([Reply::text("x")]).await, server([]).await);
    let bench = Bench::new(&two(&one, &other));
    assert_eq!(used(&bench.ask("default").await), CacheUse::Off);
    assert_eq!((used(&bench.ask("default").await), one.count()), (CacheUse::Off, 2));
}
