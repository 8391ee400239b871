//! Simulations: shares, windows and recovery, with seeded noise and a clock that the test moves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::sim::{Sim, is_answer};

/// After warm-up every window of five seconds keeps both shares within 45–55 %.
async fn check_even(strategy: &str) {
    let mut sim = Sim::new(2, &format!("strategy = \"{strategy}\""));
    sim.run(100.0, 10).await;
    for window in 0..8 {
        sim.run(100.0, 5).await;
        let share = sim.share(0, 5);
        assert!((0.45..=0.55).contains(&share), "{strategy}: {share} in window {window}");
    }
    assert!(sim.finish().await.iter().all(|events| is_answer(events)));
    sim.bench.router.drain().await;
    sim.bench.ledger.assert_balanced();
}

#[tokio::test]
async fn two_equal_targets_share_evenly_by_weight() {
    check_even("weighted").await;
}

#[tokio::test]
async fn two_equal_targets_share_evenly_by_latency() {
    check_even("latency").await;
}

#[tokio::test]
async fn two_equal_targets_share_evenly_by_cost() {
    check_even("cost").await;
}

#[tokio::test]
async fn two_equal_targets_share_evenly_when_all_is_weighed() {
    check_even("adaptive").await;
}

/// A target slowed tenfold gets less than 5 % within 10 s, and its share back within 30 s.
async fn check_recovery(strategy: &str) {
    let mut sim = Sim::new(2, &format!("strategy = \"{strategy}\""));
    sim.run(50.0, 20).await;
    sim.models[1].slow_down(10);
    sim.run(50.0, 10).await;
    for _ in 0..4 {
        sim.run(50.0, 5).await;
        let share = sim.share(1, 5);
        assert!(share < 0.05, "{strategy}: {share} while slow");
    }
    sim.models[1].slow_down(1);
    sim.run(50.0, 30).await;
    sim.run(50.0, 5).await;
    let share = sim.share(1, 5);
    assert!((0.4..0.6).contains(&share), "{strategy}: {share} after recovery");
}

#[tokio::test]
async fn a_slow_target_is_left_alone_by_latency_and_comes_back() {
    check_recovery("latency").await;
}

#[tokio::test]
async fn a_slow_target_is_left_alone_when_all_is_weighed_and_comes_back() {
    check_recovery("adaptive").await;
}

#[tokio::test]
async fn windows_find_what_targets_can_take_and_shares_stay_even() {
    let mut sim = Sim::new(2, "strategy = \"weighted\"\nretry = { attempts = 0 }");
    for model in &sim.models {
        model.capacity.store(20, Ordering::SeqCst);
    }
    // Both together can take about fifty calls a second; that many nearly come.
    sim.run(40.0, 20).await;
    let before: usize = sim.models.iter().map(|model| model.count()).sum();
    for window in 0..4 {
        sim.run(40.0, 5).await;
        let share = sim.share(0, 5);
        assert!((0.45..=0.55).contains(&share), "{share} in window {window}");
    }
    let sent = sim.models.iter().map(|model| model.count()).sum::<usize>() - before;
    let ended = sim.finish().await;
    let answered = ended.iter().filter(|events| is_answer(events)).count();
    assert!(answered * 100 >= ended.len() * 98, "{answered} of {} were answered", ended.len());
    // Of 800 calls few were sent in vain.
    assert!(sent < 900, "{sent} upstream requests for 800 calls");
    let standing = sim.bench.router.standing("r").unwrap();
    assert!(standing.targets.iter().all(|target| target.window < 64), "{standing:?}");
}

#[tokio::test]
async fn what_exceeds_a_window_spills_to_the_next_target() {
    let mut sim = Sim::new(2, "congestion = { start = 4, max = 4 }");
    for _ in 0..6 {
        sim.call("ana");
    }
    sim.clock.advance(Duration::from_millis(1)).await;
    assert_eq!((sim.models[0].count(), sim.models[1].count()), (4, 2));
    assert!(sim.finish().await.iter().all(|events| is_answer(events)));
}

#[tokio::test]
async fn those_who_wait_are_served_in_turn_by_principal() {
    let mut sim = Sim::new(1, "congestion = { start = 1, max = 1, wait = \"1m\" }");
    for user in ["loud", "loud", "loud", "loud", "quiet", "shy"] {
        sim.call(user);
        sim.clock.advance(Duration::from_millis(1)).await;
    }
    assert_eq!(sim.bench.router.standing("r").unwrap().targets[0].waiting, 5);
    assert!(sim.finish().await.iter().all(|events| is_answer(events)));
    let order: Vec<String> = sim.models[0].log.lock().unwrap().iter().map(|(_, who)| who.clone()).collect();
    assert_eq!(
        order,
        ["user:loud", "user:loud", "user:quiet", "user:shy", "user:loud", "user:loud"]
    );
}

