//! A backup made while the server runs, checked, and put into a new home.

use std::fs;
use std::path::Path;

use serde_json::json;
use steward_testkit::script::{Reply, Script};

use crate::house::House;
use crate::running;

#[tokio::test]
async fn a_backup_is_made_checked_and_restored_into_a_new_home() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    house.put("notes/today.txt", "a note");
    house
        .steward(&["chat", "-m", "remember me", "--session", "kept", "--json"])
        .await
        .json();
    let made = house.steward(&["backup", "create", "--json"]).await.json();
    let path = made["path"].as_str().unwrap();
    assert!(made["bytes"].as_u64().unwrap() > 0, "{made}");
    let checked = house.steward(&["backup", "verify", path, "--json"]).await.json();
    assert_eq!(checked["ok"], true);
    let fresh = house.home().with_file_name("fresh");
    running::run(&fresh, &["backup", "restore", path, "--json"]).await.json();
    assert_eq!(fs::read_to_string(fresh.join("workspaces/main/notes/today.txt")).unwrap(), "a note");
    let sessions = running::run(&fresh, &["sessions", "list", "--json"]).await.json();
    assert_eq!(sessions[0]["name"], "kept", "{sessions}");
    let messages = running::run(&fresh, &["sessions", "show", "kept", "--json"]).await.json();
    assert_eq!(messages[0]["text"], "remember me", "{messages}");
    let said = running::run(&fresh, &["chat", "-m", "again", "--session", "kept", "--json"])
        .await
        .json();
    assert_eq!(said["status"], "done", "{said}");
    let again = running::run(&fresh, &["backup", "restore", path, "--json"]).await;
    assert_eq!(again.code, 1, "a home with a store is never overwritten: {again:?}");
}

#[tokio::test]
async fn a_backup_that_was_changed_is_not_accepted() {
    let house = House::start(Script::default()).await;
    house.put("notes.txt", "a note");
    let made = house.steward(&["backup", "create", "--json"]).await.json();
    let path = made["path"].as_str().unwrap();
    fs::write(Path::new(path).join("workspaces/main/notes.txt"), "another note").unwrap();
    let ran = house.steward(&["backup", "verify", path, "--json"]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.error()["message"].as_str().unwrap().contains("workspaces/main/notes.txt"),
        "{ran:?}"
    );
    let fresh = house.home().with_file_name("fresh");
    assert_eq!(running::run(&fresh, &["backup", "restore", path]).await.code, 1);
    let ran = house.steward(&["backup", "verify", "/nowhere", "--json"]).await;
    assert_ne!(ran.code, 0);
    assert_eq!(json!(house.home().join("steward.db").exists()), json!(true));
}
