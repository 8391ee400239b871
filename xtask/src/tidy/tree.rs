//! Names, places and lengths of files.

use std::collections::BTreeMap;

use super::SourceFile;
use super::table::{CRATE_README_LINES, EMPTY_NAMES, LONG_FILE_LINES, PAGES, TOP_LEVEL};

const LONG_FILES: &str = "xtask/long_files.txt";
const CODE_ENDINGS: &[&str] = &[".rs", ".ts", ".svelte", ".js", ".py", ".css"];

/// Types that a program writes; nobody reads them from top to bottom.
const GENERATED_ENDING: &str = ".d.ts";

/// Checks where files lie, what they are called and how long they are.
pub(super) fn check(paths: &[String], files: &[SourceFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for path in paths {
        findings.extend(check_place(path));
    }
    for file in files {
        findings.extend(check_head(file));
        findings.extend(check_page(file));
    }
    findings.extend(check_long_files(files));
    findings
}

fn check_place(path: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let top = path.split('/').next().unwrap_or(path);
    if !TOP_LEVEL.contains(&top) {
        findings.push(format!("{path}: a stray file at the top"));
    }
    if path.ends_with("/mod.rs") {
        findings.push(format!("{path}: name the file after its module, beside its folder"));
    }
    let is_source = path.contains("/src/") && CODE_ENDINGS.iter().any(|ending| path.ends_with(ending));
    let in_sources = path.split_once("/src/").map_or("", |(_, rest)| rest);
    let stems = in_sources.split('/').map(|part| part.split('.').next().unwrap_or(part));
    for stem in stems.filter(|stem| is_source && EMPTY_NAMES.contains(stem)) {
        findings.push(format!("{path}: {stem:?} says nothing about what is inside"));
    }
    findings
}

/// Each source file of a crate begins with what it does and what it never does.
fn check_head(file: &SourceFile) -> Option<String> {
    let is_source = (file.path.starts_with("crates/") || file.path.starts_with("xtask/")) && file.path.ends_with(".rs");
    let is_test = file.path.contains("/tests/") || file.path.ends_with("tests.rs");
    let has_head = file.text.starts_with("//!") || file.text.starts_with("#![doc");
    let is_wrong = is_source && !is_test && !has_head;
    is_wrong.then(|| format!("{}: begin with two to six lines of //!", file.path))
}

fn check_page(file: &SourceFile) -> Option<String> {
    let is_crate_readme = file.path.ends_with("/README.md") && (file.path.starts_with("crates/") && file.path.matches('/').count() == 2);
    let limit = if is_crate_readme {
        CRATE_README_LINES
    } else {
        PAGES.iter().find(|(page, _)| *page == file.path)?.1
    };
    let lines = file.text.lines().count();
    (lines > limit).then(|| format!("{}: {lines} lines, at most {limit}", file.path))
}

/// The list of long files may only shrink.
fn check_long_files(files: &[SourceFile]) -> Vec<String> {
    let list = files
        .iter()
        .find(|file| file.path == LONG_FILES)
        .map_or("", |file| file.text.as_str());
    let listed = read_list(list);
    let lengths: BTreeMap<&str, usize> = files.iter().map(|file| (file.path.as_str(), file.text.lines().count())).collect();
    let mut findings = Vec::new();
    for (path, lines) in lengths
        .iter()
        .filter(|(path, _)| !path.ends_with(GENERATED_ENDING) && CODE_ENDINGS.iter().any(|ending| path.ends_with(ending)))
    {
        match listed.get(*path) {
            Some(before) if lines > before => findings.push(format!("{path}: grew from {before} to {lines} lines, and may only shrink")),
            None if *lines > LONG_FILE_LINES => findings.push(format!(
                "{path}: {lines} lines, split it before it is longer than {LONG_FILE_LINES}"
            )),
            Some(_) | None => {}
        }
    }
    let is_done = |path: &&&str| lengths.get(**path).is_none_or(|lines| *lines <= LONG_FILE_LINES);
    findings.extend(
        listed
            .keys()
            .filter(is_done)
            .map(|path| format!("{LONG_FILES}: {path} is no longer long, take it off the list")),
    );
    findings
}

/// Lines of `PATH LINES`; `#` begins a comment.
fn read_list(list: &str) -> BTreeMap<&str, usize> {
    let entries = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '));
    entries.filter_map(|(path, lines)| Some((path, lines.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests;
