//! A call that a crash cut off is run again: what was done is seen, what was not is done, nothing is done twice.

use serde_json::{Value, json};
use steward_domain::tool::ToolOutcome;

use crate::stage::{Stage, stage};

async fn repeat_is_done(stage: &Stage, tool: &str, arguments: &Value) {
    let outcome = stage.repeat(tool, arguments.clone()).await;
    assert!(matches!(outcome, ToolOutcome::Done(_)), "{tool} {arguments}: {outcome:?}");
}

/// Runs a call, then again as after a crash: before the change, and after it.
async fn check(tool: &str, arguments: Value, before: &str, after: &str) {
    for tells in [false, true] {
        let stage = stage().await;
        *stage.keeper.tells.lock().expect("a flag") = tells;
        stage.put("file", before);
        stage.output(tool, arguments.clone()).await;
        assert_eq!(stage.get("file"), after);
        repeat_is_done(&stage, tool, &arguments).await;
        assert_eq!(stage.get("file"), after, "{tool} {arguments} was done twice");
        // The checkpoint was kept, but the crash came before the change.
        stage.put("file", before);
        repeat_is_done(&stage, tool, &arguments).await;
        assert_eq!(stage.get("file"), after, "{tool} {arguments} was not done");
    }
}

#[tokio::test]
async fn an_edit_is_done_once() {
    check("edit", json!({ "path": "file", "old": "b", "new": "c" }), "a b", "a c").await;
    check("edit", json!({ "path": "file", "old": "b", "new": "b b" }), "a b", "a b b").await;
    check("edit", json!({ "path": "file", "old": " b", "new": "" }), "a b", "a").await;
}

#[tokio::test]
async fn a_write_is_done_once() {
    check("write", json!({ "path": "file", "content": "new" }), "old", "new").await;
}

#[tokio::test]
async fn a_patch_is_done_once() {
    check(
        "apply_patch",
        json!({ "patch": "--- a/file\n+++ b/file\n@@ -1,2 +1,3 @@\n a\n+x\n b\n" }),
        "a\nb\n",
        "a\nx\nb\n",
    )
    .await;
    check(
        "apply_patch",
        json!({ "patch": "--- a/file\n+++ b/file\n@@ -1,1 +1,2 @@\n a\n+x\n" }),
        "a\nb\n",
        "a\nx\nb\n",
    )
    .await;
    check(
        "apply_patch",
        json!({ "patch": "--- a/file\n+++ b/file\n@@ -1,1 +1,2 @@\n+x\n a\n" }),
        "a\nb\n",
        "x\na\nb\n",
    )
    .await;
}

#[tokio::test]
async fn a_patch_that_was_half_done_is_finished() {
    let stage = stage().await;
    let patch = json!({ "patch": "*** Begin Patch\n*** Update File: a\n@@\n-one\n+1\n*** Add File: b\n+x\n*** Delete File: c\n*** Update File: d\n*** Move to: e\n*** End Patch" });
    for done in 0..=5 {
        for (path, before, after) in [
            ("a", Some("one\n"), Some("1\n")),
            ("b", None, Some("x\n")),
            ("c", Some("c\n"), None),
            ("e", None, Some("d\n")),
            ("d", Some("d\n"), None),
        ]
        .into_iter()
        .enumerate()
        .map(|(position, (path, before, after))| {
            if position < done {
                (path, after, after)
            } else {
                (path, before, after)
            }
        }) {
            let _ = (after, std::fs::remove_file(stage.host(path)));
            if let Some(content) = before {
                stage.put(path, content);
            }
        }
        repeat_is_done(&stage, "apply_patch", &patch).await;
        assert_eq!(
            (stage.get("a"), stage.get("b"), stage.get("e")),
            ("1\n".into(), "x\n".into(), "d\n".into()),
            "{done} were done"
        );
        assert!(!stage.host("c").exists() && !stage.host("d").exists(), "{done} were done");
    }
}
