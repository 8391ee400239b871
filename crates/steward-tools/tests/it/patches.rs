//! Patches: all files or none.

use serde_json::json;
use steward_tools::checkpoint::{Restored, restore};

use crate::stage::stage;

#[tokio::test]
async fn a_patch_changes_makes_moves_and_removes() {
    let stage = stage().await;
    stage.put("change", "one\ntwo\n");
    stage.put("old", "x\n");
    stage.put("from", "a\nb\n");
    let patch = "*** Begin Patch\n*** Update File: change\n@@\n one\n-two\n+2\n*** Add File: sub/new\n+hello\n*** Delete File: old\n\
                 *** Update File: from\n*** Move to: to\n@@\n-a\n+A\n*** End Patch";
    let output = stage.output("apply_patch", json!({ "patch": patch })).await;
    assert_eq!(
        (stage.get("change"), stage.get("sub/new"), stage.get("to")),
        ("one\n2\n".into(), "hello\n".into(), "A\nb\n".into())
    );
    assert!(!stage.host("old").exists() && !stage.host("from").exists());
    assert_eq!(output.evidence.len(), 5);
    // Undo, newest first.
    let kept = stage.keeper.kept.lock().expect("the list").clone();
    for checkpoint in kept.iter().rev() {
        let restored = restore(
            &stage.workspace,
            &checkpoint.path,
            checkpoint.before.as_deref(),
            &checkpoint.after_sha256,
        );
        assert_eq!(restored.expect("restored"), Restored::Done);
    }
    assert_eq!(
        (stage.get("change"), stage.get("old"), stage.get("from")),
        ("one\ntwo\n".into(), "x\n".into(), "a\nb\n".into())
    );
    assert!(!stage.host("sub/new").exists() && !stage.host("to").exists());
}

#[tokio::test]
async fn a_unified_diff_of_the_real_tool_is_applied() {
    let stage = stage().await;
    let before: String = (1..200).map(|number| format!("line {number}\n")).collect();
    let after = before
        .replace("line 50\n", "line fifty\n")
        .replace("line 150\n", "")
        .replace("line 199\n", "line 199\nmore\n");
    std::fs::write(stage.outside("before"), &before).expect("written");
    std::fs::write(stage.outside("after"), &after).expect("written");
    let diff = std::process::Command::new("diff")
        .args(["-u", "--label", "a/file", "--label", "b/file"])
        .args([stage.outside("before"), stage.outside("after")])
        .output()
        .expect("diff runs");
    stage.put("file", &before);
    stage
        .output("apply_patch", json!({ "patch": String::from_utf8_lossy(&diff.stdout) }))
        .await;
    assert_eq!(stage.get("file"), after);
}

#[tokio::test]
async fn one_hunk_that_does_not_fit_stops_all() {
    let stage = stage().await;
    stage.put("a", "one\n");
    stage.put("b", "two\n");
    for bad in [
        "*** Update File: b\n@@\n-three\n+3\n",
        "*** Add File: b\n+x\n",
        "*** Delete File: c\n",
        "*** Add File: ../c\n+x\n",
        "*** Add File: .envrc\n+x\n",
    ] {
        let patch = format!("*** Begin Patch\n*** Update File: a\n@@\n-one\n+1\n*** Add File: new\n+x\n{bad}*** End Patch");
        stage.reason("apply_patch", json!({ "patch": patch })).await;
        assert_eq!((stage.get("a"), stage.get("b")), ("one\n".into(), "two\n".into()), "{bad}");
        assert!(!stage.host("new").exists() && !stage.outside("c").exists(), "{bad}");
    }
    assert!(stage.keeper.kept.lock().expect("the list").is_empty());
}

#[tokio::test]
async fn a_write_that_fails_takes_the_others_back() {
    let stage = stage().await;
    stage.put("a", "one\n");
    stage.put("b", "file, not folder\n");
    let patch = "*** Begin Patch\n*** Update File: a\n@@\n-one\n+1\n*** Add File: new/x\n+x\n*** Add File: new/x/y\n+y\n*** End Patch";
    stage.reason("apply_patch", json!({ "patch": patch })).await;
    assert_eq!(stage.get("a"), "one\n");
    assert!(!stage.host("new/x").exists());
}

#[tokio::test]
async fn undo_leaves_alone_what_changed_since() {
    let stage = stage().await;
    stage.put("file", "one");
    stage.output("write", json!({ "path": "file", "content": "two" })).await;
    let kept = stage.keeper.kept.lock().expect("the list")[0].clone();
    stage.put("file", "three");
    let undo = || restore(&stage.workspace, "file", kept.before.as_deref(), &kept.after_sha256).expect("looked at");
    assert_eq!((undo(), stage.get("file").as_str()), (Restored::Changed, "three"));
    stage.put("file", "two");
    assert_eq!((undo(), stage.get("file").as_str()), (Restored::Done, "one"));
    assert_eq!(undo(), Restored::Done);
}