#[tokio::test]
async fn a_queue_is_bounded_in_length_and_in_time() {
    let mut sim = Sim::new(1, "congestion = { start = 1, max = 1, queue = 2, wait = \"100ms\" }");
    for _ in 0..4 {
        sim.call("ana");
        sim.clock.advance(Duration::from_millis(1)).await;
    }
    let ended = sim.finish().await;
    assert_eq!(ended.iter().filter(|events| is_answer(events)).count(), 1);
    assert_eq!(sim.models[0].count(), 1);
}

#[tokio::test]
async fn after_the_cooldown_exactly_one_of_many_calls_probes() {
    let mut sim = Sim::new(
        2,
        "breaker = { failures = 3, window = \"60s\", cooldown = \"30s\" }\nretry = { attempts = 0 }",
    );
    sim.models[0].is_broken.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        sim.call("ana");
        sim.clock.advance(Duration::from_millis(1)).await;
    }
    assert_eq!(sim.models[0].count(), 3);
    sim.clock.advance(Duration::from_secs(31)).await;
    sim.models[0].is_broken.store(false, Ordering::SeqCst);
    for _ in 0..20 {
        sim.call("ana");
    }
    sim.clock.advance(Duration::from_millis(1)).await;
    assert_eq!(sim.models[0].count(), 4, "one probe");
    sim.clock.advance(Duration::from_secs(5)).await;
    sim.call("ana");
    sim.clock.advance(Duration::from_millis(1)).await;
    assert_eq!(sim.models[0].count(), 5, "closed again");
    assert!(sim.finish().await.iter().all(|events| is_answer(events)));
}

#[tokio::test]
async fn a_total_outage_adds_no_more_than_a_fifth() {
    let mut sim = Sim::new(
        1,
        "breaker = { failures = 100000 }\nretry = { attempts = 3, base = \"1ms\", max = \"1ms\" }",
    );
    sim.models[0].is_broken.store(true, Ordering::SeqCst);
    sim.run(20.0, 50).await;
    let calls = sim.finish().await.len();
    let sent = sim.models[0].count();
    assert!(
        calls > 800 && sent * 100 <= calls * 120 + 1_000,
        "{sent} requests for {calls} calls"
    );
}

#[tokio::test]
async fn targets_change_under_load_and_no_call_fails() {
    let mut sim = Sim::new(3, "strategy = \"latency\"");
    let names = sim.names();
    for round in 0..20 {
        sim.run(60.0, 1).await;
        sim.replace(&names[round % 3..=round % 3], "strategy = \"weighted\"");
        sim.run(60.0, 1).await;
        sim.replace(&names, "strategy = \"adaptive\"");
    }
    let ended = sim.finish().await;
    assert!(ended.len() > 2_000);
    assert!(ended.iter().all(|events| is_answer(events)));
    sim.bench.router.drain().await;
    sim.bench.ledger.assert_balanced();
}

#[tokio::test]
async fn every_choice_can_be_computed_again() {
    for strategy in ["priority", "weighted", "latency", "cost", "adaptive"] {
        let mut sim = Sim::new(3, &format!("strategy = \"{strategy}\""));
        sim.run(30.0, 5).await;
        let caller = super::bench::caller();
        let request = caller.request.clone();
        sim.call_as(caller);
        sim.run(30.0, 5).await;
        sim.finish().await;
        let replay = sim.bench.router.replay(&request).unwrap();
        assert!(replay.is_same, "{strategy}: {replay:?}");
        assert_eq!(replay.decision.inputs.targets.len(), 3);
        let explanation = sim.bench.router.explain(&request).unwrap();
        assert_eq!(explanation.decision, replay.decision);
        let has_score = explanation.candidates.iter().all(|candidate| candidate.score.is_some());
        assert_eq!(has_score, matches!(strategy, "latency" | "cost" | "adaptive"), "{strategy}");
    }
}

#[tokio::test]
async fn a_late_answer_is_hedged_within_the_budget_and_the_loser_is_booked() {
    let mut sim = Sim::new(2, "hedge = { min_delay = \"50ms\" }");
    sim.run(10.0, 30).await;
    let (before, hedged_before) = (sim.models[0].count(), sim.models[1].count());
    assert!(hedged_before * 20 <= before, "{hedged_before} hedges for {before} requests");
    sim.models[0].slow_down(20);
    for _ in 0..40 {
        sim.call("ana");
        sim.clock.advance(Duration::from_millis(25)).await;
    }
    let ended = sim.finish().await;
    assert!(ended.iter().all(|events| is_answer(events)));
    sim.bench.router.drain().await;
    let hedges = sim.models[1].count();
    assert!(hedges > hedged_before && hedges * 20 <= before + 40, "{hedges} hedges");
    let booked = sim.bench.ledger.booked();
    let lost: Vec<_> = booked.iter().filter(|call| call.status == "hedge_lost").collect();
    assert_eq!(lost.len(), hedges, "each hedge has one loser");
    assert!(lost.iter().all(|call| call.usage.total_input() > 0));
    assert!(lost.iter().filter(|call| call.target == "local/a").count() >= hedges - hedged_before);
    sim.bench.ledger.assert_balanced();
}
