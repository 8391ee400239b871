//! A wrong configuration or a database from the future: said with its place, refused whole, nothing changed.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};

use crate::house::{House, answer, until};

async fn check(text: &str) -> (i32, Value) {
    let house = House::prepare(Script::default()).await;
    house.configure(text);
    let ran = house.steward(&["config", "check", "--json"]).await;
    (ran.code, if ran.code == 0 { Value::Null } else { ran.error() })
}

#[tokio::test]
async fn an_unknown_key_is_named_with_its_place_and_the_nearest_right_name() {
    let (code, error) = check("[server]\nbind = \"127.0.0.1:0\"\n\n[agents.main]\nrout = \"default\"\n").await;
    assert_eq!(code, 1);
    assert_eq!(error["code"], "invalid_config");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("steward.toml, line 5, column 1"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("`route`"), "{error}");
}

#[tokio::test]
async fn a_wrong_type_is_named_with_its_place() {
    let (code, error) = check("[agents.main]\ntools = \"files\"\n").await;
    assert_eq!(code, 1);
    assert!(error["message"].as_str().unwrap().contains("line 2, column 9"), "{error}");
}

#[tokio::test]
async fn a_right_file_passes() {
    assert_eq!(check("[agents.main]\nroute = \"default\"\n").await, (0, Value::Null));
}

#[tokio::test]
async fn a_server_does_not_start_on_a_wrong_file_and_says_why() {
    let house = House::prepare(Script::default()).await;
    house.configure("[serverr]\nbind = \"127.0.0.1:0\"\n");
    let ran = house.serve_in_vain().await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("line 1") && ran.stderr.contains("`server`"), "{ran:?}");
    assert!(!house.home().join("steward.db").exists());
}

#[tokio::test]
async fn a_running_server_keeps_the_last_good_configuration_and_takes_the_next_good_one() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    let good = house.configuration_text();
    house.configure(&(good.clone() + "\n[agents.helper]\nlimits = { steps = \"many\" }\n"));
    until("the wrong edit is refused", async || {
        house.log().contains("the last good one stays")
    })
    .await;
    let shown = house.get("/api/config").await;
    assert_eq!(shown["valid"], false, "{shown}");
    assert!(shown["error"].as_str().unwrap().contains("line 17, column 20"), "{shown}");
    assert_eq!(house.get("/api/agents").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(house.say("s", "still there?").await["status"], "done");
    house.configure(&(good + "\n[agents.helper]\nlimits = { steps = 7 }\n"));
    until("the right edit is taken", async || {
        house.get("/api/agents").await["items"].as_array().unwrap().len() == 2
    })
    .await;
    let agents = house.get("/api/agents").await;
    let helper = agents["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|agent| agent["name"] == "helper")
        .unwrap();
    assert_eq!(helper["limits"]["steps"], 7);
    let said = house.steward(&["chat", "--agent", "helper", "-m", "hi", "--json"]).await.json();
    assert_eq!(said["status"], "done");
}

#[tokio::test]
async fn a_value_set_by_command_holds_at_once_and_a_wrong_one_changes_nothing() {
    let house = House::start(Script::default()).await;
    house
        .steward(&["config", "set", "agents.main.limits.steps", "9", "--json"])
        .await
        .json();
    let steps = house.get("/api/agents").await["items"][0]["limits"]["steps"].clone();
    assert_eq!(steps, 9);
    assert_eq!(house.steward(&["config", "get", "agents.main.limits.steps"]).await.json(), 9);
    let before = house.configuration_text();
    let ran = house.steward(&["config", "set", "agents.main.limits.stepps", "9", "--json"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.error()["message"].as_str().unwrap().contains("stepps"), "{ran:?}");
    assert_eq!(house.configuration_text(), before);
}

#[tokio::test]
async fn a_database_from_a_newer_version_is_refused_and_left_as_it_is() {
    let mut house = House::start(Script::default()).await;
    house.terminate().await;
    let database = house.home().join("steward.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    let newer = "INSERT INTO schema_versions (version, name, applied_at) VALUES (9999, 'from the future', 0)";
    connection.execute(newer, []).unwrap();
    connection.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    connection.close().unwrap();
    let before = fs::read(&database).unwrap();
    let ran = house.serve_in_vain().await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let last = ran.stderr.lines().last().unwrap();
    assert!(last.contains("9999") && last.contains("newer Steward"), "{last}");
    let ran = house.steward(&["turns", "list", "--json"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.error()["message"].as_str().unwrap().contains("9999"), "{ran:?}");
    assert!(before == fs::read(&database).unwrap(), "not a byte is changed");
    assert_eq!(house.model.count(), 0);
    let answer = json!(house.home().join("steward.db-wal").metadata().map_or(0, |file| file.len()));
    assert_eq!(answer, 0, "nothing waits to be written");
}

#[tokio::test]
async fn settings_made_at_once_are_all_kept() {
    let house = House::start(Script::default()).await;
    let set = |number: u32| {
        let request = house.request_as(&house.token(), Method::PATCH, "/api/config");
        answer(request.json(&json!({"key": format!("agents.a{number}.route"), "value": "default"})))
    };
    for (status, said) in futures_util::future::join_all((0..12).map(set)).await {
        assert_eq!(status, 200, "{said}");
    }
    let text = house.configuration_text();
    for number in 0..12 {
        assert!(text.contains(&format!("[agents.a{number}]")), "{text}");
    }
    let left = std::fs::read_dir(house.home()).unwrap();
    assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".new")));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_not_written_over() {
    let house = House::start(Script::default()).await;
    let before = house.configuration_text();
    let file = house.home().join("steward.toml");
    // No text, so that reading it as one fails for every user, root too.
    let garbled = [before.as_bytes(), &[0xff, 0xfe]].concat();
    std::fs::write(&file, &garbled).unwrap();
    let request = house.request_as(&house.token(), Method::PATCH, "/api/config");
    let (status, said) = answer(request.json(&json!({"key": "agents.a.route", "value": "default"}))).await;
    assert_eq!(status, 503, "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), garbled);
}
