//! Texts that may stand only in some places.
//!
//! Comments in Rust are left alone: they may speak of what the code may not do.

use super::SourceFile;
use super::table::{MAY_NAME_REGISTRY, REGISTRY_HOSTS, RULES, Rule};

/// Checks the text of every file.
pub(super) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        for rule in RULES.iter().filter(|rule| applies(rule, &file.path)) {
            findings.extend(broken_lines(file, rule));
        }
        findings.extend(registry_hosts(file));
        findings.extend(machine_paths(file));
        findings.extend(route_imports(file));
    }
    findings
}

fn applies(rule: &Rule, path: &str) -> bool {
    let begins = rule.within.iter().any(|start| path.starts_with(start));
    let ends = rule.endings.iter().any(|end| path.ends_with(end));
    begins && ends && !rule.except.iter().any(|part| path.contains(part))
}

fn broken_lines(file: &SourceFile, rule: &Rule) -> Vec<String> {
    let is_rust = file.path.ends_with(".rs");
    let code = file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| !(is_rust && line.trim_start().starts_with("//")));
    let broken = code.filter_map(|(at, line)| rule.texts.iter().find(|text| line.contains(**text)).map(|text| (at, text)));
    broken
        .map(|(at, text)| format!("{}:{}: {text:?}: {}", file.path, at + 1, rule.rule))
        .collect()
}

fn registry_hosts(file: &SourceFile) -> Vec<String> {
    if MAY_NAME_REGISTRY.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let hosts = REGISTRY_HOSTS.iter().map(|(start, end)| format!("{start}{end}"));
    let named = hosts.filter(|host| file.text.contains(host.as_str()));
    named.map(|host| format!("{}: names the registry host {host}", file.path)).collect()
}

/// Absolute paths of somebody's machine.
fn machine_paths(file: &SourceFile) -> Vec<String> {
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let has_workplace = mentions_folder(line, "/work", |_| true);
        let has_home = mentions_folder(line, "/root", |_| true) || mentions_folder(line, "/home", is_home_of_someone);
        if has_workplace || has_home {
            findings.push(format!("{}:{}: an absolute path of one machine", file.path, at + 1));
        }
    }
    findings
}

/// Is `folder/` in the line as the beginning of a path, with something behind it that `is_meant` accepts?
fn mentions_folder(line: &str, folder: &str, is_meant: fn(&str) -> bool) -> bool {
    let starts = line.match_indices(folder);
    let mut paths = starts.filter(|(at, _)| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"_.~-/}*>)".contains(before))
    });
    paths.any(|(at, _)| line[at + folder.len()..].strip_prefix('/').is_some_and(is_meant))
}

fn is_home_of_someone(rest: &str) -> bool {
    rest.starts_with(|first: char| first.is_ascii_lowercase())
}

/// A page of the console uses `lib`, not another page.
fn route_imports(file: &SourceFile) -> Vec<String> {
    let Some((route, _)) = file.path.strip_prefix("web/src/routes/").and_then(|rest| rest.split_once('/')) else {
        return Vec::new();
    };
    let others = file.text.lines().enumerate().filter(|(_, line)| {
        let from_routes = line.split_once("/routes/").map(|(_, rest)| rest);
        let from_above = line
            .split_once("from '../")
            .map(|(_, rest)| rest)
            .filter(|rest| !rest.starts_with("../"));
        line.contains("import")
            && from_routes
                .or(from_above)
                .is_some_and(|rest| !rest.starts_with(&format!("{route}/")))
    });
    others
        .map(|(at, _)| format!("{}:{}: a page imports from another page", file.path, at + 1))
        .collect()
}

#[cfg(test)]
mod tests;
