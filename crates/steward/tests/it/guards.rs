//! A turn always ends: repeats, limits, nonsense from the model, and "done" that was not done.

use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script, ScriptedCall};

use crate::house::{House, calls_of};

#[tokio::test]
async fn the_same_call_with_the_same_result_three_times_ends_the_turn() {
    let same = (0..10).map(|_| Reply::call("list", json!({"path": "."})));
    let house = House::start(Script::by_step(same)).await;
    let turn = house.say("s", "look around").await;
    assert_eq!(turn["status"], "failed", "{turn}");
    assert!(turn["text"].as_str().unwrap().contains("the same result 3 times"), "{turn}");
    assert_eq!(house.model.count(), 3);
}

#[tokio::test]
async fn two_calls_that_alternate_end_the_turn() {
    let pairs = (0..20).map(|number| Reply::call("list", json!({"path": if number % 2 == 0 { "a" } else { "b" }})));
    let house = House::start(Script::by_step(pairs)).await;
    house.put("a/one.txt", "1");
    house.put("b/two.txt", "2");
    let turn = house.say("s", "look around").await;
    assert_eq!(turn["status"], "failed", "{turn}");
    assert!(house.model.count() <= 6, "{}", house.model.count());
}

#[tokio::test]
async fn the_limit_on_steps_ends_the_turn_with_a_sentence() {
    let different = (0..30).map(|number| Reply::call("write", json!({"path": format!("{number}.txt"), "content": "x"})));
    let house = House::start(Script::by_step(different)).await;
    let turn = house.say("s", "write for ever").await;
    assert_eq!(turn["status"], "failed", "{turn}");
    assert_eq!(
        turn["text"],
        "I stopped after 20 steps, the limit for one message. Say \"go on\" to continue from here."
    );
    assert_eq!(house.model.count(), 20);
}

#[tokio::test]
async fn the_limit_on_money_ends_the_turn_with_a_sentence() {
    let different = (0..30).map(|number| Reply {
        usage: Some(steward_domain::usage::Usage {
            output: 1_000,
            ..Default::default()
        }),
        ..Reply::call("write", json!({"path": format!("{number}.txt"), "content": "x"}))
    });
    let mut house = House::prepare(Script::by_step(different)).await;
    house.add_configuration("[agents.main]\nlimits = { turn_usd = 0.025 }\n");
    house.serve().await;
    let turn = house.say("s", "write for ever").await;
    assert_eq!(turn["status"], "failed", "{turn}");
    assert!(
        turn["text"].as_str().unwrap().contains("has cost $0.03, its limit is $0.025"),
        "{turn}"
    );
    assert_eq!(house.model.count(), 3);
}

#[tokio::test]
async fn the_limit_on_time_ends_the_turn_with_a_sentence() {
    let endless = Reply {
        endless: true,
        delay_token_ms: 5,
        ..Reply::text("and on ")
    };
    let mut house = House::prepare(Script::by_step([endless])).await;
    house.add_configuration("[agents.main]\nlimits = { turn_time = \"500ms\" }\n");
    house.serve().await;
    let turn = house.say("s", "talk").await;
    assert_eq!(turn["status"], "failed", "{turn}");
    assert!(turn["text"].as_str().unwrap().contains("ran out of its time"), "{turn}");
}

/// Lets the model make one call that cannot be right and gives the turn with what the model was told.
async fn told_after(name: &str, arguments: Value) -> (Value, String) {
    let wrong = Reply {
        tool_calls: vec![ScriptedCall {
            name: name.to_owned(),
            arguments,
        }],
        ..Reply::default()
    };
    let house = House::start(Script::by_step([wrong, Reply::text("I see.")])).await;
    let turn = house.say("s", "try").await;
    assert_eq!((&turn["status"], &turn["text"]), (&json!("done"), &json!("I see.")), "{turn}");
    let messages = house.model.requests().pop().unwrap().body["messages"].clone();
    let told = messages.as_array().unwrap().last().unwrap()["content"].to_string();
    (turn, told)
}

#[tokio::test]
async fn malformed_arguments_are_answered_to_the_model() {
    let (turn, told) = told_after("write", json!("{\"path\": \"a.txt\", ")).await;
    assert!(told.contains("failed: "), "{told}");
    assert_eq!(calls_of(&turn)[0]["outcome"], "failed");
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_answered_with_what_is_wrong() {
    let (turn, told) = told_after("write", json!({"path": "a.txt"})).await;
    assert!(told.contains("failed: ") && told.contains("content"), "{told}");
    assert_eq!(calls_of(&turn)[0]["outcome"], "failed");
}

#[tokio::test]
async fn an_unknown_tool_is_answered_to_the_model() {
    let (turn, told) = told_after("teleport", json!({"to": "mars"})).await;
    assert!(told.contains("failed: ") && told.contains("teleport"), "{told}");
    assert_eq!(calls_of(&turn)[0]["outcome"], "failed");
}

#[tokio::test]
async fn a_path_outside_the_workspace_is_refused() {
    let (turn, told) = told_after("read", json!({"path": "../../steward.toml"})).await;
    assert!(!told.contains("sk-test"), "{told}");
    assert_ne!(calls_of(&turn)[0]["outcome"], "done");
}

#[tokio::test]
async fn a_tool_call_written_as_text_is_not_executed() {
    let text = "<tool_call>{\"name\": \"write\", \"arguments\": {\"path\": \"a.txt\", \"content\": \"x\"}}</tool_call>";
    let house = House::start(Script::by_step([Reply::text(text)])).await;
    let turn = house.say("s", "write a.txt").await;
    assert_eq!(turn["status"], "done", "{turn}");
    assert_eq!(calls_of(&turn), Vec::<&Value>::new());
    assert!(!house.workspace("a.txt").exists());
}

#[tokio::test]
async fn a_deed_that_no_call_shows_gets_one_corrective_step_and_then_a_note() {
    let house = House::start(Script::by_step([Reply::text("I have sent the mail to Ana.")])).await;
    let turn = house.say("s", "write to Ana").await;
    assert_eq!(turn["status"], "done", "{turn}");
    assert_eq!(house.model.count(), 2, "one corrective step");
    let corrected = &house.model.requests()[1];
    assert!(
        corrected.last_user_text.contains("no successful tool call of this turn shows that"),
        "{}",
        corrected.last_user_text
    );
    assert!(
        turn["text"].as_str().unwrap().contains("[Steward: the reply says \"sent\""),
        "{turn}"
    );
}

#[tokio::test]
async fn a_correction_that_is_heeded_leaves_no_note() {
    let honest = Reply::text("I cannot send mail from here.").when("Check your last answer");
    let house = House::start(Script::by_step([honest, Reply::text("I have sent the mail to Ana.")])).await;
    let turn = house.say("s", "write to Ana").await;
    assert_eq!(
        (&turn["status"], &turn["text"]),
        (&json!("done"), &json!("I cannot send mail from here.")),
        "{turn}"
    );
}

#[tokio::test]
async fn a_deed_that_is_only_quoted_needs_no_proof() {
    let text = "The note ends so:\n\n> I have sent the mail.\n\nIts first line is \"I've saved the report.\"";
    let house = House::start(Script::by_step([Reply::text(text), Reply::text("Asked again.")])).await;
    let turn = house.say("s", "what does the note say?").await;
    assert_eq!((&turn["status"], &turn["text"]), (&json!("done"), &json!(text)), "{turn}");
    assert_eq!(house.model.count(), 1);
}
