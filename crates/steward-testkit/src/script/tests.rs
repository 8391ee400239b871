use serde_json::json;

use super::{Conditions, Playing, Reply, Script};
use crate::conversation::{Conversation, Item};

fn conversation(items: &[Item]) -> Conversation {
    Conversation {
        items: items.to_vec(),
        ..Conversation::default()
    }
}

fn user(text: &str) -> Item {
    Item::User(text.to_owned())
}

fn after_one_call(text: &str) -> Conversation {
    conversation(&[
        user(text),
        Item::Assistant("let me look".to_owned()),
        Item::Call("list".to_owned(), "{}".to_owned()),
        Item::ToolResult("a.txt".to_owned()),
    ])
}

#[test]
fn the_same_conversation_gets_the_same_reply() {
    let mut playing = Playing::new(Script::by_step([Reply::call("list", json!({})), Reply::text("done")]));
    let texts: Vec<String> = (0..3).map(|_| playing.choose(&after_one_call("go")).text).collect();
    assert_eq!(texts, ["done", "done", "done"]);
    assert_eq!(playing.choose(&conversation(&[user("go")])).tool_calls.len(), 1);
}

#[test]
fn a_match_comes_before_the_steps() {
    let mut playing = Playing::new(Script::by_step([Reply::text("plain"), Reply::text("special").when("weather")]));
    assert_eq!(playing.choose(&conversation(&[user("the weather?")])).text, "special");
    assert_eq!(playing.choose(&conversation(&[user("hello")])).text, "plain");
}

#[test]
fn all_conditions_must_be_true() {
    let conditions = Conditions {
        has_tool_result: Some(true),
        tool_result: Some("a.txt".to_owned()),
        step: Some(1),
        ..Conditions::default()
    };
    let mut playing = Playing::new(Script::by_step([Reply::text("plain"), Reply::text("seen").when_all(conditions)]));
    assert_eq!(playing.choose(&after_one_call("go")).text, "seen");
    assert_eq!(playing.choose(&conversation(&[user("go")])).text, "plain");
}

#[test]
fn a_failure_with_a_count_passes() {
    let mut playing = Playing::new(Script::by_step([Reply::error(429).when("go").at_most(2), Reply::text("at last")]));
    let asked = conversation(&[user("go")]);
    assert!(playing.choose(&asked).error.is_some());
    assert!(playing.choose(&asked).error.is_some());
    assert_eq!(playing.choose(&asked).text, "at last");
}

#[test]
fn replies_in_sequence_ignore_the_conversation() {
    let mut playing = Playing::new(Script::sequential([Reply::text("one"), Reply::text("two")]));
    let asked = conversation(&[user("go")]);
    let texts: Vec<String> = (0..3).map(|_| playing.choose(&asked).text).collect();
    assert_eq!(texts, ["one", "two", "two"]);
}

#[test]
fn a_script_that_ends_with_a_call_does_not_go_round() {
    let mut playing = Playing::new(Script::by_step([Reply::call("list", json!({}))]));
    assert!(playing.choose(&after_one_call("go")).tool_calls.is_empty());
}

#[test]
fn a_script_reads_from_json() {
    let script: Script = serde_json::from_value(json!({
        "mode": "by_step",
        "replies": [
            {"match": "hello", "text": "hi", "usage": {"input": 3, "output": 1}},
            {"match": {"has_tool_result": true}, "tool_calls": [{"name": "write", "arguments": {"path": "a"}}]},
            {"error": {"status": 429, "retry_after": "2"}, "times": 1},
        ],
    }))
    .expect("the script is well-formed");
    assert_eq!(script.replies.len(), 3);
    let unknown = serde_json::from_value::<Script>(json!({"replies": [{"txt": "hi"}]}));
    assert!(unknown.is_err(), "a misspelt field is refused");
}
