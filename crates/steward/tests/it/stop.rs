//! Stop means stop: within a second, with the whole process group, on every door.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use steward_testkit::record::Fate;
use steward_testkit::script::{Reply, Script};

use crate::house::{House, until};

const WITHIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
enum Door {
    Http,
    Command,
    Chat,
}

impl Door {
    async fn stop(self, house: &House, session: &str, turn: &str) {
        match self {
            Door::Http => {
                let (status, value) = house.post(&format!("/api/turns/{turn}/stop"), json!({})).await;
                assert_eq!(status, 200, "{value}");
            }
            Door::Command => assert_eq!(house.steward(&["turns", "stop", turn]).await.code, 0),
            Door::Chat => {
                let path = format!("/api/sessions/{session}/messages");
                let (status, value) = house.post(&path, json!({"text": "/stop"})).await;
                assert_eq!((status.as_u16(), &value["text"]), (200, &json!("Stopped.")), "{value}");
            }
        }
    }
}

/// Is there a process whose arguments, each with a zero behind it, hold this?
fn runs(word: &str) -> bool {
    let folders = fs::read_dir("/proc").unwrap();
    let lines = folders.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(word))
}

async fn sleeping_command_ends(door: Door) {
    // A length of sleep that no other process on the machine has.
    let length = format!("600.{}", rand::random::<u32>());
    let command = format!("sleep {length} & sleep {length}; wait");
    let house = House::start(Script::by_step([
        Reply::call("shell", json!({"command": command})),
        Reply::text("late"),
    ]))
    .await;
    let turn = house.begin("s", "sleep").await;
    until("the command runs", async || runs(&format!("sleep\0{length}"))).await;
    let began = Instant::now();
    door.stop(&house, "s", &turn).await;
    house.wait_for_status(&turn, "stopped").await;
    until("no process is left", async || !runs(&length)).await;
    assert!(began.elapsed() <= WITHIN, "{door:?} took {:?}", began.elapsed());
    let turn = house.turn(&turn).await;
    assert_eq!(turn["steps"][0]["calls"][0]["outcome"], "uncertain", "{turn}");
    assert_eq!(house.model.count(), 1, "a stopped turn asks no more");
}

async fn endless_stream_ends(door: Door) {
    let endless = Reply {
        endless: true,
        delay_token_ms: 5,
        ..Reply::text("and on ")
    };
    let house = House::start(Script::by_step([endless])).await;
    let turn = house.begin("s", "talk").await;
    house.wait_for_calls(1).await;
    let began = Instant::now();
    door.stop(&house, "s", &turn).await;
    house.wait_for_status(&turn, "stopped").await;
    until("the stream is cut", async || house.model.requests()[0].fate == Fate::Broken).await;
    assert!(began.elapsed() <= WITHIN, "{door:?} took {:?}", began.elapsed());
    house.model.set_script(Script::by_step([Reply::text("here again")]));
    assert_eq!(house.say("s", "still there?").await["text"], "here again");
}

#[tokio::test]
async fn a_sleeping_command_ends_by_the_api() {
    sleeping_command_ends(Door::Http).await;
}

#[tokio::test]
async fn a_sleeping_command_ends_by_the_command_line() {
    sleeping_command_ends(Door::Command).await;
}

#[tokio::test]
async fn a_sleeping_command_ends_by_a_chat_command() {
    sleeping_command_ends(Door::Chat).await;
}

#[tokio::test]
async fn an_endless_stream_ends_by_the_api() {
    endless_stream_ends(Door::Http).await;
}

#[tokio::test]
async fn an_endless_stream_ends_by_the_command_line() {
    endless_stream_ends(Door::Command).await;
}

#[tokio::test]
async fn an_endless_stream_ends_by_a_chat_command() {
    endless_stream_ends(Door::Chat).await;
}

/// Gets away from its parent and its session as far as it is let.
fn scattered(length: &str) -> String {
    format!("(setsid sleep {length} &) ; nohup sh -c 'setsid sleep {length} || sleep {length}' >/dev/null 2>&1 & sleep {length}")
}

fn begins_in_the_background(command: &str) -> Reply {
    Reply::call("shell", json!({"command": command, "background": true}))
}

