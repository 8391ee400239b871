//! The main job on real files: over each wire, through the command line and through both dialects of the API.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use steward_domain::usage::Usage;
use steward_testkit::script::{Reply, Script};

use crate::house::{House, MODEL, answer, calls_of, data_lines, pico, price_of, until};

const TASK: &str = "List the files here and write their names to inventory.md";
const FILES: [&str; 3] = ["budget 2026.csv", "notes.txt", "übersicht.md"];

fn put_files(house: &House) {
    for name in FILES {
        house.put(name, "some content\n");
    }
}

fn check_inventory(house: &House) {
    let written = house.read("inventory.md");
    let names: BTreeSet<&str> = written.lines().collect();
    for name in FILES {
        assert!(names.contains(name), "{name} is not in {written:?}");
    }
}

/// The whole job by the command line; also used with another store.
pub(crate) async fn by_command_line(house: &House) {
    put_files(house);
    let said = house.steward(&["chat", "-m", TASK, "--json"]).await.json();
    assert_eq!(said["status"], "done", "{said}");
    assert_eq!(said["steps"], 3, "{said}");
    check_inventory(house);
    let id = said["turn_id"].as_str().unwrap();
    let turn = house.steward(&["turns", "show", id, "--json"]).await.json();
    check_turn(&turn);
    assert_eq!(turn["cost_usd"], said["cost_usd"]);
    assert_eq!(turn["session"], said["session"]);
    let report = house.steward(&["spend", "report", "--by", "session", "--json"]).await.json();
    assert_eq!(pico(&report["total_usd"]), pico(&turn["cost_usd"]), "{report}");
    assert_eq!(report["calls"], 3, "{report}");
}

fn check_turn(turn: &Value) {
    let calls: Vec<(&str, &str, &str)> = calls_of(turn)
        .iter()
        .map(|call| {
            let text = |field: &str| call[field].as_str().unwrap();
            (text("tool"), text("decision"), text("outcome"))
        })
        .collect();
    assert_eq!(calls, [("list", "allow", "done"), ("write", "allow", "done")]);
    let receipts = turn["receipts"].as_array().unwrap();
    let ids: Vec<&Value> = calls_of(turn).iter().map(|call| &call["id"]).collect();
    for id in ids {
        assert!(receipts.iter().any(|receipt| receipt["call"] == *id), "no receipt for {id}: {turn}");
    }
    let steps = turn["steps"].as_array().unwrap();
    let costs: Vec<u128> = steps.iter().map(|step| pico(&step["cost_usd"])).collect();
    let wanted: Vec<u128> = steps.iter().map(price_of).collect();
    assert_eq!(costs, wanted);
    assert!(wanted.iter().all(|cost| *cost > 0));
    assert_eq!(pico(&turn["cost_usd"]), wanted.iter().sum::<u128>());
    assert!(steps.iter().all(|step| step["target"] == MODEL), "{turn}");
}

async fn over_the_wire(dialect: &str) {
    let mut house = House::with_dialect(Script::file_task(), dialect).await;
    house.serve().await;
    by_command_line(&house).await;
    assert!(house.model.requests().iter().all(|request| request.wire == dialect));
}

#[tokio::test]
async fn the_job_is_done_over_openai_chat() {
    over_the_wire("openai-chat").await;
}

#[tokio::test]
async fn the_job_is_done_over_openai_responses() {
    over_the_wire("openai-responses").await;
}

#[tokio::test]
async fn the_job_is_done_over_anthropic() {
    over_the_wire("anthropic").await;
}

#[tokio::test]
async fn the_job_is_done_over_gemini() {
    over_the_wire("gemini").await;
}

#[tokio::test]
async fn the_job_is_done_by_a_command_alone_where_no_server_runs() {
    let house = House::prepare(Script::file_task()).await;
    by_command_line(&house).await;
}

#[tokio::test]
async fn cost_is_exact_with_cached_input_and_reasoning() {
    let usage = Usage {
        input: 1_000,
        cached_input: 400,
        output: 70,
        reasoning: 30,
        ..Usage::default()
    };
    let reply = Reply {
        usage: Some(usage),
        ..Reply::text("hello")
    };
    let mut house = House::prepare(Script::by_step([reply])).await;
    let prices = "output_usd_per_mtok = 10.0\ncached_input_usd_per_mtok = 0.1\n";
    house.configure(&house.configuration_text().replace("output_usd_per_mtok = 10.0\n", prices));
    house.serve().await;
    let turn = house.say("exact", "hello").await;
    let step = &turn["steps"][0];
    assert_eq!(step["input_tokens"], 1_400, "{turn}");
    assert_eq!(step["cached_input_tokens"], 400);
    assert_eq!(step["output_tokens"], 100);
    // 1,000 × $1 + 400 × $0.1 + 100 × $10, a million tokens.
    assert_eq!(pico(&turn["cost_usd"]), 2_040_000_000);
    let call = house.get(&format!("/api/calls/{}", step["request_id"].as_str().unwrap())).await;
    assert_eq!(pico(&call["call"]["cost_usd"]), 2_040_000_000, "{call}");
}

fn chat_body(model: &str, text: &str, is_stream: bool) -> Value {
    json!({"model": model, "stream": is_stream, "max_tokens": 500, "messages": [{"role": "user", "content": text}]})
}

