//! The second target answers when the first cannot, and everyone can see why.

use serde_json::{Value, json};
use steward_testkit::script::{Conditions, Reply, Script};

use crate::house::{House, pico};

const ROUTE: &str = "\
[models.\"scripted/second\"]
input_usd_per_mtok = 2.0
output_usd_per_mtok = 20.0

[routes.careful]
targets = [ { model = \"scripted/m\" }, { model = \"scripted/second\" } ]
retry = { attempts = 0 }
timeout = { first_token = \"300ms\", between_tokens = \"5s\", total = \"1m\" }

[agents.main]
route = \"careful\"
";

fn asked_for(model: &str) -> Conditions {
    Conditions {
        model: Some(model.to_owned()),
        ..Conditions::default()
    }
}

async fn house_whose_first_target(fails: Reply) -> House {
    let replies = [
        fails.when_all(asked_for("m")),
        Reply::text("the second answers").when_all(asked_for("second")),
    ];
    let mut house = House::prepare(Script::by_step(replies)).await;
    house.add_configuration(ROUTE);
    house.serve().await;
    house
}

/// Sends one message and gives the first attempt as `routes explain` shows it.
async fn check_second_answers(house: &House) -> Value {
    let said = house.steward(&["chat", "-m", "hello", "--json"]).await.json();
    assert_eq!(
        (&said["status"], &said["text"]),
        (&json!("done"), &json!("the second answers")),
        "{said}"
    );
    let turn = house.turn(said["turn_id"].as_str().unwrap()).await;
    let step = &turn["steps"][0];
    assert_eq!(step["target"], "scripted/second", "{turn}");
    let request = step["request_id"].as_str().unwrap();
    let explained = house.steward(&["routes", "explain", request, "--json"]).await.json();
    assert_eq!(explained["route"], "careful");
    assert_eq!(explained["strategy"], "priority");
    assert_eq!(explained["chosen"], "scripted/second");
    assert_eq!(explained["candidates"].as_array().unwrap().len(), 2, "{explained}");
    let attempts = explained["attempts"].as_array().unwrap();
    let targets: Vec<&Value> = attempts.iter().map(|attempt| &attempt["target"]).collect();
    assert_eq!(targets, [&json!("scripted/m"), &json!("scripted/second")]);
    assert_eq!(attempts[1]["cause"], "ok");
    let replay = house.steward(&["routes", "replay", request, "--json"]).await.json();
    assert_eq!(
        (&replay["is_same"], &replay["recomputed"]),
        (&json!(true), &json!(["scripted/m", "scripted/second"])),
        "{replay}"
    );
    let standing = house.steward(&["routes", "show", "careful", "--json"]).await.json();
    assert_eq!(standing["targets"][1]["target"], "scripted/second", "{standing}");
    assert_eq!(standing["targets"][0]["in_flight"], 0, "{standing}");
    check_ledger(house, &turn).await;
    attempts[0].clone()
}

/// Whoever answered is in the ledger at its own price, once.
async fn check_ledger(house: &House, turn: &Value) {
    let report = house.steward(&["spend", "report", "--by", "model", "--json"]).await.json();
    let rows = report["rows"].as_array().unwrap();
    let second = rows
        .iter()
        .find(|row| row["name"] == "scripted/second")
        .unwrap_or_else(|| panic!("{report}"));
    let step = &turn["steps"][0];
    let tokens = |field: &str| u128::from(step[field].as_u64().unwrap());
    let wanted = (tokens("input_tokens") * 2 + tokens("output_tokens") * 20) * 1_000_000;
    assert_eq!(pico(&second["usd"]), wanted, "{report}");
    assert_eq!(pico(&turn["cost_usd"]), wanted);
}

#[tokio::test]
async fn a_rate_limit_leads_to_the_second_target() {
    let house = house_whose_first_target(Reply::error(429)).await;
    assert_eq!(check_second_answers(&house).await["status"], 429);
}

#[tokio::test]
async fn a_server_error_leads_to_the_second_target() {
    let house = house_whose_first_target(Reply::error(500)).await;
    assert_eq!(check_second_answers(&house).await["status"], 500);
}

#[tokio::test]
async fn a_time_out_leads_to_the_second_target() {
    let silent = Reply {
        delay_first_ms: 60_000,
        ..Reply::text("too late")
    };
    let house = house_whose_first_target(silent).await;
    let first = check_second_answers(&house).await;
    assert!(first["ms"].as_u64().unwrap() >= 300, "{first}");
}

#[tokio::test]
async fn a_client_of_the_api_sees_who_answered_after_how_many_attempts() {
    let house = house_whose_first_target(Reply::error(500)).await;
    let body = json!({"model": "careful", "messages": [{"role": "user", "content": "hi"}]});
    let request = house.request_as(&house.token(), reqwest::Method::POST, "/v1/chat/completions");
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.headers()["x-steward-target"], "scripted/second");
    assert_eq!(response.headers()["x-steward-attempts"], "2");
}

#[tokio::test]
async fn a_turn_without_any_healthy_target_ends_with_a_sentence() {
    let house = House::start(Script::by_step([Reply::error(500)])).await;
    let ran = house.steward(&["chat", "-m", "hello", "--json"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["status"], "failed");
    assert!(said["text"].as_str().unwrap().starts_with("The model could not answer: "), "{said}");
}
