//! What cannot be undone waits for a person; the person's word holds once, as they said it, over restarts too.

use serde_json::{Value, json};
use steward_testkit::script::{Conditions, Reply, Script};

use crate::house::{House, calls_of};

/// Destroys, and leaves a line for each time it ran.
const COMMAND: &str = "rm -rf old && echo ran >> count.txt";

fn script() -> Script {
    let refused = Conditions {
        tool_result: Some("refused: ".into()),
        ..Conditions::default()
    };
    Script::by_step([
        Reply::text("Then not.").when_all(refused),
        Reply::call("shell", json!({"command": COMMAND})),
        Reply::text("The folder is gone."),
    ])
}

async fn waiting_house() -> (House, String, Value) {
    let house = House::start(script()).await;
    let (turn, approval) = wait_for_question(&house).await;
    (house, turn, approval)
}

/// Asks for the deed and gives the turn and its question.
pub(crate) async fn wait_for_question(house: &House) -> (String, Value) {
    house.put("old/file.txt", "content");
    let said = house
        .steward(&["chat", "-m", "remove the old folder", "--session", "s", "--json"])
        .await
        .json();
    assert_eq!(said["status"], "waiting", "{said}");
    let listed = house.steward(&["approvals", "list", "--json"]).await.json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(house.workspace("old/file.txt").exists(), "nothing ran before the answer");
    (said["turn_id"].as_str().unwrap().to_owned(), listed[0].clone())
}

pub(crate) fn house_script() -> Script {
    script()
}

fn id_of(approval: &Value) -> &str {
    approval["id"].as_str().unwrap()
}

pub(crate) async fn approve_and_check(house: &House, turn: &str, approval: &Value) {
    house.steward(&["approvals", "approve", id_of(approval), "--json"]).await.json();
    let turn = house.end_of(turn).await;
    assert_eq!(turn["status"], "done", "{turn}");
    assert!(!house.workspace("old").exists());
    assert_eq!(house.read("count.txt"), "ran\n");
}

