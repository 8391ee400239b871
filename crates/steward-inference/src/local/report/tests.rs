use serde_json::json;

use super::super::propose::{Done, Scene};
use super::{is_question, of};

fn done(tool: &str, arguments: serde_json::Value, result: &str, is_error: bool) -> Done {
    Done {
        tool: tool.to_owned(),
        arguments,
        result: Some(result.to_owned()),
        is_error,
    }
}

fn check(done: Vec<Done>, wanted: &str) {
    let scene = Scene {
        request: "do it".to_owned(),
        done,
    };
    assert_eq!(of(&scene), wanted);
}

#[test]
fn what_was_done_is_named() {
    let list = done("list", json!({"path": "."}), "a.md 1", false);
    let write = done("write", json!({"path": "b.md"}), "written", false);
    check(vec![list, write], "I listed the folder, then wrote b.md.");
}

#[test]
fn what_was_found_is_shown() {
    check(
        vec![done("list", json!({"path": "."}), "a.md 1\n", false)],
        "I listed the folder.\n\na.md 1",
    );
    check(
        vec![done("search", json!({"pattern": "x"}), "", false)],
        "I searched for x. Nothing was found.",
    );
}

#[test]
fn a_failure_is_said_with_its_reason() {
    check(
        vec![done("read", json!({"path": "x.md"}), "there is no file x.md", true)],
        "I could not finish: read x.md did not succeed. there is no file x.md",
    );
}

#[test]
fn questions_are_told_from_orders() {
    assert!(is_question("Which port is set in config.toml?"));
    assert!(is_question("Summarise notes.md"));
    assert!(!is_question("What is in todo.md?"));
    assert!(!is_question("List the files"));
}
