use super::check;
use crate::tidy::SourceFile;

fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<SourceFile> = files
        .iter()
        .map(|(path, text)| SourceFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    check(&paths, &files)
}

#[test]
fn a_stray_file_at_the_top_is_found() {
    assert_eq!(findings(&[("notes.txt", "")]), ["notes.txt: a stray file at the top"]);
}

#[test]
fn names_that_say_nothing_are_found() {
    assert_eq!(findings(&[("crates/steward-agent/src/utils.rs", "//! x")]).len(), 1);
    assert_eq!(findings(&[("crates/steward-agent/src/turn/mod.rs", "//! x")]).len(), 1);
    assert!(findings(&[("crates/steward-agent/src/turn.rs", "//! x")]).is_empty());
}

#[test]
fn a_file_without_a_head_is_found() {
    assert_eq!(findings(&[("crates/steward-agent/src/turn.rs", "use std::fs;")]).len(), 1);
    assert!(findings(&[("crates/steward-agent/src/turn/tests.rs", "use super::x;")]).is_empty());
}

#[test]
fn a_long_file_is_found_unless_it_is_listed_and_does_not_grow() {
    let long = "//! x\n".repeat(900);
    let path = "crates/steward-agent/src/turn.rs";
    assert_eq!(findings(&[(path, &long)]).len(), 1);
    assert!(findings(&[(path, &long), ("xtask/long_files.txt", &format!("{path} 900"))]).is_empty());
    assert_eq!(
        findings(&[(path, &long), ("xtask/long_files.txt", &format!("{path} 899"))]).len(),
        1
    );
    assert_eq!(
        findings(&[(path, "//! x"), ("xtask/long_files.txt", &format!("{path} 900"))]).len(),
        1
    );
}
