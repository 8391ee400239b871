//! Inside a turn: reads in parallel, writes in order, long outputs capped, conversations that no longer fit.

use std::time::Duration;

use serde_json::{Value, json};
use steward_domain::usage::Usage;
use steward_testkit::script::{ErrorKind, Reply, Script, ScriptedError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::house::{House, calls_of};

/// A page server that answers nobody before two have asked. Gives its address.
async fn page_server_for_two() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut one, _) = listener.accept().await.unwrap();
        let (mut two, _) = listener.accept().await.unwrap();
        for socket in [&mut one, &mut two] {
            let mut asked = [0; 4_096];
            let read = socket.read(&mut asked).await.unwrap();
            assert!(read > 0);
            let page = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\nconnection: close\r\n\r\nthe page\n";
            socket.write_all(page.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn two_reads_of_one_step_run_in_parallel() {
    let address = page_server_for_two().await;
    let fetch = |path: &str| ("web_fetch", json!({"url": format!("http://{address}/{path}")}));
    let script = Script::by_step([Reply::calls([fetch("one"), fetch("two")]), Reply::text("Both pages are here.")]);
    let mut house = House::prepare(script).await;
    house.add_configuration(&format!("[sandbox]\nnetwork = {{ allow = [\"{address}\"] }}\n"));
    house.serve().await;
    let turn = house.say("s", "fetch both").await;
    assert_eq!(turn["status"], "done", "{turn}");
    for call in calls_of(&turn) {
        assert_eq!(call["outcome"], "done", "{call}");
        assert!(call["output"].as_str().unwrap().contains("the page"), "{call}");
    }
    let told = house.model.requests().pop().unwrap().body.to_string();
    assert!(told.contains("<outside"), "text from outside is fenced: {told}");
}

#[tokio::test]
async fn a_read_after_a_write_in_one_step_sees_what_was_written() {
    let script = Script::by_step([
        Reply::calls([
            ("write", json!({"path": "a.txt", "content": "fresh words"})),
            ("read", json!({"path": "a.txt"})),
        ]),
        Reply::text("It is there."),
    ]);
    let house = House::start(script).await;
    let turn = house.say("s", "write and read").await;
    let calls = calls_of(&turn);
    assert!(calls[1]["output"].as_str().unwrap().contains("fresh words"), "{turn}");
}

#[tokio::test]
async fn a_long_output_is_capped_and_the_rest_can_be_read() {
    let script = Script::by_step([Reply::call("shell", json!({"command": "seq 1 20000"})), Reply::text("Counted.")]);
    let house = House::start(script).await;
    let turn = house.say("s", "count").await;
    let output = calls_of(&turn)[0]["output"].as_str().unwrap().to_owned();
    assert!(output.chars().count() < 16_300, "{} characters", output.chars().count());
    let blob = output.split("blob:").nth(1).expect("where the rest is").split('"').next().unwrap();
    let read = json!({"path": format!("blob:{blob}"), "from": 19_999, "to": 20_000});
    house
        .model
        .set_script(Script::by_step([Reply::call("read", read), Reply::text("Read on.")]));
    let turn = house.say("s", "read on").await;
    let rest = calls_of(&turn)[0]["output"].as_str().unwrap();
    assert!(rest.contains("19999\n20000"), "{rest}");
}

#[tokio::test]
async fn a_long_output_of_a_background_process_can_be_read_on_too() {
    let command = json!({"command": "seq 1 300000; echo the end", "background": true});
    let script = Script::by_step([
        Reply::call("shell", command),
        Reply::call("shell_poll", json!({"id": "p1", "wait_s": 20})),
        Reply::call("shell_poll", json!({"id": "p1", "wait_s": 20})),
        Reply::text("Counted."),
    ]);
    let house = House::start(script).await;
    let turn = house.say("s", "count").await;
    let polled: Vec<String> = calls_of(&turn)[1..]
        .iter()
        .map(|call| call["output"].as_str().unwrap().to_owned())
        .collect();
    let output = polled.iter().find(|text| text.contains("blob:")).expect("a long output");
    assert!(output.chars().count() < 16_300 && polled.concat().contains("the end"), "{polled:?}");
    let place = output.split("read {").nth(1).expect("where the rest is").split('}').next().unwrap();
    let mut read: serde_json::Value = serde_json::from_str(&format!("{{{place}}}")).expect("arguments as they are");
    read["to"] = json!(read["from"].as_u64().unwrap() + 2);
    let from = read["from"].as_u64().unwrap();
    house
        .model
        .set_script(Script::by_step([Reply::call("read", read), Reply::text("Read on.")]));
    let turn = house.say("s", "read on").await;
    let rest = calls_of(&turn)[0]["output"].as_str().unwrap();
    assert_eq!(rest, format!("{from}\n{}\n{}", from + 1, from + 2));
}

fn small_window(tokens: u64) -> impl Fn(&House) {
    move |house| house.configure(&house.configuration_text().replace("128000", &tokens.to_string()))
}

fn summarises() -> Reply {
    Reply::text("The person tells a long story; the word is xyzzy.").when("Summarise the conversation above")
}

#[tokio::test]
async fn a_long_session_in_a_small_window_is_compacted_and_goes_on() {
    let mut house = House::prepare(Script::by_step([summarises(), Reply::text("Go on, I listen.")])).await;
    small_window(6_000)(&house);
    house.serve().await;
    let mut notes = Vec::new();
    for number in 0..12 {
        let turn = house
            .say("s", &format!("part {number}: {}", "and then they went on ".repeat(100)))
            .await;
        assert_eq!(
            (&turn["status"], &turn["text"]),
            (&json!("done"), &json!("Go on, I listen.")),
            "{turn}"
        );
        notes.extend(turn["notes"].as_array().unwrap().clone());
    }
    assert!(
        notes
            .iter()
            .any(|note| note.as_str().unwrap().starts_with("compacted the conversation from about ")),
        "{notes:?}"
    );
    let last = house.model.requests().pop().unwrap();
    assert!(last.body.to_string().contains("xyzzy"), "the summary stands for what is gone");
    assert!(last.body_bytes < 24_000, "{} bytes", last.body_bytes);
    let shown = house.get("/api/sessions/s/messages?limit=200").await;
    assert!(shown.to_string().contains("part 0: "), "the journal keeps everything");
}

#[tokio::test]
async fn a_provider_that_says_too_long_leads_to_compaction_and_one_retry() {
    let too_long = Reply {
        error: Some(ScriptedError {
            status: 400,
            kind: ErrorKind::ContextTooLong,
            ..ScriptedError::default()
        }),
        ..Reply::default()
    };
    let replies = [summarises(), too_long.when("the last straw").at_most(1), Reply::text("I listen.")];
    let house = House::start(Script::by_step(replies)).await;
    for number in 0..3 {
        assert_eq!(
            house.say("s", &format!("part {number}: {}", "words ".repeat(300))).await["status"],
            "done"
        );
    }
    let before = house.model.count();
    let turn = house.say("s", "the last straw").await;
    assert_eq!((&turn["status"], &turn["text"]), (&json!("done"), &json!("I listen.")), "{turn}");
    assert!(turn["notes"].to_string().contains("compacted"), "{turn}");
    assert_eq!(house.model.count() - before, 3, "refused, summed up, asked again");
}

#[tokio::test]
async fn a_provider_that_keeps_saying_too_long_ends_the_turn_with_a_sentence() {
    let too_long = Reply {
        error: Some(ScriptedError {
            status: 400,
            kind: ErrorKind::ContextTooLong,
            ..ScriptedError::default()
        }),
        ..Reply::default()
    };
    let house = House::start(Script::by_step([too_long])).await;
    let turn = house.say("s", "hello").await;
    assert_eq!(turn["status"], "failed", "{turn}");
    assert!(turn["text"].as_str().unwrap().contains("/new"), "{turn}");
    assert!(house.model.count() <= 3, "{}", house.model.count());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let cut = Reply {
        cut_after_events: Some(3),
        usage: Some(Usage::default()),
        ..Reply::text("half an answer that never ends well")
    };
    let house = House::start(Script::by_step([cut.when("hello").at_most(1), Reply::text("a whole answer")])).await;
    let turn = tokio::time::timeout(Duration::from_secs(30), house.say("s", "hello"))
        .await
        .unwrap();
    assert_eq!(
        (&turn["status"], &turn["text"]),
        (&json!("done"), &json!("a whole answer")),
        "{turn}"
    );
    assert_eq!(turn["steps"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_background_process_is_read_and_ended() {
    let script = Script::by_step([
        Reply::call("shell", json!({"command": "echo ready; cat", "background": true})),
        Reply::text("Started."),
    ]);
    let house = House::start(script).await;
    let turn = house.say("s", "start it").await;
    let said = calls_of(&turn)[0]["output"].as_str().unwrap().to_owned();
    let id = said.split_whitespace().nth(1).unwrap().trim_end_matches(';').to_owned();
    let poll = |id: &str| Reply::call("shell_poll", json!({"id": id}));
    let replies = [
        Reply::call("shell_write", json!({"id": id, "text": "hello process\n"})),
        poll(&id),
        Reply::call("shell_kill", json!({"id": id})),
        Reply::text("Ended."),
    ];
    house.model.set_script(Script::by_step(replies));
    let turn = house.say("s", "talk to it").await;
    assert_eq!(turn["status"], "done", "{turn}");
    let outcomes: Vec<&Value> = calls_of(&turn).iter().map(|call| &call["outcome"]).collect();
    assert_eq!(outcomes, [&json!("done"); 3], "{turn}");
}
