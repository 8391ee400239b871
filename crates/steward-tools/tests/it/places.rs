//! Where the arguments of a call lead, and files that rules close.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use serde_json::{Value, json};
use steward_domain::files::{FileLimit, FileRules, Place};
use steward_domain::tool::ToolOutcome;

use crate::stage::{Stage, context_with, stage, text_of};

async fn prepared() -> Stage {
    let stage = stage().await;
    stage.put("private/x", "secret");
    stage.put("public/y", "open");
    symlink("private", stage.host("folder")).expect("linked");
    symlink("../folder/x", stage.host("public/file")).expect("linked");
    symlink("/etc/hostname", stage.host("absolute")).expect("linked");
    symlink("../../outside", stage.host("public/climbs")).expect("linked");
    symlink("loop", stage.host("loop")).expect("linked");
    symlink("private/new", stage.host("dangling")).expect("linked");
    stage
}

fn inside(path: &str) -> Place {
    Place::Inside { path: path.into() }
}

/// The places of each file that a call touches.
fn places(stage: &Stage, tool: &str, arguments: &Value) -> Result<Vec<Vec<Place>>, String> {
    let touched = stage.tools[tool].touches(arguments)?;
    Ok(touched.files.into_iter().map(|file| file.places).collect())
}

fn patch(path: &str) -> [Value; 5] {
    [
        json!({ "patch": format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch") }),
        json!({ "patch": format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch") }),
        json!({ "patch": format!("*** Begin Patch\n*** Update File: {path}\n@@\n-secret\n+x\n*** End Patch") }),
        json!({ "patch": format!("*** Begin Patch\n*** Update File: {path}\n*** Move to: {path}\n@@\n-secret\n+x\n*** End Patch") }),
        json!({ "patch": format!("--- {path}\n+++ {path}\n@@ -1 +1 @@\n-secret\n+x\n") }),
    ]
}

#[tokio::test]
async fn every_spelling_of_a_file_is_the_same_file_for_every_tool() {
    let stage = prepared().await;
    let host = stage.host("private/x").display().to_string();
    let spellings = [
        "private/x",
        "./private/x",
        "private//x",
        "private/./x",
        "public/../private/x",
        "/workspace/private/x",
        "/workspace//public/../private/x",
        "private/x/",
        &host,
    ];
    for path in spellings {
        for tool in ["read", "list", "search", "write", "edit"] {
            assert_eq!(
                places(&stage, tool, &json!({ "path": path })),
                Ok(vec![vec![inside("private/x")]]),
                "{tool} {path}"
            );
        }
        assert_eq!(
            places(&stage, "shell", &json!({ "cwd": path })),
            Ok(vec![vec![inside("private/x")]]),
            "{path}"
        );
        for arguments in patch(path) {
            let places = places(&stage, "apply_patch", &arguments).expect(path);
            assert!(
                places.iter().all(|places| *places == [inside("private/x")]),
                "{arguments} {places:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_link_is_told_with_all_that_it_leads_through() {
    let stage = prepared().await;
    let of = |path: &str| places(&stage, "read", &json!({ "path": path })).map(|files| files.concat());
    assert_eq!(of("folder/x"), Ok(vec![inside("folder/x"), inside("folder"), inside("private/x")]));
    let through_two = ["public/file", "folder", "private/x"].map(inside);
    assert_eq!(of("public/file"), Ok(through_two.to_vec()));
    assert_eq!(of("dangling"), Ok(["dangling", "private/new"].map(inside).to_vec()));
    assert_eq!(
        of("folder/not/there"),
        Ok(["folder/not/there", "folder", "private/not/there"].map(inside).to_vec())
    );
    let last = |path: &str| of(path).expect(path).pop().expect("a place");
    assert_eq!(
        last("absolute"),
        Place::Outside {
            path: "/etc/hostname".into()
        }
    );
    let root = stage.outside("outside").canonicalize().unwrap_or(stage.outside("outside"));
    assert_eq!(
        last("public/climbs"),
        Place::Outside {
            path: root.display().to_string()
        }
    );
    assert!(of("loop").is_err() && of("a\0b").is_err());
}

#[tokio::test]
async fn what_is_outside_is_named_so_that_rules_can_speak_of_it() {
    let stage = prepared().await;
    let of = |path: &str| places(&stage, "read", &json!({ "path": path })).map(|files| files.concat());
    let outside = |path: &str| Ok(vec![Place::Outside { path: path.into() }]);
    assert_eq!(of("/etc//../etc/./passwd"), outside("/etc/passwd"));
    assert_eq!(of("~/.ssh/id"), outside("~/.ssh/id"));
    assert_eq!(of("~/x/../.ssh/id"), outside("~/.ssh/id"));
    assert_eq!(of("../outside"), outside(&stage.outside("outside").display().to_string()));
}

#[tokio::test]
async fn a_patch_names_every_file_and_one_that_cannot_be_read_is_an_error() {
    let stage = prepared().await;
    let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** Delete File: public/y\n*** Update File: private/x\n*** Move to: b/c\n@@\n-secret\n+x\n*** End Patch";
    let wanted = ["a", "public/y", "private/x", "b/c"].map(|path| vec![inside(path)]);
    assert_eq!(places(&stage, "apply_patch", &json!({ "patch": patch })), Ok(wanted.to_vec()));
    let rename = "diff --git a/private/x b/public/z\nrename from private/x\nrename to public/z\n";
    let wanted = ["private/x", "public/z"].map(|path| vec![inside(path)]);
    assert_eq!(places(&stage, "apply_patch", &json!({ "patch": rename })), Ok(wanted.to_vec()));
    assert!(places(&stage, "apply_patch", &json!({ "patch": "nonsense" })).is_err());
    assert!(places(&stage, "shell", &json!({ "cwd": 7 })).is_err());
}

/// Closes what lies in `private`, and makes `docs` read-only.
#[derive(Debug)]
struct Closing;

impl FileRules for Closing {
    fn limit(&self, path: &str) -> FileLimit {
        let rule = "policy.deny[0]".to_owned();
        match path.split('/').next() {
            Some("private") => FileLimit::Hidden { rule },
            Some("docs") => FileLimit::ReadOnly { rule },
            _ => FileLimit::Free,
        }
    }

    fn may_limit_below(&self, path: &str) -> bool {
        path.is_empty() || self.limit(path) != FileLimit::Free
    }
}

async fn call(stage: &Stage, tool: &str, arguments: Value) -> ToolOutcome {
    stage.tools[tool].call(arguments, context_with(false, Arc::new(Closing))).await
}

async fn text(stage: &Stage, tool: &str, arguments: Value) -> String {
    match call(stage, tool, arguments).await {
        ToolOutcome::Done(output) => text_of(&output),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn listings_and_searches_leave_out_what_is_closed_and_say_so() {
    let stage = prepared().await;
    stage.put("public/z", "secret too");
    let listed = text(&stage, "list", json!({ "path": "." })).await;
    assert!(!listed.contains("private/") && listed.contains("public/"), "{listed}");
    assert!(
        listed.ends_with("[1 entry is left out: a rule of the policy closes it]"),
        "{listed}"
    );
    let found = text(&stage, "search", json!({ "pattern": "secret" })).await;
    assert_eq!(
        found,
        "public/z:1: secret too\n[1 entries are left out: rules of the policy close them]"
    );
}

#[tokio::test]
async fn a_link_that_was_pointed_elsewhere_after_the_decision_is_refused_at_use() {
    let stage = prepared().await;
    for (tool, arguments) in [
        ("read", json!({ "path": "public/file" })),
        ("list", json!({ "path": "folder" })),
        ("search", json!({ "path": "folder", "pattern": "secret" })),
        ("search", json!({ "path": "public/file", "pattern": "secret" })),
    ] {
        let outcome = call(&stage, tool, arguments.clone()).await;
        assert!(
            matches!(&outcome, ToolOutcome::Refused { reason } if reason.contains("policy.deny[0]")),
            "{tool} {arguments} {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_command_does_not_see_what_is_closed_and_is_told() {
    let stage = prepared().await;
    stage.put("docs/d", "kept");
    let told = text(
        &stage,
        "shell",
        json!({ "command": "cat private/x folder/x public/file; cat docs/d; echo evil > docs/d; mv private p; ls" }),
    )
    .await;
    assert!(!told.contains("secret") && told.contains("kept"), "{told}");
    assert!(
        told.contains("[rules of the policy close files or folders to commands: 1 hidden, 1 read-only]"),
        "{told}"
    );
    assert_eq!((stage.get("private/x").as_str(), stage.get("docs/d").as_str()), ("secret", "kept"));
    // Where nothing is closed, nothing is said.
    assert_eq!(
        stage.text("shell", json!({ "command": "cat private/x" })).await,
        "secret[exit code 0]".replace("[", "\n[")
    );
}
