use steward_domain::id::{AgentName, RequestId};
use steward_domain::principal::Principal;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn caller(agent: Option<&str>) -> Caller {
    Caller {
        agent: agent.map(AgentName::from),
        ..Caller::new(Principal::System, RequestId::generate())
    }
}

fn ring(text: &str) -> KeyRing {
    KeyRing::new(&toml::from_str(text).unwrap(), None)
}

fn picked(ring: &KeyRing, now: Timestamp) -> String {
    match ring.pick(&caller(None), now, |_| None) {
        Pick::Key(_, key) => key.value().expose().clone(),
        Pick::Full(position) => format!("full {position}"),
        Pick::Wait(wait) => format!("wait {}", wait.as_secs()),
        Pick::None(reason) => reason.to_owned(),
    }
}

#[test]
fn a_refused_key_is_left_alone_and_tried_again_later() {
    let ring = ring("api_keys = [\"a\", \"b\"]");
    ring.keys[0].refuse(at(0));
    for _ in 0..20 {
        assert_eq!(picked(&ring, at(1)), "b");
    }
    ring.keys[1].refuse(at(0));
    assert_eq!(picked(&ring, at(1)), "every key was refused");
    assert_ne!(picked(&ring, at(601)), "every key was refused");
}

#[test]
fn a_cooling_key_steps_aside() {
    let ring = ring("api_keys = [\"a\", \"b\"]");
    ring.keys[0].cool(at(0), Duration::from_secs(5));
    assert_eq!(picked(&ring, at(1)), "b");
    ring.keys[1].cool(at(0), Duration::from_secs(9));
    assert_eq!(picked(&ring, at(1)), "wait 4");
    assert_eq!(picked(&ring, at(5)), "a");
}

#[test]
fn a_scoped_key_serves_only_its_scope() {
    let ring = ring("keys = [{ value = \"a\", agents = [\"main\"] }, { value = \"t\", teams = [\"support\"] }]");
    assert_eq!(picked(&ring, at(0)), "this caller may use no key");
    assert!(matches!(ring.pick(&caller(Some("main")), at(0), |_| None), Pick::Key(_, key) if key.value().expose() == "a"));
    let of_team = Caller {
        team: Some("support".to_owned()),
        ..caller(None)
    };
    assert!(matches!(ring.pick(&of_team, at(0), |_| None), Pick::Key(_, key) if key.value().expose() == "t"));
}

#[test]
fn a_new_configuration_keeps_what_is_known_of_a_key() {
    let before = ring("api_key = \"a\"");
    before.keys[0].refuse(at(0));
    let config = toml::from_str("api_keys = [\"a\", \"c\"]").unwrap();
    let next = KeyRing::new(&config, Some(&before));
    assert_eq!(picked(&next, at(1)), "c");
}

#[test]
fn a_key_without_room_steps_aside_and_the_shortest_queue_is_told() {
    let ring = ring("api_keys = [\"a\", \"b\", \"c\"]");
    let pick = |queues: [Option<usize>; 3]| ring.pick(&caller(None), at(0), move |position| queues[position]);
    for _ in 0..20 {
        assert!(matches!(pick([Some(0), None, Some(2)]), Pick::Key(1, _)));
    }
    assert!(matches!(pick([Some(4), Some(3), Some(9)]), Pick::Full(1)));
}
