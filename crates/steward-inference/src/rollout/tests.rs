use std::time::Duration;

use steward_domain::clock::Timestamp;

use super::order::{Order, OrderError};
use super::simulation::{Behaviour, Day, PLAIN};
use super::{Action, Arm, Observation, Phase, Rollout, Signal};
use crate::config::rollout::{RolloutConfig, RolloutKind};

const CALLS_A_DAY: u64 = 200_000;

/// 5 % of a day's traffic.
const FEW: u64 = CALLS_A_DAY / 20;

fn config(kind: RolloutKind) -> RolloutConfig {
    RolloutConfig {
        share: (kind == RolloutKind::Canary).then_some(0.05),
        ..RolloutConfig::to(kind, "openai/gpt-5")
    }
}

fn rollout(kind: RolloutKind) -> Rollout {
    Rollout::new("default", config(kind), "openai/gpt-5", None, at(0))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ok() -> Observation {
    Observation {
        is_ok: true,
        ttft_s: Some(0.3),
        tpot_s: Some(0.02),
        cost_usd: Some(0.001),
        is_good: Some(true),
    }
}

/// The phases in which canaries end after at most two days, and the candidate's calls in each.
fn canaries(runs: u64, candidate: Behaviour) -> Vec<(Phase, u64)> {
    let day = |seed| {
        let mut day = Day::new(config(RolloutKind::Canary), seed, CALLS_A_DAY);
        (day.run(PLAIN, candidate, 2 * CALLS_A_DAY), day.candidate_calls)
    };
    (0..runs).map(day).collect()
}

fn count(ends: &[(Phase, u64)], phase: Phase, calls: u64) -> usize {
    ends.iter().filter(|end| end.0 == phase && end.1 <= calls).count()
}

/// A worse candidate is out before it has had 5 % of a day's calls in 99 of 100 runs, and never takes over.
fn check_worse(candidate: Behaviour) {
    let ends = canaries(100, candidate);
    let (out, promoted) = (count(&ends, Phase::RolledBack, FEW), count(&ends, Phase::Promoted, u64::MAX));
    assert!(
        out >= 99 && promoted == 0,
        "{out} of 100 were rolled back in time, {promoted} took over"
    );
}

#[test]
fn a_candidate_that_fails_two_points_more_often_is_rolled_back_in_time() {
    check_worse(Behaviour { errors: 0.03, ..PLAIN });
}

#[test]
fn a_candidate_that_is_thirty_percent_slower_is_rolled_back_in_time() {
    check_worse(Behaviour { slowness: 1.3, ..PLAIN });
}

#[test]
fn a_candidate_that_gives_worse_answers_is_rolled_back_in_time() {
    check_worse(Behaviour { good: 0.95, ..PLAIN });
}

#[test]
fn a_candidate_at_twice_the_cost_is_rolled_back_in_time() {
    check_worse(Behaviour { cost_usd: 0.004, ..PLAIN });
}

#[test]
fn an_equal_candidate_takes_over_and_is_seldom_rolled_back() {
    let ends = canaries(100, PLAIN);
    let (out, promoted) = (count(&ends, Phase::RolledBack, u64::MAX), count(&ends, Phase::Promoted, u64::MAX));
    assert!(out <= 5 && promoted >= 90, "{out} of 100 were rolled back, {promoted} took over");
}

#[test]
fn a_better_candidate_takes_over() {
    let better = Behaviour {
        errors: 0.002,
        slowness: 0.8,
        cost_usd: 0.001,
        good: 0.999,
    };
    let ends = canaries(100, better);
    assert!(count(&ends, Phase::Promoted, u64::MAX) >= 99, "{ends:?}");
}

#[test]
fn a_candidate_on_the_edge_of_a_gate_takes_over_no_oftener_than_stated() {
    let ends = canaries(30, Behaviour { errors: 0.021, ..PLAIN });
    assert!(count(&ends, Phase::Promoted, u64::MAX) <= 2, "{ends:?}");
}

#[test]
fn a_candidate_that_fails_every_call_is_out_within_a_few_dozen() {
    for seed in 0..100 {
        let mut day = Day::new(config(RolloutKind::Canary), seed, CALLS_A_DAY);
        let broken = Behaviour { errors: 0.3, ..PLAIN };
        assert_eq!(day.run(PLAIN, broken, CALLS_A_DAY), Phase::RolledBack);
        assert!(day.candidate_calls <= 200, "{} calls", day.candidate_calls);
    }
}

#[test]
fn a_canary_holds_with_a_reason_while_the_evidence_does_not_suffice() {
    let mut rollout = Rollout::new(
        "default",
        RolloutConfig {
            min_samples: 20,
            step_time: Duration::from_secs(10),
            ..config(RolloutKind::Canary)
        },
        "a",
        None,
        at(0),
    );
    let mut events = Vec::new();
    for second in 0..100 {
        rollout.observe(Arm::Incumbent, &ok(), at(second));
        events.extend(rollout.observe(Arm::Candidate, &ok(), at(second)));
    }
    assert_eq!(events.len(), 1, "a hold is said once: {events:?}");
    assert_eq!((events[0].action, events[0].who.as_str()), (Action::Hold, "system"));
    assert!(events[0].why.contains("errors"), "{}", events[0].why);
    assert_eq!(rollout.status().phase, Phase::Running);
}

#[test]
fn a_step_is_not_left_before_its_time() {
    let mut rollout = rollout(RolloutKind::Canary);
    for _ in 0..2_000 {
        rollout.observe(Arm::Incumbent, &ok(), at(599));
        assert_eq!(rollout.observe(Arm::Candidate, &ok(), at(599)), []);
    }
    let events = rollout.observe(Arm::Candidate, &ok(), at(600));
    assert_eq!((events[0].action, events[0].share_after), (Action::Shift, 0.25));
}

#[test]
fn a_held_canary_does_not_grow_but_a_broken_candidate_still_goes() {
    let mut rollout = rollout(RolloutKind::Canary);
    rollout.order(Order::Hold, "user:ana", "look first", at(0)).unwrap();
    for _ in 0..2_000 {
        rollout.observe(Arm::Incumbent, &ok(), at(9_999));
        assert_eq!(rollout.observe(Arm::Candidate, &ok(), at(9_999)), []);
    }
    let failed = Observation::default();
    let out = (0..2_000).find_map(|_| {
        rollout.observe(Arm::Incumbent, &ok(), at(9_999));
        rollout.observe(Arm::Candidate, &failed, at(9_999)).pop()
    });
    assert_eq!(out.map(|event| event.action), Some(Action::Rollback));
}

#[test]
fn a_session_keeps_its_arm_while_the_share_grows_and_leaves_at_a_rollback() {
    let mut rollout = rollout(RolloutKind::Canary);
    let sessions: Vec<String> = (0..2_000).map(|number| format!("session-{number}")).collect();
    let arms = |rollout: &mut Rollout| -> Vec<Arm> {
        let choose = |session: &String| rollout.choose(Some(session), at(1)).arm;
        sessions.iter().map(choose).collect()
    };
    let before = arms(&mut rollout);
    let share = before.iter().filter(|arm| **arm == Arm::Candidate).count();
    assert!((60..=140).contains(&share), "{share} of 2000 at 5 %");
    assert_eq!(arms(&mut rollout), before);
    rollout.state.share = 0.5;
    assert_eq!(arms(&mut rollout), before, "growth moves no session that goes on");
    rollout.order(Order::Rollback, "user:ana", "", at(2)).unwrap();
    assert!(arms(&mut rollout).iter().all(|arm| *arm == Arm::Incumbent));
}

#[test]
fn blue_green_switches_as_a_whole_and_back() {
    let mut rollout = rollout(RolloutKind::BlueGreen);
    assert_eq!(rollout.choose(None, at(0)).arm, Arm::Incumbent);
    assert_eq!(rollout.order(Order::Shift(0.3), "user:ana", "", at(0)), Err(OrderError::Whole(0.3)));
    let event = rollout.order(Order::Promote, "user:ana", "green is ready", at(1)).unwrap();
    assert_eq!(
        (event.action.name(), event.who.as_str(), event.why.as_str()),
        ("route.promote", "user:ana", "green is ready")
    );
    assert_eq!(rollout.choose(Some("s"), at(1)).arm, Arm::Candidate);
    rollout.order(Order::Rollback, "user:ana", "", at(2)).unwrap();
    assert_eq!(rollout.choose(Some("s"), at(2)).arm, Arm::Incumbent);
    assert_eq!(
        rollout.order(Order::Hold, "user:ana", "", at(3)),
        Err(OrderError::Over("rolled back"))
    );
}

#[test]
fn a_shadow_copies_its_share_and_never_answers() {
    let mut rollout = Rollout::new(
        "default",
        RolloutConfig {
            share: Some(0.25),
            ..config(RolloutKind::Shadow)
        },
        "a",
        None,
        at(0),
    );
    let choices: Vec<_> = (0..4_000).map(|_| rollout.choose(None, at(0))).collect();
    assert!(choices.iter().all(|choice| choice.arm == Arm::Incumbent));
    let copied = choices.iter().filter(|choice| choice.is_copied).count();
    assert!((850..=1_150).contains(&copied), "{copied} of 4000 at 25 %");
}

#[test]
fn a_bandit_finds_the_better_arm_and_follows_when_the_better_arm_changes() {
    let worse = Behaviour { errors: 0.15, ..PLAIN };
    let mut right = 0;
    for seed in 0..50 {
        let mut day = Day::new(config(RolloutKind::ChampionChallenger), seed, CALLS_A_DAY);
        (0..6_000).for_each(|_| day.call(worse, PLAIN));
        let found = day.rollout.state.share > 0.8;
        (0..10_000).for_each(|_| day.call(PLAIN, worse));
        let followed = day.rollout.state.share < 0.2;
        right += usize::from(found && followed);
    }
    assert!(right >= 48, "{right} of 50");
}

#[test]
fn a_bandit_waits_for_its_samples_and_shows_what_it_believes() {
    let mut rollout = rollout(RolloutKind::ChampionChallenger);
    for _ in 0..199 {
        rollout.observe(Arm::Incumbent, &ok(), at(0));
        rollout.observe(Arm::Candidate, &Observation::default(), at(0));
    }
    assert_eq!(rollout.state.share, 0.5);
    rollout.observe(Arm::Incumbent, &ok(), at(0));
    let events = rollout.observe(Arm::Candidate, &Observation::default(), at(0));
    assert_eq!(events[0].action, Action::Rollback);
    let status = rollout.status();
    assert!(status.candidate_is_better.unwrap() < 0.001);
    assert!(status.arms[0].posterior.unwrap().mean > 0.9 && status.arms[1].posterior.unwrap().mean < 0.1);
}

#[test]
fn thumbs_down_on_the_candidate_roll_it_back() {
    let mut rollout = rollout(RolloutKind::Canary);
    let out = (0..500).find_map(|_| {
        rollout.signal(Arm::Incumbent, Signal::ThumbUp, at(0));
        rollout.signal(Arm::Candidate, Signal::ThumbDown, at(0)).pop()
    });
    let out = out.unwrap();
    assert_eq!(out.action, Action::Rollback);
    assert!(out.why.starts_with("parity"), "{}", out.why);
}

#[test]
fn a_rollout_goes_on_after_a_restart_where_it_was() {
    let mut day = Day::new(config(RolloutKind::Canary), 7, CALLS_A_DAY);
    (0..20_000).for_each(|_| day.call(PLAIN, PLAIN));
    let saved = serde_json::to_string(day.rollout.state()).unwrap();
    assert!(saved.len() < 64 * 1_024, "{} bytes", saved.len());
    let saved: super::RolloutState = serde_json::from_str(&saved).unwrap();
    let restart = |subject| Rollout::new("default", config(RolloutKind::Canary), subject, Some(saved.clone()), day.now);
    let kept = restart("run 7").status();
    assert_eq!((kept.share, kept.arms), (day.rollout.status().share, day.rollout.status().arms));
    assert_eq!(restart("another candidate").status().arms[0].calls, 0);
}
