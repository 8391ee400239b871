//! Reading, listing, searching, writing and editing.

use std::os::unix::fs::symlink;

use base64::Engine;
use serde_json::json;
use steward_domain::message::{MediaSource, Part};
use steward_domain::tool::{EvidenceAction, ToolOutcome};

use crate::stage::{stage, text_of};

#[tokio::test]
async fn a_file_is_read_as_it_is() {
    let stage = stage().await;
    stage.put("a.txt", "one\ntwo\nthree\n");
    assert_eq!(stage.text("read", json!({ "path": "a.txt" })).await, "one\ntwo\nthree\n");
    let text = stage.text("read", json!({ "path": "/workspace/a.txt", "from": 2, "to": 2 })).await;
    assert_eq!(text, "two\n[a.txt: lines 2-2; read on with from=3]");
    assert_eq!(
        stage.text("read", json!({ "path": "a.txt", "from": 2, "to": 9 })).await,
        "two\nthree\n"
    );
    assert_eq!(
        stage.text("read", json!({ "path": "a.txt", "from": 9 })).await,
        "[a.txt has only 3 lines]"
    );
    stage.put("empty", "");
    assert_eq!(stage.text("read", json!({ "path": "empty" })).await, "[empty is empty]");
    assert!(
        stage
            .reason("read", json!({ "path": "a.txt", "from": 3, "to": 2 }))
            .await
            .contains("comes before")
    );
}

#[tokio::test]
async fn what_is_outside_is_not_read() {
    let stage = stage().await;
    std::fs::write(stage.outside("secret"), "outside").expect("written");
    symlink(stage.outside("secret"), stage.host("absolute")).expect("linked");
    symlink("../secret", stage.host("relative")).expect("linked");
    symlink("..", stage.host("up")).expect("linked");
    symlink("/proc/self/root", stage.host("magic")).expect("linked");
    let outside = stage.outside("secret").display().to_string();
    for path in [
        "../secret",
        "absolute",
        "relative",
        "up/secret",
        "magic/etc/passwd",
        "/etc/passwd",
        "~/.ssh/id_rsa",
        &outside,
    ] {
        for tool in ["read", "list", "search"] {
            let reason = stage.reason(tool, json!({ "path": path, "pattern": "outside" })).await;
            assert!(!reason.contains("root:"), "{tool} {path}: {reason}");
        }
        stage.reason("write", json!({ "path": path, "content": "x" })).await;
        stage.reason("edit", json!({ "path": path, "old": "outside", "new": "x" })).await;
    }
    assert_eq!(std::fs::read_to_string(stage.outside("secret")).expect("read"), "outside");
    // A search of the folder does not follow them either.
    assert_eq!(
        stage.text("search", json!({ "pattern": "outside|root:" })).await,
        "[no match in 0 files]"
    );
}

#[tokio::test]
async fn a_symlink_that_stays_inside_is_read() {
    let stage = stage().await;
    stage.put("sub/file", "inside");
    symlink("sub", stage.host("link")).expect("linked");
    assert_eq!(stage.text("read", json!({ "path": "link/file" })).await, "inside");
}

#[tokio::test]
async fn a_huge_file_is_read_in_pieces() {
    let stage = stage().await;
    let lines: Vec<String> = (1..=100_000).map(|number| format!("line {number}")).collect();
    stage.put("huge", lines.join("\n"));
    let text = stage.text("read", json!({ "path": "huge" })).await;
    assert!(text.len() < 263_000);
    let (content, note) = text.rsplit_once('\n').expect("a note");
    let next: usize = note
        .rsplit_once("from=")
        .expect("a number")
        .1
        .trim_end_matches(']')
        .parse()
        .expect("a number");
    assert!(content.ends_with(&format!("line {}", next - 1)), "{note}");
    let more = stage.text("read", json!({ "path": "huge", "from": next, "to": next })).await;
    assert!(more.starts_with(&format!("line {next}\n")), "{more}");
    stage.put("long", "x".repeat(1_000_000));
    assert!(
        stage
            .text("read", json!({ "path": "long" }))
            .await
            .ends_with("[long: line 1 is too long; its first 262144 bytes are shown]")
    );
    // A sparse file of 1 TB costs nothing.
    std::fs::File::create(stage.host("sparse"))
        .expect("made")
        .set_len(1 << 40)
        .expect("grown");
    assert!(stage.reason("read", json!({ "path": "sparse" })).await.contains("binary"));
    assert!(
        stage
            .text("search", json!({ "pattern": "x", "path": "sparse" }))
            .await
            .contains("left out")
    );
    assert!(
        stage
            .reason("write", json!({ "path": "sparse", "content": "x" }))
            .await
            .contains("limit")
    );
}

