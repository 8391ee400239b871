//! Small prompts with a front that stays the same bytes.

use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};

use crate::house::House;

const TOKENS: usize = 2_500;
const BODY_BYTES: usize = 10_000;

fn tokens_of(request: &Value) -> usize {
    let text = json!({"messages": request["messages"], "tools": request["tools"]}).to_string();
    bpe_openai::o200k_base().count(&text)
}

#[tokio::test]
async fn the_first_request_of_a_fresh_session_is_small() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    assert_eq!(house.say("s", "hello").await["status"], "done");
    let request = house.model.requests().remove(0);
    let tokens = tokens_of(&request.body);
    println!("figure: first request: {tokens} tokens, {} bytes", request.body_bytes);
    assert!(request.body["tools"].as_array().unwrap().len() >= 12, "the default tools are there");
    assert!(tokens <= TOKENS, "{tokens} tokens");
    assert!(request.body_bytes <= BODY_BYTES, "{} bytes", request.body_bytes);
}

#[tokio::test]
async fn the_front_of_the_prompt_is_byte_identical_over_steps_and_turns() {
    let script = Script::by_step([
        Reply::call("list", json!({"path": "."})),
        Reply::call("write", json!({"path": "a.txt", "content": "x"})),
        Reply::text("a.txt is there."),
    ]);
    let house = House::start(script).await;
    for text in ["first", "second"] {
        assert_eq!(house.say("s", text).await["status"], "done");
    }
    let bodies: Vec<Value> = house.model.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies.len(), 6);
    for body in &bodies {
        assert_eq!(body["messages"][0].to_string(), bodies[0]["messages"][0].to_string());
        assert_eq!(body["tools"].to_string(), bodies[0]["tools"].to_string());
    }
    for pair in bodies.windows(2) {
        let (before, after) = (pair[0]["messages"].as_array().unwrap(), pair[1]["messages"].as_array().unwrap());
        for (index, message) in before.iter().enumerate() {
            assert_eq!(message.to_string(), after[index].to_string(), "message {index} is not what it was");
        }
    }
}

#[tokio::test]
async fn each_part_of_the_context_is_shown_with_its_tokens() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    let turn = house.say("s", "hello").await;
    let context = house
        .steward(&["turns", "show", turn["id"].as_str().unwrap(), "--context", "--json"])
        .await
        .json();
    let parts = context["steps"][0]["parts"].as_array().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    for wanted in ["rules", "SOUL.md", "AGENTS.md", "USER.md", "tools", "history", "turn"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    assert!(context["steps"][0]["tokens"].as_u64().unwrap() > 0, "{context}");
}
