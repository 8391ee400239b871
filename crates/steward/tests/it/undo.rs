//! A turn's file changes can be taken back; what changed since is left alone.

use serde_json::json;
use steward_testkit::script::{Reply, Script};

use crate::house::House;

#[tokio::test]
async fn undo_restores_files_and_leaves_those_that_changed_since() {
    let script = Script::by_step([
        Reply::calls([
            ("write", json!({"path": "kept.txt", "content": "new words\n"})),
            ("write", json!({"path": "fresh.txt", "content": "made by the turn\n"})),
            ("edit", json!({"path": "edited.txt", "old": "one", "new": "two"})),
            ("write", json!({"path": "touched.txt", "content": "by the turn\n"})),
        ]),
        Reply::text("All four are written."),
    ]);
    let house = House::start(script).await;
    house.put("kept.txt", "old words\n");
    house.put("edited.txt", "one line\n");
    house.put("touched.txt", "before\n");
    let turn = house.say("s", "change the files").await;
    assert_eq!(turn["status"], "done", "{turn}");
    assert_eq!(house.read("kept.txt"), "new words\n");
    assert_eq!(house.read("edited.txt"), "two line\n");
    house.put("touched.txt", "by a person, later\n");
    let undone = house
        .steward(&["turns", "undo", turn["id"].as_str().unwrap(), "--json"])
        .await
        .json();
    let mut restored: Vec<&str> = undone["restored"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    restored.sort_unstable();
    assert_eq!(restored, ["edited.txt", "fresh.txt", "kept.txt"], "{undone}");
    assert_eq!(undone["skipped"][0]["path"], "touched.txt", "{undone}");
    assert!(!undone["skipped"][0]["reason"].as_str().unwrap().is_empty());
    assert_eq!(house.read("kept.txt"), "old words\n");
    assert_eq!(house.read("edited.txt"), "one line\n");
    assert!(!house.workspace("fresh.txt").exists());
    assert_eq!(house.read("touched.txt"), "by a person, later\n");
}

#[tokio::test]
async fn a_file_that_a_turn_wrote_twice_goes_back_to_what_it_was_before_the_turn() {
    let script = Script::by_step([
        Reply::call("write", json!({"path": "a.txt", "content": "first\n"})),
        Reply::call("write", json!({"path": "a.txt", "content": "second\n"})),
        Reply::text("Written twice."),
    ]);
    let house = House::start(script).await;
    house.put("a.txt", "original\n");
    let turn = house.say("s", "write twice").await;
    assert_eq!(house.read("a.txt"), "second\n");
    let (status, undone) = house
        .post(&format!("/api/turns/{}/undo", turn["id"].as_str().unwrap()), json!({}))
        .await;
    assert_eq!(status, 200, "{undone}");
    assert_eq!(undone["restored"], json!(["a.txt"]), "{undone}");
    assert_eq!(house.read("a.txt"), "original\n");
}
