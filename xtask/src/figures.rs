//! Figures that benches and proofs print, gathered into one page.
//!
//! A line `figure: NAME: VALUE` on standard output is a figure; everything else is talk.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::{Job, root};

const PAGE: &str = "docs/figures.md";

/// The figures among the lines that a program printed, as name and value.
pub(crate) fn figures(lines: &[String]) -> Vec<(String, String)> {
    let after_mark = lines.iter().filter_map(|line| line.split_once("figure: ").map(|(_, rest)| rest));
    after_mark
        .filter_map(|rest| rest.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// Writes the page: what was run, with which seed, at which commit, on which machine.
pub(crate) fn write(rows: &[(String, String)], seed: u64) -> Result<()> {
    let commit = Job::new("git", &["rev-parse", "--short=12", "HEAD"]).output().unwrap_or_default();
    let changed = Job::new("git", &["status", "--porcelain", "--untracked-files=no"])
        .output()
        .unwrap_or_default();
    let state = if changed.trim().is_empty() {
        ""
    } else {
        ", with changes that are not committed"
    };
    let kernel = Job::new("uname", &["-srm"]).output().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut page = format!(
        "# Figures\n\nWritten by `make prove`: commit {}{state}, seed {seed}, {}, {cores} cores.\n\n| what | figure |\n| --- | --- |\n",
        commit.trim(),
        kernel.trim(),
    );
    for (name, value) in rows {
        page.push_str(&format!("| {name} | {value} |\n"));
    }
    fs::write(root().join(PAGE), page).with_context(|| format!("cannot write {PAGE}"))?;
    println!("wrote {} figures to {PAGE}", rows.len());
    Ok(())
}

#[cfg(test)]
mod tests;