#[tokio::test]
async fn what_is_not_text_is_said() {
    let stage = stage().await;
    stage.put("latin", b"caf\xe9\n");
    let text = stage.text("read", json!({ "path": "latin" })).await;
    assert_eq!(text, "caf\\xe9\n[latin: not UTF-8: other bytes are shown as \\x..]");
    stage.put("binary", b"a\0b");
    assert!(
        stage
            .reason("read", json!({ "path": "binary" }))
            .await
            .contains("binary data of 3 bytes")
    );
    // Its other bytes survive an edit.
    stage.output("edit", json!({ "path": "latin", "old": "caf", "new": "Caf" })).await;
    assert_eq!(std::fs::read(stage.host("latin")).expect("read"), b"Caf\xe9\n");
}

#[tokio::test]
async fn an_image_is_shown() {
    let stage = stage().await;
    let png = b"\x89PNG\r\n\x1a\nrest";
    stage.put("picture.txt", png);
    let output = stage.output("read", json!({ "path": "picture.txt" })).await;
    let data = base64::engine::general_purpose::STANDARD.encode(png);
    let source = MediaSource::Inline {
        media_type: "image/png".into(),
        data,
    };
    assert_eq!(output.parts, [Part::Image { source, detail: None }]);
    let mut large = png.to_vec();
    large.resize(5_000_001, 0);
    stage.put("large.png", large);
    assert!(
        stage
            .reason("read", json!({ "path": "large.png" }))
            .await
            .contains("up to 5000000 bytes")
    );
}

#[tokio::test]
async fn a_fifo_is_refused_at_once() {
    let stage = stage().await;
    let made = std::process::Command::new("mkfifo")
        .arg(stage.host("fifo"))
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
    for tool in ["read", "write", "edit"] {
        let reason = stage
            .reason(tool, json!({ "path": "fifo", "content": "x", "old": "a", "new": "b" }))
            .await;
        assert!(reason.contains("a FIFO"), "{tool}: {reason}");
    }
    assert_eq!(stage.text("list", json!({ "path": "." })).await, "fifo (special)");
    assert_eq!(stage.text("search", json!({ "pattern": "x" })).await, "[no match in 0 files]");
}

#[tokio::test]
async fn a_folder_is_listed_in_order() {
    let stage = stage().await;
    stage.put("b", "xx");
    stage.put("a/c", "");
    stage.put(".hidden", "x");
    symlink("b", stage.host("link")).expect("linked");
    assert_eq!(
        stage.text("list", json!({ "path": "." })).await,
        ".hidden 1\na/\nb 2\nlink (symlink)"
    );
    assert_eq!(stage.text("list", json!({ "path": "a/" })).await, "c 0");
    assert!(stage.reason("list", json!({ "path": "b" })).await.contains("not a folder"));
    assert!(stage.reason("list", json!({ "path": "missing" })).await.contains("does not exist"));
    for number in 0..1200 {
        stage.put(&format!("many/{number:04}"), "");
    }
    let text = stage.text("list", json!({ "path": "many" })).await;
    assert_eq!(text.lines().count(), 1001);
    assert!(text.contains("[200 more of 1200 entries"), "{}", &text[text.len() - 100..]);
}

#[tokio::test]
async fn lines_are_found() {
    let stage = stage().await;
    stage.put("a.rs", "fn one() {}\nfn two() {}\n");
    stage.put("sub/b.rs", "fn two() {}\n");
    stage.put("binary", b"fn two\0");
    stage.put(".git/config", "fn two");
    stage.put(".gitignore", "target/\n*.log\n");
    stage.put("target/x", "fn two");
    stage.put("sub/x.log", "fn two");
    stage.put("sub/.gitignore", "!kept.log\n");
    stage.put("sub/kept.log", "fn two");
    let text = stage.text("search", json!({ "pattern": r"fn t\w+" })).await;
    assert_eq!(text, "a.rs:2: fn two() {}\nsub/b.rs:1: fn two() {}\nsub/kept.log:1: fn two");
    assert_eq!(
        stage.text("search", json!({ "pattern": "one", "path": "a.rs" })).await,
        "a.rs:1: fn one() {}"
    );
    assert_eq!(
        stage.text("search", json!({ "pattern": "two", "path": "sub/x.log" })).await,
        "sub/x.log:1: fn two"
    );
    assert!(
        stage
            .reason("search", json!({ "pattern": "(" }))
            .await
            .contains("no regular expression")
    );
    assert!(
        stage
            .reason("search", json!({ "pattern": "x", "path": "missing" }))
            .await
            .contains("does not exist")
    );
    stage.put("many", "hit\n".repeat(1000));
    let text = stage.text("search", json!({ "pattern": "hit", "path": "many" })).await;
    assert_eq!(text.lines().count(), 201);
    assert!(text.ends_with("[stopped at 200 matches; narrow the pattern or the path]"));
}

