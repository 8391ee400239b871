//! Files, messages and answers that are not as they should be: said politely, and the rest works.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};
use tokio::sync::Semaphore;

use crate::house::{House, answer, until};

/// One turn with a workspace as `prepare` leaves it, and the context part of `SOUL.md`.
async fn hello_with(prepare: impl FnOnce(&House)) -> (House, Option<Value>) {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    prepare(&house);
    let turn = house.say("s", "hello").await;
    assert_eq!((&turn["status"], &turn["text"]), (&json!("done"), &json!("hello")), "{turn}");
    let context = house.get(&format!("/api/turns/{}/context", turn["id"].as_str().unwrap())).await;
    let parts = context["steps"][0]["parts"].as_array().unwrap().clone();
    (house, parts.into_iter().find(|part| part["name"] == "SOUL.md"))
}

#[tokio::test]
async fn a_soul_that_is_not_utf8_is_said_and_the_rest_works() {
    let (house, part) = hello_with(|house| house.put("SOUL.md", b"\xff\xfe broken")).await;
    let note = part.expect("the part is shown")["note"].clone();
    assert!(note.as_str().unwrap().contains("not UTF-8"), "{note}");
    let prompt = house.model.requests()[0].body.to_string();
    assert!(prompt.contains("SOUL.md: is not UTF-8"), "the model is told");
}

#[tokio::test]
async fn a_missing_soul_is_no_error() {
    let (_house, part) = hello_with(|house| fs::remove_file(house.workspace("SOUL.md")).unwrap()).await;
    assert_eq!(part, None);
}

#[tokio::test]
async fn a_huge_soul_is_cut_and_the_cut_is_said() {
    let (house, part) = hello_with(|house| house.put("SOUL.md", "all work and no play. ".repeat(1_000_000))).await;
    let part = part.expect("the part is shown");
    assert!(part["cut_chars"].as_u64().unwrap() > 0, "{part}");
    assert!(part["note"].as_str().unwrap().contains("bytes long"), "{part}");
    let request = house.model.requests().remove(0);
    assert!(request.body_bytes < 40_000, "{} bytes", request.body_bytes);
    assert!(request.body.to_string().contains("of SOUL.md are cut here"));
}

#[tokio::test]
async fn a_message_of_ten_megabytes_is_refused_with_a_sentence() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    let huge = "x".repeat(10_000_000);
    let (status, value) = house.post("/api/sessions/s/messages", json!({"text": huge})).await;
    assert_eq!(status, 400, "{value}");
    let message = value["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("10000000 bytes") && message.contains("file of the workspace"),
        "{message}"
    );
    let body = json!({"model": "agent/main", "messages": [{"role": "user", "content": huge}]});
    let (status, value) = house.post("/v1/chat/completions", body).await;
    assert_eq!(status, 400, "{value}");
    assert_eq!(house.model.count(), 0);
    assert_eq!(house.say("s", "hello").await["status"], "done");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let house = House::start(Script::default()).await;
    let body = json!({"text": "x".repeat(33 * 1024 * 1024)}).to_string();
    let request = house.request_as(&house.token(), Method::POST, "/api/sessions/s/messages");
    let (status, _) = answer(request.header("content-type", "application/json").body(body)).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn an_empty_message_is_refused() {
    let house = House::start(Script::default()).await;
    let (status, value) = house.post("/api/sessions/s/messages", json!({"text": ""})).await;
    assert_eq!(
        (status.as_u16(), &value["error"]["message"]),
        (400, &json!("the message is empty")),
        "{value}"
    );
}

/// How many messages a turn was asked, and how many it was told were dropped.
fn asked(turn: &Value, numbers: &mut BTreeSet<usize>) -> usize {
    let mut dropped = 0;
    for line in turn["asked"].as_str().unwrap().lines() {
        if let Some(number) = line.strip_prefix("message number ") {
            assert!(numbers.insert(number.trim().parse().unwrap()), "{line} was taken twice");
        } else if let Some(rest) = line.strip_prefix("[steward] ") {
            let count = rest.split_once(" messages came at once and were dropped unread").expect(line).0;
            dropped += count.parse::<usize>().unwrap();
        }
    }
    dropped
}

#[tokio::test]
async fn a_thousand_messages_at_once_are_all_acknowledged_and_none_is_lost_in_silence() {
    const MESSAGES: usize = 1_000;
    let slow = Reply {
        delay_first_ms: 1_500,
        ..Reply::text("I read them.")
    };
    let house = House::start(Script::by_step([slow])).await;
    let gate = Arc::new(Semaphore::new(64));
    let sends = (0..MESSAGES).map(|number| {
        let (gate, house) = (Arc::clone(&gate), &house);
        async move {
            let _permit = gate.acquire().await.unwrap();
            house.send("s", &format!("message number {number}")).await["inbound_id"]
                .as_str()
                .unwrap()
                .to_owned()
        }
    });
    let inbound: BTreeSet<String> = join_all(sends).await.into_iter().collect();
    assert_eq!(inbound.len(), MESSAGES);
    until("every turn has ended", async || {
        let turns = house.get("/api/turns?limit=500").await;
        turns["items"].as_array().unwrap().iter().all(|turn| turn["status"] == "done")
    })
    .await;
    let turns = house.get("/api/turns?limit=500").await;
    let (mut taken, mut dropped) = (BTreeSet::new(), 0);
    for turn in turns["items"].as_array().unwrap() {
        dropped += asked(&house.turn(turn["id"].as_str().unwrap()).await, &mut taken);
    }
    assert_eq!(taken.len() + dropped, MESSAGES, "{} taken, {dropped} dropped", taken.len());
    assert!(dropped > 0, "the cap was reached");
    for request in house.model.requests() {
        let fresh = request.body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .take_while(|message| message["role"] == "user");
        let fresh = fresh.count();
        // One batch begins the turn; one more may have come before its first call.
        assert!(fresh <= 2 * 21, "{fresh}: a batch is at most 20 messages and a summary");
    }
}

#[tokio::test]
async fn an_emoji_split_over_pieces_of_the_stream_arrives_whole() {
    let said = "naïve 😀 👩‍👩‍👧 done";
    let reply = Reply {
        slice_bytes: 1,
        ..Reply::text(said)
    };
    let house = House::start(Script::by_step([reply])).await;
    let turn = house.begin("s", "hello 😀").await;
    let events = house.events_of(&turn).await;
    let streamed: String = events
        .iter()
        .filter(|event| event["type"] == "text")
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    // Pieces that were shown before the watcher came are in the snapshot of the step.
    assert!(streamed.is_empty() || said.ends_with(&streamed) || streamed == said, "{streamed:?}");
    assert!(!streamed.contains('\u{fffd}'));
    assert_eq!(house.turn(&turn).await["text"], said);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_in_the_shape_of_the_api() {
    let house = House::start(Script::default()).await;
    let request = house.request_as(&house.token(), Method::POST, "/api/sessions/s/messages");
    let (status, value) = answer(request.header("content-type", "application/json").body("{\"text\": ")).await;
    assert_eq!(status, 400, "{value}");
    assert!(value["error"]["message"].is_string(), "{value}");
}