#[tokio::test]
async fn a_question_shows_exactly_what_will_run() {
    let (_house, turn, approval) = waiting_house().await;
    assert_eq!(approval["turn_id"], turn.as_str());
    assert_eq!(approval["agent"], "main");
    assert_eq!(approval["tool"], "shell");
    assert_eq!(approval["args"], json!({"command": COMMAND}));
    assert_eq!(approval["effect"], "destroys");
    assert!(!approval["reason"].as_str().unwrap().is_empty());
    assert!(approval["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_yes_lets_it_run_once() {
    let (house, turn, approval) = waiting_house().await;
    approve_and_check(&house, &turn, &approval).await;
    assert_eq!(house.steward(&["approvals", "list", "--json"]).await.json(), json!([]));
}

#[tokio::test]
async fn a_no_with_its_reason_reaches_the_model() {
    let (house, turn, approval) = waiting_house().await;
    let denied = house
        .steward(&["approvals", "deny", id_of(&approval), "--note", "I still need it", "--json"])
        .await;
    assert_eq!(denied.json()["state"], "denied");
    let turn = house.end_of(&turn).await;
    assert_eq!(turn["text"], "Then not.", "{turn}");
    assert_eq!(calls_of(&turn)[0]["outcome"], "refused");
    let last = house.model.requests().pop().unwrap().body.to_string();
    assert!(last.contains("refused: the person said no: I still need it"), "{last}");
    assert!(house.workspace("old/file.txt").exists());
}

#[tokio::test]
async fn a_yes_for_the_session_is_not_asked_again_in_it() {
    let (house, turn, approval) = waiting_house().await;
    house
        .steward(&["approvals", "approve", id_of(&approval), "--scope", "session", "--json"])
        .await
        .json();
    assert_eq!(house.end_of(&turn).await["status"], "done");
    let again = house.say("s", "remove it again").await;
    // The first session belongs to the terminal; one of the same name in the console is another.
    assert_eq!(again["status"], "waiting", "{again}");
    let said = house
        .steward(&["chat", "-m", "remove it again", "--session", "s", "--json"])
        .await
        .json();
    assert_eq!(said["status"], "done", "{said}");
    assert_eq!(house.read("count.txt"), "ran\nran\n");
    let turn = house.turn(said["turn_id"].as_str().unwrap()).await;
    assert!(calls_of(&turn)[0]["rule"].as_str().unwrap().starts_with("grant."), "{turn}");
    let other = house
        .steward(&["chat", "-m", "remove it", "--session", "other", "--json"])
        .await
        .json();
    assert_eq!(other["status"], "waiting", "a grant for a session is none for another: {other}");
}

#[tokio::test]
async fn a_second_answer_is_a_conflict() {
    let (house, turn, approval) = waiting_house().await;
    let path = format!("/api/approvals/{}/decision", id_of(&approval));
    let (status, _) = house.post(&path, json!({"decision": "deny"})).await;
    assert_eq!(status, 200);
    let (status, value) = house.post(&path, json!({"decision": "allow"})).await;
    assert_eq!(status, 409, "{value}");
    let ran = house.steward(&["approvals", "approve", id_of(&approval), "--json"]).await;
    assert_eq!(ran.code, 1);
    assert_eq!(ran.error()["code"], "conflict");
    house.end_of(&turn).await;
    assert!(house.workspace("old/file.txt").exists());
}

#[tokio::test]
async fn an_answer_to_something_else_than_was_shown_is_a_conflict() {
    let (house, _turn, approval) = waiting_house().await;
    let path = format!("/api/approvals/{}/decision", id_of(&approval));
    let (status, value) = house.post(&path, json!({"decision": "allow", "digest": "0000"})).await;
    assert_eq!(status, 409, "{value}");
    let (status, _) = house.post(&path, json!({"decision": "allow", "digest": approval["digest"]})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_short_forms_answer_without_a_body() {
    for (word, survives) in [("approve", false), ("deny", true)] {
        let (house, turn, approval) = waiting_house().await;
        let path = format!("/api/approvals/{}/{word}", id_of(&approval));
        let request = house.request_as(&house.token(), reqwest::Method::POST, &path);
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(house.end_of(&turn).await["status"], "done");
        assert_eq!(house.workspace("old").exists(), survives);
    }
}

#[tokio::test]
async fn a_question_of_the_agent_is_answered_by_a_note() {
    let answered = Conditions {
        tool_result: Some("the blue one".into()),
        ..Conditions::default()
    };
    let script = Script::by_step([
        Reply::text("Blue it is.").when_all(answered),
        Reply::call("ask", json!({"question": "Which one?", "choices": ["the red one", "the blue one"]})),
    ]);
    let house = House::start(script).await;
    let turn = house.say("s", "paint it").await;
    assert_eq!(turn["status"], "waiting", "{turn}");
    let approval = house.get("/api/approvals").await[0].clone();
    assert_eq!(approval["kind"], "question");
    assert_eq!(approval["choices"], json!(["the red one", "the blue one"]));
    house
        .steward(&["approvals", "approve", id_of(&approval), "--note", "the blue one"])
        .await;
    let turn = house.end_of(turn["id"].as_str().unwrap()).await;
    assert_eq!((&turn["status"], &turn["text"]), (&json!("done"), &json!("Blue it is.")), "{turn}");
}

#[tokio::test]
async fn a_chat_command_answers_the_question_of_its_session() {
    let house = House::start(script()).await;
    house.put("old/file.txt", "content");
    let turn = house.say("s", "remove the old folder").await;
    assert_eq!(turn["status"], "waiting", "{turn}");
    let (status, value) = house.post("/api/sessions/s/messages", json!({"text": "/approve"})).await;
    assert_eq!((status.as_u16(), &value["command"]), (200, &json!(true)), "{value}");
    assert_eq!(house.end_of(turn["id"].as_str().unwrap()).await["status"], "done");
    assert!(!house.workspace("old").exists());
}

#[tokio::test]
async fn new_words_stand_for_no_and_the_turn_goes_on_with_them() {
    let house = House::start(script()).await;
    house.put("old/file.txt", "content");
    let turn = house.say("s", "remove the old folder").await;
    house.model.set_script(Script::by_step([Reply::text("I leave it alone.")]));
    let sent = house.send("s", "no, wait").await;
    assert_eq!(sent["turn_id"], turn["id"]);
    let turn = house.end_of(turn["id"].as_str().unwrap()).await;
    assert_eq!(
        (&turn["status"], &turn["text"]),
        (&json!("done"), &json!("I leave it alone.")),
        "{turn}"
    );
    assert!(house.workspace("old/file.txt").exists());
    assert_eq!(house.get("/api/approvals").await, json!([]));
}

#[tokio::test]
async fn a_question_survives_a_crash_and_its_call_still_runs_once() {
    let (mut house, turn, approval) = waiting_house().await;
    let calls_before = house.model.count();
    house.crash_and_restart().await;
    let listed = house.steward(&["approvals", "list", "--json"]).await.json();
    assert_eq!(listed, json!([approval]), "it waits as it was");
    approve_and_check(&house, &turn, &approval).await;
    assert_eq!(house.model.count(), calls_before + 1, "the first step is not paid for again");
}
