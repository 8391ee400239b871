//! What a message does that comes while a turn runs.

use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};

use crate::house::{House, until};

/// Asks for a tool slowly when told the first thing, and answers at once when told the second.
fn script() -> Script {
    let slow = Reply {
        delay_first_ms: 700,
        ..Reply::call("list", json!({"path": "."}))
    };
    Script::by_step([
        slow,
        Reply::text("Done with the first."),
        Reply::text("Now the second.").when("second thing"),
    ])
}

async fn house_with_mode(mode: &str) -> House {
    let mut house = House::prepare(script()).await;
    house.add_configuration(&format!("[agents.main]\nmode = \"{mode}\"\n"));
    house.serve().await;
    house
}

/// Begins a turn and, while it runs, sends a second message.
async fn two_messages(house: &House) -> (String, Value) {
    let first = house.begin("s", "the first thing").await;
    house.wait_for_calls(1).await;
    let second = house.send("s", "the second thing").await;
    (first, second)
}

async fn turn_that_took(house: &House, sent: &Value) -> String {
    let path = format!("/api/inbox/{}", sent["inbound_id"].as_str().unwrap());
    until("a turn takes the message", async || !house.get(&path).await["turn_id"].is_null()).await;
    house.get(&path).await["turn_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_sent_during_a_turn_stands_before_the_next_model_call() {
    let house = house_with_mode("steer").await;
    let (first, second) = two_messages(&house).await;
    assert_eq!(second["turn_id"], first.as_str());
    let turn = house.end_of(&first).await;
    assert_eq!(
        (&turn["status"], &turn["text"]),
        (&json!("done"), &json!("Now the second.")),
        "{turn}"
    );
    let requests = house.model.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].last_user_text.contains("the second thing"), "{}", requests[1].body);
    assert_eq!(turn["asked"], "the first thing\nthe second thing");
}

#[tokio::test]
async fn in_followup_mode_a_message_becomes_a_turn_of_its_own() {
    let house = house_with_mode("followup").await;
    let (first, second) = two_messages(&house).await;
    let third = house.send("s", "another second thing").await;
    let (second, third) = (turn_that_took(&house, &second).await, turn_that_took(&house, &third).await);
    assert!(first != second && second != third);
    assert_eq!(house.end_of(&first).await["text"], "Done with the first.");
    assert_eq!(house.end_of(&second).await["asked"], "the second thing");
    assert_eq!(house.end_of(&third).await["asked"], "another second thing");
}

#[tokio::test]
async fn in_collect_mode_all_that_came_becomes_one_turn_afterwards() {
    let house = house_with_mode("collect").await;
    let (first, second) = two_messages(&house).await;
    let third = house.send("s", "another second thing").await;
    let turn = turn_that_took(&house, &second).await;
    assert_eq!(turn, turn_that_took(&house, &third).await);
    assert_ne!(turn, first);
    assert_eq!(house.end_of(&turn).await["asked"], "the second thing\nanother second thing");
    assert_eq!(house.turn(&first).await["text"], "Done with the first.");
}

#[tokio::test]
async fn in_interrupt_mode_a_message_ends_the_running_turn() {
    let house = house_with_mode("interrupt").await;
    let (first, second) = two_messages(&house).await;
    let turn = turn_that_took(&house, &second).await;
    assert_eq!(house.end_of(&turn).await["text"], "Now the second.");
    assert_eq!(house.turn(&first).await["status"], "stopped");
}

#[tokio::test]
async fn the_same_client_id_twice_is_one_message() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    let body = json!({"text": "hello", "client_id": "only-once"});
    let (status, first) = house.post("/api/sessions/s/messages", body.clone()).await;
    assert_eq!(status, 202, "{first}");
    house.end_of(first["turn_id"].as_str().unwrap()).await;
    let (status, again) = house.post("/api/sessions/s/messages", body).await;
    assert_eq!(status, 202, "{again}");
    assert_eq!((&again["inbound_id"], &again["turn_id"]), (&first["inbound_id"], &first["turn_id"]));
    assert_eq!(house.say("s", "something else").await["status"], "done");
    assert_eq!(house.model.count(), 2);
    assert_eq!(house.get("/api/turns").await["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_client_id_for_another_agent_is_another_message() {
    let mut house = House::prepare(Script::by_step([Reply::text("hello")])).await;
    house.add_configuration("[agents.other]\nworkspace = \"workspaces/other\"\n");
    house.serve().await;
    let ask = |agent: &str| json!({"text": "hello", "client_id": "only-once", "agent": agent});
    let (_, first) = house.post("/api/sessions/s/messages", ask("main")).await;
    let (status, second) = house.post("/api/sessions/s/messages", ask("other")).await;
    assert_eq!(status, 202, "{second}");
    assert_ne!(first["inbound_id"], second["inbound_id"]);
    assert_eq!(house.end_of(second["turn_id"].as_str().unwrap()).await["agent"], "other");
}

#[tokio::test]
async fn one_session_never_waits_for_another() {
    let house = House::start(Script::by_step([
        Reply {
            delay_first_ms: 60_000,
            ..Reply::text("late")
        }
        .when("slow"),
        Reply::text("quick"),
    ]))
    .await;
    let slow = house.begin("slow", "slow").await;
    house.wait_for_calls(1).await;
    assert_eq!(house.say("quick", "hello").await["text"], "quick");
    assert_eq!(house.turn(&slow).await["status"], "running");
}

#[tokio::test]
async fn chat_commands_answer_without_a_model_call() {
    let house = House::start(Script::default()).await;
    for command in [
        "/help", "/status", "/usage", "/agent", "/model", "/stop", "/undo", "/new", "/approve", "/deny",
    ] {
        let (status, value) = house.post("/api/sessions/s/messages", json!({"text": command})).await;
        assert_eq!(status, 200, "{command}: {value}");
        assert!(!value["text"].as_str().unwrap().is_empty(), "{command}: {value}");
    }
    assert_eq!(house.model.count(), 0);
}

#[tokio::test]
async fn a_new_session_has_nothing_of_the_old_one() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    house.say("s", "the secret word is xyzzy").await;
    assert_eq!(house.say("s", "go on").await["status"], "done");
    assert!(house.model.requests()[1].body.to_string().contains("xyzzy"));
    let (status, _) = house.post("/api/sessions/s/messages", json!({"text": "/new"})).await;
    assert_eq!(status, 200);
    assert_eq!(house.say("s", "go on").await["status"], "done");
    assert!(!house.model.requests()[2].body.to_string().contains("xyzzy"));
}
