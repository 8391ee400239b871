use super::check;
use crate::tidy::SourceFile;

fn count(path: &str, text: &str) -> usize {
    let file = SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    check(&[file]).len()
}

#[test]
fn sql_outside_the_store_is_found() {
    let line = "let query = \"SELECT id FROM turns\";\n";
    assert_eq!(count("crates/steward-runtime/src/turns.rs", line), 1);
    assert_eq!(count("crates/steward-store/src/turns.rs", line), 0);
}

#[test]
fn a_comment_may_speak_of_what_code_may_not_do() {
    assert_eq!(
        count(
            "crates/steward-agent/src/turn.rs",
            "// std::process::Command is out of reach here\n"
        ),
        0
    );
}

#[test]
fn processes_start_in_the_sandbox_only() {
    let line = "use std::process::Command;\n";
    assert_eq!(count("crates/steward-tools/src/shell.rs", line), 1);
    assert_eq!(count("crates/steward-sandbox/src/spawner.rs", line), 0);
    assert_eq!(count("crates/steward/tests/it/crash.rs", line), 0);
}

#[test]
fn markup_from_text_is_found_in_the_console() {
    assert_eq!(count("web/src/lib/markdown.svelte", "<p>{@html text}</p>\n"), 1);
}

#[test]
fn paths_of_a_machine_are_found() {
    let workplace = ["\"/wo", "rk/main\""].concat();
    let home = ["\"/ho", "me/ana/notes\""].concat();
    assert_eq!(count("docs/guide/a.md", &workplace), 1);
    assert_eq!(count("docs/guide/a.md", &home), 1);
    assert_eq!(count("crates/steward-policy/src/policy/tests.rs", &home), 1, "in a test too");
    assert_eq!(count("docs/guide/a.md", "see ~/work/x, crates/work/y and https://host/work/z"), 0);
}

#[test]
fn a_page_does_not_import_from_another_page() {
    assert_eq!(
        count("web/src/routes/chat/page.svelte", "import X from '../turns/row.svelte';\n"),
        1
    );
    assert_eq!(
        count("web/src/routes/chat/page.svelte", "import X from '../../lib/row.svelte';\n"),
        0
    );
}
