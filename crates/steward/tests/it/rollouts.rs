//! A candidate takes over and is taken back by command, survives a restart, and a kept answer costs nothing.

use reqwest::Method;
use serde_json::{Value, json};
use steward_testkit::script::{Conditions, Reply, Script};

use crate::house::{House, answer, until};

const ROUTES: &str = "\
[models.\"scripted/next\"]
input_usd_per_mtok = 2.0
output_usd_per_mtok = 20.0

[routes.careful]
targets = [ { model = \"scripted/m\" } ]
rollout = { kind = \"blue-green\", candidate = \"scripted/next\" }

[routes.kept]
targets = [ { model = \"scripted/m\" } ]
cache = { exact = true, ttl = \"1h\" }
";

async fn house() -> House {
    let of = |model: &str, text: &str| {
        Reply::text(text).when_all(Conditions {
            model: Some(model.to_owned()),
            ..Conditions::default()
        })
    };
    let mut house = House::prepare(Script::by_step([of("m", "blue"), of("next", "green")])).await;
    house.add_configuration(ROUTES);
    house.serve().await;
    house
}

/// The answer of a route, its target, what the cache had to do with it, and the call's id.
async fn ask(house: &House, route: &str) -> (String, String, String, String) {
    let body = json!({"model": route, "messages": [{"role": "user", "content": "hello"}]});
    let request = house.request_as(&house.token(), Method::POST, "/v1/chat/completions").json(&body);
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let (target, cache, request) = (
        header("x-steward-target"),
        header("x-steward-cache"),
        header("x-steward-request-id"),
    );
    let body: Value = response.json().await.unwrap();
    let text = body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    (text, target, cache, request)
}

#[tokio::test]
async fn a_candidate_takes_over_by_command_and_goes_back_and_a_restart_changes_nothing() {
    let mut house = house().await;
    assert_eq!(ask(&house, "careful").await.0, "blue");
    let promoted = house
        .steward(&["routes", "promote", "careful", "--why", "it is ready", "--json"])
        .await
        .json();
    assert_eq!(
        (&promoted["action"], &promoted["share_after"], &promoted["why"]),
        (&json!("promote"), &json!(1.0), &json!("it is ready"))
    );
    assert_eq!(ask(&house, "careful").await.1, "scripted/next");
    house.crash_and_restart().await;
    assert_eq!(ask(&house, "careful").await.0, "green");
    house.steward(&["routes", "rollback", "careful", "--json"]).await.json();
    assert_eq!(ask(&house, "careful").await.0, "blue");
    let status = house.steward(&["routes", "status", "careful", "--json"]).await.json();
    assert_eq!((&status["phase"], &status["kind"]), (&json!("rolled_back"), &json!("blue-green")));
    let said: Vec<&Value> = status["events"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(said, [&json!("promote"), &json!("rollback")]);
    assert!(status["events"][0]["who"].as_str().unwrap().starts_with("user:"), "{status}");
}

#[tokio::test]
async fn orders_that_make_no_sense_or_come_from_anyone_are_refused() {
    let house = house().await;
    let half = house.steward(&["routes", "shift", "careful", "--share", "0.5", "--json"]).await;
    assert_eq!(half.code, 1);
    assert!(
        half.error()["message"].as_str().unwrap().contains("switches as a whole"),
        "{half:?}"
    );
    assert_eq!(house.steward(&["routes", "promote", "kept", "--json"]).await.code, 4);
    let key = house
        .steward(&["keys", "create", "reader", "--role", "operator", "--json"])
        .await
        .json();
    let key = key["key"].as_str().unwrap();
    let request = house.request_as(key, Method::POST, "/api/routes/careful/promote");
    assert_eq!(request.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_kept_answer_is_marked_and_costs_nothing_in_the_ledger() {
    let house = house().await;
    let (first, again) = (ask(&house, "kept").await, ask(&house, "kept").await);
    assert_eq!((first.2.as_str(), again.2.as_str()), ("miss", "hit"));
    assert_eq!((first.0, first.1), (again.0, again.1));
    assert_eq!(house.model.count(), 1);
    let path = format!("/api/calls/{}", again.3);
    let is_booked = async || {
        let (_, call) = answer(house.request_as(&house.token(), Method::GET, &path)).await;
        call.to_string().contains("cache_hit")
    };
    until("the hit is in the ledger", is_booked).await;
    let report = house.steward(&["routes", "cache", "kept", "--json"]).await.json();
    assert_eq!((&report["exact_hits"], &report["hit_rate"]), (&json!(1), &json!(0.5)), "{report}");
    assert_eq!(ask(&house, "default").await.2, "off");
}