fn text_of_chat_stream(text: &str) -> String {
    let events = data_lines(text).filter(|data| *data != "[DONE]");
    let events = events.map(|data| serde_json::from_str::<Value>(data).unwrap());
    events
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

fn text_of_messages_stream(text: &str) -> String {
    let events = data_lines(text).map(|data| serde_json::from_str::<Value>(data).unwrap());
    events
        .filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned))
        .collect()
}

/// Checks what every answer is labelled with and gives its text.
async fn labelled(house: &House, path: &str, body: &Value, target: &str) -> String {
    let response = house
        .request_as(&house.token(), Method::POST, path)
        .json(body)
        .send()
        .await
        .unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert_eq!(status, 200, "{text}");
    let header = |name: &str| {
        headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert!(!header("x-steward-request-id").is_empty());
    assert_eq!(header("x-steward-target"), target);
    assert_eq!(header("x-steward-attempts"), "1");
    assert_eq!(header("x-steward-cache"), "off");
    assert!(header("x-steward-overhead-us").parse::<u64>().is_ok());
    let is_stream = body["stream"] == true;
    if !is_stream {
        assert!(pico(&json!(header("x-steward-cost-usd"))) > 0);
    }
    text
}

async fn by_chat_completions(is_stream: bool) {
    let house = House::start(Script::file_task()).await;
    put_files(&house);
    let mut body = chat_body("agent/main", TASK, is_stream);
    body["user"] = json!("by-chat");
    let text = labelled(&house, "/v1/chat/completions", &body, "agent/main").await;
    let said = if is_stream {
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
        text_of_chat_stream(&text)
    } else {
        let value: Value = serde_json::from_str(&text).unwrap();
        value["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    assert!(said.contains("inventory.md"), "{said}");
    check_inventory(&house);
    check_only_turn(&house, "by-chat").await;
}

async fn by_messages(is_stream: bool) {
    let house = House::start(Script::file_task()).await;
    put_files(&house);
    let mut body = chat_body("agent/main", TASK, is_stream);
    body["metadata"] = json!({"user_id": "by-messages"});
    let text = labelled(&house, "/v1/messages", &body, "agent/main").await;
    let said = if is_stream {
        assert!(text.contains("event: message_stop"), "{text}");
        text_of_messages_stream(&text)
    } else {
        let value: Value = serde_json::from_str(&text).unwrap();
        value["content"][0]["text"].as_str().unwrap().to_owned()
    };
    assert!(said.contains("inventory.md"), "{said}");
    check_inventory(&house);
    check_only_turn(&house, "by-messages").await;
}

async fn check_only_turn(house: &House, session: &str) {
    let turns = house.get("/api/turns").await;
    let items = turns["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{turns}");
    assert_eq!(items[0]["session"], session);
    check_turn(&house.turn(items[0]["id"].as_str().unwrap()).await);
}

#[tokio::test]
async fn the_job_is_done_through_chat_completions() {
    by_chat_completions(false).await;
}

#[tokio::test]
async fn the_job_is_done_through_streamed_chat_completions() {
    by_chat_completions(true).await;
}

#[tokio::test]
async fn the_job_is_done_through_messages() {
    by_messages(false).await;
}

#[tokio::test]
async fn the_job_is_done_through_streamed_messages() {
    by_messages(true).await;
}

#[tokio::test]
async fn the_session_header_names_the_session_of_an_agent_call() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    let request = house.request_as(&house.token(), Method::POST, "/v1/chat/completions");
    let body = chat_body("agent/main", "hi", false);
    let (status, value) = answer(request.header("x-steward-session", "mine").json(&body)).await;
    assert_eq!(status, 200, "{value}");
    assert_eq!(house.get("/api/turns").await["items"][0]["session"], "mine");
}

#[tokio::test]
async fn a_model_is_asked_directly_in_both_dialects() {
    let house = House::start(Script::by_step([Reply::text("hello from the model")])).await;
    for name in [MODEL, "default"] {
        for is_stream in [false, true] {
            let text = labelled(&house, "/v1/chat/completions", &chat_body(name, "hi", is_stream), MODEL).await;
            let said = if is_stream { text_of_chat_stream(&text) } else { text };
            assert!(said.contains("hello from the model"), "{said}");
            let text = labelled(&house, "/v1/messages", &chat_body(name, "hi", is_stream), MODEL).await;
            let said = if is_stream { text_of_messages_stream(&text) } else { text };
            assert!(said.contains("hello from the model"), "{said}");
        }
    }
    // A call is booked beside its answer, not before it.
    until("all eight are booked", async || house.get("/api/spend").await["calls"] == 8).await;
    assert_eq!(house.get("/api/turns").await["items"], json!([]), "a direct call is no turn");
}

#[tokio::test]
async fn an_unknown_model_is_not_found_in_the_dialect_of_the_caller() {
    let house = House::start(Script::default()).await;
    let (status, value) = house.post("/v1/chat/completions", chat_body("nobody/m", "hi", false)).await;
    assert_eq!(
        (status.as_u16(), &value["error"]["code"]),
        (404, &json!("model_not_found")),
        "{value}"
    );
    let (status, value) = house.post("/v1/messages", chat_body("nobody/m", "hi", false)).await;
    assert_eq!((status.as_u16(), &value["type"]), (404, &json!("error")), "{value}");
    assert_eq!(house.model.count(), 0);
}
