//! Who may depend on whom, read from the manifests.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use toml::Table;

use super::SourceFile;
use super::table::{DEV_CRATES, FOREIGN, MAY_DEPEND, NOT_IN_DOMAIN, TOP_CRATE};

/// Checks every manifest of the workspace.
pub(super) fn check(files: &[SourceFile]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_member(&file.path)) {
        let manifest: Table = file.text.parse().with_context(|| format!("{} is no TOML", file.path))?;
        findings.extend(check_manifest(file, &manifest));
    }
    Ok(findings)
}

fn is_member(path: &str) -> bool {
    path == "xtask/Cargo.toml" || (path.starts_with("crates/") && path.ends_with("/Cargo.toml"))
}

fn check_manifest(file: &SourceFile, manifest: &Table) -> Vec<String> {
    let folder = file.path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or_default();
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(|name| name.as_str())
        .unwrap_or_default();
    let mut findings = Vec::new();
    if name != folder {
        findings.push(format!("{}: the package is called {name:?}, its folder {folder:?}", file.path));
    }
    let normal = names(manifest, &["dependencies", "build-dependencies"]);
    let dev = names(manifest, &["dev-dependencies"]);
    if name != TOP_CRATE {
        findings.extend(check_ours(name, &normal, &dev));
    }
    findings.extend(check_foreign(name, &normal));
    findings
}

fn check_ours(name: &str, normal: &BTreeSet<String>, dev: &BTreeSet<String>) -> Vec<String> {
    let Some((_, allowed)) = MAY_DEPEND.iter().find(|(member, _)| *member == name) else {
        return vec![format!(
            "{name} is not in the dependency table: add it to xtask/src/tidy/table.rs and ARCHITECTURE.md"
        )];
    };
    let is_ours = |dependency: &&String| dependency.starts_with("steward");
    let wrong = normal
        .iter()
        .filter(is_ours)
        .filter(|dependency| !allowed.contains(&dependency.as_str()));
    // A crate may name itself, to turn on a feature for its tests.
    let is_fine = |dependency: &str| dependency == name || allowed.contains(&dependency) || DEV_CRATES.contains(&dependency);
    let in_tests = |dependency: &&String| !is_fine(dependency);
    let wrong_in_tests = dev.iter().filter(is_ours).filter(in_tests);
    wrong
        .map(|dependency| format!("{name} must not depend on {dependency}"))
        .chain(wrong_in_tests.map(|dependency| format!("the tests of {name} must not depend on {dependency}")))
        .collect()
}

fn check_foreign(name: &str, normal: &BTreeSet<String>) -> Vec<String> {
    let misplaced = FOREIGN
        .iter()
        .filter(|(foreign, users)| normal.contains(*foreign) && !users.contains(&name));
    let mut findings: Vec<String> = misplaced
        .map(|(foreign, users)| format!("{name} must not depend on {foreign}: only {} may", users.join(" and ")))
        .collect();
    if name == "steward-domain" {
        let wrong = NOT_IN_DOMAIN.iter().filter(|foreign| normal.contains(**foreign));
        findings.extend(wrong.map(|foreign| format!("steward-domain must not depend on {foreign}")));
    }
    findings
}

/// Names in some tables of a manifest, those for one target included.
fn names(manifest: &Table, tables: &[&str]) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let per_target = targets.into_iter().flat_map(Table::values).filter_map(|target| target.as_table());
    let places = std::iter::once(manifest).chain(per_target);
    let mut names = BTreeSet::new();
    for place in places {
        for table in tables {
            let entries = place.get(*table).and_then(|entries| entries.as_table());
            names.extend(entries.into_iter().flat_map(Table::keys).cloned());
        }
    }
    names
}

#[cfg(test)]
mod tests;
