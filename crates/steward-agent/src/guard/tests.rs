use serde_json::json;
use steward_domain::decision::{Decision, Effect, Ruling};
use steward_domain::journal::{CallIntent, JournalEvent};
use steward_domain::limits::TurnLimits;
use steward_domain::message::{Message, Role};
use steward_domain::tool::{Repeat, ToolOutcome};

use super::must_end;
use crate::state::TurnState;

fn call(tool: &str, argument: u32, result: &str) -> (CallIntent, ToolOutcome) {
    let intent = CallIntent {
        touched: None,
        id: "c".into(),
        tool: tool.into(),
        arguments: json!({"n": argument}),
        effect: Effect::Reads,
        repeat: Repeat::Safe,
        ruling: Ruling {
            decision: Decision::Allow,
            reason: String::new(),
            rule: String::new(),
        },
    };
    (intent, ToolOutcome::done(result))
}

fn check(finished: Vec<(CallIntent, ToolOutcome)>, ends: bool) {
    let state = TurnState {
        finished,
        ..TurnState::default()
    };
    assert_eq!(must_end(&state, &TurnLimits::default()).is_some(), ends);
}

#[test]
fn the_same_call_with_the_same_result_three_times_ends_the_turn() {
    check(vec![call("read", 1, "x"), call("read", 1, "x")], false);
    check(vec![call("read", 1, "x"), call("read", 1, "x"), call("read", 1, "x")], true);
    check(vec![call("read", 1, "x"), call("read", 1, "y"), call("read", 1, "z")], false);
}

#[test]
fn two_calls_alternating_end_the_turn() {
    let pair = || [call("read", 1, "a"), call("read", 2, "b")];
    check(pair().into_iter().chain(pair()).collect(), false);
    check(pair().into_iter().chain(pair()).chain(pair()).collect(), true);
}

#[test]
fn calls_that_never_work_end_the_turn() {
    let failed = |n| (call("shell", n, "").0, ToolOutcome::failed(format!("error {n}")));
    check((0..7).map(failed).collect(), false);
    check((0..8).map(failed).collect(), true);
}

#[test]
fn polling_a_background_process_is_no_repeat() {
    check((0..5).map(|_| call("shell_poll", 1, "running")).collect(), false);
}

#[test]
fn limits_on_steps_tokens_and_money_end_the_turn() {
    let limits = TurnLimits::default();
    for state in [
        TurnState {
            steps: limits.steps,
            ..TurnState::default()
        },
        TurnState {
            tokens: limits.tokens,
            ..TurnState::default()
        },
        TurnState {
            cost: limits.turn_usd,
            ..TurnState::default()
        },
    ] {
        assert!(must_end(&state, &limits).is_some());
    }
}

#[test]
fn a_new_message_gives_a_running_turn_new_steps() {
    let limits = TurnLimits::default();
    let at_the_limit = TurnState {
        steps: limits.steps,
        ..TurnState::default()
    };
    assert!(must_end(&at_the_limit, &limits).is_some());
    let mut steered = at_the_limit;
    steered.apply(&JournalEvent::Steered {
        inbound: Vec::new(),
        messages: vec![Message::text(Role::User, "and this")],
    });
    assert_eq!(must_end(&steered, &limits), None);
}