#[tokio::test]
async fn a_write_is_checkpointed_before_it_happens() {
    let stage = stage().await;
    let output = stage.output("write", json!({ "path": "sub/new", "content": "one" })).await;
    assert_eq!(
        (text_of(&output).as_str(), stage.get("sub/new").as_str()),
        ("made sub/new, 3 bytes", "one")
    );
    let evidence = &output.evidence[0];
    assert_eq!((evidence.action, evidence.object.as_str()), (EvidenceAction::Wrote, "sub/new"));
    assert!(
        evidence
            .detail
            .starts_with("sha256 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed, 3 bytes"),
        "{}",
        evidence.detail
    );
    stage.output("write", json!({ "path": "sub/new", "content": "two" })).await;
    assert!(
        stage
            .text("write", json!({ "path": "sub/new", "content": "two" }))
            .await
            .contains("unchanged")
    );
    let kept = stage.keeper.kept.lock().expect("the list").clone();
    assert_eq!(kept.len(), 2, "a write that changes nothing has no checkpoint");
    assert_eq!((&kept[0].before, &kept[0].on_disk), (&None, &None));
    assert_eq!(
        (&kept[1].before, &kept[1].on_disk),
        (&Some(b"one".to_vec()), &Some(b"one".to_vec()))
    );
}

#[tokio::test]
async fn without_a_checkpoint_nothing_is_changed() {
    let stage = stage().await;
    stage.put("file", "one");
    *stage.keeper.refuses.lock().expect("a flag") = true;
    for (tool, arguments) in [
        ("write", json!({ "path": "file", "content": "two" })),
        ("edit", json!({ "path": "file", "old": "one", "new": "two" })),
        (
            "apply_patch",
            json!({ "patch": "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-one\n+two\n" }),
        ),
    ] {
        assert!(stage.reason(tool, arguments).await.contains("disk is full"), "{tool}");
        assert_eq!(stage.get("file"), "one", "{tool}");
    }
}

#[tokio::test]
async fn control_files_are_refused() {
    let stage = stage().await;
    stage.put(".git/config", "[core]");
    for path in [".git/hooks/pre-commit", ".git/config", "sub/.envrc", ".mcp.json"] {
        let outcome = stage.call("write", json!({ "path": path, "content": "x" })).await;
        assert!(
            matches!(&outcome, ToolOutcome::Refused { reason } if reason.contains("control file")),
            "{path}: {outcome:?}"
        );
    }
    assert_eq!(stage.get(".git/config"), "[core]");
}

#[tokio::test]
async fn an_edit_must_be_unambiguous() {
    let stage = stage().await;
    stage.put("file", "a = 1\nb = 2\na = 1\n");
    assert!(
        stage
            .reason("edit", json!({ "path": "file", "old": "a = 1", "new": "a = 3" }))
            .await
            .contains("occurs 2 times")
    );
    assert!(
        stage
            .reason("edit", json!({ "path": "file", "old": "b  = 2", "new": "x" }))
            .await
            .contains("differ only in white space")
    );
    assert!(
        stage
            .reason("edit", json!({ "path": "file", "old": "", "new": "x" }))
            .await
            .contains("empty")
    );
    assert!(
        stage
            .reason("edit", json!({ "path": "missing", "old": "a", "new": "x" }))
            .await
            .contains("does not exist")
    );
    assert_eq!(stage.get("file"), "a = 1\nb = 2\na = 1\n");
    assert_eq!(
        stage.text("edit", json!({ "path": "file", "old": "b = 2", "new": "b = 3" })).await,
        "edited file at line 2"
    );
    assert_eq!(stage.get("file"), "a = 1\nb = 3\na = 1\n");
}
