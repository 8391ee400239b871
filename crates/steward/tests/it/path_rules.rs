//! A rule about a path holds for the file, whichever way it is named and whichever tool reaches for it.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script, ScriptedCall};

use crate::house::{House, calls_of};

const SECRET: &str = "t0p-s3cret";

fn call(name: &str, arguments: Value) -> ScriptedCall {
    ScriptedCall {
        name: name.to_owned(),
        arguments,
    }
}

/// A house with a private folder, links to it, these rules, and a model that makes these calls in one step.
async fn house_with(policy: &str, calls: impl FnOnce(&House) -> Vec<ScriptedCall>) -> House {
    let mut house = House::prepare(Script::default()).await;
    house.put("private/x.txt", SECRET);
    house.put("private/deep/y.txt", SECRET);
    house.put("notes/a.txt", "open");
    symlink("private", house.workspace("folder")).unwrap();
    symlink("../private/x.txt", house.workspace("notes/file")).unwrap();
    house.add_configuration(&format!("[policy]\n{policy}\n"));
    let tries = Reply {
        tool_calls: calls(&house),
        ..Reply::default()
    };
    house.model.set_script(Script::by_step([tries, Reply::text("So it is.")]));
    house.serve().await;
    house
}

/// What the model was told, call by call, at the end.
fn told(house: &House) -> Vec<String> {
    let last = house.model.requests().pop().unwrap();
    let messages = last.body["messages"].as_array().unwrap().clone();
    let results = messages.iter().filter(|message| message["role"] == "tool");
    results.map(|message| message["content"].to_string()).collect()
}

fn assert_secret_is_kept(house: &House) {
    for request in house.model.requests() {
        assert!(!request.body.to_string().contains(SECRET), "{}", request.body);
    }
    for name in ["private/x.txt", "private/deep/y.txt"] {
        assert_eq!(house.read(name), SECRET);
    }
}

#[tokio::test]
async fn a_denied_folder_is_denied_to_every_tool_in_every_spelling() {
    let house = house_with("deny = [ { path = \"workspace/private/**\" } ]", |house| {
        let host = house.workspace("private/x.txt").display().to_string();
        let spellings = [
            "private/x.txt",
            "./private//x.txt",
            "notes/../private/x.txt",
            "/workspace/private/x.txt",
            "/workspace/notes/../private/./x.txt",
            "folder/x.txt",
            "notes/file",
            host.as_str(),
        ];
        let mut calls: Vec<ScriptedCall> = spellings.iter().map(|path| call("read", json!({ "path": path }))).collect();
        let begin = |rest: &str| json!({ "patch": format!("*** Begin Patch\n{rest}\n*** End Patch") });
        calls.extend([
            call("list", json!({"path": "private"})),
            call("list", json!({"path": "folder/deep"})),
            call("search", json!({"path": "/workspace/private", "pattern": "."})),
            call("write", json!({"path": "private/new.txt", "content": "x"})),
            call("edit", json!({"path": "folder/x.txt", "old": SECRET.split_at(3).0, "new": "x"})),
            call("apply_patch", begin("*** Add File: private/new.txt\n+x")),
            call(
                "apply_patch",
                begin("*** Add File: ok.txt\n+x\n*** Delete File: /workspace/private/x.txt"),
            ),
            call(
                "apply_patch",
                begin("*** Update File: notes/a.txt\n*** Move to: notes/../private/a.txt\n@@\n-open\n+x"),
            ),
            call(
                "apply_patch",
                begin("*** Update File: private/x.txt\n*** Move to: notes/taken.txt\n@@\n-t0p\n+x"),
            ),
            call("shell", json!({"command": "ls", "cwd": "private/deep"})),
            call("shell", json!({"command": "ls", "cwd": "/workspace/folder"})),
        ]);
        calls
    })
    .await;
    let turn = house.say("s", "get it").await;
    let calls = calls_of(&turn);
    assert_eq!(calls.len(), 19);
    for call in calls {
        assert_eq!(
            (&call["outcome"], &call["rule"]),
            (&json!("refused"), &json!("policy.deny[0]")),
            "{call}"
        );
    }
    assert_secret_is_kept(&house);
    assert!(!house.workspace("ok.txt").exists() && !house.workspace("private/new.txt").exists());
    assert!(!house.workspace("notes/taken.txt").exists() && house.read("notes/a.txt") == "open");
}

#[tokio::test]
async fn a_denied_folder_is_left_out_where_it_is_met_and_hidden_from_commands() {
    let house = house_with("deny = [ { path = \"~/**/private\" }, { path = \"private\" } ]", |_| {
        vec![
            call("list", json!({"path": "."})),
            call("search", json!({"pattern": "s3cret|open"})),
            call(
                "shell",
                json!({"command": "cat private/x.txt folder/deep/y.txt notes/file; cat notes/a.txt"}),
            ),
            call(
                "shell",
                json!({"command": "grep -r s3cret . ; cp -r private taken; mv private taken; echo tried"}),
            ),
        ]
    })
    .await;
    let turn = house.say("s", "look around").await;
    assert_eq!(turn["status"], "done", "{turn}");
    for call in calls_of(&turn) {
        assert_eq!(call["outcome"], "done", "{call}");
    }
    assert_secret_is_kept(&house);
    let told = told(&house);
    assert!(
        told[0].contains("1 entry is left out") && !told[0].contains("private/"),
        "{}",
        told[0]
    );
    assert!(
        told[1].contains("notes/a.txt:1: open") && told[1].contains("1 entries are left out"),
        "{}",
        told[1]
    );
    assert!(told[2].contains("open") && told[2].contains("1 hidden"), "{}", told[2]);
    assert!(told[3].contains("tried"), "{}", told[3]);
}

#[tokio::test]
async fn an_allowance_of_a_folder_is_not_stretched_by_a_link() {
    let policy = "default = \"deny\"\nallow = [ { tool = \"files\", path = \"workspace/notes/**\" } ]";
    let house = house_with(policy, |_| {
        vec![
            call("read", json!({"path": "/workspace/notes/a.txt"})),
            call("read", json!({"path": "notes/file"})),
            call("read", json!({"path": "notes/../private/x.txt"})),
        ]
    })
    .await;
    let turn = house.say("s", "read").await;
    let decisions: Vec<&Value> = calls_of(&turn).iter().map(|call| &call["rule"]).collect();
    assert_eq!(decisions, ["policy.allow[0]", "policy.default", "policy.default"], "{turn}");
    assert_secret_is_kept(&house);
}

#[tokio::test]
async fn a_yes_does_not_hold_for_what_a_link_leads_to_afterwards() {
    let house = house_with("ask = [ { tool = \"read\" } ]", |_| vec![call("read", json!({"path": "link"}))]).await;
    symlink("notes/a.txt", house.workspace("link")).unwrap();
    let turn = house.begin("s", "read the link").await;
    house.wait_for_status(&turn, "waiting").await;
    let approvals = house.steward(&["approvals", "list", "--json"]).await.json();
    fs::remove_file(house.workspace("link")).unwrap();
    symlink("private/x.txt", house.workspace("link")).unwrap();
    let id = approvals[0]["id"].as_str().unwrap().to_owned();
    house.steward(&["approvals", "approve", &id, "--json"]).await.json();
    let turn = house.end_of(&turn).await;
    assert_eq!(calls_of(&turn)[0]["outcome"], "refused", "{turn}");
    assert_secret_is_kept(&house);
}