async fn background_process_ends(door: Door) {
    let length = format!("600.{}", rand::random::<u32>());
    let house = House::start(Script::by_step([
        begins_in_the_background(&scattered(&length)),
        Reply::call("shell", json!({"command": "sleep 600"})),
    ]))
    .await;
    let turn = house.begin("s", "sleep").await;
    until("the command runs", async || runs(&format!("sleep\0{length}"))).await;
    let began = Instant::now();
    door.stop(&house, "s", &turn).await;
    house.wait_for_status(&turn, "stopped").await;
    assert!(!runs(&length), "{door:?}: it runs although the turn is over");
    assert!(began.elapsed() <= WITHIN, "{door:?} took {:?}", began.elapsed());
    let notes = house.turn(&turn).await["notes"].to_string();
    assert!(notes.contains("Ended with this turn") && notes.contains("p1: killed"), "{notes}");
}

#[tokio::test]
async fn a_background_process_ends_with_its_turn_by_the_api() {
    background_process_ends(Door::Http).await;
}

#[tokio::test]
async fn a_background_process_ends_with_its_turn_by_the_command_line() {
    background_process_ends(Door::Command).await;
}

#[tokio::test]
async fn a_background_process_ends_with_its_turn_by_a_chat_command() {
    background_process_ends(Door::Chat).await;
}

#[tokio::test]
async fn what_an_earlier_turn_left_in_the_background_is_spared_until_nothing_else_runs() {
    let length = format!("600.{}", rand::random::<u32>());
    let house = House::start(Script::by_step([
        begins_in_the_background(&format!("sleep {length}")),
        Reply::text("It runs."),
    ]))
    .await;
    let earlier = house.say("s", "begin").await;
    assert_eq!(earlier["status"], "done", "{earlier}");
    house
        .model
        .set_script(Script::by_step([Reply::call("shell", json!({"command": "sleep 600"}))]));
    let later = house.begin("s", "sleep").await;
    until("both run", async || runs(&format!("sleep\0{length}")) && runs("sleep\x00600\0")).await;
    Door::Chat.stop(&house, "s", &later).await;
    house.wait_for_status(&later, "stopped").await;
    assert!(runs(&length), "another turn's process is left alone");
    let (status, value) = house.post("/api/sessions/s/messages", json!({"text": "/stop"})).await;
    let text = value["text"].as_str().unwrap();
    assert!(status == 200 && text.contains(&format!("sleep {length} (p1: killed)")), "{value}");
    until("no process is left", async || !runs(&length)).await;
}

#[tokio::test]
async fn stopping_a_turn_that_is_over_ends_what_it_left() {
    let length = format!("600.{}", rand::random::<u32>());
    let house = House::start(Script::by_step([
        begins_in_the_background(&format!("sleep {length}")),
        Reply::text("It runs."),
    ]))
    .await;
    let turn = house.say("s", "begin").await;
    until("it runs", async || runs(&format!("sleep\0{length}"))).await;
    Door::Http.stop(&house, "s", turn["id"].as_str().unwrap()).await;
    assert!(!runs(&length));
    assert_eq!(house.turn(turn["id"].as_str().unwrap()).await["status"], "done");
}

#[tokio::test]
async fn a_waiting_turn_can_be_stopped_and_its_question_is_closed() {
    let house = House::start(Script::by_step([Reply::call("shell", json!({"command": "rm -rf x"}))])).await;
    let turn = house.say("s", "remove x").await;
    assert_eq!(turn["status"], "waiting", "{turn}");
    let id = turn["id"].as_str().unwrap();
    Door::Http.stop(&house, "s", id).await;
    assert_eq!(house.turn(id).await["status"], "stopped");
    assert_eq!(house.get("/api/approvals").await, json!([]));
}

#[tokio::test]
async fn a_killed_server_leaves_no_command_behind() {
    let length = format!("600.{}", rand::random::<u32>());
    let command = scattered(&length);
    let mut house = House::start(Script::by_step([
        Reply::call("shell", json!({"command": command})),
        Reply::text("I see."),
    ]))
    .await;
    let turn = house.begin("s", "sleep").await;
    until("the command runs", async || runs(&format!("sleep\0{length}"))).await;
    house.crash_and_restart().await;
    until("no process is left", async || !runs(&length)).await;
    let turn = house.end_of(&turn).await;
    assert_eq!((&turn["status"], &turn["text"]), (&json!("done"), &json!("I see.")), "{turn}");
    assert_eq!(turn["steps"][0]["calls"][0]["outcome"], "uncertain", "{turn}");
    let shown = house.model.requests().pop().unwrap().body.to_string();
    assert!(shown.contains("uncertain: "), "{shown}");
}
